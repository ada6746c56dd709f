"""An agent that asks for a name once, and remembers it: the bot of samples/state_management_bot, in
the idiom of the Microsoft 365 Agents SDK, on the same data."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from microsoft_agents.hosting.aiohttp import CloudAdapter
from microsoft_agents.hosting.core import AgentApplication, TurnContext

from botstate_ext.agents import AgentsStorage, StateMiddleware, StateScopes, TurnState, setup
from botstate_ext.storage import SQLiteStorage
from config import Config, NoConnections
from data_models import ConversationData, UserProfile

CONNECTIONS = NoConnections()
ADAPTER = CloudAdapter(connection_manager=CONNECTIONS)

# All that this agent does about its state: one load before each turn, one save after it. What a
# channel delivers again, because the agent was slow to answer, is not answered again.
STATES = StateScopes(SQLiteStorage(Config.STATE_FILE))
ADAPTER.use(StateMiddleware(STATES, deduplicate=timedelta(minutes=10)))
AGENT_APP = AgentApplication[TurnState](
    storage=AgentsStorage(STATES.storage),
    turn_state_factory=STATES.turn_state,
    connection_manager=CONNECTIONS,
)
setup(AGENT_APP, STATES)


@AGENT_APP.conversation_update("membersAdded")
async def on_members_added(context: TurnContext, state: TurnState) -> None:
    for member in context.activity.members_added or ():
        if member.id != context.activity.recipient.id:
            await context.send_activity(
                "Welcome to State Bot Sample. Type anything to get started."
            )


@AGENT_APP.activity("message")
async def on_message(context: TurnContext, state: TurnState) -> None:
    activity = context.activity
    user = state.user.get_value("UserProfile", UserProfile)
    conversation = state.conversation.get_value("ConversationData", ConversationData)

    if user.name is not None:
        conversation.timestamp = local_time(activity.timestamp)
        conversation.channel_id = str(activity.channel_id)
        await context.send_activity(f"{user.name} sent: {activity.text}")
        await context.send_activity(f"Message received at: {conversation.timestamp}")
        await context.send_activity(f"Message received from: {conversation.channel_id}")
    elif conversation.prompted_for_user_name:
        user.name = activity.text
        conversation.prompted_for_user_name = False
        await context.send_activity(f"Thanks {user.name}. To see conversation data, type anything.")
    else:
        conversation.prompted_for_user_name = True
        await context.send_activity("What is your name?")


@AGENT_APP.error
async def on_error(context: TurnContext, error: Exception) -> None:
    # The SDK has logged it. Nothing of this turn is stored, and what is stored is right.
    await context.send_activity("The bot encountered an error or bug.")


def local_time(moment: datetime | None) -> str:
    # Not every client stamps its messages.
    received = datetime.now(timezone.utc) if moment is None else moment
    return received.astimezone().strftime("%I:%M:%S %p, %A, %B %d of %Y")
