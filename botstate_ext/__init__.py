"""State for Bot Framework bots that loses nothing. A turn, in the order in which data flows:

1. ``turn/middleware.py``: StateMiddleware waits for earlier turns of the conversation
   (``turn/locks/``, ``turn/deduplication.py``), loads, runs the bot, saves.
2. ``states/turn_session.py``: TurnSession opens the turn's unit of work and reads the documents of
   all scopes in one batch. ``scopes/kinds.py`` and ``keys/`` turn the turn into keys.
3. ``unit_of_work/work.py``: an item becomes a document (``documents/document.py``) when a scope
   first asks for it. It is split into properties, not decoded.
4. ``scopes/state_property.py``: the bot gets and sets values. ``serialization/`` decodes a value
   when it is first touched. ``unit_of_work/update.py`` changes one at once, apart from the turn.
5. ``unit_of_work/work.py`` again: changed values are encoded; ``unit_of_work/write_changes.py``
   writes each document under its ETag; ``unit_of_work/save_events.py`` calls ``on_saved``.
6. ``documents/revision.py``, ``documents/merge.py``: what to write if another turn wrote meanwhile.
7. ``turn/held_replies.py``: replies that waited for the save are sent. ``turn/replay.py``: a turn
   that lost a race starts again at 2.
8. ``maintenance/``: between turns, sweeps delete expired values and call their handlers.
   ``privacy/`` erases and exports a user, ``listing/`` lists documents.
9. ``storage/``: bytes under keys, with ETags. ``host/``: the SDK that the bot runs on.

Each name is imported when it is first used, so that an app pays for what it uses. Names that need
the Bot Framework SDK raise an `ImportError` where it is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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
    from .maintenance.storage_check import StorageCheck
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
    from .states.turn_report import TurnReport
    from .states.view import StateView
    from .storage.document_cache import DocumentCache
    from .turn.locks import (
        BlobLeaseLock,
        InProcessTurnLock,
        PostgresAdvisoryLock,
        RedisLeaseLock,
        TurnLock,
    )
    from .turn.middleware import StateMiddleware
    from .turn.replay import turn_is_replay
    from .unit_of_work.save_events import SavedState

__all__ = [
    "BlobLeaseLock",
    "BotScopeState",
    "ConversationState",
    "DocumentCache",
    "DocumentPage",
    "DocumentRecord",
    "ErasureReport",
    "ExpiredState",
    "InProcessTurnLock",
    "JsonPath",
    "MigrationReport",
    "PostgresAdvisoryLock",
    "PrivateConversationState",
    "RedisLeaseLock",
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
    "StorageCheck",
    "SweepReport",
    "TurnLock",
    "TurnReport",
    "UserState",
    "WorkflowState",
    "turn_is_replay",
]

_MODULES: Final = {
    "errors": (
        "StateConflictError StateDecodeError StateEncodeError StateError StateKeyError "
        "StateNotFoundError StateQueryError StateStorageError StateTooLargeError"
    ),
    "jsonpath": "JsonPath",
    "jsonpath.state_query": "StateQuery",
    "listing.records": "DocumentPage DocumentRecord",
    "maintenance.expired": "ExpiredState",
    "maintenance.migration": "MigrationReport",
    "maintenance.storage_check": "StorageCheck",
    "maintenance.sweep": "SweepReport",
    "privacy.erasure": "ErasureReport",
    "privacy.user_documents": "StateUser",
    "scopes.kinds": (
        "BotScopeState ConversationState PrivateConversationState SharedState UserState "
        "WorkflowState"
    ),
    "scopes.state_data": "StateData",
    "scopes.state_property": "StateProperty",
    "scopes.state_record": "StateRecord",
    "states.state_scopes": "StateScopes",
    "states.turn_report": "TurnReport",
    "states.view": "StateView",
    "storage.document_cache": "DocumentCache",
    "turn.locks": ("BlobLeaseLock InProcessTurnLock PostgresAdvisoryLock RedisLeaseLock TurnLock"),
    "turn.middleware": "StateMiddleware",
    "turn.replay": "turn_is_replay",
    "unit_of_work.save_events": "SavedState",
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
_NEEDS_SDK: Final = frozenset({"scopes.kinds", "states.state_scopes", "turn.middleware"})


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if module in _NEEDS_SDK:
        from .host.default import require_bot_framework

        require_bot_framework(f"botstate_ext.{name}")
    found = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
