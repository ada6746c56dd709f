"""What a later read of a document tells about a write whose answer was lost."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from botstate_ext.documents.metadata import WRITES_KEPT
from botstate_ext.documents.pending_writes import (
    Outcome,
    PendingWrite,
    PendingWrites,
    Trace,
    joint_outcome,
)

K = WRITES_KEPT


@given(
    before=st.integers(0, 2 * K),
    is_made=st.booleans(),
    first=st.integers(0, 2 * K),
    then=st.integers(0, 2 * K),
    recreated=st.none() | st.integers(0, K),
)
def test_it_says_stored_or_not_only_where_that_is_so(
    before: int, is_made: bool, first: int, then: int, recreated: int | None
) -> None:
    """Others write before ours and after it, and may delete the document and create it again."""
    ids = [f"before {n}" for n in range(before)][-K:]
    write = PendingWrite("ours", "e0" if before else None, ids[-1] if ids else None, {})
    writes = ids[:]
    count = 0
    for id_ in [*(f"first {n}" for n in range(first)), "ours", *(f"then {n}" for n in range(then))]:
        # Made, it comes first of all: another write changes the ETag that it asks for.
        if id_ == "ours":
            continue
        if count == 0 and is_made:
            writes = [*writes, "ours"][-K:]
        writes = [*writes, id_][-K:]
        count += 1
    if count == 0 and is_made:
        writes = [*writes, "ours"][-K:]
    etag = "e1" if count or is_made else write.etag
    if recreated is not None and before:
        writes, etag = [f"new {n}" for n in range(recreated)], "e2" if recreated else None
    outcome = write.outcome(etag, writes)
    if outcome is Outcome.STORED:
        assert is_made
    elif outcome in (Outcome.NOT_STORED, Outcome.ON_ITS_WAY):
        assert not is_made
    # With few others in between, it is always known.
    if count < K and recreated is None:
        assert outcome is not Outcome.UNKNOWN


def test_what_the_storage_refused_is_not_stored_unless_it_is_found() -> None:
    write = PendingWrite("ours", "e0", "gone", {"a": b"1"}, known=Outcome.NOT_STORED)
    assert write.outcome("e1", ["other"] * K) is Outcome.NOT_STORED
    assert write._replace(known=None).outcome("e1", ["other"] * K) is Outcome.UNKNOWN
    assert write.outcome("e1", ["ours"]) is Outcome.STORED


def test_what_may_be_made_twice_need_not_be_known() -> None:
    write = PendingWrite("ours", "e0", "gone", {}, is_repeatable=True)
    assert write.outcome("e1", ["other"] * K) is Outcome.NOT_STORED
    assert write.outcome(None, []) is Outcome.NOT_STORED


def test_what_may_still_arrive_or_is_unknown_stays_pending() -> None:
    pending = PendingWrites()
    writes = [
        PendingWrite("stored", "e0", "a", {}),
        PendingWrite("not stored", "e0", "a", {}),
        PendingWrite("on its way", "e1", "a", {}),
        PendingWrite("unknown", "e0", "gone", {}),
    ]
    for write in writes:
        pending[write.write_id] = write
    found = pending.confirm("e1", ["a", "stored"])
    assert {outcome: [w.write_id for w in found[outcome]] for outcome in Outcome} == {
        Outcome.STORED: ["stored"],
        Outcome.NOT_STORED: ["not stored"],
        Outcome.ON_ITS_WAY: ["on its way"],
        Outcome.UNKNOWN: ["unknown"],
    }
    again = pending.confirm("e1", ["a", "stored"])
    assert [w.write_id for each in again.values() for w in each] == ["on its way", "unknown"]
    pending.clear()
    assert not pending


@given(
    documents=st.lists(
        st.tuples(st.integers(0, 2 * K), st.integers(0, 2 * K), st.booleans(), st.booleans()),
        min_size=1,
        max_size=4,
    ),
    is_made=st.booleans(),
)
@example(documents=[(0, 1, True, False)], is_made=True)
def test_a_step_is_said_to_be_stored_or_not_only_where_that_is_so(
    documents: list[tuple[int, int, bool, bool]], is_made: bool
) -> None:
    """Of each document: how many wrote before and after, if it is removed by the step, or after."""
    traces = []
    for before, after, removes, is_removed in documents:
        ids = [f"before {n}" for n in range(before)][-K:]
        write = PendingWrite(
            "ours", "e0" if before else None, ids[-1] if ids else None, {}, removes
        )
        etag, writes = write.etag, ids
        if is_made:
            etag, writes = (None, []) if removes else ("e1", [*ids, "ours"][-K:])
        for n in range(after):
            etag, writes = "e2", [*writes, f"after {n}"][-K:]
        if is_removed and etag not in (None, "e0"):
            etag, writes = None, []
        traces.append(Trace(write.outcome(etag, writes), etag is not None))
    outcome = joint_outcome(traces)
    if any(there for _, there in traces):
        if outcome is Outcome.STORED:
            assert is_made
        elif outcome is Outcome.NOT_STORED:
            assert not is_made
    if len(traces) == 1:
        assert outcome is traces[0].outcome
