"""A bot's states on Blob, with handlers for a user who is exported or erased."""

from __future__ import annotations

import os
from typing import Any

from botstate_ext import StateScopes, StateUser
from botstate_ext.storage import BlobStorage

STATES = StateScopes(
    BlobStorage(
        connection_string=os.environ["AZURE_STORAGE_CONNECTION_STRING"],
        container_name=os.environ["CONTAINER"],
    )
)
ORDER = STATES.shared.create_property("order")


@ORDER.on_erase
async def forget(work: Any, user: StateUser) -> None:
    await ORDER.at("1").update(work, lambda order: {**order, "by": "someone"})


@ORDER.on_export
async def tell(work: Any, user: StateUser) -> Any:
    return await ORDER.at("1").get(work)
