"""The codec that a property takes; and TaggedCodec, for ``write_type_tags``. Pure."""

from __future__ import annotations

from typing import Any, Final

from . import json_text, jsonpickle
from .codec import AllowListSource, Codec
from .plain_classes import classes_in
from .typed_codec import TypedCodec
from .untyped_codec import UntypedCodec

_BUILTIN_TYPES: Final = frozenset({dict, list, str, int, float, bool, object, type(None)})


class TaggedCodec(TypedCodec):
    """Writes jsonpickle's tags, so that an instance without this package reads the value as its
    class; reads what is tagged and what is not."""

    keeps_tags = True

    def __init__(self, type_: Any, allowed: AllowListSource) -> None:
        super().__init__(type_, allowed)
        self._classes = tuple(classes_in(type_))

    def _encode(self, value: object) -> bytes:
        allowed = self._allowed().extended(*self._classes)
        return json_text.dumps(jsonpickle.flatten(value, allowed))


def codec_for(type_: Any, allowed: AllowListSource, *, tagged: bool = False) -> Codec:
    """The codec of a property's type; None, ``dict``, ``list`` and ``object`` are untyped, and have
    the tags that they need.

    :raises TypeError: no codec can be made for this type.
    """
    if type_ is None or type_ is Any or type_ in (dict, list, object):
        return UntypedCodec(allowed)
    return TaggedCodec(type_, allowed) if tagged else TypedCodec(type_, allowed)


def type_from_default(default: object) -> Any:
    """The class that a default names, as in ``get(turn, UserProfile)``; None if it names none.

    Builtins name none: ``get(turn, dict)`` may hold anything a dict can.
    """
    if not isinstance(default, type) or default in _BUILTIN_TYPES:
        return None
    return default if default.__module__ != "builtins" else None
