"""Write and read JSON with jsonpickle's tags by functions that are compiled once for a type. Pure.

Their results are equal to the results of `Flattener` and `restore`, several times faster. They take
a class that the type names, if its instances are no more than their attributes. For any other class
they return `UNSURE`, and the caller asks `Flattener` or `restore`.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import methodcaller
from typing import Any, Final, TypeAlias

from msgspec import inspect as mi

from ..errors import StateDecodeError, StateEncodeError
from . import jsonpickle
from .allow_list import name_of
from .checkers import Compiler, ExactCompiler, plain_attributes
from .constructors import is_pydantic
from .json_text import is_plain
from .jsonpickle.tags import OBJECT, PREFIX, SET, STATE

Convert: TypeAlias = Callable[[Any], Any]

UNSURE: Final[Any] = type("Unsure", (), {"__repr__": lambda self: "UNSURE", "__slots__": ()})()
"""Returned for a value or a text that needs the general way."""

_FAILURES: Final = (
    KeyError, TypeError, AttributeError, ValueError, RecursionError, StateDecodeError,
    StateEncodeError,
)  # fmt: skip
_MAX_CLASSES: Final = 12
_MAX_PLAIN_LEVELS: Final = 100
"""Classes in each other, and plain JSON below them, are too few levels for jsonpickle's 200."""


class UnsupportedTypeError(Exception):
    """Raised for a type of which no functions can be compiled."""


class TaggedForm:
    """Converts values of one type to tagged JSON, as builtins, and back.

    ``is_hint``: text, numbers, booleans and None are taken whatever an annotation says.
    ``flatten``, ``restore``: the general way, for the dates, sets and the like in such values.
    ``classes``: the classes that have to be allowed.

    :raises UnsupportedTypeError: see there.
    """

    def __init__(self, type_: Any, *, is_hint: bool, flatten: Convert, restore: Convert) -> None:
        try:
            node = mi.type_info(type_)
            writer = _Writer(is_hint, flatten)
            self._flatten = writer.root(node)
            self.classes = frozenset(writer.classes)
            # Of one object without others, the number of tags tells that nothing else is tagged.
            self._has_one_tag = self.classes == {_class_of(node)} and not writer.has_general_parts
            reader = _Reader(is_hint, restore, checks_any=not self._has_one_tag)
            self._restore = reader.root(node)
        except RecursionError:
            raise UnsupportedTypeError from None

    def flatten(self, value: Any) -> Any:
        """Return the tagged JSON of a value, as builtins; or `UNSURE`."""
        try:
            return self._flatten(value)
        except _FAILURES:
            return UNSURE

    def restore(self, stored: Any, tags: int | None) -> Any:
        """Return the value of tagged JSON; or `UNSURE`. Uses ``stored`` up: builtins, which become
        a part of the value. ``tags``: the number of tags in it; None if that is not known."""
        if self._has_one_tag and tags != 1:
            return UNSURE
        try:
            return self._restore(stored)
        except _FAILURES:
            return UNSURE


