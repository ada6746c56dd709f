"""Choose the codec of a property. Pure."""

from __future__ import annotations

from typing import Any, Final

from .codec import AllowListSource, Codec
from .store_item_codec import StoreItemCodec, is_store_item
from .typed_codec import TypedCodec
from .untyped_codec import UntypedCodec

_BUILTIN_TYPES: Final = frozenset({dict, list, str, int, float, bool, object, type(None)})


def codec_for(
    type_: Any, allowed: AllowListSource, *, tagged: bool = False, is_hint: bool = False
) -> Codec:
    """The codec of a property's type; None, ``dict``, ``list`` and ``object`` are untyped, and have
    the tags that they need.

    :raises TypeError: no codec can be made for this type.
    """
    if type_ is None or type_ is Any or type_ in (dict, list, object):
        return UntypedCodec(allowed)
    if is_store_item(type_):
        return StoreItemCodec(type_)
    return TypedCodec(type_, allowed, is_hint=is_hint, tagged=tagged)


def type_from_default(default: object) -> Any:
    """Return the class that a default names: itself in ``get(turn, UserProfile)``, its own class in
    ``get(turn, UserProfile())``. None if it names none.

    A function names none, as only its result would. Nor do builtins: ``get(turn, dict)`` may hold
    anything that a dict can.
    """
    if isinstance(default, type):
        cls = default
    elif callable(default):
        return None
    else:
        cls = type(default)
    return None if cls in _BUILTIN_TYPES or cls.__module__ == "builtins" else cls
