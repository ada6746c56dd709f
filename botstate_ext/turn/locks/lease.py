"""LeaseLock: the part that all locks across processes share."""

from __future__ import annotations

import asyncio
import logging
import uuid
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ...errors import StateStorageError
from ...storage.waiting import BackOff
from .base import OnTimeout, TurnKey, TurnLock
from .key_queue import KeyQueue, WaitFor, wait_for

_RELEASE_SECONDS: Final = 5.0
# After a wait that was cut off, the turn runs without the lock: it has waited long enough.
_WITHDRAW_SECONDS: Final = 1.0
_log: Final = logging.getLogger("botstate_ext")


@dataclass(slots=True)
class Claim:
    """One turn's claim to the lease of its key. ``id``, a GUID, tells it from those of others."""

    key: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    is_wanted: bool = True


class LeaseLock(TurnLock):
    """Base of the locks of several processes: a turn asks for a lease until it has it, renews it
    while it runs, and releases it. The turns of one process queue first, so that each process asks
    once.

    ``lease``: how long it holds without being renewed. It is renewed three times in this time.
    ``back_off``: the waits between two looks at a lease that another holds. See `TurnLock` for the
    other options; ``wait_for`` and ``sleep`` are for tests.
    """

    def __init__(
        self,
        *,
        wait: timedelta,
        invoke_wait: timedelta,
        by: TurnKey | None,
        on_timeout: OnTimeout,
        lease: timedelta,
        back_off: BackOff,
        wait_for: WaitFor = wait_for,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(wait=wait, invoke_wait=invoke_wait, by=by, on_timeout=on_timeout)
        self._lease, self._back_off = lease, back_off
        self._queue = KeyQueue()
        self._wait_for, self._sleep = wait_for, sleep

    @abstractmethod
    async def _ask(self, claim: Claim) -> bool:
        """Ask for the lease once. Return False if another holds it.

        :raises StateStorageError: it failed; the lease may have been given all the same.
        """

    @abstractmethod
    async def _renew(self, claim: Claim) -> bool:
        """Extend the lease. Return False if it is lost.

        :raises StateStorageError: it failed, and may succeed later.
        """

    @abstractmethod
    async def _release(self, claim: Claim) -> None:
        """Release the lease. If it is not held, do nothing.

        :raises StateStorageError: it failed; the lease ends by itself.
        """

    @asynccontextmanager
    async def hold(self, key: str, wait: timedelta) -> AsyncIterator[bool]:
        claim = Claim(key)
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

    def _own_end(self) -> str:
        """Return when a lease ends that could not be released."""
        return f"by itself within {self._lease.total_seconds():g} s"

    async def _take_within(self, claim: Claim, seconds: float) -> bool:
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

    async def _take(self, claim: Claim) -> None:
        # The turns of this process queue first, so that each process asks for the lease once.
        await self._queue.take(claim.key)
        try:
            await self._ask_until_held(claim)
        except BaseException:
            # A request that was cancelled, or whose answer was lost, may have been carried out.
            await self._give_back(claim, _WITHDRAW_SECONDS)
            raise

    async def _ask_until_held(self, claim: Claim) -> None:
        for pause in self._back_off.waits():
            is_leased = await self._ask(claim)
            if not claim.is_wanted:
                # Before Python 3.12 asyncio.wait_for can swallow a cancellation.
                raise asyncio.CancelledError
            if is_leased:
                return
            await self._sleep(pause)

    async def _keep_renewing(self, claim: Claim) -> None:
        while True:
            await self._sleep(self._lease.total_seconds() / 3)
            try:
                if not await self._renew(claim):
                    _log.warning(
                        "A turn of %r lost its lease and runs on beside another. ETags protect "
                        "what both change. Did its process stand still?",
                        claim.key,
                    )
                    return
            except StateStorageError as error:
                _log.warning("A lease was not renewed, and is tried again: %s", error)
            except Exception:  # noqa: BLE001 - a task of its own: nobody would hear of it
                _log.exception("A lease was not renewed, and is tried again.")

    async def _give_back(self, claim: Claim, seconds: float) -> None:
        """Release the lease, trying for so many seconds, and the place in this process."""
        try:
            await asyncio.wait_for(self._release(claim), seconds)
        except (StateStorageError, asyncio.TimeoutError) as error:
            _log.warning("A lock was not released. It ends %s: %s", self._own_end(), error)
        finally:
            self._queue.pass_on(claim.key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {len(self._queue)} held or wanted here>"


async def _cancelled(taking: asyncio.Task[None], claim: Claim) -> None:
    """Cancel the task if it still waits, and wait until it has ended."""
    if not taking.done():
        claim.is_wanted = False
        taking.cancel()
        await asyncio.wait((taking,))
