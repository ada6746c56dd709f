"""OutsideTurn: replaces a turn where no activity started the work: a webhook, a nightly job."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..documents.merge import ON_CONFLICT, OnConflict
from ..host.activity import Activity
from ..host.protocol import ConversationReference
from ..scopes.scope import StateScope
from ..unit_of_work.workspace import Workspace

if TYPE_CHECKING:
    from .state_scopes import StateScopes


class OutsideTurn:
    """Stands in for a turn: every method with a ``turn`` argument accepts it.

    Made by ``states.unit_of_work``. ``async with`` loads the documents that it names, in one batch,
    and saves the changes at the end; if the block raises, it saves nothing. It does not wait for
    turns of the same conversation, and may run at the same time: concurrent changes are merged, as
    between two turns.
    """

    def __init__(
        self,
        states: StateScopes,
        reference: ConversationReference,
        *,
        bot_id: str | None,
        workflow_id: str | None,
        on_conflict: OnConflict,
    ) -> None:
        host = states._workspace.host
        self.activity: Activity = host.continuation(reference)
        """An activity that names the channel, user and conversation, for key functions."""
        self.turn_state: dict[str, Any] = {}
        if on_conflict not in ON_CONFLICT:
            raise ValueError(f"on_conflict must be one of {ON_CONFLICT}, not {on_conflict!r}.")
        self._states = states
        self._on_conflict = on_conflict
        if bot_id is not None:
            self.turn_state.update(host.identity(bot_id))
        if workflow_id is not None:
            states.workflow.bind(self, workflow_id)

    def belongs_to(self, workspace: Workspace) -> bool:
        """Return True if its scopes, or a scope that was added to them, use this workspace."""
        states = self._states
        added = (each._workspace for each in states._added if isinstance(each, StateScope))
        return any(each is workspace for each in (states._workspace, *added))

    async def __aenter__(self) -> OutsideTurn:
        session = self._states._observers.session(self._states, self, self._on_conflict)
        self._session = await session.__aenter__()
        try:
            await self._session.load()
        except BaseException as error:
            await self._session.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None:
                await self._session.save()
        finally:
            await self._session.__aexit__(exc_type, exc, traceback)

    def __repr__(self) -> str:
        return "<OutsideTurn>"
