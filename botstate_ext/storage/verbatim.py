"""Verbatim: JSON with jsonpickle's tags, written as it is by a storage that encodes by jsonpickle.

jsonpickle silently drops names that look like its tags from a dictionary, and with them the classes
of the values.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

_TAG = "py/"


class Verbatim(dict[str, Any]):
    """A dictionary with tags. Everything but jsonpickle takes it for a plain one."""

    def __reduce__(self) -> tuple[type[dict[Any, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Verbatim:
        return Verbatim(deepcopy(dict(self), memo))


def with_verbatim_tags(value: Any) -> Any:
    """Return plain JSON in which each outermost dictionary with tags is a `Verbatim`."""
    if isinstance(value, dict):
        if any(name.startswith(_TAG) for name in value):
            _teach_jsonpickle()
            return Verbatim(value)
        return {name: with_verbatim_tags(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_verbatim_tags(inner) for inner in value]
    return value


@cache
def _teach_jsonpickle() -> None:
    # The SDK brings it. Here, not above: only a storage of this kind needs it.
    from jsonpickle import handlers

    class VerbatimHandler(handlers.BaseHandler):
        def flatten(self, obj: Any, data: Any) -> dict[str, Any]:
            return dict(obj)

    handlers.register(Verbatim, VerbatimHandler)
