"""StateData: holds a document's properties as plain JSON, with the ETag of the read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..documents.document import Document
from ..documents.metadata import check_name, is_reserved
from ..documents.plain_view import plain_properties
from ..errors import StateEncodeError
from ..serialization import json_text, jsonpickle
from ..serialization.allow_list import AllowList
from ..serialization.codec import Codec
from ..serialization.codec_choice import codec_for
from ..serialization.stored_changes import refuse_tags, with_changes
from ..storage.base import ANY

_BUILTINS: Final = (str, int, float, bool, type(None))


class StateData:
    """Holds a document's properties as plain JSON, with the ETag of the read.

    For an absent document, ``data`` is None and ``etag`` is "*": writing it creates the document,
    but only if it is still absent. To overwrite any stored document, make a `StateData` yourself
    with ``etag="*"``, or set this ETag on one that was read.
    """

    def __init__(self, data: dict[str, Any] | None = None, etag: str = ANY) -> None:
        self.data: dict[str, Any] | None = data
        self.etag: str = etag
        self._was_absent = False
        self._stored: dict[str, bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._given: dict[str, Any] = {}
        self._codec: Callable[[Any], Codec] = _own_codec

    @classmethod
    def _of(cls, document: Document, codec: Callable[[Any], Codec]) -> StateData:
        """Return the data of a document. Unlike data that the app makes, it knows if the document
        was absent."""
        is_there = document.etag is not None
        result = cls(plain_properties(document) if is_there else None, document.etag or ANY)
        result._was_absent = not is_there
        result._stored = dict(document.stored)
        texts = ((name, document.text(name)) for name in document.stored)
        result._texts = {name: text for name, text in texts if text is not None}
        result._codec = codec
        return result

    def _allows(self, etag: str | None) -> bool:
        """Return True if the document with this ETag may be replaced. None: it is absent."""
        if self.etag != ANY:
            return etag == self.etag
        return etag is None or not self._was_absent

    def get(self, name: str, type_: Any = None) -> Any:
        """Return the value of a property, as this type if one is given; None if it is absent.

        :raises StateDecodeError: the value does not fit the type.
        """
        if self.data is None or name not in self.data:
            return None
        if type_ is None:
            return self.data[name]
        return self._codec(_type(type_)).decode(self._text(name))

    def set(self, name: str, value: Any) -> None:
        """Set a property to JSON builtins, or to a value of any type that a property can have.

        :raises StateEncodeError: the value cannot be stored.
        :raises TypeError: the name is not a string.
        """
        check_name(name)
        if self.data is None:
            self.data = {}
        stored = json_text.loads(self._codec(_type(type(value))).encode(value))
        self._given[name], self.data[name] = stored, jsonpickle.to_plain(stored)

    def _text(self, name: str) -> bytes:
        """Return the text of a property: as it was read or given where its data is the same."""
        value = (self.data or {})[name]
        if name in self._given:
            return json_text.dumps(with_changes(self._given[name], value))
        if name not in self._texts:
            refuse_tags(value)
            return json_text.dumps(value)
        text = self._texts[name]
        before = json_text.loads(text)
        after = with_changes(before, value)
        return text if after is before else json_text.dumps(after)

    def _located_text(self, name: str, document: Document) -> bytes:
        try:
            return self._text(name)
        except StateEncodeError as error:
            reason = error.reason
        # Outside of the handler: the cause may show the value, so nothing is chained.
        raise StateEncodeError(reason, scope=document.scope, key=document.key, property_name=name)

    def _changes_of(self, document: Document) -> dict[str, bytes | None]:
        """Return the texts of the properties that differ from the stored ones; None for a removed
        property."""
        changes: dict[str, bytes | None] = {}
        held = self.data or {}
        for name in held:
            check_name(name)
            if is_reserved(name):
                raise StateEncodeError(
                    "this name is reserved: choose another",
                    scope=document.scope,
                    key=document.key,
                    property_name=name,
                )
            text = self._located_text(name, document)
            stored = document.stored.get(name)
            if text is self._texts.get(name) and stored == self._stored[name]:
                continue
            if stored != text:
                changes[name] = text
        changes.update({name: None for name in document.stored if name not in held})
        return changes

    def __repr__(self) -> str:
        return f"<StateData etag={self.etag!r}>"


def _type(type_: Any) -> Any:
    return None if type_ in _BUILTINS else type_


def _own_codec(type_: Any) -> Codec:
    return codec_for(type_, AllowList)
