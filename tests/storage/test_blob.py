"""BlobStorage: what is its own, beside the contract."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AsyncioRequestsTransport
from azure.storage.blob import ContainerClient as BlockingContainerClient
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from hypothesis import example, given
from hypothesis import strategies as st

from botstate_ext.errors import StateConflictError, StateStorageError
from botstate_ext.storage import ANY, BlobStorage
from botstate_ext.storage.blob.block_blobs import BlockBlobs
from tests.azurite import ACCOUNT, KEY
from tests.storage.front import Front

pytestmark = pytest.mark.blob


# The container


async def test_the_first_write_creates_the_container_once(
    front: Front, container_name: str
) -> None:
    async with BlobStorage(
        connection_string=front.connection_string, container_name=container_name
    ) as storage:
        assert await storage.get("a") is None
        assert (await storage.list_page()).items == ()
        assert not await storage.delete_if("a")
        assert not await storage.delete_if("a", etag="0x1")
        keys = [f"{number}" for number in range(12)]
        await asyncio.gather(*(storage.put_if(key, b"{}", etag=None) for key in keys))
        assert set(await storage.get_many(keys)) == set(keys)
    creations = [request for request in front.requests if "restype=container" in request]
    assert [request.split()[0] for request in creations if "comp=list" not in request] == ["PUT"]


async def test_two_storages_create_one_container(azurite: str, container_name: str) -> None:
    async with (
        BlobStorage(connection_string=azurite, container_name=container_name) as one,
        BlobStorage(connection_string=azurite, container_name=container_name) as other,
    ):
        await asyncio.gather(one.put_if("a", b"{}", etag=None), other.put_if("b", b"{}", etag=None))
        assert set(await one.get_many(["a", "b"])) == {"a", "b"}


async def test_a_container_that_is_deleted_is_created_again(
    blob: BlobStorage, azurite: str, container_name: str
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        await client.delete_container()
    assert await blob.get("a") is None
    with pytest.raises(StateConflictError):
        await blob.put_if("a", b"{}", etag="0x1")
    await blob.put_if("a", b"{}", etag=None)


async def test_a_missing_container_that_may_not_be_created_is_no_empty_one(
    azurite: str, container_name: str
) -> None:
    async with BlobStorage(
        connection_string=azurite, container_name=container_name, create_container=False
    ) as storage:
        for operation in (
            storage.get("a"),
            storage.put_if("a", b"{}", etag=None),
            storage.delete_if("a"),
            storage.list_page(),
        ):
            with pytest.raises(StateStorageError, match="container does not exist") as caught:
                await operation
            assert caught.value.status == 404
            assert not caught.value.maybe_written


async def test_a_container_that_cannot_be_created_is_a_failure(
    front: Front, container_name: str
) -> None:
    front.answer(404, "ContainerNotFound", method="PUT")
    front.answer(403, "AuthorizationFailure", method="PUT")
    async with BlobStorage(
        connection_string=front.connection_string, container_name=container_name
    ) as storage:
        with pytest.raises(StateStorageError):
            await storage.put_if("a", b"{}", etag=None)


# Where it is


async def test_from_settings(azurite: str, container_name: str, blob: BlobStorage) -> None:
    await blob.put_if("a", b"{}", etag=None)
    settings = SimpleNamespace(
        container_name=container_name, account_name="", account_key="", connection_string=azurite
    )
    async with BlobStorage(settings) as storage:
        assert await storage.get("a") is not None


async def test_from_an_account_and_a_credential(
    azurite_endpoint: str, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    async with BlobStorage(
        account_url=f"{azurite_endpoint}/{ACCOUNT}", container_name=container_name, credential=KEY
    ) as storage:
        assert await storage.get("a") is not None


async def test_from_an_account_and_a_shared_access_signature(
    azurite_endpoint: str, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    signature = generate_container_sas(
        ACCOUNT,
        container_name,
        KEY,
        permission=ContainerSasPermissions(read=True, write=True, delete=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    async with BlobStorage(
        account_url=f"{azurite_endpoint}/{ACCOUNT}",
        container_name=container_name,
        credential=signature,
    ) as storage:
        stored = await storage.get("a")
        assert stored is not None
        await storage.put_if("a/b c", b"{}", etag=None, metadata={"m": "1"})
        assert await storage.delete_if("a", etag=stored.etag)


class Tokens:
    """An identity of azure.identity.aio."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("token", 4_000_000_000)


