"""Sweeps a storage: finds expired properties, calls their handlers, deletes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final, TypeAlias

from ..documents import metadata, pending_expiry
from ..documents.document import Document
from ..documents.pending_expiry import Expiring
from ..documents.policy import Policies
from ..errors import StateDecodeError, reason_of
from ..storage.base import ItemInfo
from ..storage.parallel import for_each
from ..unit_of_work.rewrite import remainder, rewrite
from ..unit_of_work.work import UnitOfWork
from ..unit_of_work.workspace import Workspace
from ..unit_of_work.write_loop import Plan, fill
from .expiry_handlers import Sleep, handle

_log: Final = logging.getLogger("botstate_ext.expiry")


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Counts the results of one sweep.

    - ``seen``: documents that the sweep looked at. Where the storage has an index of what is due
      (all but Blob), these are the documents that are due or have no metadata of ours; elsewhere
      all documents. A storage that routes adds up those of its parts.
    - ``expired``: expired properties, with those whose handlers are due again.
    - ``removed``: expired properties that are deleted now.
    - ``handlers_run``: deleted properties whose handlers ran.
    - ``skipped``: properties that stay because this process does not have their handler.
    - ``failed``: handlers that raised, and documents that could not be read or written.
    - ``seconds``: the duration of the sweep.
    """

    seen: int = 0
    expired: int = 0
    removed: int = 0
    failed: int = 0
    skipped: int = 0
    handlers_run: int = 0
    seconds: float = 0.0


OnProgress: TypeAlias = Callable[[SweepReport], object]
"""Called with the counts so far."""

Unmarked: TypeAlias = dict[str, tuple[str, str]]
"""For each document without our metadata: the ETag that it was read under, and when it is due."""


class Sweep:
    """Runs one sweep over a storage. ``scopes``: the policies of each scope, by its name."""

    def __init__(
        self,
        workspace: Workspace,
        scopes: Mapping[str, Policies],
        *,
        dry_run: bool,
        unmarked: Unmarked,
        parallel: int,
        per_second: float,
        on_progress: OnProgress | None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if parallel < 1 or per_second <= 0:
            raise ValueError("parallel must be at least 1, and per_second more than 0.")
        self._workspace, self._scopes, self._dry_run = workspace, scopes, dry_run
        self._read_before, self.unmarked = unmarked, Unmarked()
        self._parallel = parallel
        self._pause, self._next_start = 1 / per_second, 0.0
        self._on_progress, self._sleep = on_progress, sleep
        self._counts: dict[str, int] = {}
        self._started = monotonic()

    async def run(self) -> SweepReport:
        """Sweep the storage and return the report.

        :raises StateStorageError: the storage could not be listed.
        """
        self._until = metadata.expiry_text(self._workspace.clock())
        async for page in self._workspace.storage.list_due(metadata.NEXT_EXPIRY, self._until):
            self._count("seen", page.seen)
            due = [item for item in page.items if self._is_due(item)]
            await for_each(due, self._in_turn, parallel=self._parallel)
            self._report_progress()
        return self._report()

    def _is_due(self, item: ItemInfo) -> bool:
        """Return False if an earlier sweep has read this document and it need not be read again.

        Such a document has no metadata of ours, has not changed since, and is not due yet.
        """
        known = self._read_before.get(item.key)
        if metadata.NEXT_EXPIRY in item.metadata or known is None or known[0] != item.etag:
            return True
        if known[1] <= self._until:
            return True
        self.unmarked[item.key] = known
        return False

    async def _in_turn(self, item: ItemInfo) -> None:
        start = self._next_start = max(self._next_start + self._pause, monotonic())
        if start > monotonic():
            await self._sleep(start - monotonic())
        try:
            await self._one(item)
        except StateDecodeError as error:
            self._undecodable(item, error)
        except Exception as error:  # noqa: BLE001 - counted and logged; the others are still swept
            self._count("failed")
            reason = reason_of(error)
            _log.warning("A sweep could not do a document (key %r): %s", item.key, reason)
        self._report_progress()

    async def _one(self, info: ItemInfo) -> None:
        work = self._workspace.outside()
        item = await self._workspace.storage.get(info.key)
        if item is None:
            return
        document = Document(info.key, "", Policies(self._workspace.undeclared_policy()))
        fill(document, item, work.clock())
        scope = document.metadata.scope
        if scope in self._scopes:
            document.assign_scope(scope, self._scopes[scope])
        elif scope:
            document.assign_scope(scope, document.policies)
        if metadata.NEXT_EXPIRY not in info.metadata and not document.expired:
            due = metadata.expiry_text(document.metadata.next_expiry())
            self.unmarked[info.key] = (item.etag, due)
        step = _Step(document)
        self._count("expired", step.expired)
        self._count("skipped", step.skipped)
        if not self._dry_run:
            await self._carry_out(work, document)

    async def _carry_out(self, work: UnitOfWork, document: Document) -> None:
        step = _Step(document)

        def decide(found: Document) -> Plan | None:
            nonlocal step
            step = _Step(found)
            return step.remainder

        if not await rewrite(work, document, decide):
            return
        self._count("removed", step.dropped)
        if step.claims:
            outcomes = await handle(work, document, step.claims, self._sleep, self._workspace.host)
            self._count("removed", sum(outcomes))
            self._count("handlers_run", sum(outcomes))
            self._count("failed", len(outcomes) - sum(outcomes))

    def _undecodable(self, item: ItemInfo, error: StateDecodeError) -> None:
        if metadata.NEXT_EXPIRY in item.metadata:
            self._count("failed")
            _log.warning("A sweep could not read a document, and left it as it was: %s", error)
        else:  # not a document at all, as far as anyone knows: a transcript, a lock
            self.unmarked[item.key] = (item.etag, metadata.NEVER)

    def _count(self, name: str, number: int = 1) -> None:
        self._counts[name] = self._counts.get(name, 0) + number

    def _report_progress(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._report())

    def _report(self) -> SweepReport:
        return SweepReport(**self._counts, seconds=monotonic() - self._started)


class _Step:
    """Decides what a sweep does with one document.

    A property stays if this process does not have its handler, unless the document is written
    anyway.
    """

    def __init__(self, document: Document) -> None:
        now, policies = document.now, document.policies
        assert now is not None, "it was read"
        ended = document.newly_expiring(now)
        due = [e for e in document.metadata.expiring if e.until is None or now >= e.until]
        found = [*due, *ended]
        self.expired = len(document.expired) + len(due)
        self.dropped = len(document.expired) - len(ended)
        mine = {e.id for e in found if policies.has_handler(e.name)}
        self.skipped = len(found) - len(mine)
        everything = [*document.metadata.expiring, *ended]
        left = [pending_expiry.claimed(e, now) if e.id in mine else e for e in everything]
        self.claims: list[Expiring] = [entry for entry in left if entry.id in mine]
        is_over = not (document.stored or everything or document.metadata.handled_at(now))
        has_marks_only = is_over and bool(document.metadata.handled)
        has_work = self.dropped > 0 or bool(mine) or has_marks_only
        self.remainder = remainder(document.stored, left) if has_work else None
