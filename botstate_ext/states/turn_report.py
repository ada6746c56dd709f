"""TurnReport: what a turn cost, and how it ended."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal[
    "saved", "skipped", "discarded", "saved_after_error", "conflict", "failed", "cancelled"
]
"""See `TurnReport`."""


class TurnReport(msgspec.Struct, frozen=True, kw_only=True):
    """Describes one turn, for a handler of ``states.on_turn``. Holds no id and no value.

    Made for each turn, so it is a ``msgspec.Struct``: ``msgspec.structs.asdict`` gives its fields.

    Times are in seconds. If the turn ran several times (``on_conflict="replay"``), they are sums.

    - ``wait``: waiting for earlier turns of the conversation, and for the lock.
    - ``load``, ``logic``, ``save``: loading state; the bot; saving state.
    - ``seconds``: the whole turn, with what comes between these, such as sending held replies.
    - ``read``: documents that were asked of the storage, absent ones and repeated reads included,
      as are those that a replayed turn compares before it is committed.
    - ``cached``: documents that the turn began with from the cache, without a read.
    - ``written``: documents that were written or removed, also by ``update()``.
    - ``retries``: writes that were made again, after a lost race or a lost answer.
    - ``conflicts``: documents that another writer had changed, and that were merged or, by
      ``update()``, changed again.
    - ``replays``: how often the turn ran again.
    - ``outcome``: how the turn ended:

      - ``"saved"``: its changes are stored, if there were any.
      - ``"skipped"``: another turn had handled this delivery of the activity already.
      - ``"discarded"``: the bot raised, and its unsaved changes were discarded.
      - ``"saved_after_error"``: the bot raised, and its changes are stored (``on_error="save"``).
      - ``"conflict"``: a `StateConflictError` ended the turn: its save, or its wait for the lock.
      - ``"failed"``: state could not be loaded or saved for another reason.
      - ``"cancelled"``: the turn was cancelled before its state was saved.

    - ``error``: the class name of the error that the turn raised; None if it raised none.
    - ``channel``: the channel id of the activity, such as ``"msteams"``.
    """

    wait: float
    load: float
    logic: float
    save: float
    seconds: float
    read: int
    written: int
    retries: int
    conflicts: int
    replays: int
    outcome: Outcome
    error: str | None
    channel: str | None
    cached: int = 0
