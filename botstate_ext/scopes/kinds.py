"""The six scopes: how each turns a turn into a storage key."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from ..errors import StateKeyError
from ..host import bases
from ..host.bases import Storage
from ..keys import build as keys
from ..unit_of_work.workspace import Workspace
from .scope import ScopeByID, StateScope

KeyFunction: TypeAlias = Callable[[Any], "str | None"]
"""``(turn) -> id``: whose document this turn uses. None: the scope's usual key; for an app's own
scope, that this turn has none."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


class UserState(StateScope, bases.UserState):
    """What the bot remembers of a user. Key: upstream's, ``{channel}/users/{user}``."""

    owner_parts = ("channel", "user")

    def __init__(
        self,
        storage: Storage | Workspace,
        namespace: str = "",
        *,
        key: KeyFunction | None = None,
        expires_after: timedelta | None = None,
    ) -> None:
        StateScope.__init__(self, storage, "user", expires_after=expires_after)
        self.namespace = namespace  # upstream takes one and ignores it in the key
        self._key = key

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: the activity names no channel or no user."""
        own = None if self._key is None else self._key(turn_context)
        if own is not None:
            return keys.document_key("user", own)
        return keys.user_key(turn_context.activity)


class ConversationState(StateScope, bases.ConversationState):
    """What the bot remembers of a conversation. Key: upstream's,
    ``{channel}/conversations/{conversation}``."""

    owner_parts = ("channel", "conversation")

    def __init__(
        self,
        storage: Storage | Workspace,
        *,
        key: KeyFunction | None = None,
        expires_after: timedelta | None = None,
    ) -> None:
        StateScope.__init__(self, storage, "conversation", expires_after=expires_after)
        self._key = key

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: the activity names no channel or no conversation."""
        own = None if self._key is None else self._key(turn_context)
        if own is not None:
            return keys.document_key("conversation", own)
        return keys.conversation_key(turn_context.activity)


class PrivateConversationState(StateScope, bases.PrivateConversationState):
    """What the bot remembers of one user in one conversation. Key: upstream's,
    ``{channel}/conversations/{conversation}/users/{user}/{namespace}``."""

    owner_parts = ("channel", "user", "conversation")

    def __init__(self, storage: Storage | Workspace, namespace: str = "") -> None:
        StateScope.__init__(self, storage, "private")
        self.namespace = namespace

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: the activity names no channel, conversation or user."""
        return keys.private_key(turn_context.activity, self.namespace)


class BotScopeState(StateScope):
    """What the bot remembers for itself. Key: ``bot/{id}``.

    The id is ``bot_id``; without one the app id in the turn's claims; without that "bot".
    """

    def __init__(self, storage: Storage | Workspace, bot_id: str | None = None) -> None:
        super().__init__(storage, "bot")
        self._bot_id = bot_id

    def get_storage_key(self, turn_context: Any) -> str:
        """Never raises."""
        return keys.document_key(
            "bot", self._bot_id or self._workspace.host.app_id(turn_context) or "bot"
        )


class WorkflowState(ScopeByID):
    """What the bot remembers of a piece of work that may span conversations. Key:
    ``workflow/{id}``; the id is given by `at`, or for a whole turn by `bind`."""

    def __init__(self, storage: Storage | Workspace) -> None:
        super().__init__(storage, "workflow")
        self._turn_key = f"botstate_ext.workflow.{id(self._workspace):x}"

    def bind(self, turn: Any, workflow_id: str) -> None:
        """Use this workflow's document for the rest of the turn, wherever no `at` says otherwise.

        :raises StateKeyError: the id is not a non-empty string.
        """
        keys.document_key("workflow", workflow_id)
        turn.turn_state[self._turn_key] = workflow_id

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: neither `at` nor `bind` gave an id."""
        document_id = self._document_id or turn_context.turn_state.get(self._turn_key)
        if document_id is None:
            raise StateKeyError(
                "The workflow scope needs an id: use .at(id), or states.workflow.bind(turn, id)."
            )
        return keys.document_key("workflow", document_id)


class SharedState(ScopeByID):
    """What anyone who knows an identifier shares. Key: ``shared/{id}``; the id is given by `at`."""

    def __init__(self, storage: Storage | Workspace) -> None:
        super().__init__(storage, "shared")

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: `at` gave no id."""
        if self._document_id is None:
            raise StateKeyError("The shared scope needs an id: use .at(id).")
        return keys.document_key("shared", self._document_id)


class OwnScope(ScopeByID):
    """A scope of the app's own, made by ``states.scope``. Key: ``scope.{name}/{id}``."""

    def __init__(self, workspace: Workspace, name: str, key: KeyFunction | None) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a scope: use up to 63 letters, digits, _ and -, "
                "beginning with a letter."
            )
        super().__init__(workspace, name)
        self._key = key

    def get_storage_key(self, turn_context: Any) -> str:
        """:raises StateKeyError: neither `at` nor the key function gave an id."""
        document_id = self._document_id
        if document_id is None and self._key is not None:
            document_id = self._key(turn_context)
        if document_id is None:
            raise StateKeyError(
                f"The {self.scope_name} scope has no document in this turn: its key function gave "
                "no id. Use .at(id) to choose one."
            )
        return keys.document_key(f"scope.{self.scope_name}", document_id)