class SentNowhere(AsyncioRequestsTransport):
    """Keeps the headers of requests."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, str]] = []

    async def send(self, request: Any, **options: Any) -> Any:
        self.sent.append(dict(request.headers))
        raise ServiceRequestError("sent nowhere")


async def test_an_identity_signs_requests() -> None:
    transport = SentNowhere()
    client = ContainerClient(
        f"https://{ACCOUNT}.blob.core.windows.net",
        "state",
        credential=Tokens(),
        transport=transport,
    )
    with pytest.raises(ServiceRequestError):
        await BlockBlobs(client, is_ours=True).get("a", {})
    assert transport.sent[0]["Authorization"] == "Bearer token"
    assert transport.sent[0]["x-ms-version"] == client.api_version


async def test_from_a_client_that_stays_the_apps(
    azurite: str, container_name: str, blob: BlobStorage
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        async with BlobStorage(container_client=client) as storage:
            assert await storage.get("a") is not None
        assert await client.get_blob_client("a").download_blob() is not None


async def test_a_clients_own_retries_are_not_used(front: Front, container_name: str) -> None:
    """They would hide attempts from us; and the default waits 15 seconds."""
    front.answer(503, "ServerBusy", times=2)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with ContainerClient.from_connection_string(
        front.connection_string, container_name, retry_total=5, initial_backoff=1
    ) as client:
        storage = BlobStorage(container_client=client, sleep=sleep)
        await storage.put_if("a", b"{}", etag=None)
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ValueError, "exactly one"),
        ({"connection_string": "x", "account_url": "y"}, ValueError, "exactly one"),
        ({"account_url": "https://a.blob.core.windows.net"}, ValueError, "container_name"),
        ({"connection_string": "x", "container_name": "c"}, ValueError, "onnection string"),
        ({"container_client": object()}, TypeError, "aio.ContainerClient"),
    ],
)
def test_what_it_is_made_of_is_checked(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        BlobStorage(**arguments)


def test_settings_without_an_account_are_refused() -> None:
    settings = SimpleNamespace(
        container_name="c", account_name="a", account_key="", connection_string=""
    )
    with pytest.raises(ValueError, match="account_key"):
        BlobStorage(settings)


def test_a_blocking_client_is_refused(azurite: str) -> None:
    client = BlockingContainerClient.from_connection_string(azurite, "abc")
    with client, pytest.raises(TypeError, match="asynchronous"):
        BlobStorage(container_client=client)


def test_a_blocking_credential_is_refused() -> None:
    identity = pytest.importorskip("azure.identity")
    url = "https://a.blob.core.windows.net"
    with pytest.raises(TypeError, match=r"azure\.identity\.aio"):
        BlobStorage(account_url=url, container_name="abc", credential=identity.AzureCliCredential())


@pytest.mark.parametrize("options", [{"parallel": 0}, {"deadline": timedelta(0)}])
def test_limits_are_checked(azurite: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        BlobStorage(connection_string=azurite, container_name="abc", **options)


def test_its_repr_names_the_container_only(azurite: str) -> None:
    storage = BlobStorage(connection_string=azurite, container_name="abc")
    assert repr(storage) == "<BlobStorage 'abc'>"


# What it does


async def test_no_more_requests_at_once_than_asked_for(front: Front, container_name: str) -> None:
    async with BlobStorage(
        connection_string=front.connection_string, container_name=container_name, parallel=3
    ) as storage:
        await storage.put_if("a", b"{}", etag=None)
        await storage.get_many([f"{number}" for number in range(20)])
    assert front.busiest <= 3


async def test_a_lease_is_no_conflict(blob: BlobStorage, azurite: str, container_name: str) -> None:
    etag = await blob.put_if("a", b"{}", etag=None)
    async with BlobServiceClient.from_connection_string(azurite) as service:
        client = service.get_blob_client(container_name, "a")
        lease = await client.acquire_lease()
        for operation in (
            blob.put_if("a", b"{}", etag=ANY),
            blob.put_if("a", b"{}", etag=etag),
            blob.delete_if("a"),
        ):
            with pytest.raises(StateStorageError, match="LeaseIdMissing") as caught:
                await operation
            assert caught.value.status == 412
        await lease.release()
    await blob.put_if("a", b"{}", etag=etag)


async def test_a_blob_of_another_program_is_read(
    blob: BlobStorage, azurite: str, container_name: str
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        await client.upload_blob("b", b'{"x": 1}', metadata={"Mixed_Case": "1"})
    stored = await blob.get("b")
    assert stored is not None
    assert json.loads(stored.data) == {"x": 1}
    listed = {info.key: info async for info in blob.list_items()}
    assert listed["b"].etag == stored.etag
    await blob.put_if("b", b"{}", etag=stored.etag)


async def test_an_empty_blob_of_another_program_is_read(
    blob: BlobStorage, azurite: str, container_name: str
) -> None:
    await blob.put_if("a", b"{}", etag=None)
    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        await client.upload_blob("b", b"", metadata={"x": "1"})
    stored = await blob.get("b")
    assert stored is not None
    assert (stored.data, dict(stored.metadata)) == (b"", {"x": "1"})
    await blob.put_if("b", b"{}", etag=stored.etag)


def clients_of_a_container() -> list[ContainerClient]:
    """With an account's key, with a SAS, and behind an address of its own."""
    account = f"https://{ACCOUNT}.blob.core.windows.net"
    return [
        ContainerClient(account, "state", credential=KEY),
        ContainerClient(account, "state", credential="sv=2020-10-02&sp=rw&sig=a%2Bb%3D"),
        ContainerClient(f"http://127.0.0.1:10000/{ACCOUNT}", "$root", credential=KEY),
    ]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
