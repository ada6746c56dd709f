"""OutsideTurn: a turn's stand-in for work that no activity started: a webhook, a nightly job."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from botbuilder.core import BotAdapter, conversation_reference_extension
from botbuilder.schema import ChannelAccount, ConversationAccount, ConversationReference
from botframework.connector.auth import AuthenticationConstants, ClaimsIdentity

from ..documents.merge import ON_CONFLICT, OnConflict
from .turn_session import TurnSession

if TYPE_CHECKING:
    from .state_scopes import StateScopes


class OutsideTurn:
    """What ``states.unit_of_work`` gives. Everything that takes a turn takes it.

    ``async with`` loads the documents that it names, in one batch, and saves at the end what
    changed; nothing if the block raises. It does not wait for turns of the same conversation, and
    can race them: what both change is merged, as between two turns.
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
        self.activity = conversation_reference_extension.get_continuation_activity(reference)
        """An activity that names the channel, user and conversation, for key functions."""
        self.turn_state: dict[str, Any] = {}
        if on_conflict not in ON_CONFLICT:
            raise ValueError(f"on_conflict must be one of {ON_CONFLICT}, not {on_conflict!r}.")
        self._states = states
        self._on_conflict = on_conflict
        if bot_id is not None:
            claims = {AuthenticationConstants.AUDIENCE_CLAIM: bot_id}
            self.turn_state[BotAdapter.BOT_IDENTITY_KEY] = ClaimsIdentity(claims, True)
        if workflow_id is not None:
            states.workflow.bind(self, workflow_id)

    async def __aenter__(self) -> OutsideTurn:
        self._session = await TurnSession(self._states, self, self._on_conflict).__aenter__()
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


def reference_to(
    channel_id: str | None, user_id: str | None, conversation_id: str | None
) -> ConversationReference:
    """A reference that names these, as far as they are given."""
    return ConversationReference(
        channel_id=channel_id,
        user=None if user_id is None else ChannelAccount(id=user_id),
        conversation=None if conversation_id is None else ConversationAccount(id=conversation_id),
    )
