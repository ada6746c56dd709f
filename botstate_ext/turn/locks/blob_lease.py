"""BlobLeaseLock: serializes the turns of a conversation across processes, by leases on blobs."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ...clock import Clock, system_clock
from ...documents.metadata import FORMAT, Metadata, render_document, storage_metadata
from ...errors import StateConflictError, StateStorageError
from ...host.bases import Storage
from ...keys.build import document_key
from ...storage.adapt import as_state_storage
from ...storage.blob.blob import BlobStorage
from ...storage.waiting import BackOff
from .base import OnTimeout, TurnKey, TurnLock
from .key_queue import KeyQueue, WaitFor, wait_for

_SHORTEST_LEASE: Final = timedelta(seconds=15)
_LONGEST_LEASE: Final = timedelta(seconds=60)
# Between two looks at a lease that another holds.
_BACK_OFF: Final = BackOff(first=0.05, longest=0.5, steady=0.5)
_RELEASE_SECONDS: Final = 5.0
# After a wait that was cut off, the turn runs without the lock: it has waited long enough.
_WITHDRAW_SECONDS: Final = 1.0
_MOST_CREATIONS: Final = 10
_KEPT: Final = timedelta(days=7)
_log: Final = logging.getLogger("botstate_ext")


class BlobLeaseLock(TurnLock):
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
        storage: Storage | Any,
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
        super().__init__(wait=wait, invoke_wait=invoke_wait, by=by, on_timeout=on_timeout)
        if not _SHORTEST_LEASE <= lease <= _LONGEST_LEASE:
            raise ValueError("lease must be from 15 to 60 seconds, which is what Azure takes.")
        self._storage = _blob_storage(storage)
        self._leases = self._storage.leases()
        self._lease = lease
        self._queue = KeyQueue()
        self._wait_for, self._sleep, self._clock = wait_for, sleep, clock

    @asynccontextmanager
    async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
        claim = _Claim(key, document_key("lock", key), str(uuid.uuid4()))
        if not await self._take_within(claim, wait.total_seconds()):
            yield False
            return
        renewing = asyncio.ensure_future(self._keep_renewing(claim))
        try:
            yield True
        finally:
            renewing.cancel()
            try:
                await asyncio.wait((renewing,))
            finally:
                await self._give_back(claim, _RELEASE_SECONDS)

    async def _take_within(self, claim: _Claim, seconds: float) -> bool:
        taking = asyncio.ensure_future(self._take(claim))
        try:
            await self._wait_for(taking, seconds)
        except BaseException:
            await _cancelled(taking, claim)
            if not taking.cancelled() and taking.exception() is None:
                await self._give_back(claim, _RELEASE_SECONDS)
            raise
        await _cancelled(taking, claim)
        if taking.cancelled():
            return False
        taking.result()
        return True

    async def _take(self, claim: _Claim) -> None:
        # The turns of this process queue first, so that each process asks for the lease once.
        await self._queue.take(claim.key)
        try:
            await self._acquire(claim)
        except BaseException:
            # A request that was cancelled, or whose answer was lost, may have been carried out.
            await self._give_back(claim, _WITHDRAW_SECONDS)
            raise

    async def _acquire(self, claim: _Claim) -> None:
        """Ask for the lease until it is held.

        :raises StateStorageError: the storage failed, or the blob is missing again and again.
        """
        creations = 0
        for pause in _BACK_OFF.waits():
            is_leased = await self._leases.acquire(claim.blob, claim.lease_id, self._lease)
            if not claim.is_wanted:
                # Before Python 3.12 asyncio.wait_for can swallow a cancellation.
                raise asyncio.CancelledError
            if is_leased:
                return
            if is_leased is None:
                if creations == _MOST_CREATIONS:
                    reason = f"its blob is missing, although it was created {creations} times."
                    raise StateStorageError("lease", claim.blob, reason)
                await self._create(claim.blob)
                creations += 1
                if creations == 1:
                    continue  # the first turn of a conversation: nobody else wants the lease
            await self._sleep(pause)

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

    async def _keep_renewing(self, claim: _Claim) -> None:
        while True:
            await self._sleep(self._lease.total_seconds() / 3)
            try:
                if not await self._leases.renew(claim.blob, claim.lease_id):
                    _log.warning(
                        "A turn of %r lost its lease and runs on beside another. ETags protect "
                        "what both change. Did its process stand still?",
                        claim.key,
                    )
                    return
            except StateStorageError as error:
                _log.warning("A lease was not renewed, and is tried again: %s", error)

    async def _give_back(self, claim: _Claim, seconds: float) -> None:
        """Release the lease, trying for so many seconds, and the place in this process."""
        try:
            await asyncio.wait_for(self._leases.release(claim.blob, claim.lease_id), seconds)
        except (StateStorageError, asyncio.TimeoutError) as error:
            _log.warning(
                "A lease was not released; it ends by itself in %g s: %s",
                self._lease.total_seconds(),
                error,
            )
        finally:
            self._queue.pass_on(claim.key)

    def __repr__(self) -> str:
        return f"<BlobLeaseLock, {len(self._queue)} held or wanted here>"


@dataclass(slots=True)
class _Claim:
    key: str
    blob: str
    lease_id: str
    is_wanted: bool = True


async def _cancelled(taking: asyncio.Task[None], claim: _Claim) -> None:
    """Cancel the task if it still waits, and wait until it has ended."""
    if not taking.done():
        claim.is_wanted = False
        taking.cancel()
        await asyncio.wait((taking,))


def _blob_storage(storage: Any) -> BlobStorage:
    if not isinstance(storage, Storage):
        return BlobStorage(container_client=storage)
    found = as_state_storage(storage)
    if not isinstance(found, BlobStorage):
        raise TypeError(
            f"BlobLeaseLock needs Blob storage, not {type(storage).__name__}. For another kind, "
            "write a TurnLock of your own; within one process, InProcessTurnLock."
        )
    return found
