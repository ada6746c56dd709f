"""Every engine of ours answers any sequence of operations as MemoryStorage does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botstate_ext import storage as storages
from botstate_ext.errors import StateConflictError
from botstate_ext.storage import (
    ANY,
    ItemWrite,
    MemoryStorage,
    SQLiteStorage,
    StateStorage,
)
from botstate_ext.storage.due_index import NEXT_EXPIRY

# By UTF-16 U+1F600 comes before U+FF5E, by UTF-8 after it; the others are around a slash.
KEYS = st.text(st.sampled_from("a/0-\uff5e\U0001f600"), min_size=1, max_size=3)
# None: create. "known": the ETag that is stored. "stale": another.
ETAGS = st.sampled_from([None, ANY, "known", "stale"])
METADATA = st.dictionaries(
    st.sampled_from([NEXT_EXPIRY, "other"]), st.sampled_from(["2030", "2031", "never"])
)
PUTS = st.tuples(KEYS, st.binary(max_size=3), ETAGS, METADATA)
DELETIONS = st.tuples(KEYS, st.none(), ETAGS.filter(bool), METADATA)
STEPS = st.lists(
    st.lists(PUTS | DELETIONS, min_size=1, max_size=4, unique_by=lambda write: write[0]),
    max_size=12,
)
Write: TypeAlias = tuple[str, bytes | None, str | None, dict[str, str]]


@pytest.fixture(params=["sqlite", "postgres", "redis"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStorage]:
    if request.param == "postgres":
        url, table = request.getfixturevalue("postgres_url"), request.getfixturevalue("table_name")
        made: StateStorage = storages.PostgresStorage(url, table=table)
    elif request.param == "redis":
        url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("table_name")
        made = storages.RedisStorage(url, prefix=prefix)
    else:
        made = SQLiteStorage(tmp_path / "bot.db")
    async with made as storage:
        yield storage


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, prefix=st.text(st.sampled_from("a/😀"), max_size=2), limit=st.integers(1, 5))
async def test_it_answers_as_memory_does(
    storage: StateStorage, steps: list[list[Write]], prefix: str, limit: int
) -> None:
    memory = MemoryStorage()
    left = [info.key async for info in storage.list_items()]  # by the example before
    await storage.write_many([ItemWrite(key, None, ANY) for key in left])
    for step in steps:
        assert await outcome(storage, step) == await outcome(memory, step)
    assert await told(storage, prefix, limit) == await told(memory, prefix, limit)


async def outcome(storage: StateStorage, step: Sequence[Write]) -> Any:
    """Which keys were written, or lost; or whether the one was deleted. Without ETags, which
    differ."""
    stored = await storage.get_many([write[0] for write in step])
    writes = []
    for key, data, etag, metadata in step:
        known = stored[key].etag if key in stored else "of nothing"
        writes.append(ItemWrite(key, data, known if etag == "known" else etag, metadata))
    try:
        if len(writes) > 1:
            return set(await storage.write_many(writes))
        [write] = writes
        if write.data is None:
            return await storage.delete_if(write.key, etag=write.etag or ANY)
        etag = await storage.put_if(write.key, write.data, etag=write.etag, metadata=write.metadata)
        return etag != write.etag
    except StateConflictError as error:
        return set(error.keys), set(error.not_saved), error.key


async def told(storage: StateStorage, prefix: str, limit: int) -> Any:
    """All that can be read of a storage."""
    keys, sizes, token = [], [], None
    while True:
        page = await storage.list_page(prefix, limit=limit, continuation_token=token)
        keys += [(info.key, info.size, dict(info.metadata)) for info in page.items]
        sizes.append(len(page.items))
        token = page.continuation_token
        if token is None:
            break
    due_pages = [page async for page in storage.list_due(NEXT_EXPIRY, "2030")]
    due = sorted(info.key for page in due_pages for info in page.items)
    assert sum(page.seen for page in due_pages) == len(due), "an index looks at nothing else"
    bodies = {
        key: item.data for key, item in (await storage.get_many([k[0] for k in keys])).items()
    }
    return keys, sizes, due, bodies, await storage.list_folders()
