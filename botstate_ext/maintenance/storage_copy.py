"""Copies a storage to another: every item with its metadata, which holds when it expires."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final, TypeAlias

from ..errors import StateConflictError, reason_of
from ..serialization import json_text
from ..storage.base import ItemInfo, StateStorage, StoredItem
from ..storage.parallel import for_each
from .problems import Problem, ProblemsSoFar

PAGE: Final = 500
"""Items in a page. A copy that is interrupted and resumed looks at its last page again."""

_MOST_ATTEMPTS: Final = 10
_DIFFERENT: Final = (
    "the target has another item of this key. It was left there: overwrite it, or delete it."
)
_log: Final = logging.getLogger("botstate_ext.copy")


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Counts the results of one copy, and lists its problems.

    - ``seen``: items of the source. ``copied``: items that were written to the target, or in a dry
      run would be; ``bytes``: of their bodies. ``unchanged``: items that the target had already.
      ``gone``: items that were deleted from the source after they were listed.
    - ``problems``: items that could not be read or written, or that the target has otherwise; the
      target has of them what it had.
    - ``resume``: pass it to the next copy if this one is interrupted; None: from the start.
    - ``seconds``: the duration of the copy.
    """

    seen: int = 0
    copied: int = 0
    unchanged: int = 0
    gone: int = 0
    bytes: int = 0
    problems: Sequence[Problem] = field(default=(), repr=False)
    resume: str | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Return the number of items that were not copied because of a problem."""
        return len(self.problems)


OnCopied: TypeAlias = Callable[[CopyReport], object]
"""Called with the report so far."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """Holds the options of a copy.

    ``overwrite``: replace an item that the target has otherwise, under its ETag. ``parallel``:
    items at a time. ``resume``: of the report of a copy that was interrupted.
    """

    dry_run: bool = False
    overwrite: bool = False
    parallel: int = 16
    resume: str | None = None
    on_progress: OnCopied | None = None


class StorageCopy:
    """Runs one copy. The source is only read. It can be run again at any time: an item that the
    target has already is left alone.

    :raises ValueError: ``parallel`` is not positive, or the source cannot list its items.
    """

    def __init__(self, source: StateStorage, target: StateStorage, options: CopyOptions) -> None:
        if options.parallel < 1:
            raise ValueError("parallel must be at least 1.")
        if not source.lists:
            raise ValueError("The source cannot list its items.")
        self._source, self._target, self._options = source, target, options
        self._are_bytes_kept = source.any_bytes and target.any_bytes
        self._is_metadata_kept = source.metadata and target.metadata
        self._problems: list[Problem] = []
        self._report = CopyReport(resume=options.resume)
        self._started = monotonic()

    async def run(self) -> CopyReport:
        """Copy the items and return the report.

        :raises StateStorageError: the source could not be listed, or the target not be reached.
        """
        if self._target.lists:
            await self._target.list_page(limit=1)  # else each item would wait for its deadline
        token = self._options.resume
        while True:
            page = await self._source.list_page(limit=PAGE, continuation_token=token)
            await for_each(page.items, self._in_turn, parallel=self._options.parallel)
            token = page.continuation_token
            self._note(resume=token)
            if token is None:
                return replace(self._report, problems=tuple(self._problems))

    async def _in_turn(self, info: ItemInfo) -> None:
        counted: dict[str, object] = {}
        try:
            outcome, size = await self._one(info.key)
        except Exception as error:  # noqa: BLE001 - reported and logged; the others are still done
            problem = Problem(info.key, reason_of(error))
            self._problems.append(problem)
            counted["problems"] = ProblemsSoFar(self._problems)
            _log.warning("An item was not copied (key %r): %s", *problem)
        else:
            counted[outcome] = getattr(self._report, outcome) + 1
            counted["bytes"] = self._report.bytes + size
        self._note(seen=self._report.seen + 1, **counted)

    async def _one(self, key: str) -> tuple[str, int]:
        """Copy one item. Return where it counts, and the bytes that were written."""
        item = await self._source.get(key)
        if item is None:
            return "gone", 0
        maybe_written = False
        for _ in range(_MOST_ATTEMPTS):
            stored = await self._target.get(key)
            if stored is not None and self._is_same(item, stored):
                return ("copied", len(item.data)) if maybe_written else ("unchanged", 0)
            if stored is not None and not self._options.overwrite:
                raise StateConflictError(_DIFFERENT, key=key)
            if self._options.dry_run:
                return "copied", len(item.data)
            try:
                etag = None if stored is None else stored.etag
                await self._target.put_if(key, item.data, etag=etag, metadata=item.metadata)
            except StateConflictError as error:
                maybe_written = maybe_written or error.maybe_written
            else:
                return "copied", len(item.data)
        raise StateConflictError("others keep writing this item to the target.", key=key)

    def _is_same(self, item: StoredItem, stored: StoredItem) -> bool:
        if self._is_metadata_kept and item.metadata != stored.metadata:
            return False
        if item.data == stored.data:
            return True
        if self._are_bytes_kept:
            return False
        return bool(json_text.loads(item.data) == json_text.loads(stored.data))

    def _note(self, **changes: object) -> None:
        changes["seconds"] = monotonic() - self._started
        self._report = replace(self._report, **changes)  # type: ignore[arg-type]  # by name
        if self._options.on_progress is not None:
            self._options.on_progress(self._report)
