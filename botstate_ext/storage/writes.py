"""Several writes that belong together, and their conditions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import StateConflictError
from .etags import ANY, conflict
from .keycheck import check_etag, check_key, check_put


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """One write of `StateStorage.write_many`. ``data`` None deletes the item.

    ``etag`` and ``metadata`` mean what they mean in `put_if`, or in `delete_if` for a deletion: an
    item that is absent already is no conflict there.
    """

    key: str
    data: bytes | None = field(repr=False)
    etag: str | None
    metadata: Mapping[str, str] | None = field(default=None, repr=False)


def check_writes(writes: Sequence[ItemWrite]) -> None:
    """Check keys, ETags and metadata before anything is written.

    :raises StateKeyError, StateTooLargeError, StateEncodeError: a storage does not take one.
    :raises ValueError: a key is there twice, an ETag is empty, or a deletion has none.
    """
    if len({write.key for write in writes}) < len(writes):
        raise ValueError("write_many takes each key once.")
    for write in writes:
        if write.data is not None:
            check_put(write.key, write.etag, write.metadata)
            continue
        check_key(write.key)
        check_etag(write.etag)
        if write.etag is None:
            raise ValueError("A deletion needs the item's ETag, or ANY ('*').")


def check_conditions(writes: Sequence[ItemWrite], stored: Mapping[str, str]) -> None:
    """Check the condition of each write against the stored ETags, by key.

    :raises StateConflictError: of all writes that may not be done, in one error.
    """
    lost = [write for write in writes if not _may_be_done(write, stored.get(write.key))]
    if lost:
        raise conflict_of(writes, lost)


def conflict_of(writes: Sequence[ItemWrite], lost: Sequence[ItemWrite]) -> StateConflictError:
    """Return the error of ``writes``, none of which was done because some were too late."""
    first = conflict(lost[0].key, lost[0].etag)
    error = StateConflictError(first.reason, key=first.key, keys=[write.key for write in lost])
    if len(writes) > 1:
        error.not_saved = tuple(write.key for write in writes)
    return error


def _may_be_done(write: ItemWrite, stored: str | None) -> bool:
    is_gone = write.data is None and stored is None
    return is_gone or write.etag in (ANY, stored)
