"""TypedCodec: values of properties with a type. Pure.

The type comes from the property, never from the data. A value is written in the first of these
forms that comes back equal, with its classes at every level:

1. plain JSON. A checker that was compiled for the type says so, or reading it again does;
2. JSON with jsonpickle's tags, which the SDK reads as well.

Otherwise it is refused, with the path of what would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import UnionType
from typing import Any, get_origin

import msgspec

from ..errors import StateDecodeError, StateEncodeError
from . import json_text, jsonpickle
from .allow_list import AllowList, name_of
from .checkers import Checker, conformity_checker, exact_checker
from .codec import NULL, AllowListSource
from .comparison import difference
from .constructors import is_pydantic, runs_code
from .decode_problems import no_type, refusal
from .hints import has_unchecked_fields, read_unchecked
from .known_texts import KnownTexts
from .named_classes import named_classes
from .patch_names import check_patch
from .plain_classes import (
    attributes,
    complete,
    dump_pydantic,
    field_names_in,
    has_fields,
    is_plain_class,
    may_hold_floats,
    plain_classes_in,
    rebuild,
    validate_pydantic,
    without_tags,
)
from .tagged_form import UNSURE, TaggedForm, UnsupportedTypeError
from .unknown_fields import UnknownFields


class TypedCodec:
    """For properties with a type: builtins, dataclasses, attrs, TypedDict, Struct, enums, pydantic
    models, plain classes, and generics over these.

    ``is_hint``: only a default named the class, so a value need not be what its annotations say.
    ``tagged``: every value is written with tags, so that an instance without this package reads it
    as its class.
    """

    def __init__(
        self, type_: Any, allowed: AllowListSource, *, is_hint: bool = False, tagged: bool = False
    ) -> None:
        self.type = _class_of(type_)
        self.is_hint, self.keeps_tags = is_hint, tagged
        self._allowed = allowed
        self._source: AllowList | None = None
        self._known = KnownTexts()
        self._is_class = isinstance(self.type, type) and not issubclass(self.type, dict)
        self._encoder = msgspec.json.Encoder(enc_hook=self._encode_other)
        self._packer = msgspec.msgpack.Encoder(enc_hook=self._encode_other)
        try:
            self._prepare(self.type)
        except (TypeError, NameError) as error:
            raise TypeError(no_type(type_, error)) from None
        except (KeyError, NotImplementedError):
            if not isinstance(self.type, type):
                raise TypeError(f"{_name(type_)} cannot be the type of a property.") from None
            self._prepare_opaque()

    def _prepare(self, type_: Any) -> None:
        self._decoder: Any = msgspec.json.Decoder(type_, dec_hook=self._decode_other)
        self._plain_classes = plain_classes_in(type_)
        self._fields = field_names_in(type_)
        self._is_exact: Checker = exact_checker(type_)
        self._conforms: Checker = conformity_checker(type_)
        self._may_hold_nan = may_hold_floats(type_)
        self._has_fields = has_fields(type_)
        self._runs_code = any(map(runs_code, named_classes(type_)))

    def _prepare_opaque(self) -> None:
        """For a class that msgspec cannot take apart: written with tags only."""
        self._decoder = None
        self._plain_classes, self._fields = frozenset(), {}
        self._is_exact = lambda value: False
        self._conforms = lambda value: isinstance(value, self.type)
        self._may_hold_nan = self._has_fields = False
        self._runs_code = True

    # Writing

    def encode(
        self, value: object, base: bytes | None = None, unknown: UnknownFields | None = None
    ) -> bytes:
        text = NULL if value is None else self._encode(value, base, unknown or None)
        return base if text == base else text

    def _encode(self, value: object, base: bytes | None, unknown: UnknownFields | None) -> bytes:
        if unknown is not None:
            unknown.start_writing()
        if self._runs_code or self.keeps_tags:
            return self._checked_tags(value, base, unknown, None)
        text = self._exact_text(value)
        problem = None
        if text is None:
            text, problem = self._try_plain(value)
            was_tagged = base is not None and jsonpickle.has_tags(base)
            if was_tagged and base in self._tagged(value, unknown, problem):
                return base  # it did not change since it was read
            if text is not None:
                problem = self._difference(value, text)
        if text is None or problem is not None:
            return self._checked_tags(value, base, unknown, problem)
        return text if unknown is None else unknown.add_to(value, text)

    def _exact_text(self, value: object) -> bytes | None:
        """Return the plain JSON of a value, if the checker knows that it keeps the value."""
        try:
            text = self._encoder.encode(value)
        except (TypeError, ValueError, RecursionError):
            return None  # the slower ways tell what is wrong
        # Only what was written is known not to hold itself, which the checker needs.
        return text if not jsonpickle.may_write_tags(text) and self._is_exact(value) else None

    def _try_plain(self, value: object) -> tuple[bytes | None, str | None]:
        """Return the plain JSON of a value; or None, and why there is none."""
        try:
            text = self._plain_text(value)
        except _NotNamed as error:
            cls, reason = error.cls, error.reason
            found = jsonpickle.find(value, lambda part: type(part) is cls)
            return None, f"{next((path for path, _ in found), '$')}: {reason}"
        except StateEncodeError as error:
            return None, error.reason
        if not jsonpickle.has_tags(text):
            return text, None
        return None, "a key in it begins with a tag of jsonpickle"

    def _checked_tags(
        self, value: object, base: bytes | None, unknown: UnknownFields | None, problem: str | None
    ) -> bytes:
        tree = self._form_flattened(value) if unknown is None else UNSURE
        if tree is not UNSURE:
            texts = self._tagged_texts(value, tree, json_text.dumps_finite)
            if base in texts:
                return base
            self._known.add(texts[0])
            return texts[0]
        texts = self._tagged(value, unknown, problem)
        if base in texts:
            return base
        conforms = self._conforms(value)
        if not conforms and not self.is_hint:
            raise self._refusal(value, problem or "$: it is not of that type")
        if self._flattener.is_sure and conforms and not self._plain_classes:
            return texts[0]
        for text in texts:
            problem = self._difference(value, text)
            if problem is None:
                return text
        raise self._refusal(value, problem or "")

    def _tagged(
        self, value: object, unknown: UnknownFields | None, problem: str | None
    ) -> list[bytes]:
        """Return the texts of a value with tags, see `_tagged_texts`."""
        self._extend()
        carried = None if unknown is None else unknown.members_of
        try:
            flat = self._flattener.flatten(value, carried)
            return self._tagged_texts(value, flat, json_text.dumps)
        except StateEncodeError as error:
            is_told = problem is None or problem == error.reason
            if is_told or self.is_hint or self._conforms(value):
                raise
            raise self._refusal(value, problem or "") from None

    def _tagged_texts(self, value: object, flat: Any, dumps: Callable[[Any], bytes]) -> list[bytes]:
        """Return the texts that may stand for a flattened value, the best first.

        The property names the class of the whole value, so the best text leaves that name out. Code
        that does not allow the class can read it then.
        """
        text = dumps(flat)
        if self.keeps_tags or type(flat) is not dict or type(value) is not self.type:
            return [text]
        members = {name: member for name, member in flat.items() if name != jsonpickle.OBJECT}
        if len(members) == len(flat) or any(name.startswith("py/") for name in members):
            return [text]
        bare = dumps(members)
        # Without any tag left it would be taken for plain JSON.
        return [bare, text] if jsonpickle.has_tags(bare) else [text]

    def _difference(self, value: object, text: bytes) -> str | None:
        """Return the first difference between a value and the one that the next turn would read."""
        try:
            back = self.decode(text)
        except StateDecodeError as error:
            return error.reason
        return difference(value, back)

    def _refusal(self, value: object, problem: str) -> StateEncodeError:
        return StateEncodeError(
            f"a {type(value).__name__} was given, which would not be read back as "
            f"{_name(self.type)}: {problem}"
        )

    def _extend(self) -> AllowList:
        """Return the allowed classes with those that the type names in its own code."""
        source = self._allowed()
        if self._source is not source:
            self._source = source
            self._extended = source.extended(*named_classes(self.type))
            self._flattener = jsonpickle.Flattener(self._extended)
            form = self._compiled_form
            is_allowed = form is not None and all(map(self._extended.allows, form.classes))
            self._form = form if is_allowed else None
        return self._extended

    @cached_property
    def _compiled_form(self) -> TaggedForm | None:
        """Return the compiled tagged form of the type; None if there is none."""
        if self._decoder is None:
            return None
        try:
            return TaggedForm(
                self.type,
                is_hint=self.is_hint,
                flatten=lambda value: self._flattener.flatten(value),
                restore=lambda stored: jsonpickle.restore(stored, self._extended),
            )
        except UnsupportedTypeError:
            return None

    def _form_flattened(self, value: object) -> Any:
        """Return the tagged JSON of a value by the compiled form; or `UNSURE`."""
        self._extend()
        return UNSURE if self._form is None else self._form.flatten(value)

    def _plain_text(self, value: object) -> bytes:
        try:
            text = self._encoder.encode(value)
        except UnicodeEncodeError:
            return self._plain_text_of_odd(value)
        except StateEncodeError:
            raise
        except RecursionError:
            raise StateEncodeError("it is nested too deeply, or holds itself") from None
        except (TypeError, ValueError) as error:
            raise StateEncodeError(json_text.reason(error)) from None
        # msgspec writes NaN and the infinities as null.
        may_be_odd = self._may_hold_nan and b"null" in text and self._holds_nan(value)
        return self._plain_text_of_odd(value) if may_be_odd else text

    def _holds_nan(self, value: object) -> bool:
        """Return False if a value holds neither NaN nor an infinity; True when it does, or may."""
        try:
            # By far the fastest way to see every float: this form has a place for each.
            packed = self._packer.encode(value)
        except (TypeError, ValueError, OverflowError):
            return True
        return json_text.packs_non_finite(packed)

    def _plain_text_of_odd(self, value: object) -> bytes:
        """NaN, the infinities and lone surrogates, which upstream stores too."""
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=self._plain_other)
        return json_text.dumps(plain)

    def _plain_other(self, value: object) -> Any:
        encoded = self._encode_other(value)
        return json_text.loads(bytes(encoded)) if isinstance(encoded, msgspec.Raw) else encoded

    def _encode_other(self, value: object) -> Any:
        """Return builtins for an instance of a class that msgspec does not know."""
        cls = type(value)
        if is_pydantic(cls):
            return msgspec.Raw(dump_pydantic(value))
        if cls in self._plain_classes:
            return attributes(value)
        raise _NotNamed(cls, _name(self.type))

    # Reading

    def decode(self, text: bytes, unknown: UnknownFields | None = None) -> Any:
        if text == NULL:
            return None
        try:
            if jsonpickle.has_tags(text):
                return self._decode_tagged(text, unknown)
            if self._decoder is None:
                raise StateDecodeError(f"{_name(self.type)} is read from JSON with tags only")
            value = self._decoder.decode(text)
        except StateDecodeError:
            raise
        except Exception as error:  # noqa: BLE001 - an app's class may raise anything when made
            is_odd = type(error) is msgspec.DecodeError
            problem = refusal(error)
        else:
            return self._collected(value, text, unknown)
        if is_odd:
            return self._decode_odd(text)
        if self.is_hint and has_unchecked_fields(self.type):
            value = read_unchecked(self.type, text, self._convert_to)
            if value is not None:
                return self._collected(value, text, unknown)
        # Outside of the handler: what led to it may show the value, so nothing is chained.
        raise StateDecodeError(problem)

    def _collected(self, value: Any, text: bytes, unknown: UnknownFields | None) -> Any:
        """Return the value that was read from a text; ``unknown`` keeps the rest of the text."""
        if unknown is None or not self._has_fields or text in self._known:
            return value
        try:
            again = self._encoder.encode(value)
        except (TypeError, ValueError, RecursionError):
            return value  # nothing can tell what it would not write
        if again == text:
            self._known.add(text)
        else:
            unknown.collect(value, json_text.loads(text), json_text.loads(again))
        return value

    def _decode_tagged(self, text: bytes, unknown: UnknownFields | None) -> Any:
        allowed, stored = self._extend(), json_text.loads(text)
        keep = None if unknown is None else unknown.keep
        if self.is_hint and _is_of_another_class(stored, self.type):
            return jsonpickle.restore(stored, self._allowed(), keep)  # as without the hint
        if self._form is not None:
            whole, tags = self._whole(stored), jsonpickle.count_tags(text)
            if tags is not None and whole is not stored:
                tags += 1
            value = self._form.restore(whole, tags)
            if value is not UNSURE:
                return value
            stored = json_text.loads(text)  # the form has used it up
        whole = self._whole(stored)
        is_bare = whole is not stored
        try:
            value = jsonpickle.restore(whole, allowed, keep, self._complete)
        except StateDecodeError:
            value = None
        if value is not None and (self._conforms(value) or (not is_bare and self._is_one(value))):
            return value
        try:
            return self._decode_mixed(stored, allowed)
        except (StateDecodeError, msgspec.ValidationError):
            if value is None or not self._is_one(value):
                raise
        return value

    def _whole(self, stored: Any) -> Any:
        """Return the JSON of a value with the tag of its class, which the property names."""
        if self._is_class and isinstance(stored, dict) and not _has_tag(stored):
            return {jsonpickle.OBJECT: name_of(self.type), **stored}
        return stored

    def _decode_mixed(self, stored: Any, allowed: AllowList) -> Any:
        """Read what was stored under another name of its class, or has tags inside plain JSON."""
        if is_plain_class(self.type):
            return rebuild(self.type, stored, allowed, tagged=True)
        if self._decoder is None:
            raise StateDecodeError(f"it is no {_name(self.type)}")
        return self._convert(jsonpickle.to_tree(stored, self._fields))

    def _is_one(self, value: Any) -> bool:
        return isinstance(value, self.type) if self.is_hint else self._conforms(value)

    def _complete(self, instance: Any) -> None:
        if type(instance) in self._plain_classes:
            complete(instance)
        else:
            jsonpickle.add_defaults(instance)

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
        return self._convert_to(plain, self.type)

    def _convert_to(self, plain: Any, type_: Any) -> Any:
        return msgspec.convert(plain, type_, dec_hook=self._decode_other, str_keys=True)

    def _decode_other(self, type_: Any, value: Any) -> Any:
        """Return an instance of a class that msgspec does not know."""
        if is_pydantic(type_):
            return validate_pydantic(type_, value)
        type_ = _class_of(type_)
        return rebuild(type_, value, self._extend()) if is_plain_class(type_) else value

    def reencode(self, text: bytes) -> bytes:
        # A plain text that was read may be one that this codec itself would write with tags.
        writes_plain = not (self.keeps_tags or self._runs_code)
        if text in self._known and (writes_plain or jsonpickle.has_tags(text)):
            return text
        unknown = UnknownFields()
        value = self.decode(text, unknown)
        return self.encode(value, None, unknown)

    def plain(self, text: bytes) -> Any:
        value = json_text.loads(text)
        if not jsonpickle.has_tags(text):
            return value
        # A plain class's attributes have no types to come back as, so theirs stay tagged.
        return without_tags(value) if is_plain_class(self.type) else jsonpickle.to_plain(value)

    def patchable(self, text: bytes) -> bytes:
        if text == NULL or not jsonpickle.has_tags(text) or self._decoder is None:
            return text
        unknown = UnknownFields()
        value = self.decode(text, unknown)
        plain, problem = self._try_plain(value)
        if plain is None or problem is not None or self._difference(value, plain) is not None:
            return text
        return unknown.add_to(value, plain) if unknown else plain

    def decode_patched(self, text: bytes, patch: Any, unknown: UnknownFields | None = None) -> Any:
        value = self.decode(text, unknown)
        if value is not None:
            check_patch(value, patch, tagged=jsonpickle.has_tags(text))
        return value


class _NotNamed(StateEncodeError):
    """The value holds an instance of a class that its type does not name."""

    def __init__(self, cls: type, type_name: str) -> None:
        super().__init__(
            f"it holds a {cls.__module__}.{cls.__qualname__}, which {type_name} does not name. "
            "Annotate the field with that class, or store plain data"
        )
        self.cls = cls


def _class_of(type_: Any) -> Any:
    """Return the plain class of a generic one with its arguments, which tell nothing of it."""
    origin = get_origin(type_)
    if origin is None or origin is UnionType or not is_plain_class(origin):
        return type_
    return origin


def _is_of_another_class(stored: Any, cls: type) -> bool:
    """Return True if a stored value names a class with another name. Its module may be another:
    a class that moved is read all the same."""
    name = stored.get(jsonpickle.OBJECT) if isinstance(stored, dict) else None
    return isinstance(name, str) and name.rpartition(".")[2] != cls.__name__


def _has_tag(stored: dict[str, Any]) -> bool:
    return "__reduce__" in stored or any(name.startswith("py/") for name in stored)


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", None) or repr(type_)
