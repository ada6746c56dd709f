"""State for Bot Framework bots that loses nothing. A turn, in the order in which data flows:

1. ``middleware.py``: StateMiddleware waits for the turn before (``locks/``, ``deliveries.py``),
   opens a unit of work, loads, runs the bot, saves.
2. ``states.py``, ``scopes.py``, ``scope.py``: each scope turns the turn into a key (``keys.py``).
3. ``work.py``: one batch of reads; an item becomes a ``document.py`` when it is first asked for,
   split but not decoded.
4. ``properties.py``: the bot gets and sets values; ``codec.py`` decodes one when it is first
   touched; ``update.py`` changes one at once, apart from the turn.
5. ``work.py`` again: what changed is encoded, and ``commit.py`` writes it under the document's
   ETag; ``saved.py`` tells who listens.
6. ``revision.py`` and ``merge.py``: what to write when someone else wrote meanwhile.
7. ``replies.py``: where replies are held, they are sent now; ``replay.py``: where the turn lost a
   race and may run again, all of this again.
8. ``sweep.py``: between turns, what has expired is removed; ``handling.py`` runs its handlers;
   ``privacy.py`` erases and exports a user, ``listing.py`` lists, ``migration.py`` rewrites.
9. ``storage/``: bytes under keys, with ETags: Memory, Blob, and upstream's own adapters made safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    StateConflictError,
    StateDecodeError,
    StateEncodeError,
    StateError,
    StateKeyError,
    StateNotFoundError,
    StateQueryError,
    StateStorageError,
    StateTooLargeError,
)
from .jsonpath import JsonPath
from .jsonpath.state_query import StateQuery
from .listing.records import DocumentPage, DocumentRecord
from .maintenance.expired import ExpiredState
from .maintenance.migration import MigrationReport
from .maintenance.sweep import SweepReport
from .privacy.erasure import ErasureReport
from .privacy.user_documents import StateUser
from .scopes.kinds import (
    BotScopeState,
    ConversationState,
    PrivateConversationState,
    SharedState,
    UserState,
    WorkflowState,
)
from .scopes.state_data import StateData
from .scopes.state_property import StateProperty
from .scopes.state_record import StateRecord
from .states.state_scopes import StateScopes
from .states.view import StateView
from .turn.locks import InProcessTurnLock, TurnLock
from .turn.middleware import StateMiddleware
from .turn.replay import turn_is_replay
from .unit_of_work.save_events import SavedState

if TYPE_CHECKING:
    from .turn.locks import BlobLeaseLock

__all__ = [
    "BlobLeaseLock",
    "BotScopeState",
    "ConversationState",
    "DocumentPage",
    "DocumentRecord",
    "ErasureReport",
    "ExpiredState",
    "InProcessTurnLock",
    "JsonPath",
    "MigrationReport",
    "PrivateConversationState",
    "SavedState",
    "SharedState",
    "StateConflictError",
    "StateData",
    "StateDecodeError",
    "StateEncodeError",
    "StateError",
    "StateKeyError",
    "StateMiddleware",
    "StateNotFoundError",
    "StateProperty",
    "StateQuery",
    "StateQueryError",
    "StateRecord",
    "StateScopes",
    "StateStorageError",
    "StateTooLargeError",
    "StateUser",
    "StateView",
    "SweepReport",
    "TurnLock",
    "UserState",
    "WorkflowState",
    "turn_is_replay",
]


def __getattr__(name: str) -> Any:
    if name == "BlobLeaseLock":  # imported when it is first named: it brings Blob with it
        from .turn.locks import BlobLeaseLock

        return BlobLeaseLock
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
