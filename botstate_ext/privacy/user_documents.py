"""UserDocuments: the documents of one user, found by their keys and metadata."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..clock import Clock
from ..documents import metadata
from ..documents.ownership import owner
from ..errors import StateDecodeError, StateKeyError
from ..keys import build as keys
from ..keys.parse import CONVERSATIONS, USERS, private_readings, read_key, reads_two_ways
from ..storage.base import ItemInfo, StateStorage
from ..unit_of_work.outside import activity_of

OnProgress: TypeAlias = Callable[[int], object]
"""Called with the number of keys that were looked at so far."""

_PRIVATE: Final = "private"


@dataclass(frozen=True, slots=True)
class StateUser:
    """A user, as the channel names them: what handlers of ``on_erase`` and ``on_export`` are given.

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
class Found:
    """A document that is the user's; or, unless ``is_theirs``, one that may be."""

    info: ItemInfo
    is_theirs: bool


class UserDocuments:
    """Where a user's documents are.

    ``user_key``: the key of their user document. ``namespace``: the private scope's.
    ``conversation_ids``: of the conversations whose private documents are looked for; None: those
    of all conversations of the channel, by listing them.
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
        self._storage, self._clock, self._user = storage, clock, user
        self._user_key, self._namespace = user_key, namespace
        self._conversation_ids = None if conversation_ids is None else list(conversation_ids)
        self._on_progress = on_progress

    async def find(self) -> AsyncIterator[Found]:
        """The private documents, then the user's own, so that it goes last.

        :raises StateStorageError: the storage failed, or cannot list and no conversations are
            named.
        """
        async for info in self._places():
            found = self.judged(info)
            if found is not None:
                yield found
        own = await self.again(self._user_key)
        if own is not None:
            yield own

    async def again(self, key: str) -> Found | None:
        """A document as it is now; None if it is gone, or is not the user's any more."""
        info = await self._look(key)
        return None if info is None else self.judged(info)

    def judged(self, info: ItemInfo) -> Found | None:
        """Whose a document is comes from its metadata, and without any from its key. What they do
        not agree on, and what a key leaves open, nobody removes; None: it is not the user's."""
        reading = read_key(info.key)
        if reading is None:
            return Found(info, is_theirs=info.key == self._user_key)  # our own key, made from them
        says_so = self._says_so(info)
        names = {self._user.user_id: True, keys.hashed(self._user.user_id): False}
        if reading.folder == USERS:
            named, is_open = names.get(reading.rest), False
        else:
            users = (each.user for each in private_readings(reading.rest, self._namespace))
            found = [names[user] for user in users if user in names]
            named, is_open = any(found) if found else None, reads_two_ways(reading.rest)
        if reading.channel != self._user.channel_id or (named is None and not says_so):
            return None
        return Found(info, not is_open and bool(named if says_so is None else says_so))

    def _says_so(self, info: ItemInfo) -> bool | None:
        """Whether its metadata says that it is the user's; None if it says nothing."""
        scope = info.metadata.get(metadata.SCOPE)
        if scope is None:
            return None
        reading = read_key(info.key)
        expected = "user" if reading is not None and reading.folder == USERS else _PRIVATE
        whose = owner(channel=self._user.channel_id, user=self._user.user_id)
        said = {part: info.metadata.get(f"state{part}") for part in whose}
        return scope == expected and said == whose

    async def _places(self) -> AsyncIterator[ItemInfo]:
        seen = 0
        if self._conversation_ids is None:
            prefix = f"{self._user.channel_id}/{CONVERSATIONS}/"
            token = None
            while True:
                page = await self._storage.list_page(prefix, continuation_token=token)
                for info in page.items:
                    yield info
                seen += len(page.items)
                self._tell(seen)
                token = page.continuation_token
                if token is None:
                    return
        for conversation_id in self._conversation_ids:
            named = await self._look(self._private_key(conversation_id))
            seen += 1
            self._tell(seen)
            if named is not None:
                yield named

    def _private_key(self, conversation_id: str) -> str:
        user = self._user
        activity = activity_of(user.channel_id, user.user_id, conversation_id)
        return keys.private_key(activity, self._namespace)

    async def _look(self, key: str) -> ItemInfo | None:
        """What a listing tells of one key. Where there is none, the document itself is read."""
        if self._storage.lists:
            page = await self._storage.list_page(key, limit=1)
            return next((info for info in page.items if info.key == key), None)
        item = await self._storage.get(key)
        if item is None:
            return None
        try:
            parsed = metadata.parse_document(item.data)
        except StateDecodeError:
            beside = {}  # it says nothing that could be understood
        else:
            beside = metadata.storage_metadata(parsed.stored, parsed.metadata)
        return ItemInfo(key, item.etag, len(item.data), self._clock(), beside)

    def _tell(self, seen: int) -> None:
        if self._on_progress is not None:
            self._on_progress(seen)
