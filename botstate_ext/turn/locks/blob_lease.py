"""BlobLeaseLock: serializes the turns of a conversation across processes, by leases on blobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from ...clock import Clock, system_clock
from ...documents.metadata import FORMAT, Metadata, render_document, storage_metadata
from ...errors import StateConflictError, StateStorageError
from ...keys.build import document_key
from ...storage.adapt import as_state_storage, is_storage
from ...storage.blob.blob import BlobStorage
from ...storage.waiting import BackOff
from ...storage.warm import without_cache
from .base import OnTimeout, TurnKey
from .key_queue import WaitFor, wait_for
from .lease import Claim, LeaseLock

_SHORTEST_LEASE: Final = timedelta(seconds=15)
_LONGEST_LEASE: Final = timedelta(seconds=60)
# Between two looks at a lease that another holds.
_BACK_OFF: Final = BackOff(first=0.05, longest=0.5, steady=0.5)
_MOST_CREATIONS: Final = 10
_KEPT: Final = timedelta(days=7)


class BlobLeaseLock(LeaseLock):
    """Runs the turns of a conversation one after another, in all processes that use one container.

    ``storage``: the app's Blob storage (the SDK's or ours), or an ``aio.ContainerClient``. Each
    conversation has a small blob there, ``lock/{conversation}``, which the turn leases and renews
    while it runs. Sweeps remove it when it is a week old and not in use; the next turn makes it
    again.

    ``lease``: 15 to 60 seconds. If a process dies in a turn, others get the lock after that time. A
    turn whose process stands still for longer loses the lock to another turn; then both run, a
    warning is logged, and ETags decide. See `TurnLock` for the other options.

    It costs a request before the turn and one after it, and a few more while it waits or runs. The
    turns of one process run in order; between processes the order is random.
    ``wait_for``, ``sleep`` and ``clock`` are for tests.

    :raises TypeError: ``storage`` is not on Blob.
    :raises ValueError: ``lease`` is too short or too long.
    """

    def __init__(
        self,
        storage: Any,
        *,
        wait: timedelta = timedelta(seconds=10),
        invoke_wait: timedelta = timedelta(seconds=2),
        by: TurnKey | None = None,
        on_timeout: OnTimeout = "proceed",
        lease: timedelta = _SHORTEST_LEASE,
        wait_for: WaitFor = wait_for,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Clock = system_clock,
    ) -> None:
        if not _SHORTEST_LEASE <= lease <= _LONGEST_LEASE:
            raise ValueError("lease must be from 15 to 60 seconds, which is what Azure takes.")
        super().__init__(
            wait=wait,
            invoke_wait=invoke_wait,
            by=by,
            on_timeout=on_timeout,
            lease=lease,
            back_off=_BACK_OFF,
            wait_for=wait_for,
            sleep=sleep,
        )
        self._storage = _blob_storage(storage)
        self._leases = self._storage.leases()
        self._clock = clock

    async def _ask(self, claim: Claim) -> bool:
        blob = _blob_of(claim)
        for creations, pause in enumerate(self._back_off.waits()):
            is_leased = await self._leases.acquire(blob, claim.id, self._lease)
            if is_leased is not None:
                return is_leased
            if creations == _MOST_CREATIONS:
                break
            await self._create(blob)
            if creations > 0:  # at first nobody else wants the lease
                await self._sleep(pause)
        reason = f"its blob is missing, although it was created {_MOST_CREATIONS} times."
        raise StateStorageError("lease", blob, reason)

    async def _renew(self, claim: Claim) -> bool:
        return await self._leases.renew(_blob_of(claim), claim.id)

    async def _release(self, claim: Claim) -> None:
        await self._leases.release(_blob_of(claim), claim.id)

    async def _create(self, blob: str) -> None:
        # A document with one mark that expires, so that sweeps know when to remove it.
        until = (self._clock() + _KEPT).replace(microsecond=0)
        content = Metadata(v=FORMAT, handled={"lock": until})
        with suppress(StateConflictError):  # another was faster, which is as good
            await self._storage.put_if(
                blob,
                render_document({}, content),
                etag=None,
                metadata=storage_metadata({}, content),
            )


def _blob_of(claim: Claim) -> str:
    return document_key("lock", claim.key)


def _blob_storage(storage: Any) -> BlobStorage:
    if not is_storage(storage):
        return BlobStorage(container_client=storage)
    found = without_cache(as_state_storage(storage))
    if not isinstance(found, BlobStorage):
        raise TypeError(
            f"BlobLeaseLock needs Blob storage, not {type(storage).__name__}. For another kind, "
            "write a TurnLock of your own; within one process, InProcessTurnLock."
        )
    return found
