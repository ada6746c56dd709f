"""A bot through which friends order pizza together, each in a conversation of their own."""

from __future__ import annotations

import re
from datetime import timedelta

from botbuilder.core import ActivityHandler, TurnContext
from botbuilder.schema import ChannelAccount

from botstate_ext import StateScopes
from data_models import Pizza

OPEN = re.compile(r"order\s+(\d{5})", re.IGNORECASE)

WELCOME = "Send Order and five digits, such as Order 12345, to open an order or to join a friend's."
WHICH = "Order {@session.orderCode} is open. Which pizza would you like?"
ADDED = "{@shared(@session.orderCode).pizzas[-1].name} is in order {@session.orderCode}."
EMPTY = "There is no pizza in order {@session.orderCode} yet."
LAST = (
    "Confirmed: {@shared(@session.orderCode).pizzas[-1].name} "
    "for {@shared(@session.orderCode).pizzas[-1].by}."
)


class PizzaBot(ActivityHandler):
    """The code of the order lives in the conversation, the order itself in the shared scope, under
    that code. Loads and saves nothing itself: the middleware does that around every turn."""

    def __init__(self, states: StateScopes) -> None:
        self.states = states
        self.order_code = states.conversation.create_property("orderCode", str)
        # Friends add pizzas at the same moment: "append" keeps all of them.
        self.pizzas = states.shared.create_property(
            "pizzas", list[Pizza], merge="append", expires_after=timedelta(days=1)
        )

    async def on_members_added_activity(
        self, members_added: list[ChannelAccount], turn_context: TurnContext
    ) -> None:
        for member in members_added:
            if member.id != turn_context.activity.recipient.id:
                await turn_context.send_activity(WELCOME)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        text = (turn_context.activity.text or "").strip()
        opening = OPEN.fullmatch(text)
        if opening is not None:
            await self.order_code.set(turn_context, opening[1])
            await self._say(turn_context, WHICH)
            return
        code = await self.order_code.get(turn_context)
        if code is None or not text:
            await turn_context.send_activity(WELCOME)
        elif text.lower() == "order":
            await self._show(turn_context, code)
        elif text.lower() == "confirm":
            await self._confirm(turn_context, code)
        else:
            pizzas = await self.pizzas.at(code).get(turn_context, list)
            pizzas.append(Pizza(text, _name(turn_context.activity.from_property)))
            await self._say(turn_context, ADDED)

    async def _show(self, turn_context: TurnContext, code: str) -> None:
        pizzas = await self.pizzas.at(code).get(turn_context)
        if not pizzas:
            await self._say(turn_context, EMPTY)
            return
        lines = [f"{pizza.name} ({pizza.by})" for pizza in pizzas]
        await turn_context.send_activity("\n".join([f"Order {code}:", *lines]))

    async def _confirm(self, turn_context: TurnContext, code: str) -> None:
        last = await self.pizzas.at(code).query(turn_context, "$[-1]")
        await self._say(turn_context, EMPTY if last is None else LAST)

    async def _say(self, turn_context: TurnContext, template: str) -> None:
        await turn_context.send_activity(await self.states.render(turn_context, template))


def _name(user: ChannelAccount) -> str:
    name: str = user.name or user.id
    return name
