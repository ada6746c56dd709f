"""Snapshot: a TurnContext as it is now, to be put back."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from botbuilder.core import TurnContext


class Snapshot:
    """A TurnContext as it is now: its attributes, the content of its lists and dictionaries
    (services, handlers, turn_state), and a deep copy of the activity. Other objects are not
    copied."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._attributes = dict(vars(context))
        self._contents = {
            name: held.copy()
            for name, held in self._attributes.items()
            if isinstance(held, (dict, list))
        }
        self._activity = deepcopy(context.activity)

    def restore(self) -> None:
        """Put all of it back, into the same objects: others hold them too."""
        attributes = vars(self._context)
        attributes.clear()
        attributes.update(self._attributes)
        for name, contents in self._contents.items():
            _refill(attributes[name], contents)
        _refill(vars(self._context.activity), vars(deepcopy(self._activity)))


def _refill(held: Any, contents: Any) -> None:
    held.clear()
    if isinstance(held, dict):
        held.update(contents)
    else:
        held.extend(contents)
