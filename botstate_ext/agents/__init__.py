"""State on the Microsoft 365 Agents SDK: the same scopes, guarantees and stored data.

    STATES = StateScopes(BlobStorage(...))
    ADAPTER.use(StateMiddleware(STATES))
    AGENT_APP = AgentApplication[TurnState](
        storage=AgentsStorage(STATES.storage), turn_state_factory=STATES.turn_state, ...
    )
    setup(AGENT_APP, STATES)

``states`` has the scopes, ``middleware`` the turn, ``turn_state`` what a handler gets as ``state``,
``setup`` joins the application to them, ``storage`` keeps what the SDK itself stores. Everything
else (errors, storages, locks, queries) is that of ``botstate_ext``. Imports ``host.agents``,
``turn`` and what is below, and nothing of ``botbuilder``.
"""

from __future__ import annotations

from ..host.agents import require_agents_sdk

require_agents_sdk()

from ..storage.document_cache import DocumentCache  # noqa: E402  # after the SDK was found
from .middleware import StateMiddleware  # noqa: E402
from .setup import setup  # noqa: E402
from .states import StateScopes  # noqa: E402
from .storage import AgentsStorage  # noqa: E402
from .turn_state import TurnState  # noqa: E402

__all__ = [
    "AgentsStorage",
    "DocumentCache",
    "StateMiddleware",
    "StateScopes",
    "TurnState",
    "setup",
]
