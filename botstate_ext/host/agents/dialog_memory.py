"""DialogMemory: what the SDK's dialogs see of a scope, under ``conversation.`` and ``user.``."""

from __future__ import annotations

from typing import Any


class DialogMemory:
    """Shows a scope of this turn as the SDK's cached state.

    The SDK's dialogs, and its own ``ConversationState`` if the app still uses it, look into
    ``turn_state`` for it. They read and change the live properties, and the turn saves them.
    """

    is_changed = False
    """False: the turn saves, and not who finds this here."""

    hash = 0

    def __init__(self, scope: Any, turn: Any) -> None:
        self._scope, self._turn = scope, turn
        self.name = type(scope).__name__

    @property
    def state(self) -> dict[str, Any]:
        """Return the live mapping of all properties; an empty one if the scope is not loaded."""
        cached = self._scope.get_cached_state(self._turn)
        live: dict[str, Any] = {} if cached is None else cached.state
        return live

    def compute_hash(self) -> int:
        """Return the same number always; see `is_changed`."""
        return self.hash

    def clear(self) -> None:
        """Remove all properties."""
        self.state.clear()
