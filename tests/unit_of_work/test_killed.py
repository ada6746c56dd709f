"""A process is killed while its turns write three documents each: each turn is there whole, or not
at all, and each acknowledged one is there."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from botstate_ext.storage import SQLiteStorage
from tests.turns import StateScopes, context


@pytest.mark.parametrize("mode", [[], ["replay"]], ids=str)
@pytest.mark.parametrize(
    "kills", [3, pytest.param(30, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_a_turn_of_three_documents_is_there_whole_or_not_at_all(
    tmp_path: Path, kills: int, mode: list[str]
) -> None:
    path = tmp_path / "bot.db"
    for _ in range(kills):
        writer = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.unit_of_work.whole_writer",
            str(path),
            *mode,
            stdout=asyncio.subprocess.PIPE,
        )
        assert writer.stdout is not None
        acknowledged = 0
        for _ in range(random.randrange(1, 20)):
            acknowledged = int(await writer.stdout.readline())
        # From here on nobody waits: it dies wherever in its next turns it happens to be.
        writer.kill()
        rest = (await writer.stdout.read()).split()
        await writer.wait()
        acknowledged = max([acknowledged, *map(int, rest)])
        async with SQLiteStorage(path) as storage:
            number = StateScopes(storage).shared.create_property("n", int)
            found = [await number.at(id_).get(context()) for id_ in "abc"]
        assert found in ([acknowledged] * 3, [acknowledged + 1] * 3)
