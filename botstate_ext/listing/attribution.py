"""Attribution: the scope and the owner of a stored document, from its metadata and its key. Pure.

The SDK's keys can be read in several ways, and metadata can be copied with a document to a key of
someone else. So a document belongs to a user for certain only if nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..documents import metadata
from ..documents.ownership import PARTS, Owner
from ..keys.build import escape, hashed
from ..keys.parse import KeyReading, is_hashed, parse, unescape
from ..keys.scopes import SCOPES
from ..storage.base import ItemInfo

_NOBODY: Final[Owner] = {}


@dataclass(frozen=True, slots=True)
class Attribution:
    """Names the scope and the owner of a stored document.

    - ``scope``: None: the item is no document of this bot, as far as is known.
    - ``channel``: None if the key holds an id of our own, or is of no scope.
    - ``owner``: the owner's ids, percent-encoded (see `ownership.Owner`); empty if they are not
      known, or if a key of our own tells all.
    - ``is_certain``: False if the key can be read in several ways, if several users wrote the
      document, if only the hash of an id is known, or if metadata and key disagree.
    - ``disagrees``: True if the metadata names another scope or owner than the key.
    - ``candidates``: the owners that the key or the metadata may name, with ids as they are, or
      their hashes.
    """

    scope: str | None
    channel: str | None
    owner: Owner
    is_certain: bool
    disagrees: bool = False
    candidates: tuple[Owner, ...] = ()

    def id(self, part: str) -> str | None:
        """Return the owner's ``"user"`` or ``"conversation"``; None if it is not known."""
        return unescape(self.owner.get(part, "")) or None

    def may_be_of(self, channel_id: str, user_id: str) -> bool:
        """Return True if the document is the user's for certain, or can be."""
        ids = (user_id, hashed(user_id))
        return any(c["channel"] == channel_id and c["user"] in ids for c in self.candidates)

    def is_of(self, channel_id: str, user_id: str) -> bool:
        """Return True if the document is the user's for certain."""
        ids = (escape(user_id), hashed(user_id))
        of_channel = self.owner.get("channel") == escape(channel_id)
        return self.is_certain and of_channel and self.owner.get("user") in ids


def attribute(info: ItemInfo, namespace: str) -> Attribution:
    """Return the scope and the owner of a stored document.

    ``namespace``: the private scope's. A private document with another one belongs to this bot only
    if its metadata says so.
    """
    scope = info.metadata.get(metadata.SCOPE)
    said = {p: info.metadata[f"state{p}"] for p in PARTS if f"state{p}" in info.metadata}
    here = parse(info.key, namespace)
    parsed = here or parse(info.key)
    if parsed is None:
        return Attribution(scope, unescape(said.get("channel", "")) or None, said, is_certain=False)
    if parsed.channel is None:
        agrees = scope in (None, parsed.scope)
        return Attribution(parsed.scope, None, _NOBODY, is_certain=agrees, disagrees=not agrees)
    if not said:
        return _by_key(parsed.channel, () if here is None else here.readings, scope)
    return _by_metadata(parsed.channel, parsed.readings, scope, said)


def _by_key(channel: str, readings: tuple[KeyReading, ...], scope: str | None) -> Attribution:
    """Metadata names no owner: the SDK wrote the document, and a sweep may have rewritten it."""
    if not readings:
        return Attribution(scope, channel, _NOBODY, is_certain=False)
    first = readings[0]
    likely = [reading for reading in readings if reading.scope == first.scope]
    ids = [id_ for id_ in (first.user, first.conversation) if id_ is not None]
    agrees = scope in (None, first.scope)
    return Attribution(
        first.scope,
        channel,
        _escaped(first) if len(likely) == 1 else _NOBODY,
        is_certain=agrees and len(likely) == 1 and not any(map(is_hashed, ids)),
        disagrees=not agrees,
        candidates=tuple(_users(readings)),
    )


def _by_metadata(
    channel: str, readings: tuple[KeyReading, ...], scope: str | None, said: Owner
) -> Attribution:
    same_scope = [reading for reading in readings if reading.scope == scope]
    agrees = any(_agree(said, reading) for reading in same_scope)
    candidates = list(_users(readings))
    if "user" in said:
        plain = {part: unescape(text) or text for part, text in said.items()}
        candidates.append({"channel": plain.get("channel", ""), "user": plain["user"]})
    private = [reading for reading in readings if reading.scope == "private"]
    return Attribution(
        scope if same_scope else readings[0].scope,
        channel,
        said if agrees else _NOBODY,
        is_certain=agrees and len(private) <= 1,
        disagrees=not agrees,
        candidates=tuple(candidates),
    )


def _agree(said: Owner, reading: KeyReading) -> bool:
    """Return True if the metadata names the ids of this reading, and no others."""
    expected = {part: getattr(reading, part) for part in SCOPES[reading.scope].owner}
    return said.keys() == expected.keys() and all(
        _is_same(said[part], id_in_key) for part, id_in_key in expected.items()
    )


def _is_same(said: str, id_in_key: str) -> bool:
    """Return True if an id in the metadata is this one in the key, where either can be a hash."""
    id_ = unescape(said)
    if id_ is None:  # the metadata holds a hash
        return said == (id_in_key if is_hashed(id_in_key) else escape(id_in_key))
    return id_in_key in (id_, hashed(id_) if is_hashed(id_in_key) else id_)


def _users(readings: tuple[KeyReading, ...]) -> Iterator[Owner]:
    for reading in readings:
        if reading.user is not None:
            yield {"channel": reading.channel, "user": reading.user}


def _escaped(reading: KeyReading) -> Mapping[str, str]:
    ids = {part: getattr(reading, part) for part in SCOPES[reading.scope].owner}
    return {part: id_ if is_hashed(id_) else escape(id_) for part, id_ in ids.items()}
