"""Changing a stored document that no turn holds: read, decide, write under its ETag; again if
someone was faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from ..documents.document import Document
from ..documents.pending_expiry import Expiring
from .commit import Work, arrived, beaten, put, refresh

MAX_ATTEMPTS: Final = 10


class Remainder(NamedTuple):
    """What is to be left of a document."""

    stored: dict[str, bytes]
    expiring: list[Expiring]


Decision: TypeAlias = Callable[[Document], "Remainder | None"]
"""What is to be left of a document as it is stored now; None: it is fine as it is."""


async def tidy(work: Work, document: Document, decide: Decision) -> bool:
    """Write what ``decide`` leaves of a document, or remove it if that is nothing. False when there
    was nothing to do.

    :raises StateConflictError: others were faster each time.
    :raises StateStorageError: the storage failed.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        if not document.is_loaded or attempt > 1:
            await refresh(work, document)
        remainder = decide(document)
        if remainder is None:
            return False
        stored, expiring = remainder
        async with work.writing(document):
            lost = await put(work, document, stored, {}, expiring=expiring, disposes=True)
            if await arrived(work, document, lost):
                return True
        await work.pause(attempt)
    raise beaten(document, {}, MAX_ATTEMPTS)
