"""Takes instances of allowed classes apart, and builds them from the parts that jsonpickle stores.

Of a class only ``__new__``, ``__getstate__``, ``__setstate__``, ``__getnewargs__`` and setters of
properties are called, and only if the class defines them. ``__init__`` is never called.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

from ...errors import StateDecodeError, StateEncodeError
from ..allow_list import name_of
from .tags import SEQ, STATE, malformed, shown


def new(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return an empty instance, made as pickle makes it.

    :raises StateDecodeError: the class does not take these arguments.
    """
    try:
        # The app's own __new__ may raise anything.
        return cls.__new__(cls, *args, **kwargs)
    except Exception as error:
        if isinstance(error, TypeError) and not args and not kwargs:
            try:
                return object.__new__(cls)
            except TypeError:
                pass
        raise StateDecodeError(f"{shown(name_of(cls))} cannot be made again.") from error


def new_struct(cls: Any, members: dict[str, Any]) -> Any:
    """Return an instance of a Struct. Its ``__post_init__`` is not called.

    :raises TypeError: a field without a default is missing.
    """
    if not hasattr(cls, "__post_init__"):
        return cls(**members)
    struct = _without_post_init(cls)(**members)
    struct.__class__ = cls
    return struct


@lru_cache(maxsize=1024)
def _without_post_init(cls: Any) -> Any:
    # A Struct can be made by its constructor only, so by that of a subclass of the same layout.
    return type(cls)(cls.__name__, (cls,), {"__post_init__": lambda self: None})


@lru_cache(maxsize=1024)
def has_settable_dict(cls: Any) -> bool:
    """Return True if setting any attribute only stores it in the instance's ``__dict__``.

    False if the class has slots or properties, for example.
    """
    if not cls.__dictoffset__:
        return False
    members = [(n, m) for base in cls.__mro__[:-1] for n, m in vars(base).items()]
    own = (m for name, m in members if name not in ("__dict__", "__weakref__"))
    return not any(hasattr(type(member), "__set__") for member in own)


def set_attribute(instance: Any, name: str, value: Any) -> None:
    """Set an attribute, even if the class is frozen or has slots. Calls the setter of a property.

    :raises StateDecodeError: Python itself uses the name, or the instance cannot store it.
    """
    cls: Any = type(instance)
    place = _slots(cls).get(name) if name[:2] == "__" else name
    if place is None:
        raise StateDecodeError(f"{shown(name)} is not an attribute that can be stored.")
    try:
        # A property's setter may raise anything.
        object.__setattr__(instance, place, value)
    except Exception as error:
        raise StateDecodeError(
            f"{shown(name_of(cls))} has no place for its attribute {shown(name)}."
        ) from error


def fill(instance: Any, items: list[Any]) -> None:
    """Add the items of a stored subclass of list or set to its instance."""
    try:
        if isinstance(instance, list):
            list.extend(instance, items)
        else:
            # Raises for what is neither, and for items that a set cannot hold.
            set.update(instance, items)
    except TypeError:
        raise malformed(SEQ) from None


def set_item(instance: dict[Any, Any], key: str, value: Any) -> None:
    # An OrderedDict keeps its order aside, so its own method has to see the item.
    kind = OrderedDict if isinstance(instance, OrderedDict) else dict
    kind.__setitem__(instance, key, value)


def set_state(instance: Any, state: Any) -> None:
    """Restore the state that the instance's ``__getstate__`` returned when it was stored.

    :raises StateDecodeError: ``__setstate__`` fails, or the class has none and the state is not
        a dictionary of attributes.
    """
    if hasattr(type(instance), "__setstate__"):
        try:
            instance.__setstate__(state)
        except Exception as error:
            name = shown(name_of(type(instance)))
            raise StateDecodeError(f"__setstate__ of {name} failed.") from error
        return
    match state:
        case None:
            parts = []
        case dict():
            parts = [state]
        case (dict() | None as own, dict() as slots):
            parts = [own or {}, slots]
        case _:
            raise malformed(STATE)
    for part in parts:
        for name, value in part.items():
            set_attribute(instance, name, value)


def state_of(instance: Any) -> Any:
    """Return the result of the class's own ``__getstate__``; None if it has none or returns an
    empty state.

    :raises StateEncodeError: the instance could not be restored from this state.
    """
    cls = type(instance)
    own = getattr(cls, "__getstate__", None)
    if own is None or own is getattr(object, "__getstate__", None):
        return None
    state = ask(instance, "__getstate__")
    if state and not hasattr(cls, "__setstate__"):
        match state:
            case dict() | (dict() | None, dict()):
                pass
            case _:
                raise StateEncodeError(f"{name_of(cls)} has __getstate__ but no __setstate__.")
    return state or None


def ask(instance: Any, method: str) -> Any:
    """Call a method of the class's pickling protocol and return its result.

    :raises StateEncodeError: the method failed.
    """
    try:
        return getattr(instance, method)()
    except Exception as error:
        raise StateEncodeError(f"{method} of {name_of(type(instance))} failed.") from error


def attributes_of(instance: Any) -> dict[str, Any]:
    """Return the attributes, with those in slots, by the names that jsonpickle gives them."""
    cls: Any = type(instance)
    attributes = {
        name: getattr(instance, place)
        for name, place in _slots(cls).items()
        if hasattr(instance, place)
    }
    attributes.update(getattr(instance, "__dict__", ()))
    # What typing notes on an instance of a generic class is not state.
    attributes.pop("__orig_class__", None)
    return attributes


@lru_cache(maxsize=1024)
def _slots(cls: type) -> dict[str, str]:
    """Return the slots of a class and its bases: from the name in the source to the attribute."""
    places: dict[str, str] = {}
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name[:2] != "__":
                places.setdefault(name, name)
            elif name[-2:] != "__":
                # Private: Python puts the name of the class before it.
                places.setdefault(name, f"_{base.__name__.lstrip('_')}{name}")
    return places


@lru_cache(maxsize=1024)
def has_own_reduce(cls: type) -> bool:
    """Return True if the class defines a ``__reduce__`` that would have to be called."""
    if issubclass(cls, (dict, list, set, tuple)):
        return False
    return cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__
