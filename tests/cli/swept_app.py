"""A bot's states on Blob, as a command finds them. The environment says what the test wants."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta, timezone

from botstate_ext import ExpiredState, StateScopes
from botstate_ext.storage import BlobStorage

HOUR = timedelta(hours=1)
LATER = timedelta(seconds=int(os.environ.get("LATER", "0")))

STATES = StateScopes(
    BlobStorage(
        connection_string=os.environ["AZURE_STORAGE_CONNECTION_STRING"],
        container_name=os.environ["CONTAINER"],
    ),
    clock=lambda: datetime.now(timezone.utc) + LATER,
)
ORDER = STATES.shared.create_property("order", str, expires_after=HOUR)


@ORDER.on_expired
async def tell(state: ExpiredState) -> None:
    print(f"attempt {state.attempt}: {state.value}", flush=True)  # noqa: T201 - for the test
    if "HANG" in os.environ:
        await asyncio.Event().wait()
    if "FAIL" in os.environ:
        raise RuntimeError("told to fail")
