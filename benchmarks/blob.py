"""Turns on Blob beside upstream's, on one Azurite: `python -m benchmarks blob`. A turn reads two
properties, one of the user and one of the conversation, and changes the second."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from statistics import median
from typing import Any, Final, NamedTuple

from botbuilder.core import TurnContext

from botstate_ext.storage import BlobStorage
from tests import azurite

from . import report, turns

ROUNDS: Final = 5
ALONE, CROWD = 20, 256  # turns of one round
CONVERSATIONS: Final = 64
AT_LEAST, AT_MOST = "1.6 (2.5)", "0.6 (0.4)"


class Pace(NamedTuple):
    """The cost of turns."""

    per_second: float
    cpu: float
    """Seconds of processor time of a turn, in this process only."""


class Contender:
    """A bot on a container of its own."""

    def __init__(self, bot: turns.Bot) -> None:
        self.bot = bot
        self._profile = bot.user.create_property("profile")
        self._cart = bot.conversation.create_property("cart")

    async def turn(self, conversation: str) -> None:
        async def logic(turn: TurnContext) -> None:
            await self._profile.get(turn, dict)
            cart = await self._cart.get(turn, dict)
            cart["items"] = cart.get("items", 0) + 1

        await self.bot.turn(logic, conversation)

    async def pace(self, conversations: int, count: int) -> Pace:
        """Run so many turns, those of different conversations at once."""

        async def one_by_one(name: str) -> None:
            for _ in range(count // conversations):
                await self.turn(name)

        begun, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one_by_one(f"c{number}") for number in range(conversations)))
        return Pace(count / (time.perf_counter() - begun), (time.process_time() - cpu) / count)


async def measure(connection_string: str) -> list[list[str]]:
    """Return the rows of the table. Both sides take turns, so that the machine's load hits both."""
    async with AsyncExitStack() as stack:
        ours = BlobStorage(
            connection_string=connection_string, container_name=f"ours-{uuid.uuid4().hex}"
        )
        await stack.enter_async_context(ours)
        theirs = _upstream_storage(connection_string)
        stack.push_async_callback(_close, theirs)
        both = Contender(turns.upstream(theirs)), Contender(turns.ours(ours))
        for each in both:
            await each.pace(1, 3)
        rows = []
        for name, conversations, count in (
            ("alone", 1, ALONE),
            (f"{CONVERSATIONS} conversations", CONVERSATIONS, CROWD),
        ):
            rounds = [
                [await each.pace(conversations, count) for each in both] for _ in range(ROUNDS)
            ]
            rows.append(_row(name, rounds))
        return rows


def _row(name: str, rounds: list[list[Pace]]) -> list[str]:
    def middle(of: Callable[[list[Pace]], float]) -> float:
        return median(of(each) for each in rounds)

    shares = sorted(ours.cpu / theirs.cpu for theirs, ours in rounds)
    ratios = sorted(ours.per_second / theirs.per_second for theirs, ours in rounds)
    return [
        name,
        f"{middle(lambda each: each[0].per_second):.0f}",
        f"{middle(lambda each: each[1].per_second):.0f}",
        f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        AT_LEAST,
        f"{1000 * middle(lambda each: each[0].cpu):.1f} ms",
        f"{1000 * middle(lambda each: each[1].cpu):.1f} ms",
        f"{median(shares):.2f} ({shares[0]:.2f} to {shares[-1]:.2f})",
        AT_MOST,
    ]


def _upstream_storage(connection_string: str) -> Any:
    from botbuilder.azure import BlobStorage as UpstreamBlobStorage
    from botbuilder.azure import BlobStorageSettings

    container = f"theirs-{uuid.uuid4().hex}"
    settings = BlobStorageSettings(container, connection_string=connection_string)
    return UpstreamBlobStorage(settings)


async def _close(storage: Any) -> None:
    """Close upstream's connections: it has no method for that, and its client does not own them."""
    await storage._BlobStorage__container_client._pipeline._transport._transport.close()


def main() -> None:
    program = azurite.find_azurite()
    if program is None:
        sys.exit("No Azurite: `make azurite` installs it, or name its azurite-blob in AZURITE.")
    with azurite.running_azurite(program) as endpoint:
        rows = asyncio.run(measure(azurite.connection_string(endpoint)))
    heads = (
        *("", "upstream, turns/s", "botstate_ext, turns/s"),
        *("times faster (spread)", "at least (goal)"),
        *("upstream, CPU a turn", "botstate_ext, CPU a turn", "ratio (spread)", "at most (goal)"),
    )
    print(
        report.table(f"Turns on Azurite, medians of {ROUNDS} rounds, {report.load()}", heads, rows)
    )


if __name__ == "__main__":
    main()
