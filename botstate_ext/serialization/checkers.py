"""Check a live value against its type, by a function that is compiled once for the type. Pure.

``exact_checker``: True means that the plain JSON of the value comes back equal to it, with its
classes at every level, so that reading it again need not be tried. False means nothing is known.

``conformity_checker``: True means that the value is what its declared type says; subclasses are.

Both expect a value that does not hold itself.
"""

from __future__ import annotations

import builtins
import dataclasses
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Flag
from math import isfinite
from typing import Any, Final, TypeAlias
from uuid import UUID

from msgspec import inspect as mi

from .constructors import is_pydantic, runs_code
from .json_text import is_plain

Checker: TypeAlias = Callable[[Any], bool]

_CONSTRAINTS: Final = (
    "gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz",
)  # fmt: skip
_NOT_EXACT: Final = "False"


def exact_checker(type_: Any) -> Checker:
    """Return the function that is True for values which plain JSON keeps."""
    return ExactCompiler().check(mi.type_info(type_))


def conformity_checker(type_: Any) -> Checker:
    """Return the function that is True for values of the type."""
    return _Conforming().check(mi.type_info(type_))


class Compiler:
    """Writes an expression of Python for each node of a type that ``msgspec.inspect`` gives.

    Every class is a function of its own, which a recursive type can name before it is written.
    Classes and constants enter the text by reference, so no text of the app's is compiled.
    """

    scalars: Mapping[type, str]

    def __init__(self) -> None:
        self._names: dict[str, Any] = dict(_NAMES)
        self._made: dict[int, str] = {}
        self._nodes: list[Any] = []  # kept, so that the id of each stays its own

    def check(self, node: Any) -> Checker:
        """Return the compiled checker of a type."""
        self._compile("check", [f"return {self.expression(node, 'v')}"])
        checker: Checker = self._names["check"]
        return checker

    def expression(self, node: Any, v: str) -> str:
        """Return the expression that checks the value of the variable ``v``."""
        if isinstance(node, mi.Metadata):
            return self.expression(node.type, v)
        scalar = self.scalars.get(type(node))
        if scalar is not None:
            return scalar.format(v=v)
        form = _FORMS.get(type(node))
        return self.unknown() if form is None else form(self, node, v)

    def unknown(self) -> str:
        raise NotImplementedError

    def is_class(self, cls: Any, v: str) -> str:
        raise NotImplementedError

    def constant(self, value: Any) -> str:
        """Return the name under which the compiled text finds a value."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def function(self, node: Any, write: Callable[[], list[str]]) -> str:
        """Return the name of the function of a node; ``write`` gives its lines."""
        name = self._made.get(id(node))
        if name is None:
            name = self._made[id(node)] = f"f{len(self._names)}"
            self._nodes.append(node)
            self._names[name] = None
            self._compile(name, write())
        return name

    def _compile(self, name: str, lines: list[str]) -> None:
        text = f"def {name}(v):\n" + "".join(f"    {line}\n" for line in lines)
        exec(text, self._names)  # noqa: S102 - this module's own text

    # Nodes

    def items(self, node: Any, v: str) -> str:
        kind = self.is_class(_COLLECTIONS[type(node)], v)
        return f"({kind} and {self.all(node.item_type, v)})"

    def all(self, node: Any, v: str) -> str:
        """Return the expression that checks each item of ``v``."""
        item = self.expression(node, "i")
        if item == "True":
            return item
        if item == "is_plain(i)":
            return f"is_plain([*{v}])"
        if item.startswith("type(i) is "):
            kind = self._names.get(item[11:]) or getattr(builtins, item[11:])
            return f"{self.constant(frozenset((kind,)))}.issuperset(map(type, {v}))"
        if item.endswith("(i)") and item.count("(") == 1:
            return f"all(map({item[:-3]}, {v}))"
        return f"all([{item} for i in {v}])"

    def tuple_of(self, node: Any, v: str) -> str:
        parts = [self.is_class(tuple, v), f"len({v}) == {len(node.item_types)}"]
        parts += [self._at(item, v, index) for index, item in enumerate(node.item_types)]
        return f"({' and '.join(parts)})"

    def named_tuple(self, node: Any, v: str) -> str:
        parts = [self.is_class(node.cls, v)]
        parts += [self._at(field.type, v, index) for index, field in enumerate(node.fields)]
        return f"({' and '.join(parts)})"

    def _at(self, node: Any, v: str, index: int) -> str:
        return f"{self._call(node)}({v}[{index}])"

    def _call(self, node: Any) -> str:
        """Return the name of a function that checks its argument."""
        return self.function(node, lambda: [f"return {self.expression(node, 'v')}"])

    def dictionary(self, node: Any, v: str) -> str:
        keys, values = self.keys(node.key_type, v), self.all(node.value_type, f"{v}.values()")
        return f"({self.is_class(dict, v)} and {keys} and {values})"

    def keys(self, node: Any, v: str) -> str:
        return self.all(node, v)

    def union(self, node: Any, v: str) -> str:
        return f"({' or '.join(self.expression(part, v) for part in node.types)})"

    def literal(self, node: Any, v: str) -> str:
        pairs = self.constant(frozenset((type(value), value) for value in node.values))
        kinds = self.constant(frozenset(map(type, node.values)))
        return f"(type({v}) in {kinds} and (type({v}), {v}) in {pairs})"

    def enumeration(self, node: Any, v: str) -> str:
        return self.is_class(node.cls, v)

    def instance(self, node: Any, v: str) -> str:
        return f"{self.function(node, lambda: self.fields(node))}({v})"

    def fields(self, node: Any) -> list[str]:
        """Return the lines that check the fields of a dataclass, an attrs class or a Struct."""
        lines = [f"if not {self.is_class(node.cls, 'v')}: return False", "try:"]
        for field in node.fields:
            check = self.expression(field.type, "i")
            lines.append(f"    i = v.{field.name}")
            if check != "True":
                lines.append(f"    if not {check}: return False")
        return [*lines, "    pass", "except AttributeError: return False", "return True"]

    def typed_dict(self, node: Any, v: str) -> str:
        return f"{self.function(node, lambda: self.members(node))}({v})"

    def members(self, node: Any) -> list[str]:
        lines = [f"if not {self.is_class(dict, 'v')}: return False", "n = 0"]
        for field in node.fields:
            name = repr(field.encode_name)
            lines += [
                f"if {name} in v:",
                "    n += 1",
                f"    i = v[{name}]",
                f"    if not {self.expression(field.type, 'i')}: return False",
            ]
            if field.required:
                lines.append("else: return False")
        return [*lines, "return len(v) == n"]

    def custom(self, node: Any, v: str) -> str:
        raise NotImplementedError


class _Conforming(Compiler):
    def __init__(self) -> None:
        super().__init__()
        self.scalars = _CONFORMING

    def unknown(self) -> str:
        return "True"

    def is_class(self, cls: Any, v: str) -> str:
        return f"isinstance({v}, {self.constant(typing.get_origin(cls) or cls)})"

    def custom(self, node: Any, v: str) -> str:
        cls = typing.get_origin(node.cls) or node.cls
        is_checkable = isinstance(cls, type) and not getattr(cls, "_is_protocol", False)
        return self.is_class(cls, v) if is_checkable else "True"


class ExactCompiler(Compiler):
    def __init__(self) -> None:
        super().__init__()
        self.scalars = _EXACT
        self._models: dict[type, Any] = {}

    def unknown(self) -> str:
        return _NOT_EXACT

    def expression(self, node: Any, v: str) -> str:
        # A value outside of its constraints is written and not read.
        if any(getattr(node, name, None) is not None for name in _CONSTRAINTS):
            return _NOT_EXACT
        return super().expression(node, v)

    def is_class(self, cls: Any, v: str) -> str:
        return f"type({v}) is {self.constant(typing.get_origin(cls) or cls)}"

    def keys(self, node: Any, v: str) -> str:
        if isinstance(node, mi.AnyType):
            return f"all([type(i) is str for i in {v}])"
        # Keys of several classes may have the same text: 7 and "7".
        return self.all(node, v) if isinstance(node, _EXACT_KEYS) else _NOT_EXACT

    def enumeration(self, node: Any, v: str) -> str:
        return _NOT_EXACT if issubclass(node.cls, Flag) else self.is_class(node.cls, v)

    def fields(self, node: Any) -> list[str]:
        cls = typing.get_origin(node.cls) or node.cls
        if not _is_kept(cls, node.fields):
            return ["return False"]
        lines = super().fields(node)
        if cls.__dictoffset__:
            count = len(node.fields) - sum(field.name in _slots(cls) for field in node.fields)
            # Attributes that are no fields are not written.
            lines.insert(1, f"if len(v.__dict__) != {count}: return False")
        return lines

    def custom(self, node: Any, v: str) -> str:
        cls = node.cls
        if not isinstance(cls, type):
            return _NOT_EXACT
        # One node for each class, so that recursive models end.
        node = self._models.setdefault(cls, node)
        write = self._model if is_pydantic(cls) else self._plain_class
        return f"{self.function(node, lambda: write(cls))}({v})"

    def _model(self, cls: Any) -> list[str]:
        if not _is_kept_by_pydantic(cls):
            return ["return False"]
        lines = [
            f"if not {self.is_class(cls, 'v')} or v.__pydantic_extra__: return False",
            "d = v.__dict__",
            f"if len(d) != {len(cls.model_fields)}: return False",
            "try:",
        ]
        for name, field in cls.model_fields.items():
            try:
                node = _as_pydantic_keeps_it(mi.type_info(field.annotation))
            except Exception:  # noqa: BLE001 - pydantic takes annotations that msgspec does not
                return ["return False"]
            lines += [f"    i = d[{name!r}]"]
            lines += [f"    if not {self.expression(node, 'i')}: return False"]
        return [*lines, "    pass", "except KeyError: return False", "return True"]

    def _plain_class(self, cls: Any) -> list[str]:
        names = plain_attributes(cls)
        if names is None:
            return ["return False"]
        return [
            f"if not {self.is_class(cls, 'v')}: return False",
            "d = v.__dict__",
            f"return d.keys() >= {self.constant(names)} and is_plain(d)",
        ]


def plain_attributes(cls: Any) -> frozenset[str] | None:
    """Return the names that a fresh instance of a plain class has, without which reading one would
    add them; None if the class has more to say than its attributes."""
    if cls.__new__ is not object.__new__ or any(hasattr(cls, hook) for hook in _PICKLE_HOOKS):
        return None
    own = getattr(cls, "__getstate__", None)
    if own is not getattr(object, "__getstate__", None) or _slots(cls) or not cls.__dictoffset__:
        return None
    for base in cls.__mro__[:-1]:
        if any(hasattr(type(member), "__set__") for member in _own_members(base)):
            return None
    return _fresh_names(cls)


def _own_members(base: type) -> list[Any]:
    return [m for name, m in vars(base).items() if name not in ("__dict__", "__weakref__")]


def _fresh_names(cls: Any) -> frozenset[str] | None:
    try:
        return frozenset(vars(cls()))
    except TypeError:
        return frozenset()  # it needs arguments, so it is made without __init__
    except Exception:  # noqa: BLE001 - reading one says what is wrong
        return None


_PICKLE_HOOKS: Final = ("__setstate__", "__getnewargs__", "__getnewargs_ex__")


def _zone_is_kept(zone: Any) -> bool:
    if zone is None or zone is timezone.utc:
        return True
    if type(zone) is not timezone:
        return False
    offset = zone.utcoffset(None)
    # RFC 3339 has whole minutes and no names.
    return not (offset.seconds % 60 or offset.microseconds) and repr(zone) == repr(timezone(offset))


def _datetime(v: Any) -> bool:
    return type(v) is datetime and v.fold == 0 and _zone_is_kept(v.tzinfo)


def _time(v: Any) -> bool:
    return type(v) is time and v.fold == 0 and _zone_is_kept(v.tzinfo)


def _pydantic_datetime(v: Any) -> bool:
    # Of what pydantic reads, each offset but zero is of a class of its own.
    return type(v) is datetime and v.fold == 0 and v.tzinfo is None


def _float(v: Any) -> bool:
    """Return True for a finite float, and for an int that is the same number as a float."""
    if type(v) is float:
        return v - v == 0.0
    return type(v) is int and -(2**53) <= v <= 2**53


class _PydanticFloat(mi.Type):
    """A float in a pydantic model."""


class _PydanticDatetime(mi.Type):
    """A datetime in a pydantic model."""


_NAMES: Final[Mapping[str, Any]] = {
    "UUID": UUID, "Decimal": Decimal, "date": date, "datetime": datetime, "time": time,
    "timedelta": timedelta, "is_plain": is_plain, "isfinite": isfinite, "is_datetime": _datetime,
    "is_time": _time, "is_float": _float, "is_pydantic_datetime": _pydantic_datetime,
}  # fmt: skip
_EXACT: Final[Mapping[type, str]] = {
    mi.FloatType: "(type({v}) is float and {v} - {v} == 0.0 or is_float({v}))",
    mi.IntType: "type({v}) is int", mi.BoolType: "type({v}) is bool",
    mi.StrType: "type({v}) is str", mi.NoneType: "{v} is None", mi.BytesType: "type({v}) is bytes",
    mi.UUIDType: "type({v}) is UUID", mi.DateType: "type({v}) is date",
    mi.DecimalType: "(type({v}) is Decimal and {v}.is_finite())",
    mi.TimeDeltaType: "(type({v}) is timedelta and -36500 < {v}.days < 36500)",
    mi.DateTimeType: "is_datetime({v})", mi.TimeType: "is_time({v})", mi.AnyType: "is_plain({v})",
    _PydanticFloat: "(type({v}) is float and isfinite({v}))",
    _PydanticDatetime: "is_pydantic_datetime({v})",
}  # fmt: skip
_CONFORMING: Final[Mapping[type, str]] = {
    mi.IntType: "isinstance({v}, int)", mi.FloatType: "isinstance({v}, (float, int))",
    mi.BoolType: "isinstance({v}, bool)", mi.StrType: "isinstance({v}, str)",
    mi.NoneType: "{v} is None", mi.BytesType: "isinstance({v}, bytes)",
    mi.UUIDType: "isinstance({v}, UUID)", mi.DateType: "isinstance({v}, date)",
    mi.DecimalType: "isinstance({v}, Decimal)", mi.TimeDeltaType: "isinstance({v}, timedelta)",
    mi.DateTimeType: "isinstance({v}, datetime)", mi.TimeType: "isinstance({v}, time)",
    mi.AnyType: "True",
}  # fmt: skip
_COLLECTIONS: Final[Mapping[type, type]] = {
    mi.ListType: list, mi.CollectionType: list, mi.VarTupleType: tuple, mi.SetType: set,
    mi.FrozenSetType: frozenset,
}  # fmt: skip
_EXACT_KEYS: Final = (
    mi.StrType, mi.IntType, mi.UUIDType, mi.DateType, mi.EnumType,
)  # fmt: skip
_FORMS: Final[Mapping[type, Callable[[Any, Any, str], str]]] = {
    **dict.fromkeys(_COLLECTIONS, Compiler.items),
    mi.TupleType: Compiler.tuple_of,
    mi.NamedTupleType: Compiler.named_tuple,
    mi.DictType: lambda compiler, node, v: compiler.dictionary(node, v),
    mi.UnionType: Compiler.union,
    mi.LiteralType: Compiler.literal,
    mi.EnumType: lambda compiler, node, v: compiler.enumeration(node, v),
    mi.DataclassType: Compiler.instance,
    mi.StructType: Compiler.instance,
    mi.TypedDictType: Compiler.typed_dict,
    mi.CustomType: lambda compiler, node, v: compiler.custom(node, v),
}


def _slots(cls: Any) -> frozenset[str]:
    found: set[str] = set()
    for base in cls.__mro__:
        own = base.__dict__.get("__slots__", ())
        found.update((own,) if isinstance(own, str) else own)
    return frozenset(found - {"__dict__", "__weakref__"})


def _is_kept(cls: Any, fields: Any) -> bool:
    """Return True if the fields are all of a dataclass, an attrs class or a Struct, each written
    under its own name, and no code of the app has a part in reading them."""
    if runs_code(cls):
        return False
    if hasattr(cls, "__struct_fields__"):
        return not cls.__struct_config__.omit_defaults
    if dataclasses.is_dataclass(cls):
        names = {field.name for field in dataclasses.fields(cls)}
    else:
        names = {field.name for field in cls.__attrs_attrs__}
    if names != {field.name for field in fields} or any(name[0] == "_" for name in names):
        return False
    # A property, or any descriptor of the app's, may change what it is given.
    slots = _slots(cls)
    found = ((name, base.__dict__.get(name)) for base in cls.__mro__ for name in names)
    return not any(hasattr(type(m), "__set__") for name, m in found if name not in slots)


_PLAIN_CONFIG: Final = {
    "frozen", "validate_assignment", "title", "arbitrary_types_allowed", "populate_by_name",
}  # fmt: skip


def _is_kept_by_pydantic(model: Any) -> bool:
    """Return True if no code or option of the app's has a part in writing or reading a model."""
    decorators = model.__pydantic_decorators__
    if runs_code(model) or {*model.model_config} - _PLAIN_CONFIG or model.__pydantic_root_model__:
        return False
    if decorators.field_serializers or decorators.model_serializers or decorators.computed_fields:
        return False
    return not any(
        field.alias or field.validation_alias or field.serialization_alias or field.exclude
        or field.metadata or field.discriminator or _is_annotated(field.annotation)
        for field in model.model_fields.values()
    )  # fmt: skip


