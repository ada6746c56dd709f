"""What Blob does when Azure, or the network on the way there, does not do its part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, BlobStorage
from tests.storage.front import Front

pytestmark = pytest.mark.blob


class Waits:
    """Stands in for asyncio.sleep: notes how long, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def storage(
    front: Front, container_name: str, blob: BlobStorage, waits: Waits
) -> AsyncIterator[BlobStorage]:
    """Through the front, to a container that holds "key"."""
    await blob.put_if("key", b'{"a":1}', etag=None)
    async with BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        deadline=timedelta(seconds=20),
        sleep=waits,
        random=lambda: 1.0,
    ) as storage:
        yield storage


OPERATIONS: dict[str, Callable[[BlobStorage], Awaitable[object]]] = {
    "read": lambda storage: storage.get_many(["key"]),
    "put": lambda storage: storage.put_if("key", b'{"a":2}', etag=ANY),
    "delete": lambda storage: storage.delete_if("key"),
    "list": lambda storage: storage.list_page(),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AuthenticationFailed"),
        (403, ""),
        (400, "InvalidUri"),
        (404, "ResourceNotFound"),
        (404, ""),
        (409, "ContainerBeingDeleted"),
        (409, "LeaseAlreadyPresent"),
        (412, "LeaseIdMissing"),
        (412, ""),
    ],
)
async def test_a_failure_is_raised_never_an_empty_result(
    storage: BlobStorage, front: Front, blob: BlobStorage, name: str, status: int, code: str
) -> None:
    front.answer(status, code)
    with pytest.raises(StateStorageError) as caught:
        await OPERATIONS[name](storage)
    error = caught.value
    assert (error.operation, error.status, error.maybe_written) == (name, status, False)
    assert error.key == (None if name == "list" else "key")
    assert error.__cause__ is not None
    assert code in str(error)
    assert len(front.requests) == 1
    assert (await blob.get_many(["key"]))["key"].data == b'{"a":1}'


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (503, "ServerBusy"), (429, ""), (408, ""), (502, ""), (504, "")],
)
async def test_what_may_pass_is_tried_again(
    storage: BlobStorage, front: Front, waits: Waits, name: str, status: int, code: str
) -> None:
    front.answer(status, code, times=3)
    await OPERATIONS[name](storage)
    assert len(front.requests) == 4
    assert waits.seconds == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_outage_ends_at_the_deadline(front: Front, container_name: str, name: str) -> None:
    front.answer(503, "ServerBusy", times=1_000_000)
    async with BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        deadline=timedelta(milliseconds=400),
        random=lambda: 0.1,
    ) as storage:
        with pytest.raises(StateStorageError, match=r"0\.4 s.*503 ServerBusy") as caught:
            await OPERATIONS[name](storage)
    assert caught.value.status == 503
    assert caught.value.maybe_written is (name in ("put", "delete"))
    assert len(front.requests) > 1


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_server_that_hangs_is_left_for_another_attempt(
    front: Front, container_name: str, blob: BlobStorage, name: str
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    front.hang(method="")
    async with BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        deadline=timedelta(seconds=3),
        random=lambda: 0.0,
    ) as storage:
        await OPERATIONS[name](storage)
    assert len(front.requests) == 2


async def test_a_server_that_always_hangs_is_a_failure(front: Front, container_name: str) -> None:
    front.hang(method="", times=100)
    async with BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        deadline=timedelta(milliseconds=300),
        random=lambda: 0.0,
    ) as storage:
        with pytest.raises(StateStorageError, match="no answer") as caught:
            await storage.put_if("key", b"{}", etag=None)
    assert caught.value.maybe_written


async def test_a_server_that_is_not_there_is_a_failure(
    unused_tcp_port: int, container_name: str
) -> None:
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    from tests.azurite import connection_string

    async with BlobStorage(
        connection_string=connection_string(nowhere),
        container_name=container_name,
        deadline=timedelta(milliseconds=200),
        random=lambda: 0.1,
    ) as storage:
        with pytest.raises(StateStorageError, match="no answer") as caught:
            await storage.get("key")
    assert not caught.value.maybe_written


