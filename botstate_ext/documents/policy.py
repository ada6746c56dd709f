"""The declared policy of a property: its codec, and the rules to store it by. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..errors import StateDecodeError
from ..serialization import json_text, jsonpickle
from ..serialization.codec import NULL, Codec
from ..serialization.json_codec import JsonCodec
from ..serialization.unknown_fields import UnknownFields
from . import merge
from .limits import Limits
from .quarantine import MARK, OnUndecodable
from .schema_versions import UNVERSIONED, Versions

ExpiryHandler: TypeAlias = Callable[[Any], Any]
"""Called with an ``ExpiredState``; may be async."""

UserHandler: TypeAlias = Callable[[Any, Any], Any]
"""Called with a unit of work and a ``StateUser``; may be async."""

Trim: TypeAlias = Callable[[Any], Any]
"""Shortens a merged value, for example to its newest items."""

NO_LIMITS: Final = Limits()


class PropertyPolicy(Struct, frozen=True):
    """Holds the rules to write, read, merge and expire one property. See ``create_property``."""

    codec: Codec
    declared_type: bool = False
    hinted_type: type | None = None
    write_type_tags: bool | None = None
    default: Any = None
    expires_after: timedelta | None = None
    sliding: bool = False
    keep_reference: bool = False
    merge: merge.Merge | None = None
    trim: Trim | None = None
    max_bytes: int | None = None
    versions: Versions = UNVERSIONED
    on_undecodable: OnUndecodable = "raise"

    def __post_init__(self) -> None:
        if self.merge not in (None, "fields", "append") and not callable(self.merge):
            raise ValueError(
                f"merge must be 'fields', 'append' or a function (base, mine, theirs) -> merged, "
                f"not {self.merge!r}."
            )
        if self.trim is None:
            return
        if not callable(self.trim):
            raise TypeError(f"trim must be a function of a value, not {type(self.trim).__name__}.")
        if self.merge is None:
            raise ValueError("trim shortens what merge made of two values: give a merge too.")

    def has_other_form(self, text: bytes) -> bool:
        """True if a stored text has tags and this property writes none, or the other way round."""
        if not self.declared_type and self.hinted_type is None:
            return False  # an untyped value has the tags that it needs
        return text != NULL and self.codec.keeps_tags != jsonpickle.has_tags(text)

    def merged(self, base: bytes | None, mine: bytes | None, theirs: bytes | None) -> bytes | None:
        """Merge three texts into one by the property's ``merge`` rule, and apply its ``trim``.

        :raises merge.Unmergeable: the property has no ``merge``, both sides changed the same part,
            or the result is no value of this property.
        :raises StateDecodeError: one of the texts is no value of this property.
        """
        if self.merge is None:
            raise merge.Unmergeable
        if callable(self.merge):
            unknown = UnknownFields()
            values = [self._value(text, unknown) for text in (base, mine, theirs)]
            return self._trimmed(self.merge(*values), unknown)
        if mine is None or theirs is None:
            raise merge.Unmergeable  # removed by one side, changed by the other
        rule = merge.merge_fields if self.merge == "fields" else merge.merge_append
        values = [None if t is None else json_text.loads(t) for t in (base, mine, theirs)]
        try:
            text = json_text.dumps(rule(*values))
        except RecursionError:
            raise merge.Unmergeable from None  # nested too deeply to be walked
        try:
            unknown = UnknownFields()
            value = self.codec.decode(text, unknown)
        except StateDecodeError:
            raise merge.Unmergeable from None
        return text if self.trim is None else self._trimmed(value, unknown)

    def decode(self, text: bytes, version: int, unknown: UnknownFields | None = None) -> Any:
        """Return the value of a text that is stored in this version. ``unknown`` keeps the fields
        that this code does not know.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it does not fit the property.
        """
        if version != self.versions.current:
            text = self.current_text(text, version)
        return self.codec.decode(text, unknown)

    def current_text(self, text: bytes, version: int) -> bytes:
        """Return a text that is stored in this version in the version that this code knows.

        :raises NewerVersionError: newer code stored it.
        :raises StateDecodeError: it cannot be brought forward.
        """
        if version == self.versions.current:
            return text
        self.versions.check(version)
        return text if text == NULL else self.versions.forward(self.codec.plain(text), version)

    def _value(self, text: bytes | None, unknown: UnknownFields) -> Any:
        return None if text is None or text == NULL else self.codec.decode(text, unknown)

    def _trimmed(self, value: Any, unknown: UnknownFields) -> bytes | None:
        if value is not None and self.trim is not None:
            value = self.trim(value)
        return None if value is None else self.codec.encode(value, None, unknown)


class Policies:
    """Holds the policies and handlers of a scope's properties, by name.

    ``undeclared`` is the policy of names that were not declared.
    """

    __slots__ = (
        "_aside",
        "declared",
        "erasers",
        "exporters",
        "handlers",
        "handlers_of_all",
        "has_limits",
        "limits",
        "undeclared",
    )

    def __init__(self, undeclared: PropertyPolicy, limits: Limits = NO_LIMITS) -> None:
        self.declared: dict[str, PropertyPolicy] = {}
        self.undeclared = undeclared
        self.limits = limits
        self.has_limits = limits != NO_LIMITS or undeclared.max_bytes is not None
        self._aside = replace(undeclared, codec=JsonCodec())
        self.handlers: dict[str, list[ExpiryHandler]] = {}
        self.handlers_of_all: list[ExpiryHandler] = []
        self.erasers: list[tuple[str, UserHandler]] = []
        self.exporters: list[tuple[str, UserHandler]] = []

    def declare(self, name: str, policy: PropertyPolicy) -> None:
        """Store the policy of a property. Replaces an earlier one."""
        self.declared[name] = policy
        self.has_limits = self.has_limits or policy.max_bytes is not None

    def of(self, name: str) -> PropertyPolicy:
        """Return the policy of a property."""
        found = self.declared.get(name)
        if found is None:
            return self._aside if MARK in name else self.undeclared
        return found

    def handlers_of(self, name: str) -> list[ExpiryHandler]:
        """Return the expiry handlers of a property: its own, then the scope's."""
        return [*self.handlers.get(name, ()), *self.handlers_of_all]

    def has_handler(self, name: str) -> bool:
        """Return True if this process has an expiry handler for a property."""
        return name in self.handlers or bool(self.handlers_of_all)
