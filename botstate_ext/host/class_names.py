"""Finds the SDK's class of a name, in either host."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module


def class_in(modules: Iterable[str], name: str) -> type | None:
    """Return the class of this name from the first module that has one; None if there is none, or
    if a bot without dialogs has not installed their package."""
    for module in modules:
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            return None
        if isinstance(found, type):
            return found
    return None
