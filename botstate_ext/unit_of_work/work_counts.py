"""WorkCounts: counts what the documents of a turn cost."""

from __future__ import annotations

import msgspec


class WorkCounts(msgspec.Struct):
    """Counts the reads and writes of one turn, over all its attempts.

    - ``read``: documents that were asked of the storage, absent ones and repeated reads included,
      as are those that a replayed turn compares before it is committed.
    - ``cached``: documents that the turn began with from the cache, without a read.
    - ``written``: documents that were written or removed.
    - ``retries``: steps that were written again, after a lost race or a lost answer.
    - ``conflicts``: documents that were found changed by another writer, and decided on again.
    """

    read: int = 0
    cached: int = 0
    written: int = 0
    retries: int = 0
    conflicts: int = 0
