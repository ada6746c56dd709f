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
    """The class that a default names, as in ``get(turn, UserProfile)``; None if it names none.

    Builtins name none: ``get(turn, dict)`` may hold anything a dict can.
    """
    if not isinstance(default, type) or default in _BUILTIN_TYPES:
        return None
    return default if default.__module__ != "builtins" else None