async def test_a_conflict_says_that_an_attempt_before_it_may_have_been_made(
    storage: BlobStorage, front: Front, blob: BlobStorage
) -> None:
    front.lose(method="PUT", times=2)  # aiohttp repeats the first, out of our sight
    with pytest.raises(StateConflictError) as caught:
        await storage.put_if("new", b"{}", etag=None)
    assert caught.value.maybe_written
    with pytest.raises(StateConflictError) as caught:
        await storage.put_if("new", b"{}", etag=None)
    assert not caught.value.maybe_written


@pytest.mark.parametrize("etag", [None, "the stored one"])
async def test_a_write_whose_answer_is_lost_conflicts_with_itself(
    storage: BlobStorage, front: Front, blob: BlobStorage, etag: str | None
) -> None:
    """Whether the writer was itself, only the body can tell: that is for whoever wrote it."""
    stored = await blob.get("key")
    assert stored is not None
    key = "new" if etag is None else "key"
    front.lose(method="PUT")
    with pytest.raises(StateConflictError):
        await storage.put_if(key, b'{"a":2}', etag=None if etag is None else stored.etag)
    assert len(front.requests) == 2
    assert (await blob.get_many([key]))[key].data == b'{"a":2}'


async def test_an_unconditional_write_whose_answer_is_lost_is_repeated(
    storage: BlobStorage, front: Front
) -> None:
    front.lose(method="PUT")
    etag = await storage.put_if("key", b'{"a":2}', etag=ANY)
    stored = await storage.get("key")
    assert stored is not None
    assert (stored.data, stored.etag) == (b'{"a":2}', etag)


async def test_a_write_that_may_have_reached_the_storage_says_so(
    storage: BlobStorage, front: Front, blob: BlobStorage
) -> None:
    front.lose(method="PUT", times=2)  # aiohttp repeats the first, out of our sight
    front.answer(403, "AuthenticationFailed")
    with pytest.raises(StateStorageError) as caught:
        await storage.put_if("key", b'{"a":2}', etag=ANY)
    assert caught.value.maybe_written
    assert (await blob.get_many(["key"]))["key"].data == b'{"a":2}'


@pytest.mark.parametrize("conditional", [False, True])
async def test_a_delete_whose_answer_is_lost_did_delete(
    storage: BlobStorage, front: Front, blob: BlobStorage, conditional: bool
) -> None:
    stored = await blob.get("key")
    assert stored is not None
    front.lose(method="DELETE", times=2)
    assert await storage.delete_if("key", etag=stored.etag if conditional else ANY)
    assert await blob.get("key") is None


async def test_half_an_answer_is_no_answer(
    storage: BlobStorage, front: Front, blob: BlobStorage
) -> None:
    body = b'{"a":"' + b"x" * 200_000 + b'"}'
    await blob.put_if("large", body, etag=None)
    front.break_off(method="GET")
    stored = await storage.get("large")
    assert stored is not None
    assert stored.data == body
    assert len(front.requests) == 2


async def test_one_failed_read_fails_the_batch_and_leaves_nothing_running(
    storage: BlobStorage, front: Front
) -> None:
    front.answer(403, "AuthenticationFailed")
    front.hang(method="GET", times=100)
    before = asyncio.all_tasks()
    with pytest.raises(StateStorageError):
        await storage.get_many([f"key{number}" for number in range(10)])
    assert not [task for task in asyncio.all_tasks() - before if "BlobStorage" in repr(task)]


async def test_a_cancelled_operation_leaves_its_place_to_others(
    front: Front, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    front.hang(method="GET")
    async with BlobStorage(
        connection_string=front.connection_string, container_name=container_name, parallel=1
    ) as storage:
        reading = asyncio.ensure_future(storage.get("key"))
        await front.arrived.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await storage.get("key") is not None


async def test_no_error_shows_a_secret_or_a_value(storage: BlobStorage, front: Front) -> None:
    front.answer(403, "AuthenticationFailed")
    with pytest.raises(StateStorageError) as caught:
        await storage.put_if("key", b'{"secret":"s3cret"}', etag=ANY)
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__} {storage!r}"
    assert "s3cret" not in shown
    assert "AccountKey" not in shown
    assert "127.0.0.1" not in shown
