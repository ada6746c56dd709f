"""What Blob does when Azure, or the network on the way there, does not do its part."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, BlobStorage
from botstate_ext.storage.in_flight import InFlight
from botstate_ext.storage.retry import Retries
from tests.azurite import KEY
from tests.patience import LIMIT, Time
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
        sleep=waits,
        random=lambda: 1.0,
    ) as storage:
        yield storage


def through(front: Front, container_name: str, time: Time, **options: Any) -> BlobStorage:
    return BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        sleep=time.sleep,
        monotonic=time,
        **{"deadline": Retries.deadline, "random": lambda: 1.0, **options},
    )


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
    # By a clock that only the pauses move: each attempt has the time that it needs.
    async with through(front, container_name, Time(), deadline=LIMIT) as storage:
        with pytest.raises(StateStorageError, match=r"300 s.*503 ServerBusy") as caught:
            await OPERATIONS[name](storage)
    assert caught.value.status == 503
    assert caught.value.maybe_written is (name in ("put", "delete"))
    assert len(front.requests) > 1


@pytest.fixture
def time(front: Front, monkeypatch: pytest.MonkeyPatch) -> Time:
    """A clock that moves by the time of an attempt as soon as the front lets that attempt hang."""
    time = Time()

    async def within(_: InFlight, operation: Any, seconds: float | None) -> Any:
        running = asyncio.ensure_future(operation)
        hanging = asyncio.ensure_future(front.hanging.get())
        await asyncio.wait((running, hanging), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            assert seconds is not None
            time.now += seconds
            running.cancel()
            await asyncio.wait((running,))
            raise asyncio.TimeoutError
        hanging.cancel()
        return running.result()

    monkeypatch.setattr(InFlight, "wait_within", within)
    return time


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_server_that_hangs_is_left_for_another_attempt(
    front: Front, container_name: str, blob: BlobStorage, time: Time, name: str
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    front.hang(method="")
    async with through(front, container_name, time, random=lambda: 0.0) as storage:
        await OPERATIONS[name](storage)
    assert len(front.requests) == 2
    assert time.now == Retries().seconds_an_attempt


async def test_a_server_that_always_hangs_is_a_failure(
    front: Front, container_name: str, time: Time
) -> None:
    front.hang(method="", times=100)
    async with through(front, container_name, time, random=lambda: 0.0) as storage:
        with pytest.raises(StateStorageError, match="no answer") as caught:
            await storage.put_if("key", b"{}", etag=None)
    assert caught.value.maybe_written
    assert len(front.requests) == Retries().parts


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


# Settings, deadlines, and a storage that is down


async def test_the_time_in_which_the_server_wants_no_request_is_kept(
    storage: BlobStorage, front: Front, waits: Waits
) -> None:
    front.answer(503, "ServerBusy", retry_after="3")
    front.answer(429, retry_after="0")
    assert await storage.get("key") is not None
    assert waits.seconds == [3.0, 0.5]


async def test_a_wait_beyond_the_deadline_is_not_begun(
    storage: BlobStorage, front: Front, waits: Waits
) -> None:
    front.answer(503, "ServerBusy", retry_after="3600")
    with pytest.raises(StateStorageError, match="503 ServerBusy"):
        await storage.get("key")
    assert waits.seconds == []
    assert len(front.requests) == 1


async def test_a_wait_for_a_slot_is_no_failure_while_the_storage_answers(
    front: Front, container_name: str, blob: BlobStorage
) -> None:
    """Each answer takes half of the deadline, so that the tenth comes after five deadlines."""
    await blob.put_if("key", b"{}", etag=None)
    time = Time()

    def slow(answer: web.Response) -> web.Response:
        time.now += 150.0
        return answer

    front.change(slow, method="GET", times=10)
    options = {"parallel": 1, "deadline": timedelta(seconds=300)}
    async with through(front, container_name, time, **options) as storage:
        reads = await asyncio.gather(*(storage.get("key") for _ in range(10)))
    assert None not in reads


async def test_the_deadline_covers_the_wait_for_a_slot(front: Front, container_name: str) -> None:
    front.hang(method="GET", times=1_000)
    async with BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        parallel=1,
        deadline=timedelta(milliseconds=300),
        close_within=timedelta(0),
    ) as storage:
        reads = [asyncio.ensure_future(storage.get(f"key{number}")) for number in range(50)]
        # Fifty of them one after another would take 15 s.
        done, late = await asyncio.wait(reads, timeout=LIMIT.total_seconds())
        for read in late:
            read.cancel()
        assert not late
        errors = [read.exception() for read in done]
        assert all(isinstance(error, StateStorageError) for error in errors)
        assert any("waiting for a slot" in str(error) for error in errors)


async def test_a_slot_that_nobody_waits_for_any_more_is_not_lost(
    front: Front, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    front.hang(method="GET")
    async with BlobStorage(
        connection_string=front.connection_string, container_name=container_name, parallel=1
    ) as storage:
        reads = [asyncio.ensure_future(storage.get("key")) for _ in range(3)]
        await front.arrived.wait()
        reads[1].cancel()  # in the queue
        reads[0].cancel()  # under way
        assert await reads[2] is not None
        assert await storage.get("key") is not None


async def test_after_a_failure_requests_fail_at_once_and_later_one_tries(
    front: Front, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    time = Time()
    async with through(front, container_name, time) as storage:
        front.answer(503, "ServerBusy", times=1_000)
        with pytest.raises(StateStorageError):
            await storage.get("key")
        assert time.now <= 8.0
        sent = len(front.requests)
        for operation in OPERATIONS.values():
            with pytest.raises(StateStorageError, match="not tried") as caught:
                await operation(storage)
            assert not caught.value.maybe_written
        assert len(front.requests) == sent
        time.now += 5.0
        both = await asyncio.gather(storage.get("key"), storage.get("key"), return_exceptions=True)
        assert "503" in str(both[0]), "one tried"
        assert "not tried" in str(both[1]), "the other waited for it"
        front.forget()
        time.now += 5.0
        assert len(await storage.get_many(["key", "other", "third"])) == 1


async def test_a_storage_that_answers_others_is_not_taken_for_dead(
    front: Front, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("key", b"{}", etag=None)
    time = Time()
    async with through(front, container_name, time) as storage:
        front.answer(503, "ServerBusy", method="PUT", times=1_000)
        writing = asyncio.ensure_future(storage.put_if("key", b"{}", etag=ANY))
        await front.arrived.wait()
        assert await storage.get("key") is not None
        with pytest.raises(StateStorageError, match="503"):
            await writing
        assert await storage.get("key") is not None


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("not base64!", "AccountKey"),
        (KEY.rstrip("="), "AccountKey"),
        ("", "AccountKey"),
    ],
)
def test_a_key_that_is_none_is_refused_before_any_request(key: str, setting: str) -> None:
    text = f"DefaultEndpointsProtocol=https;AccountName=account;AccountKey={key}"
    with pytest.raises(ValueError, match=setting) as caught:
        BlobStorage(connection_string=text, container_name="abc")
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "   ", "nonsense", "AccountKey=c2VjcmV0", "a=b;c", "BlobEndpoint=;AccountName="]
)
def test_a_text_that_is_no_connection_string_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="connection_string") as caught:
        BlobStorage(connection_string=text, container_name="abc")
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("name", ["ab", "Upper", "a--b", "-ab", "ab-", "a_b", "x" * 64, "a.b"])
def test_a_container_name_that_azure_refuses_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match="container_name"):
        BlobStorage(account_url="https://account.blob.core.windows.net", container_name=name)


@pytest.mark.parametrize("name", ["a-b", "abc", "x" * 63, "$root", "a1-b2-c3"])
def test_a_container_name_that_azure_takes_is_taken(name: str) -> None:
    BlobStorage(account_url="https://account.blob.core.windows.net", container_name=name)


@pytest.mark.parametrize("url", ["ftp://a.example", "https://", "://", "mailto:me"])
def test_an_address_that_is_none_is_refused_and_named(url: str) -> None:
    with pytest.raises(ValueError, match="account_url"):
        BlobStorage(account_url=url, container_name="abc")


async def test_an_account_that_does_not_exist_fails_at_once_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    time = Time()
    async with BlobStorage(
        account_url="https://none.blob.core.windows.net",
        container_name="abc",
        sleep=time.sleep,
        monotonic=time,
    ) as storage:
        with pytest.raises(StateStorageError, match="account's name"):
            await storage.get("key")
    assert time.now == 0.0, "it did not wait for another attempt"


# Answers that no Azure gives

MODIFIED = "Fri, 01 Mar 2024 12:00:00 GMT"
PAGE = b"<html><body>Log in to the network</body></html>"


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("headers", [{}, {"x-ms-version": "2021-08-06"}], ids=["proxy", "azure"])
@pytest.mark.parametrize(("status", "body"), [(200, PAGE), (200, b""), (201, b""), (204, b"")])
async def test_a_forged_success_is_a_failure(
    storage: BlobStorage, front: Front, name: str, headers: dict[str, str], status: int, body: bytes
) -> None:
    front.forge(status, body, method="", headers=headers)
    with pytest.raises(StateStorageError) as caught:
        await OPERATIONS[name](storage)
    assert caught.value.maybe_written is (name in ("put", "delete"))
    assert "Log in" not in str(caught.value)
    assert len(front.requests) == 1


@pytest.mark.parametrize(
    ("name", "status", "body"), [("read", 200, PAGE), ("put", 201, b""), ("delete", 202, b"")]
)
async def test_a_success_of_another_server_is_a_failure(
    storage: BlobStorage, front: Front, name: str, status: int, body: bytes
) -> None:
    """It has the status of Azure's answer, and an ETag, as the pages of any web server have."""
    front.forge(status, body, method="", headers={"ETag": '"5f1c"', "Last-Modified": MODIFIED})
    with pytest.raises(StateStorageError, match="Check the account's address") as caught:
        await OPERATIONS[name](storage)
    assert caught.value.maybe_written is (name != "read")


