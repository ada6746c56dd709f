"""The conversation that a unit of work belongs to, as plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Reference: TypeAlias = Callable[[], "dict[str, Any] | None"]
"""Gives the conversation reference of a unit of work; None where it belongs to none."""


def no_reference() -> None:
    """Return None: work that belongs to no conversation."""
