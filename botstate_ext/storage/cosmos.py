"""CosmosStorage: items in a container of Azure Cosmos DB (SQL API)."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ServiceRequestError
from azure.cosmos import PartitionKey, exceptions
from azure.cosmos.aio import ContainerProxy, CosmosClient

from ..clock import positive
from ..errors import StateStorageError
from .backend import OpenOnce, check_etag, check_key, check_put, conflict, page_size
from .base import ANY, DueItems, ItemPage, StateStorage, StoredItem
from .cosmos_items import item_id, to_info, to_item, to_stored
from .due_index import due_pages
from .keycheck import may_start_a_key
from .parallel import in_parallel
from .retry import Retries
from .server_calls import CallFailure, ServerCalls

T = TypeVar("T")

_PARALLEL: Final = 16
_TIMEOUT: Final = timedelta(seconds=6)
_ROW: Final = 'c.realId, c._etag, c._ts, c.size, c["metadata"]'
_LIST: Final = (
    f"SELECT TOP @size {_ROW} FROM c WHERE STARTSWITH(c.realId, @prefix) AND c.realId > @after"
    " ORDER BY c.realId"
)
_IS_DUE: Final = 'NOT IS_DEFINED(c["metadata"][@entry]) OR c["metadata"][@entry] <= @until'
_DUE: Final = f"SELECT {_ROW} FROM c WHERE {_IS_DUE}"
_NOT_TRANSIENT: Final = MappingProxyType(
    {
        400: "the request was refused: check the endpoint, the database and the container",
        401: "the key or the credential was refused: check `credential`, and this machine's clock",
        403: "access was refused: check `credential`, its roles and the account's firewall",
        413: "the item is larger than Cosmos DB takes",
    }
)


_ANSWERS: Final = (
    exceptions.CosmosResourceNotFoundError,
    exceptions.CosmosResourceExistsError,
    exceptions.CosmosAccessConditionFailedError,
)


class CosmosStorage(StateStorage):
    """Items in one container, in the format of the SDK's ``CosmosDbPartitionedStorage``. Each of
    the two classes reads the items of the other.

    - ``endpoint``, ``credential``: the account's URI, and its key or a credential of
      ``azure.identity.aio``.
    - ``database``, ``container``: made if they are missing. The container's partition key is
      ``/id``. ``throughput``: of a container that is made, in request units.
    - ``key_suffix``: as the SDK's. Long keys are shortened as in its ``compatibility_mode``.
    - ``timeout``: of one operation, all its attempts included.
    - ``client_options``: passed on to ``azure.cosmos.aio.CosmosClient``.

    Numbers are doubles in Cosmos DB: a whole number over 2**53 raises `StateEncodeError`, and so do
    NaN and the infinities. An item has at most 2 MB. Several items are never written in one step.
    """

    any_bytes = False

    def __init__(
        self,
        endpoint: str,
        credential: Any,
        *,
        database: str,
        container: str,
        key_suffix: str = "",
        throughput: int | None = None,
        timeout: timedelta = _TIMEOUT,
        client_options: Mapping[str, Any] | None = None,
        types: Iterable[type] = (),
    ) -> None:
        super().__init__(types=types)
        for name, value in {
            "endpoint": endpoint,
            "credential": credential,
            "database": database,
            "container": container,
        }.items():
            if not value:
                raise ValueError(f"CosmosStorage needs {name}, and it is empty.")
        if isinstance(credential, str) and not _is_base64(credential):
            raise ValueError("credential is no key of a Cosmos DB account: copy it as a whole.")
        positive(timeout, "timeout")
        self._endpoint, self._credential = endpoint, credential
        self._database, self._container_name = database, container
        self._key_suffix = key_suffix
        self._throughput = throughput
        # The driver makes attempts of its own.
        self._calls = ServerCalls(Retries(timeout, parts=1), _failure_of, answers=_ANSWERS)
        self._client_options = dict(client_options or {})
        self._client: CosmosClient | None = None
        self._container = OpenOnce(self._open, self._close)
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        unique = tuple(dict.fromkeys(keys))
        items = await in_parallel(self._get(key) for key in unique)
        return {key: item for key, item in zip(unique, items, strict=True) if item is not None}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        item = to_item(key, self._id(key), data, metadata)

        async def put(container: ContainerProxy) -> str:
            if etag is None:
                written = await container.create_item(item)
            elif etag == ANY:
                written = await container.upsert_item(item)
            else:
                written = await container.replace_item(item["id"], item, **_if_unchanged(etag))
            return str(written["_etag"])

        try:
            return await self._run("put", key, put)
        except _ANSWERS:
            # The driver tries again by itself, so an attempt of this write may have been made.
            raise conflict(key, etag, maybe_written=True) from None

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        id_, condition = self._id(key), {} if etag == ANY else _if_unchanged(etag)
        try:
            await self._run("delete", key, lambda c: c.delete_item(id_, id_, **condition))
        except exceptions.CosmosResourceNotFoundError:
            return False
        except exceptions.CosmosAccessConditionFailedError:
            raise conflict(key, etag, maybe_written=True) from None  # as for a put
        return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)
        if not may_start_a_key(prefix):
            return ItemPage(())
        after = continuation_token or ""
        # One more than the page holds tells if there is a next page.
        infos = await self._query(to_info, _LIST, size=size + 1, prefix=prefix, after=after)
        items = tuple(infos[:size])
        return ItemPage(items, items[-1].key if len(infos) > size else None)

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        found = await self._query(to_info, _DUE, entry=entry, until=until)
        infos = {info.key: info for info in found}
        for page in due_pages(sorted(infos), infos.get):
            yield page

    async def aclose(self) -> None:
        await self._calls.aclose(self._container.aclose)

    def __repr__(self) -> str:
        return f"<CosmosStorage {self._database!r}, {self._container_name!r}>"

    def _id(self, key: str) -> str:
        return item_id(key, self._key_suffix)

    async def _get(self, key: str) -> StoredItem | None:
        id_ = self._id(key)

        async def get(container: ContainerProxy) -> StoredItem:
            return to_stored(await container.read_item(id_, id_))

        try:
            return await self._run("get", key, get)
        except exceptions.CosmosResourceNotFoundError:
            return None

    async def _query(self, read: Callable[[Any], T], query: str, **parameters: Any) -> list[T]:
        named = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]

        async def rows(container: ContainerProxy) -> list[T]:
            return [read(row) async for row in container.query_items(query, parameters=named)]

        return await self._run("list", None, rows)

    async def _run(
        self, operation: str, key: str | None, call: Callable[[ContainerProxy], Awaitable[T]]
    ) -> T:
        """Call the driver within the timeout, which includes waiting for a free slot.

        Not found, exists and precondition failed come out as the driver's own errors.

        :raises StateStorageError: it failed.
        """

        async def in_slot() -> T:
            async with self._slots:
                return await call(await self._container.get())

        return await self._calls.run(operation, key, in_slot)

    async def _open(self) -> ContainerProxy:
        client = CosmosClient(self._endpoint, self._credential, **self._client_options)
        try:
            container = await self._create(client)
            await self._check_partition_key(container)
        except BaseException:
            await client.close()
            raise
        self._client = client
        return container

    async def _create(self, client: CosmosClient) -> ContainerProxy:
        """Return the container; create it, and its database, if they are missing."""
        options: dict[str, Any] = {}
        if self._throughput is not None:
            options["offer_throughput"] = self._throughput
        # "If not exists" looks, then creates: of several processes that begin, some are too late.
        with suppress(exceptions.CosmosResourceExistsError):
            await client.create_database_if_not_exists(self._database)
        database = client.get_database_client(self._database)
        with suppress(exceptions.CosmosResourceExistsError):
            await database.create_container_if_not_exists(
                self._container_name, PartitionKey(path="/id"), **options
            )
        return database.get_container_client(self._container_name)

    async def _check_partition_key(self, container: ContainerProxy) -> None:
        partition_key = (await container.read()).get("partitionKey") or {}
        if partition_key.get("paths") != ["/id"]:
            raise StateStorageError(
                "open",
                None,
                f"the container {self._container_name!r} is not partitioned by /id. Use another "
                "container, or keep the SDK's own storage for this one",
            )

    async def _close(self, _container: ContainerProxy) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except ValueError:
        return False


def _if_unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _failure_of(error: Exception) -> CallFailure | None:
    """Return what an error means; None if it is not known. The driver has tried again by itself
    whatever may pass."""
    if isinstance(error, exceptions.CosmosHttpResponseError):
        status = error.status_code
        reason = _NOT_TRANSIENT.get(status or 0) or f"Cosmos DB answered {status}"
        may_be_done = status not in _NOT_TRANSIENT and status != 429
        return CallFailure(reason, may_be_done=may_be_done, status=status)
    if isinstance(error, ServiceRequestError):
        return CallFailure("the account cannot be reached: check `endpoint` and the network")
    return None