def _is_annotated(annotation: Any) -> bool:
    """Return True if an ``Annotated``, which may hold constraints, is a part of an annotation."""
    return hasattr(annotation, "__metadata__") or any(
        map(_is_annotated, typing.get_args(annotation))
    )


def _as_pydantic_keeps_it(node: Any) -> Any:
    """Return the node of which pydantic's JSON keeps no more values than pydantic does."""
    if isinstance(node, mi.FloatType):
        return _PydanticFloat()
    if isinstance(node, mi.DateTimeType):
        return _PydanticDatetime()
    if isinstance(node, mi.CustomType):
        # Only pydantic says what it keeps of another class: of a SecretStr, nothing.
        return node if is_pydantic(node.cls) else mi.RawType()
    if isinstance(node, _SAME_IN_PYDANTIC):
        return node
    if isinstance(node, (mi.ListType, mi.SetType, mi.FrozenSetType, mi.VarTupleType)):
        return type(node)(_as_pydantic_keeps_it(node.item_type))
    if isinstance(node, mi.DictType) and isinstance(node.key_type, mi.StrType):
        return mi.DictType(node.key_type, _as_pydantic_keeps_it(node.value_type))
    if isinstance(node, mi.UnionType) and len(node.types) == 2 and node.includes_none:
        return mi.UnionType(tuple(map(_as_pydantic_keeps_it, node.types)))
    return mi.RawType()  # of which nothing is known


_SAME_IN_PYDANTIC: Final = (
    mi.IntType, mi.BoolType, mi.StrType, mi.NoneType, mi.UUIDType, mi.DateType, mi.EnumType,
    mi.AnyType,
)  # fmt: skip
