"""Changing a stored document that no turn holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..documents.document import Document
from ..documents.pending_expiry import Expiring
from .write_loop import Plan, write_until_stored

if TYPE_CHECKING:
    from .work import UnitOfWork

MAX_ATTEMPTS: Final = 10


def remainder(stored: dict[str, bytes], expiring: list[Expiring]) -> Plan:
    """Return the plan to leave this of a document, and to remove it if that is nothing."""
    return Plan(stored, {}, expiring, disposes=True)


async def rewrite(
    work: UnitOfWork, document: Document, decide: Callable[[Document], Plan | None]
) -> bool:
    """Write the plan that ``decide`` returns for the document as it is stored now. None: leave it
    as it is. Return False if there was nothing to write.

    :raises StateConflictError: others were faster each time.
    :raises StateStorageError: the storage failed.
    """
    return await write_until_stored(
        work, {document: lambda found, _: decide(found)}, attempts=MAX_ATTEMPTS
    )
