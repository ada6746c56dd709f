"""Shows a scope to the SDK's dialogs."""

from __future__ import annotations

from copy import copy
from typing import Any, Final

_MANAGER: Final = "DialogManager"
"""A ``DialogManager`` registers itself in ``turn_state`` under its class's name."""


def for_dialogs(scope: Any) -> Any:
    """Return a scope as the SDK's dialogs find it in ``turn_state``. It works as the scope itself,
    but its properties are in a dialog's memory only in the turn of a ``DialogManager``.

    ``DialogExtensions.run_dialog`` sends a trace with all the memory that it finds. With the SDK
    alone it finds no user's and no conversation's properties.
    """
    cls: Any = type(scope)

    class Shown(cls):
        def get_cached_state(self, turn_context: Any) -> Any:
            if _MANAGER not in turn_context.turn_state:
                return None
            return cls.get_cached_state(self, turn_context)

    shown = copy(scope)
    Shown.__name__, Shown.__qualname__ = cls.__name__, cls.__qualname__
    shown.__class__ = Shown
    return shown
