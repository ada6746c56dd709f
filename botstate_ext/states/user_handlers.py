"""UserHandlers: calls the handlers of ``on_erase`` or ``on_export`` for one user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..documents.policy import UserHandler
from ..privacy.user_documents import StateUser
from .outside_turn import OutsideTurn

if TYPE_CHECKING:
    from .state_scopes import StateScopes


class UserHandlers:
    """Holds the handlers that an erasure or an export calls for one user."""

    def __init__(self, states: StateScopes, user: StateUser, *, erase: bool) -> None:
        self._states, self._user, self._erase = states, user, erase

    def named(self) -> Iterator[tuple[str, UserHandler]]:
        """Return each handler with the name of its property: ``"conversation.cart"``."""
        for scope in self._states:
            policies = scope._policies
            for name, handler in policies.erasers if self._erase else policies.exporters:
                yield f"{scope.scope_name}.{name}", handler

    def work(self) -> OutsideTurn:
        """Return a unit of work of the user, to be saved when the handler has ended."""
        user = self._user
        return self._states.unit_of_work(channel_id=user.channel_id, user_id=user.user_id)
