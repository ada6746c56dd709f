"""UserDocuments: the documents of one user, found by their keys and metadata."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..clock import Clock
from ..documents import metadata
from ..errors import StateDecodeError, StateKeyError, reason_of
from ..host.activity import activity_of
from ..keys.build import escape, hashed, private_key
from ..keys.parse import parse
from ..keys.scopes import SCOPES
from ..listing.attribution import Attribution, attribute
from ..storage.base import ItemInfo, StateStorage

OnProgress: TypeAlias = Callable[[int], object]
"""Called with the number of keys that were looked at so far."""

_log: Final = logging.getLogger("botstate_ext.privacy")
_PRIVATE: Final = SCOPES["private"]


@dataclass(frozen=True, slots=True)
class StateUser:
    """A user, by the ids of the channel: the argument of ``on_erase`` and ``on_export`` handlers.

    :raises StateKeyError: an id is not a string or is empty, or the channel's holds a "/".
    """

    channel_id: str
    user_id: str

    def __post_init__(self) -> None:
        ids: tuple[tuple[str, object], ...] = (
            ("channel_id", self.channel_id),
            ("user_id", self.user_id),
        )
        for name, value in ids:
            if not isinstance(value, str) or not value:
                raise StateKeyError(f"{name} must be a string that is not empty.")
        if "/" in self.channel_id:
            raise StateKeyError("No channel has a '/' in its name: its keys could be another's.")


@dataclass(frozen=True, slots=True)
class UserDocument:
    """A document that belongs to the user; or, unless ``is_theirs``, one that may.

    ``scope``: ``"user"`` or ``"private"``.
    """

    info: ItemInfo
    scope: str
    attribution: Attribution
    is_theirs: bool


class UserDocuments:
    """The documents of one user.

    - ``user_key``: the key of their user document.
    - ``namespace``: the private scope's.
    - ``failed``: the reasons, by key, why documents could not be looked up. Filled by `find`.
    - ``conversation_ids``: the conversations in which private documents are looked for; None: all
      conversations of the channel, by listing them.
    """

    def __init__(
        self,
        storage: StateStorage,
        clock: Clock,
        user: StateUser,
        *,
        user_key: str,
        namespace: str,
        conversation_ids: Iterable[str] | None,
        on_progress: OnProgress | None,
    ) -> None:
        self._storage, self.clock, self._user = storage, clock, user
        self._user_key, self._namespace = user_key, namespace
        self._conversation_ids = None if conversation_ids is None else list(conversation_ids)
        self._on_progress = on_progress
        self.failed: dict[str, str] = {}
        self._in_metadata = {escape(user.user_id), hashed(user.user_id)}
        self._in_keys = (user.user_id, hashed(user.user_id))

    async def find(self) -> AsyncIterator[UserDocument]:
        """Yield the private documents, and last the user's own. A single document that cannot be
        looked up is logged and noted in ``failed``.

        :raises StateStorageError: a listing failed, or the storage cannot list and no conversations
            are given.
        """
        async for info in self._private_items():
            found = self._match(info)
            if found is not None:
                yield found
        own = await self._try_to_look_up(self._user_key)
        document = None if own is None else self._match(own)
        if document is not None:
            yield document

    async def find_again(self, key: str) -> UserDocument | None:
        """Return a document as it is now; None if it is gone, or is not the user's any more."""
        info = await self._look_up(key)
        return None if info is None else self._match(info)

    def _match(self, info: ItemInfo) -> UserDocument | None:
        """Return the document if it is the user's or may be; None if it is someone else's."""
        if not self._may_name_user(info):
            return None
        found = attribute(info, self._namespace)
        parsed = parse(info.key)
        if parsed is None or parsed.channel is None:
            # The app's key function made this key from the user.
            is_theirs = info.key == self._user_key and found.scope in (None, "user")
            return UserDocument(info, "user", found, is_theirs=is_theirs)
        user = self._user
        if not found.may_be_of(user.channel_id, user.user_id):
            return None
        scope = "user" if parsed.scope == "user" else _PRIVATE.name
        is_theirs = found.scope == scope and found.is_of(user.channel_id, user.user_id)
        return UserDocument(info, scope, found, is_theirs=is_theirs)

    def _may_name_user(self, info: ItemInfo) -> bool:
        """Return False if neither key nor metadata can name the user: most items of a channel."""
        if info.key == self._user_key or info.metadata.get("stateuser") in self._in_metadata:
            return True
        return any(id_ in info.key for id_ in self._in_keys)

    async def _private_items(self) -> AsyncIterator[ItemInfo]:
        seen = 0
        if self._conversation_ids is None:
            prefix = _PRIVATE.channel_prefix(self._user.channel_id)
            token = None
            while True:
                page = await self._storage.list_page(prefix, continuation_token=token)
                for info in page.items:
                    yield info
                seen += len(page.items)
                self._report(seen)
                token = page.continuation_token
                if token is None:
                    return
        for conversation_id in self._conversation_ids:
            named = await self._try_to_look_up(self._private_key(conversation_id))
            seen += 1
            self._report(seen)
            if named is not None:
                yield named

    def _private_key(self, conversation_id: str) -> str:
        user = self._user
        activity = activity_of(user.channel_id, user.user_id, conversation_id)
        return private_key(activity, self._namespace)

    async def _try_to_look_up(self, key: str) -> ItemInfo | None:
        try:
            return await self._look_up(key)
        except Exception as error:  # noqa: BLE001 - logged and reported; the others are looked up
            self.failed[key] = reason_of(error)
            _log.warning(
                "The document %r of a user could not be looked up: %s", key, reason_of(error)
            )
            return None

    async def _look_up(self, key: str) -> ItemInfo | None:
        """Return the listing's entry of one key, or of a storage that does not list one that is
        made from the document; None if there is none."""
        if self._storage.lists:
            page = await self._storage.list_page(key, limit=1)
            return next((info for info in page.items if info.key == key), None)
        item = await self._storage.get(key)
        if item is None:
            return None
        try:
            parsed = metadata.parse_document(item.data)
        except StateDecodeError:
            entries = {}  # as of a document that the SDK wrote: the key alone tells the owner
        else:
            entries = metadata.storage_metadata(parsed.stored, parsed.metadata)
        return ItemInfo(key, item.etag, len(item.data), self.clock(), entries)

    def _report(self, seen: int) -> None:
        if self._on_progress is not None:
            self._on_progress(seen)
