"""Every error that botstate_ext raises. Messages say what to do; none shows a state's value.

StateError
├── StateConflictError      someone else wrote first, and merging was not possible
├── StateNotFoundError      a named state that must exist does not (also a LookupError)
├── StateDecodeError        a stored value cannot be read as declared (also a ValueError)
├── StateEncodeError        a value cannot be stored (also a TypeError)
├── StateTooLargeError      a limit on size or depth (also a ValueError)
├── StateKeyError           no valid key can be made (also a TypeError, as upstream raises)
├── StateQueryError         a selector or a template is wrong or too costly (also a ValueError)
└── StateStorageError       the storage failed; nothing is assumed about its content
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = [
    "StateConflictError",
    "StateDecodeError",
    "StateEncodeError",
    "StateError",
    "StateKeyError",
    "StateNotFoundError",
    "StateQueryError",
    "StateStorageError",
    "StateTooLargeError",
]


class StateError(Exception):
    """Base of all errors of this package.

    ``saved`` and ``not_saved`` are the keys of the documents that were and were not written when a
    commit of several documents failed; both are empty for every other error.
    """

    saved: tuple[str, ...] = ()
    not_saved: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = super().__str__()
        if self.saved or self.not_saved:
            text += f" Saved: {_names(self.saved)}. Not saved: {_names(self.not_saved)}."
        return text


class StateConflictError(StateError):
    """Raised when a document changed in storage since its read, and cannot be merged.

    ``keys``: all documents that were changed, where several were to be written in one step.
    The text contains "Etag conflict", which parts of the SDK look for (for example
    ``TeamsSSOTokenExchangeMiddleware``).

    ``maybe_written`` is True if an earlier attempt of this very write may have been made: its
    answer was lost, so the change in storage may be the write itself.
    """

    def __init__(
        self,
        reason: str,
        *,
        key: str | None = None,
        keys: Sequence[str] = (),
        scope: str | None = None,
        properties: Sequence[str] = (),
        attempts: int = 1,
        maybe_written: bool = False,
    ) -> None:
        self.reason: str = reason
        self.key: str | None = key
        self.keys: tuple[str, ...] = tuple(keys) or (() if key is None else (key,))
        self.scope: str | None = scope
        self.properties: tuple[str, ...] = tuple(properties)
        self.attempts: int = attempts
        self.maybe_written: bool = maybe_written
        others = f" So were {_names(self.keys[1:])}." if len(self.keys) > 1 else ""
        super().__init__(f"Etag conflict{_location(scope, key, properties)}: {reason}{others}")


class StateNotFoundError(StateError, LookupError):
    """Raised when a named state does not exist."""

    def __init__(self, *, scope: str, key: str, name: str) -> None:
        self.scope: str = scope
        self.key: str = key
        self.name: str = name
        super().__init__(
            f"No state{_location(scope, key, (name,))}. "
            "get_or_set_state creates one with a default."
        )


Self = TypeVar("Self", bound="_ValueProblem")


class _ValueProblem(StateError):
    """An error of one value. Codecs raise it without a location; the document adds its scope, key
    and property with :meth:`located`."""

    verb = "handle"

    def __init__(
        self,
        reason: str,
        *,
        scope: str | None = None,
        key: str | None = None,
        property_name: str | None = None,
    ) -> None:
        self.reason: str = reason
        self.scope: str | None = scope
        self.key: str | None = key
        self.property_name: str | None = property_name
        names = () if property_name is None else (property_name,)
        super().__init__(f"Cannot {self.verb} the state{_location(scope, key, names)}: {reason}")

    def located(
        self: Self, *, scope: str | None, key: str | None, property_name: str | None = None
    ) -> Self:
        """Return the same error with its location in the message."""
        return type(self)(
            self.reason,
            scope=scope,
            key=key,
            property_name=self.property_name if property_name is None else property_name,
        )


class StateDecodeError(_ValueProblem, ValueError):
    """Raised when a stored value or document cannot be read as declared.

    The stored item is left as it is.
    """

    verb = "read"


class StateEncodeError(_ValueProblem, TypeError):
    """Raised when a value cannot be stored, before anything is written."""

    verb = "store"


class StateTooLargeError(StateError, ValueError):
    """Raised when a document, property, key or metadata is over a limit. Nothing was written.

    ``size`` and ``limit`` are bytes, or levels when the limit is one of depth.
    """

    def __init__(
        self,
        what: str,
        *,
        size: int,
        limit: int,
        unit: str = "bytes",
        scope: str | None = None,
        key: str | None = None,
        property_name: str | None = None,
        advice: str = "Store less, split it, or raise the limit.",
    ) -> None:
        self.what: str = what
        self.size: int = size
        self.limit: int = limit
        self.unit: str = unit
        self.scope: str | None = scope
        self.key: str | None = key
        self.property_name: str | None = property_name
        names = () if property_name is None else (property_name,)
        super().__init__(
            f"{what}{_location(scope, key, names)} is {size} {unit}; the limit is {limit}. {advice}"
        )


class StateKeyError(StateError, TypeError):
    """No valid storage key can be made. Also a TypeError, which is what upstream raises."""


class StateQueryError(StateError, ValueError):
    """A JSONPath, a template or a continuation token is malformed, or goes over a limit, which the
    text names."""


class StateStorageError(StateError):
    """Raised when the storage failed. The driver's own error is the ``__cause__``.

    ``maybe_written`` is True when a write may have reached the storage although no answer came.
    """

    def __init__(
        self,
        operation: str,
        key: str | None,
        reason: str,
        *,
        status: int | None = None,
        maybe_written: bool = False,
    ) -> None:
        self.operation: str = operation
        self.key: str | None = key
        self.reason: str = reason
        self.status: int | None = status
        self.maybe_written: bool = maybe_written
        item = "" if key is None else f" of {key!r}"
        super().__init__(f"Storage {operation}{item} failed: {reason}")


def _location(scope: str | None, key: str | None, properties: Sequence[str]) -> str:
    parts = []
    if properties:
        parts.append(("property " if len(properties) == 1 else "properties ") + _names(properties))
    if scope is not None:
        parts.append(f"scope {scope!r}")
    if key is not None:
        parts.append(f"key {key!r}")
    return f" ({', '.join(parts)})" if parts else ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def reason_of(error: Exception) -> str:
    """Return the text to report for an error: that of our own errors, which shows no values; of any
    other the name of its class alone."""
    return str(error) if isinstance(error, StateError) else f"it raised {type(error).__name__}"
