"""The scopes: how each finds its document in a turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeAlias

from ..errors import StateKeyError
from ..host import bases
from ..host.bases import Storage
from ..keys.scopes import SCOPES, own_scope
from ..unit_of_work.workspace import Workspace
from .scope import StateScope

KeyFunction: TypeAlias = Callable[[Any], "str | None"]
"""``(turn) -> id`` of the document that this turn uses. None: the scope's usual key; for an app's
own scope, that the turn has no document."""


class UserState(StateScope, bases.UserState):
    """State of a user. Key: the SDK's, ``{channel}/users/{user}``."""

    def __init__(
        self,
        storage: Storage | Workspace,
        namespace: str = "",
        *,
        key: KeyFunction | None = None,
        expires_after: timedelta | None = None,
    ) -> None:
        StateScope.__init__(self, storage, SCOPES["user"], expires_after=expires_after)
        self.namespace = namespace  # the SDK takes one and ignores it in the key
        self._key = key

    def _id_in(self, turn: Any) -> str | None:
        return None if self._key is None else self._key(turn)


class ConversationState(StateScope, bases.ConversationState):
    """State of a conversation. Key: the SDK's, ``{channel}/conversations/{conversation}``."""

    def __init__(
        self,
        storage: Storage | Workspace,
        *,
        key: KeyFunction | None = None,
        expires_after: timedelta | None = None,
    ) -> None:
        StateScope.__init__(self, storage, SCOPES["conversation"], expires_after=expires_after)
        self._key = key

    def _id_in(self, turn: Any) -> str | None:
        return None if self._key is None else self._key(turn)


class PrivateConversationState(StateScope, bases.PrivateConversationState):
    """State of one user in one conversation. Key: the SDK's,
    ``{channel}/conversations/{conversation}/users/{user}/{namespace}``."""

    def __init__(self, storage: Storage | Workspace, namespace: str = "") -> None:
        StateScope.__init__(self, storage, SCOPES["private"])
        self.namespace = namespace


class BotScopeState(StateScope):
    """State of the bot itself. Key: ``bot/{id}``.

    The id is ``bot_id``; without one the app id in the turn's claims; without that "bot".
    """

    def __init__(self, storage: Storage | Workspace, bot_id: str | None = None) -> None:
        super().__init__(storage, SCOPES["bot"])
        self._bot_id = bot_id

    def _id_in(self, turn: Any) -> str | None:
        return self._bot_id or self._workspace.host.app_id(turn) or "bot"


class WorkflowState(StateScope):
    """State of a piece of work that may span conversations. Key: ``workflow/{id}``; the id is given
    by `at`, or for a whole turn by `bind`."""

    def __init__(self, storage: Storage | Workspace) -> None:
        super().__init__(storage, SCOPES["workflow"])
        self._turn_key = f"botstate_ext.workflow.{id(self._workspace):x}"

    def bind(self, turn: Any, workflow_id: str) -> None:
        """Use this workflow's document in the rest of the turn, wherever no `at` says otherwise.

        :raises StateKeyError: the id is not a non-empty string.
        """
        self.row.key(workflow_id)
        self._is_used = True
        turn.turn_state[self._turn_key] = workflow_id

    def _id_in(self, turn: Any) -> str | None:
        return self._document_id or turn.turn_state.get(self._turn_key)

    def _no_id(self) -> StateKeyError:
        return StateKeyError(
            "The workflow scope needs an id: use .at(id), or states.workflow.bind(turn, id)."
        )


class SharedState(StateScope):
    """State of everyone who knows an id. Key: ``shared/{id}``; the id is given by `at`."""

    def __init__(self, storage: Storage | Workspace) -> None:
        super().__init__(storage, SCOPES["shared"])


class OwnScope(StateScope):
    """A scope of the app's own, made by ``states.scope``. Key: ``scope.{name}/{id}``."""

    def __init__(self, workspace: Workspace, name: str, key: KeyFunction | None) -> None:
        super().__init__(workspace, own_scope(name))
        self._key = key

    def _id_in(self, turn: Any) -> str | None:
        if self._document_id is not None or self._key is None:
            return self._document_id
        return self._key(turn)

    def _no_id(self) -> StateKeyError:
        return StateKeyError(
            f"The {self.scope_name} scope has no document in this turn: its key function gave no "
            "id. Use .at(id) to choose one."
        )


KINDS: Final[dict[str, type[Any]]] = {
    "user": UserState,
    "conversation": ConversationState,
    "private": PrivateConversationState,
    "bot": BotScopeState,
    "workflow": WorkflowState,
    "shared": SharedState,
}
"""The class of each scope in the table of scopes."""
