"""Runs the handlers of expired properties, under a claim that is renewed while they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
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
"""Waits for this number of seconds."""

_log: Final = logging.getLogger("botstate_ext.expiry")


async def handle(
    work: UnitOfWork,
    document: Document,
    claims: Sequence[Expiring],
    sleep: Sleep,
    host: Host,
) -> list[bool]:
    """Run the handlers of each claim, one after another, and remove each claim once its handlers
    have ended without an error. Return one boolean a claim: True if they have.

    A handler that raises is logged; its claim stays, and is free to be claimed again later.
    """
    outcomes: list[bool] = []
    async with _renewed(work, document, claims, sleep):
        end = 0
        while end < len(claims):
            # Each write costs the whole document. Batches that double keep the cost linear; a
            # batch of one comes first, so that few claims are not handled twice after a crash.
            start, end = end, end + max(1, min(end, len(claims) - end))
            outcomes += await _handle_batch(work, document, claims[start:end], host)
    return outcomes


async def _handle_batch(
    work: UnitOfWork, document: Document, claims: Sequence[Expiring], host: Host
) -> list[bool]:
    """Run the handlers of some claims, then write the outcome of all of them in one step."""
    done: list[Expiring] = []
    failed: list[Expiring] = []
    try:
        for claim in claims:
            is_done = await _run_handlers(document, claim, host)
            (done if is_done else failed).append(claim)
    finally:  # also if this is cancelled: what was handled is not handled again
        if done or failed:
            await rewrite(work, document, lambda found: _concluded(work, found, done, failed))
    ids = {claim.id for claim in done}
    return [claim.id in ids for claim in claims]


async def _run_handlers(document: Document, claim: Expiring, host: Host) -> bool:
    try:
        state = _expired_state(document, claim, host)
        for handler in document.policies.handlers_of(claim.name):
            await call_handler(handler, state)
    except Exception:  # noqa: BLE001 - logged, and what was to be handled is kept
        _log.exception(
            "The handler of the expired property %r (scope %r, key %r) failed.",
            claim.name,
            document.scope,
            document.key,
        )
        return False
    return True


def _expired_state(document: Document, claim: Expiring, host: Host) -> ExpiredState:
    return ExpiredState(
        scope=document.scope,
        key=document.key,
        name=claim.name,
        value=document.codecs.decode(claim.name, bytes(claim.value), claim.version),
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
    """Renew the claims as long as the block runs."""
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


def _concluded(
    work: UnitOfWork, found: Document, done: Collection[Expiring], failed: Collection[Expiring]
) -> Plan | None:
    """Return the plan to remove the claims that are done, and to postpone those that failed.

    A failed one that someone else has claimed since is left alone.
    """
    ids, now = {claim.id for claim in done}, work.clock()
    postponed = {(c.id, c.attempts): pending_expiry.postponed(c, now) for c in failed}
    entries = found.metadata.expiring
    left = [postponed.get((e.id, e.attempts), e) for e in entries if e.id not in ids]
    is_same = len(left) == len(entries) and all(a is b for a, b in zip(left, entries, strict=True))
    return None if is_same else _left(found, left)


def _left(found: Document, entries: list[Expiring]) -> Plan:
    now = found.now
    waiting = [] if now is None else found.newly_expiring(now)
    return remainder(found.stored, [*entries, *waiting])
