"""A process that erases a user, and hangs before the deletion with this number.

``eraser.py CONTAINER USER NUMBER``; AZURE_STORAGE_CONNECTION_STRING names the storage.
Prints "hangs" when it does, and otherwise the number of documents it removed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from botstate_ext.storage import BlobStorage
from botstate_ext.testing import FaultyStorage
from tests.patience import extend_default_deadlines
from tests.turns import StateScopes


async def main(container: str, user: str, number: int) -> None:
    connection = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    storage = BlobStorage(connection_string=connection, container_name=container)
    faults = FaultyStorage(storage)
    held = faults.hold("delete", at=number)
    async with StateScopes(faults) as states:
        erasing = asyncio.ensure_future(states.erase_user("test", user))
        reached = asyncio.ensure_future(held.reached())
        await asyncio.wait({erasing, reached}, return_when=asyncio.FIRST_COMPLETED)
        if reached.done():
            print("hangs", flush=True)  # noqa: T201 - for the test
        report = await erasing
        reached.cancel()
        print(len(report.removed))  # noqa: T201 - for the test


if __name__ == "__main__":
    extend_default_deadlines("BlobStorage")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