async def test_a_listing_that_a_proxy_answers_with_wellformed_xml_is_not_empty(
    storage: BlobStorage, front: Front
) -> None:
    front.forge(200, b"<html><body/></html>", method="GET")
    with pytest.raises(StateStorageError):
        await storage.list_page()


async def test_a_write_without_an_etag_may_be_written(
    storage: BlobStorage, front: Front, blob: BlobStorage
) -> None:
    def without_etag(answer: web.Response) -> web.Response:
        del answer.headers["ETag"]
        return answer

    front.change(without_etag, method="PUT")
    with pytest.raises(StateStorageError, match="ETag") as caught:
        await storage.put_if("key", b'{"a":2}', etag=ANY)
    assert caught.value.maybe_written
    assert (await blob.get_many(["key"]))["key"].data == b'{"a":2}'
    front.change(without_etag, method="GET")
    with pytest.raises(StateStorageError, match="ETag"):
        await storage.get("key")


@pytest.mark.parametrize("length", [0, 3])
async def test_a_body_that_was_cut_is_a_failure(
    storage: BlobStorage, front: Front, length: int
) -> None:
    """The answer is well-formed: only the length of the blob shows that a part is missing."""

    def cut(answer: web.Response) -> web.Response:
        assert isinstance(answer.body, bytes)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body[:length])

    front.change(cut, method="GET", times=10)
    with pytest.raises(StateStorageError):
        await storage.get("key")


