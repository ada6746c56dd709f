"""TypedCodec: values of properties with a type. Pure.

They are plain JSON, and their type comes from the property, never from the data.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import StateDecodeError, StateEncodeError
from . import json_text, jsonpickle
from .allow_list import name_of
from .codec import NULL, AllowListSource
from .decode_problems import lost_name, no_type, refusal
from .plain_classes import (
    attributes,
    dump_pydantic,
    field_names_in,
    is_plain_class,
    is_pydantic,
    may_hold_floats,
    plain_classes_in,
    rebuild,
    validate_pydantic,
    without_tags,
)


class TypedCodec:
    """For properties with a type: builtins, dataclasses, attrs, TypedDict, Struct, enums, pydantic
    models, plain classes, and generics over these."""

    keeps_tags = False

    def __init__(self, type_: Any, allowed: AllowListSource) -> None:
        self.type = type_
        self._allowed = allowed
        self._encoder = msgspec.json.Encoder(enc_hook=self._encode_other)
        self._packer = msgspec.msgpack.Encoder(enc_hook=self._encode_other)
        try:
            self._decoder = msgspec.json.Decoder(type_, dec_hook=self._decode_other)
            self._plain_classes = plain_classes_in(type_)
            self._fields = field_names_in(type_)
        except (TypeError, NameError) as error:
            raise TypeError(no_type(type_, error)) from None
        self._may_hold_nan = may_hold_floats(type_)

    def encode(self, value: object, base: bytes | None = None) -> bytes:
        text = NULL if value is None else self._encode(value)
        if text == base:
            return base
        problem = self._why_not_back(value, text)
        if problem is None:
            return text
        raise StateEncodeError(
            f"a {type(value).__name__} was given, which would not be read back as "
            f"{_name(self.type)}: {problem}"
        )

    def decode(self, text: bytes) -> Any:
        if text == NULL:
            return None
        try:
            if jsonpickle.has_tags(text):
                return self._decode_tagged(json_text.loads(text))
            return self._decoder.decode(text)
        except StateDecodeError:
            raise
        except Exception as error:  # noqa: BLE001 - an app's class may raise anything when made
            is_odd = type(error) is msgspec.DecodeError
            problem = refusal(error)
        if is_odd:
            return self._decode_odd(text)
        # Outside of the handler: what led to it may show the value, so nothing is chained.
        raise StateDecodeError(problem)

    def reencode(self, text: bytes) -> bytes:
        value = self.decode(text)
        return NULL if value is None else self._encode(value)

    def plain(self, text: bytes) -> Any:
        value = json_text.loads(text)
        if not jsonpickle.has_tags(text):
            return value
        # A plain class's attributes have no types to come back as, so theirs stay tagged.
        return without_tags(value) if is_plain_class(self.type) else jsonpickle.to_plain(value)

    def _why_not_back(self, value: object, text: bytes) -> str | None:
        """What of a value would be lost between this text and the next turn; None if nothing."""
        try:
            back = self.decode(text)
            again = NULL if back is None else self._encode(back)
        except (StateDecodeError, StateEncodeError) as error:
            return error.reason
        if type(back) is not type(value) and type(back).__module__ != "builtins":
            return f"it would come back as a {type(back).__name__}"
        if again == text:
            return None
        if jsonpickle.has_tags(text):
            return (
                'a key in it begins with "py/", which would make its data look like an object of '
                "jsonpickle. Rename it, or store the data as text"
            )
        lost = lost_name(json_text.loads(text), json_text.loads(again))
        return None if lost is None else f"it would come back without {lost!r}"

    def _encode(self, value: object) -> bytes:
        try:
            text = self._encoder.encode(value)
        except UnicodeEncodeError:
            return self._encode_odd(value)
        except StateEncodeError:
            raise
        except RecursionError:
            raise StateEncodeError("it is nested too deeply, or holds itself") from None
        except (TypeError, ValueError) as error:
            raise StateEncodeError(json_text.reason(error)) from None
        # msgspec writes NaN and the infinities as null.
        may_be_odd = self._may_hold_nan and b"null" in text and self._holds_nan(value)
        return self._encode_odd(value) if may_be_odd else text

    def _holds_nan(self, value: object) -> bool:
        """False when a value holds neither NaN nor an infinity; True when it does, or may."""
        try:
            # By far the fastest way to see every float: this form has a place for each.
            packed = self._packer.encode(value)
        except (TypeError, ValueError, OverflowError):
            return True
        return json_text.packs_non_finite(packed)

    def _encode_odd(self, value: object) -> bytes:
        """NaN, the infinities and lone surrogates, which upstream stores too."""
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=self._plain_other)
        return json_text.dumps(plain)

    def _plain_other(self, value: object) -> Any:
        encoded = self._encode_other(value)
        return json_text.loads(bytes(encoded)) if isinstance(encoded, msgspec.Raw) else encoded

    def _decode_tagged(self, value: Any) -> Any:
        if is_plain_class(self.type):
            return rebuild(self.type, value, self._allowed(), tagged=True)
        return self._convert(jsonpickle.to_tree(value, self._fields))

    def _decode_odd(self, text: bytes) -> Any:
        """What msgspec refuses to read as JSON and the standard library does not."""
        value = json_text.loads(text)
        try:
            return self._convert(value)
        except StateDecodeError:
            raise
        except Exception as error:  # noqa: BLE001 - see decode
            problem = refusal(error)
        raise StateDecodeError(problem)

    def _convert(self, plain: Any) -> Any:
        return msgspec.convert(plain, self.type, dec_hook=self._decode_other, str_keys=True)

    def _encode_other(self, value: object) -> Any:
        """What msgspec asks for when it meets a class that it does not know."""
        cls = type(value)
        if is_pydantic(cls):
            return msgspec.Raw(dump_pydantic(value))
        if cls in self._plain_classes:
            flat = jsonpickle.flatten(attributes(value), self._allowed())
            # Where tags of its own stand inside other data, it says where they begin.
            is_marked = cls is not self.type and not json_text.is_plain(flat)
            return {jsonpickle.OBJECT: name_of(cls), **flat} if is_marked else flat
        raise StateEncodeError(
            f"it holds a {cls.__module__}.{cls.__qualname__}, which {_name(self.type)} does not "
            "name. Annotate the field with that class, or store plain data."
        )

    def _decode_other(self, type_: Any, value: Any) -> Any:
        if is_pydantic(type_):
            return validate_pydantic(type_, value)
        if is_plain_class(type_):
            return rebuild(type_, value, self._allowed())
        return value


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", None) or repr(type_)
