"""Host: what the package asks of the SDK that a bot runs on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

from .activity import Activity

Context: TypeAlias = Any
"""The SDK's turn context."""

ConversationReference: TypeAlias = Any
"""The SDK's conversation reference."""

ResourceResponse: TypeAlias = Any
"""The SDK's answer to a sent activity, with its ``id``."""


class Host(Protocol):
    """Wraps one SDK. A turn is the SDK's context or a unit of work outside a turn."""

    def key_activity(self, activity: Activity) -> Activity:
        """Return the activity as keys are made of it: its channel is without a sub-channel."""

    def app_id(self, turn: Any) -> str | None:
        """Return the app id that the channel's token was issued for; None if the turn has none."""

    def identity(self, app_id: str) -> dict[str, Any]:
        """Return the entries of ``turn_state`` from which `app_id` reads this id."""

    def reference_to(
        self, channel_id: str | None, user_id: str | None, conversation_id: str | None
    ) -> ConversationReference:
        """Return a reference that names these, as far as they are given."""

    def continuation(self, reference: ConversationReference) -> Activity:
        """Return an activity that continues this conversation: the one of a unit of work."""

    def dump(self, activity: Activity) -> dict[str, Any]:
        """Return an activity as plain JSON.

        :raises ValueError: the SDK cannot write it.
        """

    def dump_reference(self, activity: Activity) -> dict[str, Any] | None:
        """Return a reference to the activity's conversation, as plain JSON, to message it later.
        None if a part of it is missing, as in a unit of work that was made from ids."""

    def to_reference(self, plain: dict[str, Any] | None) -> ConversationReference | None:
        """Return the SDK's reference that `dump_reference` wrote."""

    def for_dialogs(self, scope: Any) -> Any:
        """Return the object that the SDK's dialogs find for this scope. Called once for a scope."""

    def expose(self, turn: Any, scopes: Iterable[Any]) -> None:
        """Let the SDK's dialogs find these scopes, as `for_dialogs` returned them, in this turn."""

    def snapshot(self, context: Context) -> Callable[[], None]:
        """Return a function that restores the context to its present state, as often as called."""

    def hold_replies(self, context: Context, replies: Replies) -> Channel:
        """Let ``replies`` hold everything that the bot sends on this context, until
        `Channel.release`."""

    def find(self, name: str) -> type | None:
        """Return this SDK's class for the other SDK's class of this stored name; None if it is no
        such name, or if the package of the class is not installed."""

    def make(self, cls: Any, args: tuple[Any, ...], members: dict[str, Any]) -> Any:
        """Return an object of this SDK's class, made of what an object of the other SDK had."""

    def response(self, activity_id: str | None) -> ResourceResponse:
        """Return the SDK's answer to a sent activity."""


class Replies(Protocol):
    """Receives the activities that a bot sends, changes and deletes while replies are held."""

    is_open: bool

    async def send(self, context: Context, activity: Activity) -> ResourceResponse:
        """Hold an activity, or send it if it passes at once."""

    def update(self, context: Context, activity: Activity) -> ResourceResponse:
        """Change a held activity, or hold the change of one that was sent."""

    def delete(self, context: Context, reference: ConversationReference) -> None:
        """Drop a held activity, or hold the deletion of one that was sent."""

    def real_id(self, activity_id: str | None) -> str | None:
        """Return the channel's id of an activity that was held; any other id as it is."""


class Channel(Protocol):
    """The way to the channel, past the replies that are held. Calls the handlers that were on the
    context when `Host.hold_replies` was called."""

    async def send(self, context: Context, activity: Activity) -> ResourceResponse:
        """Send an activity now."""

    async def update(self, context: Context, activity: Activity) -> ResourceResponse | None:
        """Change an activity that was sent."""

    async def delete(self, context: Context, reference: ConversationReference) -> None:
        """Delete an activity that was sent."""

    async def announce_buffered(self) -> None:
        """Call the send handlers for the replies that the SDK itself buffered
        (``expectReplies``)."""

    def note_invoke_response(self, context: Context, activity: Activity) -> None:
        """Let the turn see the answer to its invoke, which is held."""

    def take_back(self) -> None:
        """Undo the traces that unsent replies left on the context."""

    def release(self) -> None:
        """Let the context send as before."""