@example("emulator/conversations/19:a@thread.tacv2;messageid=1/users/29:ä b?c#d%2F+~")
def test_the_address_of_a_blob_is_the_drivers(key: str) -> None:
    for client in clients_of_a_container():
        assert BlockBlobs(client, is_ours=True).url(key) == client.get_blob_client(key).url


def test_a_client_that_encrypts_by_itself_is_refused() -> None:
    client = clients_of_a_container()[0]
    client.key_encryption_key = object()
    with pytest.raises(ValueError, match="must not encrypt"):
        BlobStorage(container_client=client)


async def test_a_directory_is_no_item(blob: BlobStorage, azurite: str, container_name: str) -> None:
    """As an account with a hierarchical namespace lists them."""
    await blob.put_if("a/b", b"{}", etag=None)
    async with ContainerClient.from_connection_string(azurite, container_name) as client:
        await client.upload_blob("a", b"", metadata={"hdi_isfolder": "true"})
    assert [info.key async for info in blob.list_items()] == ["a/b"]


# Its driver


def run_python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )


def test_the_driver_is_not_imported_before_it_is_needed() -> None:
    ran = run_python(
        "import sys, botstate_ext.storage, botstate_ext.testing\n"
        "from botstate_ext.storage import BlobStorage\n"
        "print([name for name in ('azure.storage', 'pytest') if name in sys.modules])"
    )
    assert ran.stdout.strip() == "[]", ran.stderr


def test_without_the_driver_it_says_what_to_install() -> None:
    ran = run_python(
        "import sys; sys.modules['azure.storage'] = None\n"
        "from botstate_ext.storage import BlobStorage\n"
        "BlobStorage(connection_string='x', container_name='abc')"
    )
    assert 'ImportError: BlobStorage needs the Azure driver: pip install "botstate-ext[azure]"' in (
        ran.stderr
    )


USE = """
import asyncio, gc
from botstate_ext.storage import BlobStorage

async def main():
    {opened} BlobStorage(connection_string={connection!r}, container_name={container!r}){named}
        keys = [str(number) for number in range(20)]
        await asyncio.gather(*(storage.put_if(key, b"{{}}", etag=None) for key in keys))
        await storage.get_many(keys)
    gc.collect()

asyncio.run(main())
"""


def test_nothing_is_left_open(azurite: str, container_name: str) -> None:
    code = USE.format(
        opened="async with", connection=azurite, container=container_name, named=" as storage:"
    )
    ran = run_python(code, "-X", "dev", "-W", "default::ResourceWarning")
    assert ran.returncode == 0, ran.stderr
    assert "nclosed" not in ran.stderr


def test_what_is_left_open_would_be_seen(azurite: str, container_name: str) -> None:
    code = USE.format(
        opened="if storage :=", connection=azurite, container=container_name, named=":"
    )
    ran = run_python(code, "-X", "dev", "-W", "default::ResourceWarning")
    assert "Unclosed client session" in ran.stderr


CLOSED_EARLY = """
import asyncio, gc
from datetime import datetime, timedelta, timezone
from botstate_ext import BlobLeaseLock
from botstate_ext.storage import BlobStorage

async def main():
    storage = BlobStorage(
        connection_string={connection!r},
        container_name={container!r},
        close_within=timedelta(0),
    )
    lock = BlobLeaseLock(storage)
    async with lock.hold("conversation", timedelta(seconds=10)):
        reads = [asyncio.ensure_future(storage.get(str(number))) for number in range(40)]
        await asyncio.sleep(0)
        await storage.aclose()
        await asyncio.wait(reads)
        failed = {{type(read.exception()).__name__ for read in reads if read.exception()}}
        print(failed)
    gc.collect()
    print([task for task in asyncio.all_tasks() if task is not asyncio.current_task()])

asyncio.run(main())
"""


def test_closing_with_requests_and_a_lease_under_way_leaves_nothing(
    azurite: str, container_name: str
) -> None:
    code = CLOSED_EARLY.format(connection=azurite, container=container_name)
    ran = run_python(code, "-X", "dev", "-W", "default::ResourceWarning")
    assert ran.stdout.splitlines() == ["{'StateStorageError'}", "[]"], ran.stderr
    for trace in ("nclosed", "never retrieved", "was destroyed", "Traceback"):
        assert trace not in ran.stderr