# Closing


@pytest.mark.parametrize("name", OPERATIONS)
async def test_closing_waits_for_requests(
    front: Front, container_name: str, blob: BlobStorage, name: str
) -> None:
    await blob.put_if("key", b'{"a":1}', etag=None)
    held = front.hold(method="")
    storage = BlobStorage(connection_string=front.connection_string, container_name=container_name)
    operation = asyncio.ensure_future(OPERATIONS[name](storage))
    await front.arrived.wait()
    closing = asyncio.ensure_future(storage.aclose())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not closing.done()
    held.set()
    await closing
    await operation


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_is_late_when_the_storage_closes_fails(
    front: Front, container_name: str, name: str
) -> None:
    front.hang(method="", times=100)
    storage = BlobStorage(
        connection_string=front.connection_string,
        container_name=container_name,
        parallel=2,
        close_within=timedelta(seconds=0.05),
    )
    # Two are under way, the third waits for a slot.
    operations = [asyncio.ensure_future(OPERATIONS[name](storage)) for _ in range(3)]
    while len(front.requests) < 2:  # noqa: ASYNC110 - the front counts, and tells nobody
        await asyncio.sleep(0.01)
    before = asyncio.all_tasks()
    await storage.aclose()
    await asyncio.wait(operations)
    for operation in operations:
        with pytest.raises(StateStorageError, match="closed"):
            operation.result()
    errors: list[Any] = [operation.exception() for operation in operations]
    # The third was not sent.
    written = [True, True, False] if name in ("put", "delete") else [False] * 3
    assert [error.maybe_written for error in errors] == written
    assert asyncio.all_tasks() <= before
