"""The versions of a property's values, and the migrations from one to the next. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from ..errors import StateDecodeError, StateEncodeError
from ..serialization import json_text

Migration: TypeAlias = Callable[[Any], Any]
"""``(value) -> value``: turns a value of one version, as plain JSON, into the next version. It may
change a dictionary or a list in place and return None."""

FIRST: Final = 1
"""The version of a value that is stored without a version."""


class NewerVersionError(StateDecodeError):
    """Newer code stored the value. It is neither migrated nor moved aside."""


class Versions(Struct, frozen=True):
    """Holds the version that this code reads and writes, and the migrations from older ones."""

    current: int = FIRST
    migrations: Mapping[int, Migration] = field(default_factory=dict)

    def check(self, version: int) -> None:
        """Check that this code can read a version.

        :raises NewerVersionError: newer code stored it.
        """
        if version > self.current:
            raise NewerVersionError(
                f"it is of version {version}, and this code reads up to version {self.current}: "
                "a newer instance of the bot stored it. Update this one"
            )

    def forward(self, value: Any, version: int) -> bytes:
        """Migrate a value of an older version to the current one, and return its JSON text.

        :raises StateDecodeError: a migration failed, or returned what is not JSON.
        """
        for step in range(version, self.current):
            try:
                result = self.migrations[step](value)
            except Exception as error:  # noqa: BLE001 - the app's own code may raise anything
                failure = type(error).__name__
            else:
                value = value if result is None and isinstance(value, (dict, list)) else result
                continue
            # Outside of the handler: the text of the error may show the value.
            raise StateDecodeError(f"its migration from version {step} raised {failure}")
        try:
            return json_text.dumps(value)
        except StateEncodeError as error:
            reason = error.reason
        raise StateDecodeError(f"its migration to version {self.current} gave no JSON: {reason}")


UNVERSIONED: Final = Versions()
"""Of a property without a declared version."""


def versions_of(version: int, migrations: Mapping[int, Migration] | None) -> Versions:
    """Return the versions that ``create_property(version=, migrations=)`` declares.

    :raises TypeError: the version is not a whole number, or a migration is not a function.
    :raises ValueError: the version is below 1, or the chain from 1 to it has a gap or goes beyond.
    """
    if type(version) is not int:
        raise TypeError(f"version must be a whole number, not {type(version).__name__}.")
    if version < FIRST:
        raise ValueError(f"The first version is {FIRST}, so {version} is none.")
    chain = dict(migrations or {})
    expected = set(range(FIRST, version))
    if chain.keys() != expected:
        missing, beyond = expected - chain.keys(), chain.keys() - expected
        wrong = f"lacks {_listed(missing)}" if missing else f"has {_listed(beyond)} too many"
        raise ValueError(
            f"version={version} needs a migration from each version before it, "
            f"migrations={{1: ..., 2: ...}}; this chain {wrong}."
        )
    for step, migration in chain.items():
        if not callable(migration):
            raise TypeError(f"The migration from version {step} is not a function.")
    return Versions(version, chain)


def _listed(versions: set[Any]) -> str:
    return ", ".join(sorted(map(repr, versions)))
