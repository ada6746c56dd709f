"""Seven bots in the shape of the SDK's samples. Each takes a conversation state and a user state,
from the SDK or from this package: nothing else differs between the two."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from botbuilder.core import ActivityHandler, MessageFactory, TurnContext
from botbuilder.dialogs import (
    ComponentDialog,
    Dialog,
    DialogSet,
    DialogTurnResult,
    DialogTurnStatus,
    WaterfallDialog,
    WaterfallStepContext,
)
from botbuilder.dialogs.choices import Choice
from botbuilder.dialogs.prompts import (
    ChoicePrompt,
    ConfirmPrompt,
    NumberPrompt,
    PromptOptions,
    TextPrompt,
)
from botbuilder.schema import Activity, ActivityTypes


class SampleBot(ActivityHandler):
    """What the samples' bots share: two states, saved by the bot itself at the end of a turn."""

    types: Sequence[type] = ()
    """What an app gives ``StateScopes(types=...)`` when it adopts."""

    def __init__(self, conversation: Any, user: Any) -> None:
        self.conversation_state, self.user_state = conversation, user
        self.set_up()

    def set_up(self) -> None:
        """Make the properties."""

    async def on_turn(self, turn_context: TurnContext) -> None:
        await super().on_turn(turn_context)
        await self.conversation_state.save_changes(turn_context)
        await self.user_state.save_changes(turn_context)


class WelcomeUserState:
    def __init__(self, did_welcome_user: bool = False) -> None:
        self.did_welcome_user = did_welcome_user


class WelcomeBot(SampleBot):
    """Echoes, and greets each user once."""

    def set_up(self) -> None:
        self.welcome = self.user_state.create_property("WelcomeUserState")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        state = await self.welcome.get(turn_context, WelcomeUserState)
        if not state.did_welcome_user:
            state.did_welcome_user = True
            await turn_context.send_activity("Welcome")
        else:
            await turn_context.send_activity(f"You said {turn_context.activity.text}")


class ConversationData:
    def __init__(
        self,
        timestamp: str | None = None,
        channel_id: str | None = None,
        prompted_for_user_name: bool = False,
    ) -> None:
        self.timestamp, self.channel_id = timestamp, channel_id
        self.prompted_for_user_name = prompted_for_user_name


class UserName:
    def __init__(self, name: str | None = None) -> None:
        self.name = name


class StateBot(SampleBot):
    """Asks for a name and uses it."""

    def set_up(self) -> None:
        self.data = self.conversation_state.create_property("ConversationData")
        self.profile = self.user_state.create_property("UserProfile")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        profile = await self.profile.get(turn_context, UserName)
        data = await self.data.get(turn_context, ConversationData)
        if profile.name is None:
            if data.prompted_for_user_name:
                profile.name = turn_context.activity.text
                await turn_context.send_activity(f"Thanks {profile.name}")
                data.prompted_for_user_name = False
            else:
                await turn_context.send_activity("What is your name?")
                data.prompted_for_user_name = True
        else:
            data.channel_id = turn_context.activity.channel_id
            data.timestamp = "2024-05-06 07:08"
            await turn_context.send_activity(f"{profile.name}: {turn_context.activity.text}")


class DialogBot(SampleBot):
    """Runs one dialog."""

    def set_up(self) -> None:
        self.dialogs = DialogSet(self.conversation_state.create_property("DialogState"))
        self.dialog = self.make_dialog()
        self.dialogs.add(self.dialog)

    def make_dialog(self) -> Dialog:
        """Make the dialog that the bot runs."""
        raise AssertionError("a bot has a dialog")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        dialog_context = await self.dialogs.create_context(turn_context)
        result = await dialog_context.continue_dialog()
        if result.status == DialogTurnStatus.Empty:
            await dialog_context.begin_dialog(self.dialog.id)


def _ask(text: str) -> PromptOptions:
    return PromptOptions(
        prompt=MessageFactory.text(text), retry_prompt=MessageFactory.text("Again")
    )


class FullProfile:
    def __init__(self, name: str | None = None, transport: str | None = None, age: int = 0) -> None:
        self.name, self.transport, self.age = name, transport, age


