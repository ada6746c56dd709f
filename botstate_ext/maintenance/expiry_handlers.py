"""Running the handlers of what has expired, under a claim that is renewed while they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from ..documents import pending_expiry
from ..documents.document import Document
from ..documents.pending_expiry import CLAIM, Expiring
from ..documents.policy import Policies
from ..errors import StateError
from ..host.protocol import Host
from ..storage.waiting import call_handler
from ..unit_of_work.rewrite import remainder, rewrite
from ..unit_of_work.work import UnitOfWork
from ..unit_of_work.write_loop import Plan
from .expired import ExpiredState

Sleep: TypeAlias = Callable[[float], Awaitable[object]]
"""Waits for so many seconds."""

_log: Final = logging.getLogger("botstate_ext.expiry")


async def handle(
    work: UnitOfWork,
    document: Document,
    claims: Collection[Expiring],
    sleep: Sleep,
    host: Host,
) -> list[bool]:
    """Run the handlers of each claim, one after another, and take out those that ran to their end.

    One that raises is logged, stays, and is free to be claimed again later.
    """
    async with _renewed(work, document, claims, sleep):
        return [await _handle_one(work, document, claim, host) for claim in claims]


async def _handle_one(work: UnitOfWork, document: Document, claim: Expiring, host: Host) -> bool:
    place = (claim.name, document.scope, document.key)
    try:
        state = _expired_state(document, claim, host)
        for handler in document.policies.handlers_of(claim.name):
            await call_handler(handler, state)
    except Exception:  # noqa: BLE001 - logged, and what was to be handled is kept
        _log.exception("The handler of the expired property %r (scope %r, key %r) failed.", *place)
        await rewrite(work, document, lambda found: _postponed(work, found, claim))
        return False
    await rewrite(work, document, lambda found: _without(found, claim))
    return True


def _expired_state(document: Document, claim: Expiring, host: Host) -> ExpiredState:
    return ExpiredState(
        scope=document.scope,
        key=document.key,
        name=claim.name,
        value=document.decode(claim.name, bytes(claim.value), claim.version),
        created=claim.created,
        updated=claim.updated,
        expired=claim.expired,
        reference=host.to_reference(claim.reference),
        id=claim.id,
        attempt=claim.attempts,
    )


@asynccontextmanager
async def _renewed(
    work: UnitOfWork, document: Document, claims: Collection[Expiring], sleep: Sleep
) -> AsyncIterator[None]:
    """Claims that do not run out meanwhile."""
    task = asyncio.ensure_future(
        _renew(work, document.key, document.scope, document.policies, claims, sleep)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _renew(
    work: UnitOfWork,
    key: str,
    scope: str,
    policies: Policies,
    claims: Collection[Expiring],
    sleep: Sleep,
) -> None:
    ids = {claim.id: claim.attempts for claim in claims}
    while True:
        await sleep(CLAIM.total_seconds() / 3)
        # A document of its own: the other one is busy with what the handlers leave behind.
        document = Document(key, scope, policies)
        try:
            await rewrite(work, document, lambda found: _prolonged(work, found, ids))
        except StateError as error:
            _log.warning(
                "A claim on what has expired could not be renewed (key %r): %s", key, error
            )


def _prolonged(work: UnitOfWork, found: Document, ids: dict[str, int]) -> Plan | None:
    entries = found.metadata.expiring
    if not any(ids.get(entry.id) == entry.attempts for entry in entries):
        return None
    now = work.clock()
    return _left(
        found,
        [pending_expiry.renewed(e, now) if ids.get(e.id) == e.attempts else e for e in entries],
    )


def _postponed(work: UnitOfWork, found: Document, claim: Expiring) -> Plan | None:
    entries = found.metadata.expiring
    mine = [e for e in entries if (e.id, e.attempts) == (claim.id, claim.attempts)]
    if not mine:
        return None  # someone else has claimed it since, or has handled it
    later = pending_expiry.postponed(claim, work.clock())
    return _left(found, [later if entry is mine[0] else entry for entry in entries])


def _without(found: Document, claim: Expiring) -> Plan | None:
    entries = found.metadata.expiring
    left = [entry for entry in entries if entry.id != claim.id]
    return None if len(left) == len(entries) else _left(found, left)


def _left(found: Document, entries: list[Expiring]) -> Plan:
    now = found.now
    waiting = [] if now is None else found.newly_expiring(now)
    return remainder(found.stored, [*entries, *waiting])
