"""A process that appends to one shared document, one turn at a time.

``appender.py KIND CONTAINER HOW WORKER APPENDS``: KIND is a Blob storage of ``backends``, HOW is
``update`` or ``merge``. AZURE_STORAGE_CONNECTION_STRING names the account. Prints what was
acknowledged, one a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial

from botstate_ext import StateScopes
from tests.backends import blob
from tests.patience import extend_default_deadlines
from tests.turns import context


async def main(kind: str, container: str, how: str, worker: str, *, appends: int) -> None:
    storage = blob(kind, os.environ["AZURE_STORAGE_CONNECTION_STRING"], container)
    async with StateScopes(storage) as states:
        order = states.shared.create_property("order", list[str], merge="append").at("1")
        for number in range(appends):
            item, turn = f"{worker}.{number}", context()
            if how == "update":
                await order.update(turn, partial(_with, item), default=list)
            else:
                (await order.get(turn, list)).append(item)
                await states.shared.save_changes(turn)
            sys.stdout.write(f"{item}\n")


def _with(item: str, items: list[str]) -> list[str]:
    return [*items, item]


if __name__ == "__main__":
    extend_default_deadlines("BlobStorage")
    *names, appends = sys.argv[1:]
    asyncio.run(main(*names, appends=int(appends)))