class ProfileDialog(ComponentDialog):
    def __init__(self, user_state: Any) -> None:
        super().__init__("ProfileDialog")
        self.profile = user_state.create_property("UserProfile")
        steps = [self.transport, self.name, self.confirm_name, self.age, self.summary]
        self.add_dialog(WaterfallDialog("profile", steps))
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(NumberPrompt("number", self._is_age))
        self.add_dialog(ChoicePrompt("choice"))
        self.add_dialog(ConfirmPrompt("confirm"))
        self.initial_dialog_id = "profile"

    async def transport(self, step: WaterfallStepContext) -> DialogTurnResult:
        options = _ask("How do you travel?")
        options.choices = [Choice("Car"), Choice("Bus"), Choice("Bicycle")]
        return await step.prompt("choice", options)

    async def name(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["transport"] = step.result.value
        return await step.prompt("text", _ask("What is your name?"))

    async def confirm_name(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["name"] = step.result
        return await step.prompt("confirm", _ask(f"Thanks {step.result}. Your age, too?"))

    async def age(self, step: WaterfallStepContext) -> DialogTurnResult:
        if step.result:
            return await step.prompt("number", _ask("How old are you?"))
        return await step.next(-1)

    async def summary(self, step: WaterfallStepContext) -> DialogTurnResult:
        profile = await self.profile.get(step.context, FullProfile)
        profile.transport, profile.name = step.values["transport"], step.values["name"]
        profile.age = step.result
        await step.context.send_activity(f"{profile.name}, {profile.age}, by {profile.transport}")
        return await step.end_dialog()

    @staticmethod
    async def _is_age(prompt: Any) -> bool:
        return bool(prompt.recognized.succeeded and 0 < prompt.recognized.value < 150)


class MultiTurnPromptBot(DialogBot):
    def make_dialog(self) -> Dialog:
        return ProfileDialog(self.user_state)


class Question(Enum):
    NAME = 1
    AGE = 2
    NONE = 3


class ConversationFlow:
    def __init__(self, last_question_asked: Question = Question.NONE) -> None:
        self.last_question_asked = last_question_asked


class InputProfile:
    def __init__(self, name: str | None = None, age: int = 0) -> None:
        self.name, self.age = name, age


class PromptForInputBot(SampleBot):
    """Asks without dialogs; the question that is open is an Enum in a plain class."""

    def set_up(self) -> None:
        self.flow = self.conversation_state.create_property("ConversationFlow")
        self.profile = self.user_state.create_property("UserProfile")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        profile = await self.profile.get(turn_context, InputProfile)
        flow = await self.flow.get(turn_context, ConversationFlow)
        text = turn_context.activity.text
        if flow.last_question_asked == Question.NONE:
            await turn_context.send_activity("What is your name?")
            flow.last_question_asked = Question.NAME
        elif flow.last_question_asked == Question.NAME:
            profile.name = text
            await turn_context.send_activity(f"Hi {text}. How old are you?")
            flow.last_question_asked = Question.AGE
        elif not text.isdigit():
            await turn_context.send_activity("A number, please.")
        else:
            profile.age = int(text)
            await turn_context.send_activity(f"{profile.name} is {profile.age}.")
            flow.last_question_asked = Question.NONE


class Reviewer:
    def __init__(self, name: str | None = None, companies: list[str] | None = None) -> None:
        self.name, self.companies = name, companies or []


class ReviewDialog(ComponentDialog):
    """Asks for companies, again and again, until the user is done."""

    def __init__(self) -> None:
        super().__init__("ReviewDialog")
        self.add_dialog(WaterfallDialog("review", [self.ask, self.loop]))
        self.add_dialog(ChoicePrompt("choice"))
        self.initial_dialog_id = "review"

    async def ask(self, step: WaterfallStepContext) -> DialogTurnResult:
        chosen = step.options if isinstance(step.options, list) else []
        step.values["chosen"] = chosen
        options = _ask(f"Which company? {len(chosen)} so far.")
        options.choices = [Choice(n) for n in ("Adatum", "Contoso", "done") if n not in chosen]
        return await step.prompt("choice", options)

    async def loop(self, step: WaterfallStepContext) -> DialogTurnResult:
        chosen = step.values["chosen"]
        if step.result.value == "done":
            return await step.end_dialog(chosen)
        return await step.replace_dialog("review", [*chosen, step.result.value])


class ReviewerDialog(ComponentDialog):
    """Keeps an instance of the app's own class in the values of a waterfall."""

    def __init__(self, user_state: Any) -> None:
        super().__init__("ReviewerDialog")
        self.reviewer = user_state.create_property("Reviewer")
        self.add_dialog(WaterfallDialog("reviewer", [self.name, self.review, self.thanks]))
        self.add_dialog(TextPrompt("text"))
        self.add_dialog(ReviewDialog())
        self.initial_dialog_id = "reviewer"

    async def name(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["reviewer"] = Reviewer()
        return await step.prompt("text", _ask("Who are you?"))

    async def review(self, step: WaterfallStepContext) -> DialogTurnResult:
        step.values["reviewer"].name = step.result
        return await step.begin_dialog("ReviewDialog")

    async def thanks(self, step: WaterfallStepContext) -> DialogTurnResult:
        reviewer = step.values["reviewer"]
        reviewer.companies = step.result or []
        await self.reviewer.set(step.context, reviewer)
        await step.context.send_activity(f"{reviewer.name}: {', '.join(reviewer.companies)}")
        return await step.end_dialog(reviewer)


class ComplexDialogBot(DialogBot):
    types = (Reviewer,)

    def make_dialog(self) -> Dialog:
        return ReviewerDialog(self.user_state)


class ProactiveBot(SampleBot):
    """Counts, and says something that nobody asked for, in turns of its own."""

    def set_up(self) -> None:
        self.count = self.conversation_state.create_property("count")
        self.notices = self.conversation_state.create_property("notices")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        count = await self.count.get(turn_context, lambda: {"messages": 0})
        count["messages"] += 1
        await turn_context.send_activity(f"message {count['messages']}")

    async def notify(self, turn_context: TurnContext) -> None:
        """Take a turn that no user began."""
        number = await self.notices.get(turn_context, int) or 0
        await self.notices.set(turn_context, number + 1)
        await turn_context.send_activity(f"notice {number + 1}")
        await self.conversation_state.save_changes(turn_context)


class SkillRootBot(SampleBot):
    """Hands messages to a skill, from the user's word on to the skill's own end."""

    def set_up(self) -> None:
        self.active = self.conversation_state.create_property("active_skill")

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        text = turn_context.activity.text
        if await self.active.get(turn_context):
            await self.to_skill(turn_context)
        elif "skill" in text:
            await turn_context.send_activity("Connecting you")
            await self.active.set(turn_context, {"id": "EchoSkill"})
            await self.to_skill(turn_context)
        else:
            await turn_context.send_activity("Say skill")

    async def to_skill(self, turn_context: TurnContext) -> None:
        # As the sample: the skill may answer before this turn ends, and its turn must see this.
        await self.conversation_state.save_changes(turn_context, force=True)
        await turn_context.send_activity(f"skill: {turn_context.activity.text}")
        if turn_context.activity.text == "end":
            ending = Activity(type=ActivityTypes.end_of_conversation, code="completed")
            TurnContext.apply_conversation_reference(
                ending, TurnContext.get_conversation_reference(turn_context.activity), True
            )
            ending.text = "end"
            await turn_context.adapter.run_pipeline(
                TurnContext(turn_context.adapter, ending), self.on_turn
            )

    async def on_end_of_conversation_activity(self, turn_context: TurnContext) -> None:
        await self.active.delete(turn_context)
        await turn_context.send_activity("Back in the root bot")


NOTIFY = "*notify*"
"""In a script: no message, but a turn that the app begins."""

SCRIPTS: dict[type[SampleBot], tuple[str, ...]] = {
    WelcomeBot: ("hi", "one", "two", "three"),
    StateBot: ("hi", "Ann", "one", "two", "three"),
    MultiTurnPromptBot: ("hi", "Bus", "Ann", "yes", "500", "44", "hi", "Car", "Bea", "no"),
    PromptForInputBot: ("hi", "Ann", "many", "44", "hi", "Bea", "45"),
    ComplexDialogBot: ("hi", "Ann", "Contoso", "Adatum", "done", "hi", "Bea", "Adatum", "done"),
    ProactiveBot: ("hi", NOTIFY, "two", NOTIFY, NOTIFY, "three"),
    SkillRootBot: ("hi", "skill", "one", "two", "end", "hi", "skill", "end", "hi"),
}
"""What the user says to each of them."""

__all__ = ["NOTIFY", "SCRIPTS", "ProactiveBot", "SampleBot"]
