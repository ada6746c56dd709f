"""StoredDocument: a document as the console shows it, read once, with its ETag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ..documents import metadata
from ..documents.document import Document
from ..documents.metadata import Metadata
from ..documents.plain_view import plain_properties
from ..documents.policy import Policies
from ..documents.quarantine import MARK
from ..errors import StateDecodeError
from ..listing.attribution import attribute
from ..listing.records import DocumentRecord, record_of
from ..serialization import json_text, jsonpickle
from ..storage.base import ItemInfo, StoredItem

if TYPE_CHECKING:
    from .console import Console

MAX_BYTES: Final = 2_000_000
"""The values of a document that are taken apart to be shown have at most so much text together."""


@dataclass(frozen=True, slots=True)
class ShownProperty:
    """Describes a property of a document.

    - ``value``: plain JSON, without what is hidden; None if there is a ``problem``.
    - ``type_name``: of the class that the app declared, or that is stored with the value.
    - ``size``: of its text, in bytes; None if it is hidden.
    - ``is_aside``: True if it holds an unreadable value that was moved aside.
    - ``hides``: True if the property or a part of its value is hidden.
    """

    name: str
    value: Any
    problem: str | None
    type_name: str | None
    size: int | None
    version: int
    updated: datetime | None
    expires: datetime | None
    is_aside: bool
    hides: bool


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """Holds a document as it was read.

    - ``problem``: the reason why its text is no document; then it has no properties.
    - ``metadata``: the content of ``$state``.
    """

    record: DocumentRecord
    etag: str
    properties: tuple[ShownProperty, ...]
    metadata: Metadata
    problem: str | None = None

    def values(self) -> dict[str, Any]:
        """Return the properties that could be read, without what is hidden."""
        return {each.name: each.value for each in self.properties if each.problem is None}


async def read_stored(console: Console, key: str) -> StoredDocument | None:
    """Read a document by its key; None if there is none.

    :raises StateKeyError: no storage takes the key.
    :raises StateStorageError: the storage failed.
    """
    item = await console.states.storage.get(key)
    if item is None:
        return None
    info = await _info(console, key, item)
    attribution = attribute(info, console.states.private.namespace)
    name = attribution.scope or ""
    scope = console.scope(name)
    undeclared = console.states._workspace.undeclared_policy()
    document = Document(key, name, Policies(undeclared) if scope is None else scope._policies)
    document.fill(item.data, item.etag, console.clock())
    record = record_of(info, attribution, name)
    try:
        names = document.names()
    except StateDecodeError as error:
        return StoredDocument(record, item.etag, (), metadata.NO_METADATA, error.reason)
    left = MAX_BYTES
    shown = []
    for name in names:
        is_large = len(document.stored[name]) > left
        left -= 0 if is_large else len(document.stored[name])
        shown.append(_property(console, document, name, is_large=is_large))
    return StoredDocument(record, item.etag, tuple(shown), document.metadata)


async def _info(console: Console, key: str, item: StoredItem) -> ItemInfo:
    """Return the listing's entry of an item, or one that is made from its text."""
    storage = console.states.storage
    if storage.lists:
        page = await storage.list_page(key, limit=1)
        if page.items and page.items[0].key == key:
            return page.items[0]
    try:
        parsed = metadata.parse_document(item.data)
    except StateDecodeError:
        entries: Mapping[str, str] = item.metadata
    else:
        entries = metadata.storage_metadata(parsed.stored, parsed.metadata)
    return ItemInfo(key, item.etag, len(item.data), console.clock(), entries)


def _property(console: Console, document: Document, name: str, *, is_large: bool) -> ShownProperty:
    mask, text = console.mask, document.stored[name]
    value: Any = None
    problem: str | None = None
    hides = mask.hides(name)
    if is_large:
        problem = "too large to be shown here: python -m botstate_ext show prints it"
    else:
        try:
            value = plain_properties(document, frozenset({name}))[name]
        except StateDecodeError as error:
            problem = error.reason
    hides = hides or (problem is None and mask.hides_in(name, value))
    times = document.metadata.props.get(name)
    return ShownProperty(
        name=name,
        value=mask.properties({name: value})[name],
        problem=problem,
        type_name=None if is_large else _type_name(document, name, text),
        size=None if mask.hides(name) else len(text),
        version=document.stored_version(name),
        updated=None if times is None else times.updated,
        expires=None if times is None else times.expires,
        is_aside=MARK in name,
        hides=hides,
    )


def _type_name(document: Document, name: str, text: bytes) -> str | None:
    policy = document.policies.of(name)
    type_ = getattr(policy.codec, "type", None)
    if policy.declared_type and type_ is not None:
        return getattr(type_, "__name__", None) or repr(type_).replace("typing.", "")
    if not jsonpickle.has_tags(text):
        return None
    stored = json_text.loads(text)
    named = stored.get(jsonpickle.OBJECT) if isinstance(stored, dict) else None
    return named if isinstance(named, str) else None
