"""StateData: holds a document's properties as plain JSON, with the ETag of the read."""

from __future__ import annotations

from typing import Any, Final

from ..documents.document import Document
from ..documents.metadata import check_name, is_reserved
from ..documents.plain_view import plain_properties
from ..errors import StateEncodeError
from ..serialization import json_text
from ..serialization.allow_list import AllowList
from ..serialization.codec import Codec
from ..serialization.codec_choice import codec_for
from ..storage.base import ANY

_BUILTINS: Final = (str, int, float, bool, type(None))


class StateData:
    """Holds a document's properties as plain JSON, with the ETag of the read.

    For an absent document, ``data`` is None and ``etag`` is "*": writing it creates the document,
    but only if it is still absent. To overwrite any stored document, make a `StateData` yourself
    with ``etag="*"``, or set this ETag on one that was read.
    """

    def __init__(self, data: dict[str, Any] | None = None, etag: str = ANY) -> None:
        self.data, self.etag = data, etag
        self._was_absent = False
        self._stored: dict[str, bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._read: dict[str, Any] = {}

    @classmethod
    def _of(cls, document: Document) -> StateData:
        """Return the data of a document. Unlike data that the app makes, it knows if the document
        was absent."""
        is_there = document.etag is not None
        result = cls(plain_properties(document) if is_there else None, document.etag or ANY)
        result._was_absent = not is_there
        result._stored = dict(document.stored)
        texts = ((name, document.text(name)) for name in document.stored)
        result._texts = {name: text for name, text in texts if text is not None}
        result._read = plain_properties(document)
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
        value = self.data[name]
        return value if type_ is None else _codec(type_).decode(json_text.dumps(value))

    def set(self, name: str, value: Any) -> None:
        """Set a property to JSON builtins, or to a value of any type that a property can have.

        :raises StateEncodeError: the value cannot be stored.
        :raises TypeError: the name is not a string.
        """
        check_name(name)
        if self.data is None:
            self.data = {}
        text = _codec(type(value)).encode(value)
        self.data[name] = json_text.loads(text)

    def _changes_of(self, document: Document) -> dict[str, bytes | None]:
        """Return the texts of the properties that differ from the stored ones; None for a removed
        property."""
        changes: dict[str, bytes | None] = {}
        held = self.data or {}
        for name, value in held.items():
            check_name(name)
            if is_reserved(name):
                raise StateEncodeError(
                    "this name is reserved: choose another",
                    scope=document.scope,
                    key=document.key,
                    property_name=name,
                )
            text = json_text.dumps(value)
            stored = document.stored.get(name)
            if name in self._read and json_text.dumps(self._read[name]) == text:
                if stored == self._stored[name]:
                    continue
                text = self._texts[name]  # with the tags of an untyped value, in the code's version
            if stored != text:
                changes[name] = text
        changes.update({name: None for name in document.stored if name not in held})
        return changes

    def __repr__(self) -> str:
        return f"<StateData etag={self.etag!r}>"


def _codec(type_: Any) -> Codec:
    return codec_for(None if type_ in _BUILTINS else type_, AllowList)
