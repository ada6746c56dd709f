"""Whole documents, as the v3 state service had them: read, changed, written under their ETag."""

from __future__ import annotations

from typing import Any, Final

from ..documents.document import Document
from ..documents.metadata import is_reserved
from ..documents.pending_writes import Changes
from ..documents.plain_view import plain
from ..documents.revision import changed
from ..errors import StateEncodeError
from ..serialization import json_text
from ..serialization.allow_list import AllowList
from ..serialization.codec_choice import codec_for
from ..serialization.codecs import Codec
from ..storage.base import ANY
from ..unit_of_work.commit import MAX_ATTEMPTS, arrived, beaten, conflict, put, refresh
from ..unit_of_work.work import UnitOfWork
from .bot_state import DocumentBotState

_BUILTINS: Final = (str, int, float, bool, type(None))


class StateData:
    """A document's properties as plain JSON, and the ETag they were read under.

    ``data`` is None and ``etag`` "*" where nothing is stored: written, it creates the document, and
    only if there is still none. A `StateData` that the app makes itself with ``etag="*"``, or one
    that was read and is given that ETag, overwrites what is stored.
    """

    def __init__(self, data: dict[str, Any] | None = None, etag: str = ANY) -> None:
        self.data, self.etag = data, etag
        self._was_absent = False
        self._stored: dict[str, bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._read: dict[str, Any] = {}

    @classmethod
    def _of(cls, document: Document) -> StateData:
        """What was read; unlike one that the app makes, it knows when nothing was there."""
        is_there = document.etag is not None
        result = cls(plain(document) if is_there else None, document.etag or ANY)
        result._was_absent = not is_there
        result._stored = dict(document.stored)
        texts = ((name, document.text(name)) for name in document.stored)
        result._texts = {name: text for name, text in texts if text is not None}
        result._read = plain(document)
        return result

    def _allows(self, etag: str | None) -> bool:
        """True when what is stored under this ETag, None for nothing, may be replaced."""
        if self.etag != ANY:
            return etag == self.etag
        return etag is None or not self._was_absent

    def get(self, name: str, type_: Any = None) -> Any:
        """The value of a property, as this type if one is given; None where it is absent.

        :raises StateDecodeError: the value does not fit the type.
        """
        if self.data is None or name not in self.data:
            return None
        value = self.data[name]
        return value if type_ is None else _codec(type_).decode(json_text.dumps(value))

    def set(self, name: str, value: Any) -> None:
        """Give a property a value: JSON builtins, or what can be the type of a property.

        :raises StateEncodeError: the value cannot be stored.
        """
        if self.data is None:
            self.data = {}
        text = _codec(type(value)).encode(value)
        self.data[name] = json_text.loads(text)

    def __repr__(self) -> str:
        return f"<StateData etag={self.etag!r}>"


class WholeDocuments(DocumentBotState):
    """A scope's document as a whole. What is written is committed at once, apart from the turn; in
    a turn that may run again (``on_conflict="replay"``), with it."""

    async def read_data(self, turn: Any) -> StateData:
        """What is stored now. See `StateData`.

        :raises StateDecodeError: it is not a document.
        """
        work = self.work_of(turn)
        return StateData._of(await self._fresh(work, turn))

    async def write_data(self, turn: Any, data: StateData) -> StateData:
        """Store this as the whole document, if it is what was read: what was read as absent is
        created only once. Gives the new data, for the next write. Properties that did not change
        are left as they are stored.

        :raises StateConflictError: someone was faster: read again, change again. Or the turn has
            unsaved changes to a property that this changes: save them first.
        :raises StateEncodeError, StateTooLargeError: a value cannot be stored; nothing was written.
        """
        work, known = self.work_of(turn), self.unloaded_document(turn)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            document = await self._fresh(work, turn)
            changes = _changes(document, data)
            if not data._allows(document.etag):
                reason = "someone else wrote it since it was read."
                raise conflict(document, changes, attempt, reason)
            async with work.writing(known):
                if any(known.has_changed(name) for name in changes):
                    reason = "this turn has unsaved changes to it: save them first."
                    raise conflict(document, changes, 0, reason)
                if await _written(work, document, changes):
                    if known.is_loaded:
                        await refresh(work, known)
                    return StateData._of(document)
            await work.pause(attempt)
        raise beaten(document, changes, attempt)

    async def _fresh(self, work: UnitOfWork, turn: Any) -> Document:
        known = self.unloaded_document(turn)
        known.was_read = True  # the turn depends on it, as if it had read its properties
        document = known.unread()
        await refresh(work, document)
        return document


async def _written(work: UnitOfWork, document: Document, changes: Changes) -> bool:
    lost = await put(work, document, changed(document, changes), changes)
    return await arrived(work, document, lost)


def _changes(document: Document, data: StateData) -> dict[str, bytes | None]:
    """What the data says differently from what is stored; None for what it no longer holds."""
    changes: dict[str, bytes | None] = {}
    held = data.data or {}
    for name, value in held.items():
        if is_reserved(name):
            raise StateEncodeError(
                "this name is reserved: choose another",
                scope=document.scope,
                key=document.key,
                property_name=name,
            )
        text = json_text.dumps(value)
        stored = document.stored.get(name)
        if name in data._read and json_text.dumps(data._read[name]) == text:
            if stored == data._stored[name]:
                continue
            text = data._texts[name]  # with the tags of an untyped value, in the code's version
        if stored != text:
            changes[name] = text
    changes.update({name: None for name in document.stored if name not in held})
    return changes


def _codec(type_: Any) -> Codec:
    return codec_for(None if type_ in _BUILTINS else type_, AllowList)
