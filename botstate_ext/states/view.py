"""StateView: gives the loaded scopes as plain mappings, for code that cannot await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import StateKeyError

if TYPE_CHECKING:
    from .state_scopes import StateScopes


class StateView:
    """Gives the loaded scopes of a turn as plain mappings. Made by ``states.view(turn)``.

    Example: ``view.user["email"]``, ``view.conversation["id"] = 7``

    Each scope is the live mapping of its properties, by the scope's name as an attribute or in
    brackets. Changes are saved with the turn. ``shared`` maps ids to the shared documents that the
    turn has used.

    :raises StateKeyError: the scope is not loaded in this turn, or has no key in it.
    """

    def __init__(self, states: StateScopes, turn: Any) -> None:
        self._states, self._turn = states, turn

    def __getitem__(self, scope_name: str) -> dict[str, Any]:
        scope = next((each for each in self._states if each.scope_name == scope_name), None)
        if scope is not None and scope.row.is_by_id:
            documents = scope._work_of(self._turn).documents(scope_name)
            return {
                document.id: document.expose()
                for document in documents
                if document.is_loaded and document.id is not None  # each was chosen by its id
            }
        cached = None if scope is None else scope.get_cached_state(self._turn)
        if cached is None:
            raise StateKeyError(
                f"The {scope_name} scope is not loaded in this turn. A turn begins with those "
                "that the activity names and that have a property in this bot; await "
                "scope.load(turn) loads any other before the view is used."
            )
        return cached.state

    @property
    def user(self) -> dict[str, Any]:
        """Return the user's properties."""
        return self["user"]

    @property
    def conversation(self) -> dict[str, Any]:
        """Return the conversation's properties."""
        return self["conversation"]

    @property
    def private(self) -> dict[str, Any]:
        """Return the user's properties in this conversation."""
        return self["private"]

    @property
    def bot(self) -> dict[str, Any]:
        """Return the bot's own properties."""
        return self["bot"]

    @property
    def workflow(self) -> dict[str, Any]:
        """Return the properties of the workflow that is bound to the turn."""
        return self["workflow"]

    @property
    def shared(self) -> Mapping[str, dict[str, Any]]:
        """Return the shared documents that this turn has used, by id."""
        return self["shared"]

    def __repr__(self) -> str:
        return "<StateView>"