class _Converter(ExactCompiler):
    """Writes a function for each node of a type that is no plain JSON; plain JSON is only checked.
    A function raises if a value does not fit."""

    def __init__(self, is_hint: bool, general: Convert) -> None:
        super().__init__()
        self.classes: set[Any] = set()
        self.has_general_parts = False
        self._is_hint = is_hint
        self._converters: dict[int, str] = {}
        self._open: list[Any] = []
        self._names.update(_NAMES, general=general)

    def root(self, node: Any) -> Convert:
        """Return the function that converts values of a type."""
        name = self.converter(node)
        if name is None or not self.classes:
            raise UnsupportedTypeError
        convert: Convert = self._names[name]
        return convert

    # Plain JSON

    def expression(self, node: Any, v: str) -> str:
        if self._is_hint and isinstance(node, _SCALARS):
            return _is_scalar(v)
        # What an annotation demands of a value, beyond its class, has no part in tagged JSON.
        check = Compiler.expression(self, node, v)
        return f"({_is_scalar(v)} or {check})" if self._is_hint else check

    def all(self, node: Any, v: str) -> str:
        check = super().all(node, v)
        if self._is_hint and isinstance(node, _SCALARS):
            return f"(json_scalars.issuperset(map(type, {v})) or {check})"
        return check

    def dictionary(self, node: Any, v: str) -> str:
        return f"({super().dictionary(node, v)} and not any(map(is_tag, {v})))"

    # Conversions

    def converter(self, node: Any) -> str | None:
        """Return the name of the function that converts values of a node; None for plain JSON."""
        while isinstance(node, mi.Metadata):
            node = node.type
        if _is_json(node):
            return None
        if isinstance(node, mi.CustomType):
            node = self._models.setdefault(node.cls, node)  # one node for each class
        name = self._converters.get(id(node))
        if name is None:
            if node in self._open or len(self._open) > _MAX_CLASSES:
                raise UnsupportedTypeError  # a type that holds itself may be of any depth
            self._open.append(node)
            lines = self._lines(node)
            self._open.pop()
            name = self._converters[id(node)] = f"f{len(self._names)}"
            self._nodes.append(node)
            self._compile(name, lines)
        return name

    def _lines(self, node: Any) -> list[str]:
        hint = [f"if {_is_scalar('v')}: return v"] if self._is_hint else []
        if isinstance(node, mi.UnionType):
            return hint + self._union(node)
        if isinstance(node, mi.ListType):
            convert = self.converter(node.item_type)
            return [*hint, _require("type(v) is list"), f"return [{convert}(i) for i in v]"]
        if isinstance(node, mi.DictType) and isinstance(node.key_type, mi.StrType):
            convert = self.converter(node.value_type)
            keys = f"type(v) is dict and {self.keys(node.key_type, 'v')}"
            result = f"return {{k: {convert}(i) for k, i in v.items()}}"
            return [*hint, _require(f"{keys} and not any(map(is_tag, v))"), result]
        if isinstance(node, _STANDARD) and all(map(_is_standard, _nodes_in(node))):
            self.has_general_parts = True
            return hint + self._general(node)
        return hint + self._instance(node)

    def _union(self, node: Any) -> list[str]:
        others = [part for part in node.types if not _is_json(part)]
        if len(others) != 1:
            raise UnsupportedTypeError
        plain = [self.expression(part, "v") for part in node.types if _is_json(part)]
        return [
            *(f"if {check}: return v" for check in plain),
            f"return {self.converter(others[0])}(v)",
        ]

    def _instance(self, node: Any) -> list[str]:
        cls = _class_of(node)
        if not isinstance(cls, type):
            raise UnsupportedTypeError
        self.classes.add(cls)
        if is_pydantic(cls) and jsonpickle.is_model(cls):
            return self._tagged_model(cls, _model_fields(cls))
        if not is_pydantic(cls) and jsonpickle.is_simple(cls):
            if isinstance(node, mi.DataclassType):
                return self._tagged_object(cls, _fields(cls, node))
            names = plain_attributes(cls) if isinstance(node, mi.CustomType) else None
            if names is not None:
                return self._tagged_attributes(cls, names)
        raise UnsupportedTypeError

    def _members(self, fields: Mapping[str, Any], d: str) -> tuple[list[str], dict[str, str]]:
        """Return the lines that check the plain members of a dictionary, and for each of the others
        the expression that converts it."""
        lines, converted = [_require(f"len({d}) == {len(fields)}")], {}
        for name, node in fields.items():
            converter = self.converter(node)
            if converter is not None:
                converted[name] = f"{converter}({d}[{name!r}])"
            else:
                lines += [f"i = {d}[{name!r}]", _require(self.expression(node, "i"))]
        return lines, converted

    def _general(self, node: Any) -> list[str]:
        raise NotImplementedError

    def _tagged_object(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        raise NotImplementedError

    def _tagged_model(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        raise NotImplementedError

    def _tagged_attributes(self, cls: Any, names: frozenset[str]) -> list[str]:
        raise NotImplementedError


class _Writer(_Converter):
    """Writes the functions from values to tagged JSON."""

    def _general(self, node: Any) -> list[str]:
        return [_require(self.expression(node, "v")), "return general(v)"]

    def _tagged_object(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        lines, converted = self._members(fields, "d")
        return [
            _require(self.is_class(cls, "v")),
            "d = v.__dict__",
            *lines,
            f"return {{{_tag(cls)}, **d{_items(converted)}}}",
        ]

    def _tagged_model(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        lines, converted = self._members(fields, "d")
        own = f"{{**d{_items(converted)}}}" if converted else "d"
        every = self.constant(frozenset(fields))
        ordered = self.constant(sorted(fields, key=json.dumps))
        parts = {
            "__dict__": own,
            "__pydantic_extra__": "None",
            "__pydantic_fields_set__": (
                f"{{{SET!r}: {ordered} if s == {every} else sorted(s, key=dumps)}}"
            ),
            "__pydantic_private__": "None",
        }
        state = ", ".join(f"{name!r}: {parts[name]}" for name in parts)
        return [
            _require(self.is_class(cls, "v")),
            _require("v.__pydantic_extra__ is None and v.__pydantic_private__ is None"),
            "d, s = v.__dict__, v.__pydantic_fields_set__",
            *lines,
            f"return {{{_tag(cls)}, {STATE!r}: {{{state}}}}}",
        ]

    def _tagged_attributes(self, cls: Any, names: frozenset[str]) -> list[str]:
        return [
            _require(self.is_class(cls, "v")),
            "d = v.__dict__",
            _require(f"d.keys() >= {self.constant(names)} and is_plain(d)"),
            _require("not any(map(is_private, d))"),
            f"return {{{_tag(cls)}, **d}}",
        ]


class _Reader(_Converter):
    """Writes the functions from tagged JSON to values. They use up the JSON.

    ``checks_any``: look for tags in what is annotated with ``Any``.
    """

    def __init__(self, is_hint: bool, general: Convert, *, checks_any: bool) -> None:
        super().__init__(is_hint, general)
        self._checks_any = checks_any
        if not checks_any:
            self.scalars = {**self.scalars, mi.AnyType: "True"}

    def _general(self, node: Any) -> list[str]:
        return ["v = general(v)", _require(self.expression(node, "v")), "return v"]

    def _tagged_object(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        lines, converted = self._members(fields, "v")
        return [
            _require(f"v.pop({OBJECT!r}) == {name_of(cls)!r}"),
            *lines,
            *(f"v[{name!r}] = {expression}" for name, expression in converted.items()),
            *self._of_attributes(cls),
        ]

    def _tagged_model(self, cls: Any, fields: Mapping[str, Any]) -> list[str]:
        lines, converted = self._members(fields, "d")
        return [
            _require(f"v[{OBJECT!r}] == {name_of(cls)!r} and len(v) == 2"),
            f"v = v[{STATE!r}]",
            f"d, s = v['__dict__'], v['__pydantic_fields_set__'][{SET!r}]",
            _require("len(v) == 4 and type(s) is list"),
            _require("v['__pydantic_extra__'] is None and v['__pydantic_private__'] is None"),
            *lines,
            *(f"d[{name!r}] = {expression}" for name, expression in converted.items()),
            "v['__pydantic_fields_set__'] = set(s)",
            f"o = new({self.constant(cls)})",
            "o.__setstate__(v)",
            "return o",
        ]

    def _tagged_attributes(self, cls: Any, names: frozenset[str]) -> list[str]:
        is_plain = " and is_plain(v)" if self._checks_any else ""
        return [
            _require(f"v.pop({OBJECT!r}) == {name_of(cls)!r}"),
            _require(f"v.keys() >= {self.constant(names)}{is_plain}"),
            _require("not any(map(is_private, v))"),
            *self._of_attributes(cls),
        ]

    def _of_attributes(self, cls: Any) -> list[str]:
        # Set as a whole, also where the class is frozen.
        return [f"o = new({self.constant(cls)})", "set_attribute(o, '__dict__', v)", "return o"]


def _require(check: str) -> str:
    return "pass" if check == "True" else f"if not ({check}): raise does_not_fit"


def _is_scalar(v: str) -> str:
    return f"(type({v}) in json_scalars or type({v}) is float and {v} - {v} == 0.0)"


def _tag(cls: Any) -> str:
    return f"{OBJECT!r}: {name_of(cls)!r}"


def _items(members: Mapping[str, str]) -> str:
    return "".join(f", {name!r}: {expression}" for name, expression in members.items())


def _class_of(node: Any) -> Any:
    cls = getattr(node, "cls", None)
    return typing.get_origin(cls) or cls


def _fields(cls: Any, node: Any) -> dict[str, Any]:
    """Return the nodes of the fields of a dataclass or an attrs class, which are all that it has.

    :raises UnsupportedTypeError: msgspec knows other fields than the class.
    """
    fields = {field.name: field.type for field in node.fields}
    is_dataclass = dataclasses.is_dataclass(cls)
    own: Any = dataclasses.fields(cls) if is_dataclass else cls.__attrs_attrs__
    if fields.keys() != {field.name for field in own} or any(map(_is_private, fields)):
        raise UnsupportedTypeError
    return fields


def _model_fields(cls: Any) -> dict[str, Any]:
    """Return the nodes of the fields of a pydantic model."""
    try:
        return {name: mi.type_info(field.annotation) for name, field in cls.model_fields.items()}
    except Exception:  # noqa: BLE001 - pydantic takes annotations that msgspec does not
        raise UnsupportedTypeError from None


def _is_json(node: Any) -> bool:
    """Return True if values of a node are stored as the JSON that they are."""
    if isinstance(node, mi.Metadata):
        return _is_json(node.type)
    if isinstance(node, mi.ListType):
        return _is_json(node.item_type)
    if isinstance(node, mi.DictType):
        return isinstance(node.key_type, mi.StrType) and _is_json(node.value_type)
    if isinstance(node, mi.UnionType):
        return all(map(_is_json, node.types))
    if isinstance(node, mi.TypedDictType):
        names = [field.encode_name for field in node.fields]
        return not any(map(_is_tag, names)) and all(_is_json(field.type) for field in node.fields)
    return isinstance(node, _JSON)


def _is_standard(node: Any) -> bool:
    return isinstance(node, (*_STANDARD, *_JSON)) and not isinstance(node, mi.AnyType)


def _nodes_in(node: Any) -> Iterator[Any]:
    """Yield a node and those in it, of a type of Python's own."""
    yield node
    for name in ("item_type", "key_type", "value_type"):
        if hasattr(node, name):
            yield from _nodes_in(getattr(node, name))
    for part in getattr(node, "item_types", ()):
        yield from _nodes_in(part)


_is_tag: Final = methodcaller("startswith", PREFIX)
_is_private: Final = methodcaller("startswith", "__")
_SCALARS: Final = (mi.StrType, mi.IntType, mi.FloatType, mi.BoolType, mi.NoneType)
_JSON: Final = (*_SCALARS, mi.AnyType, mi.LiteralType)
_STANDARD: Final = (
    mi.DateTimeType, mi.DateType, mi.TimeType, mi.TimeDeltaType, mi.DecimalType, mi.UUIDType,
    mi.BytesType, mi.EnumType, mi.SetType, mi.FrozenSetType, mi.VarTupleType, mi.TupleType,
)  # fmt: skip
_NAMES: Final[Mapping[str, Any]] = {
    "does_not_fit": ValueError,
    "is_plain": partial(is_plain, max_levels=_MAX_PLAIN_LEVELS),
    "is_tag": _is_tag,
    "is_private": _is_private,
    "json_scalars": frozenset((str, int, bool, type(None))),
    "dumps": json.dumps,
    "new": object.__new__,
    "set_attribute": object.__setattr__,
}
