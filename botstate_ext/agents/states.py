"""StateScopes: all state of an agent, and the operations on all scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from ..clock import Clock
from ..host.agents.host import AgentsHost
from ..host.agents.sdk import AgentState
from ..host.protocol import Host
from ..privacy.user_documents import StateUser
from ..scopes.kinds import KeyFunction
from ..serialization.allow_list import Types
from ..states import state_scopes
from ..storage.document_cache import DocumentCache
from .scopes import KINDS, OwnScope
from .sign_in import sign_in_keys
from .turn_state import TurnState

S = TypeVar("S", bound="StateScopes")


class StateScopes(state_scopes.StateScopes):
    """Holds everything that an agent remembers, by scope.

    It has the methods and the options of `botstate_ext.StateScopes`, and these:

    ``storage``: one of ``botstate_ext.storage``, or a storage of the Agents SDK as the agent has
    it.

    ``sub_channels``: make keys of the channel with its sub-channel, ``msteams:COPILOT``, as the
    SDK's own state does. By default keys are made of ``msteams``, as on the Bot Framework SDK, so
    that a user has one document.

    :raises TypeError: ``storage`` is not a storage.
    :raises ValueError: there is a ``cache``, and the storage does not check ETags.
    """

    _kinds = KINDS
    _own_kind = OwnScope

    def __init__(
        self,
        storage: Any,
        *,
        bot_id: str | None = None,
        types: Types = (),
        user_key: KeyFunction | None = None,
        conversation_key: KeyFunction | None = None,
        namespace: str = "",
        conversation_expires_after: timedelta | None = None,
        user_expires_after: timedelta | None = None,
        max_bytes: int | None = None,
        max_depth: int | None = None,
        aliases: Mapping[str, str] | None = None,
        cache: DocumentCache | None = None,
        clock: Clock | None = None,
        write_type_tags: bool | None = None,
        sub_channels: bool = False,
    ) -> None:
        self._sub_channels = sub_channels
        self._apps: list[Any] = []
        super().__init__(
            storage,
            bot_id=bot_id,
            types=types,
            user_key=user_key,
            conversation_key=conversation_key,
            namespace=namespace,
            conversation_expires_after=conversation_expires_after,
            user_expires_after=user_expires_after,
            max_bytes=max_bytes,
            max_depth=max_depth,
            aliases=aliases,
            cache=cache,
            clock=clock,
            write_type_tags=write_type_tags,
        )

    def turn_state(self) -> TurnState:
        """Return the ``state`` of one turn: ``AgentApplication(turn_state_factory=...)``."""
        return TurnState(self)

    def add(self: S, bot_state: Any) -> S:
        """Refuse a state of the SDK's: one object of it serves one turn only.

        :raises TypeError: always, for a state of the Agents SDK.
        """
        if isinstance(bot_state, AgentState):
            raise TypeError(
                "An AgentState belongs to one turn. Use a scope, states.scope(name, key=...), or "
                "turn_state_factory=lambda: states.turn_state().add(MyState(storage))."
            )
        return super().add(bot_state)

    def _other_keys_of(self, user: StateUser) -> AsyncIterator[str]:
        return sign_in_keys(self.storage, user)

    def _host(self) -> Host:
        return AgentsHost(sub_channels=self._sub_channels)

    def _only_app(self) -> Any:
        """Return the application that was set up; None if there is none, or more than one."""
        return self._apps[0] if len(self._apps) == 1 else None
