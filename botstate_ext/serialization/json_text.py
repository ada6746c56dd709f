"""Converts JSON text to builtins and back. Pure.

msgspec does it. The standard library does it for NaN, infinities and lone surrogates: msgspec
refuses them, and the SDK writes all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import chain
from math import inf, isfinite
from operator import methodcaller
from typing import Any, Final

import msgspec

from ..errors import StateDecodeError, StateEncodeError

_PLAIN: Final = frozenset({dict, list, str, int, float, bool, type(None)})
_NAMES: Final = frozenset({str})
_is_tag: Final = methodcaller("startswith", "py/")
_NON_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")

_split: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_loads: Final = msgspec.json.Decoder().decode
_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_NO_SPACE_AT_SEPARATOR: Final = re.compile(
    rb"""[^",:\s]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^",:\s]*)*(?:[,:]\S|\Z)""", re.DOTALL
)
"""What stands before the first comma or colon of a JSON text without spaces, and that itself."""

_OTHER_SPELLINGS: Final = {
    b"\\": (b"\\u", b"\\/"),
    b"+": (b"e+", b"E+"),
    b"-": (b"e-0", b"E-"),
    b"N": (b"NaN",),
    b"I": (b"Infinity",),
}
"""Escapes and numbers as other writers spell them: ``\\u00e9``, ``1e+16``, ``1e-07``. Beside
NaN and the infinities `dumps` escapes what it does not escape elsewhere. Each below the byte that
it has, which is looked for much faster."""

_VALUE_IN_TEXT: Final = re.compile(
    r"^(Invalid enum value|Invalid value) .*?( - at `.*`)?$", re.DOTALL
)

DecodingFailure: Final = (ValueError, RecursionError)
"""What msgspec and json raise for text that they cannot read."""


def loads(text: bytes) -> Any:
    """Return the value of a JSON text, as builtins.

    :raises StateDecodeError: the text is not JSON, or is nested too deeply.
    """
    try:
        return _loads(text)
    except DecodingFailure:
        return _slow_loads(text)


def dumps(value: Any) -> bytes:
    """Return the JSON text of a value that holds JSON builtins only, without spaces.

    NaN and the infinities are written by name, as the SDK writes them.

    :raises StateEncodeError: the value holds another type, or is nested too deeply.
    """
    try:
        encoded = msgspec.json.encode(value)
    except (UnicodeEncodeError, TypeError, RecursionError):
        return _slow_dumps(value)
    if may_hide_nan(encoded, value) and _holds_non_finite(value):
        return _slow_dumps(value)
    return encoded


def dumps_finite(value: Any) -> bytes:
    """Return the JSON text of a value as `dumps` does. The value holds no NaN and no infinity.

    :raises StateEncodeError: see `dumps`.
    """
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, TypeError, RecursionError):
        return _slow_dumps(value)


def may_hide_nan(text: bytes, value: Any) -> bool:
    """Return True if a null in msgspec's text of this value may stand for NaN or an infinity.

    msgspec writes null for them too. Never a false no.
    """
    if b"null" not in text:
        return False
    try:
        return packs_non_finite(msgspec.msgpack.encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True


def packs_non_finite(packed: bytes) -> bool:
    """Return True if a MessagePack text may hold NaN or an infinity. Never a false no.

    Such a float is the byte 0xCB, then a sign and an exponent of ones. This is by far the fastest
    way to look at every float of a value.
    """
    # One byte is looked for much faster than a pattern, and most values hold neither.
    if b"\x7f" not in packed and b"\xff" not in packed:
        return False
    return _NON_FINITE.search(packed) is not None


def is_plain(value: Any, *, with_tags: bool = False, max_levels: float = inf) -> bool:
    """Return True if a value holds JSON builtins of exactly these types only.

    They are dict with str names, list, str, int, finite float, bool and None. Then the JSON text
    loses nothing. A name like a tag of jsonpickle's gives False, unless ``with_tags``.

    ``max_levels``: the number of levels from which on the result is False.

    The value must not contain itself, or be limited in its levels. A value that was encoded never
    does.
    """
    # Level by level, so that most of the work is done by a few calls for many values at once.
    level, levels = [value], 0
    while level:
        levels += 1
        if levels > max_levels:
            return False
        kinds = set(map(type, level))
        if not kinds <= _PLAIN:
            return False
        if float in kinds and not all(map(isfinite, [v for v in level if type(v) is float])):
            return False
        below: list[Any] = []
        if dict in kinds:
            objects = level if len(kinds) == 1 else [v for v in level if type(v) is dict]
            names = set(chain.from_iterable(objects))
            if not set(map(type, names)) <= _NAMES:
                return False
            if not with_tags and any(map(_is_tag, names)):
                return False
            below.extend(chain.from_iterable(map(dict.values, objects)))
        if list in kinds:
            arrays = level if len(kinds) == 1 else [v for v in level if type(v) is list]
            below.extend(chain.from_iterable(arrays))
        level = below
    return True


def split(text: bytes) -> dict[str, bytes]:
    """Return the raw text of each entry of a JSON object, undecoded.

    :raises StateDecodeError: the text is not a JSON object, or is nested too deeply.
    """
    try:
        entries: dict[str, Any] = _split(text)
    except DecodingFailure:
        document = _slow_loads(text)
    else:
        for name, raw in entries.items():
            entries[name] = bytes(raw)
        return entries
    if not isinstance(document, dict):
        raise StateDecodeError(f"the stored text is a JSON {_kind(document)}, not an object")
    return {name: dumps(value) for name, value in document.items()}


def join(entries: Mapping[str, bytes]) -> bytes:
    """Return the JSON object of these raw entries, in their order."""
    try:
        return msgspec.json.encode(
            dict(zip(entries, map(msgspec.Raw, entries.values()), strict=True))
        )
    except UnicodeEncodeError:  # a lone surrogate in a name, which upstream writes escaped
        pairs = (json.dumps(name).encode() + b":" + raw for name, raw in entries.items())
        return b"{" + b",".join(pairs) + b"}"


def same(one: bytes, other: bytes) -> bool:
    """Return True if both texts are the same JSON, whatever their spaces and the order of names.

    1, 1.0 and true are three different values. A text that cannot be read equals only itself.
    """
    if one == other:
        return True
    try:
        return canonical(loads(one)) == canonical(loads(other))
    except StateDecodeError:
        return False


def canonical(value: Any) -> bytes:
    """Return one text for all builtins that are the same JSON: each object's names are sorted."""
    try:
        text = _sorted(value)
    except UnicodeEncodeError:
        return _slow_sorted(value)
    # As in dumps: null may stand for NaN, which is something else.
    return _slow_sorted(value) if b"null" in text and _holds_non_finite(value) else text


def is_own_spelling(text: bytes) -> bool:
    """Return True if `dumps` would write this JSON text again exactly as it is.

    It reads the text only up to the first separator: a text has one writer, and so one way to write
    separators. For some such texts it returns False.
    """
    if _NO_SPACE_AT_SEPARATOR.match(text) is None:
        return False
    for byte, spellings in _OTHER_SPELLINGS.items():
        if byte in text:
            for spelling in spellings:
                if spelling in text:
                    return False
    return True


def reason(error: BaseException) -> str:
    """Return the reason why a text or a value was refused, without the value."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or holds itself"
    if isinstance(error, UnicodeError):
        return "it is not valid UTF-8"
    return _VALUE_IN_TEXT.sub(r"\1\2", str(error))


def _slow_loads(text: bytes) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StateDecodeError(f"it is not JSON: {error.msg} at byte {error.pos}") from None
    except DecodingFailure as error:
        raise StateDecodeError(reason(error)) from None


def _slow_dumps(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StateEncodeError(reason(error)) from None


def _slow_sorted(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _holds_non_finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return True
    return False


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number, boolean or null"
