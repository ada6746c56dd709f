"""BlobStorage: items as blobs in one container of Azure Blob Storage."""

from __future__ import annotations

import asyncio
import random as _random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from ...errors import StateError
from ..backend import frozen_metadata, page_size
from ..base import ANY, ItemInfo, ItemPage, StateStorage, StoredItem
from ..etags import conflict
from ..keycheck import check_etag, check_key, check_put
from ..parallel import in_parallel
from ..retry import Retries
from . import source as blob_source
from .errors import FailureKind, RequestFailed
from .leases import BlobLeases
from .requests import Connection, Requests
from .source import BlobSettings


class BlobStorage(StateStorage):
    """Stores items in a container of Azure Blob Storage. An item is a blob named by its key.

    Name the container in one of four ways::

        BlobStorage(BlobStorageSettings(...))                       # botbuilder-azure's settings
        BlobStorage(connection_string="...", container_name="bot-state")
        BlobStorage(account_url="https://....blob.core.windows.net", container_name="bot-state",
                    credential=DefaultAzureCredential())            # of azure.identity.aio
        BlobStorage(container_client=client)                        # an aio.ContainerClient

    ``create_container``: the first write creates the container if it is missing; until then all
    items are absent. With False a missing container is a StateStorageError.
    ``parallel``: the most requests at once; the others wait, for as long as the storage answers.
    ``deadline``: the time of one operation with all its attempts, and the longest wait for a
    storage that answers nobody. Only broken connections, timeouts, 408, 429 and 5xx are tried
    again. After an operation failed so, and nobody else got an answer meanwhile,
    further operations fail at once for 5 s, and then one of them tries again.
    ``close_within``: how long `aclose` waits for operations; after that they fail.
    ``types``: see StateStorage. ``sleep``, ``random`` and ``monotonic`` are for tests.

    Nothing is opened before the first request. `aclose` closes the connections, but neither a
    client nor a credential that the app made. It works with azure-storage-blob 12.7 and newer.

    :raises ImportError: the driver is not installed; the text says what to install.
    :raises ValueError, TypeError: a setting is missing, malformed, or given in two ways.
    """

    def __init__(
        self,
        settings: BlobSettings | None = None,
        *,
        connection_string: str | None = None,
        account_url: str | None = None,
        container_name: str | None = None,
        credential: Any = None,
        container_client: Any = None,
        create_container: bool = True,
        parallel: int = 16,
        deadline: timedelta = Retries.deadline,
        close_within: timedelta = timedelta(seconds=5),
        types: Iterable[type] = (),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(types=types)
        source = blob_source.choose(
            settings=settings,
            connection_string=connection_string,
            account_url=account_url,
            container_client=container_client,
            container_name=container_name,
            credential=credential,
        )
        self._container_name = source.container_name
        retries = Retries(deadline, sleep, random, monotonic)
        self._requests = Requests(source, parallel, retries, close_within.total_seconds())
        self._creates_container = create_container
        self._creating = asyncio.Lock()
        self._creations = 0

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        wanted = tuple(dict.fromkeys(keys))
        if len(wanted) == 1:
            items = [await self._get(wanted[0])]
        else:
            items = await in_parallel(self._get(key) for key in wanted)
        return {key: item for key, item in zip(wanted, items, strict=True) if item is not None}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)

        async def upload(connection: Connection, options: dict[str, Any]) -> str:
            return await connection.blobs.put(key, data, metadata or {}, _condition(etag), options)

        creations = self._creations
        try:
            return await self._requests.run("put", key, upload)
        except RequestFailed as failure:
            if failure.kind is not FailureKind.NO_CONTAINER or not self._creates_container:
                raise self._put_error(failure, key, etag) from failure.__cause__
        await self._create_container(creations)
        try:
            return await self._requests.run("put", key, upload)
        except RequestFailed as failure:
            raise self._put_error(failure, key, etag) from failure.__cause__

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)

        async def remove(connection: Connection, options: dict[str, Any]) -> None:
            await connection.blobs.delete(key, _condition(etag), options)

        try:
            await self._requests.run("delete", key, remove)
        except RequestFailed as failure:
            if self._is_absence(failure):
                # An earlier attempt may have deleted it.
                return failure.maybe_done
            if failure.kind is not FailureKind.CONFLICT:
                raise failure.error() from failure.__cause__
            # A condition on a missing blob fails as a stale one does.
            if await self._get(key) is None:
                return failure.maybe_done
            raise conflict(key, etag, maybe_written=failure.maybe_done) from failure.__cause__
        return True

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)

        async def list_blobs(connection: Connection, options: dict[str, Any]) -> ItemPage:
            pages = connection.container.list_blobs(
                name_starts_with=prefix or None,
                include=["metadata"],
                results_per_page=size,
                **options,
            ).by_page(continuation_token)
            blobs = [blob async for blob in await anext(pages)]
            items = tuple(_info(blob) for blob in blobs if not _is_directory(blob))
            return ItemPage(items, pages.continuation_token or None)

        try:
            return await self._requests.run("list", None, list_blobs)
        except RequestFailed as failure:
            if self._is_absence(failure):
                return ItemPage(())
            raise failure.error() from failure.__cause__

    async def list_folders(self) -> frozenset[str]:
        async def walk(connection: Connection, options: dict[str, Any]) -> frozenset[str]:
            found = connection.container.walk_blobs(delimiter="/", **options)
            return frozenset([e.name[:-1] async for e in found if e.name.endswith("/")])

        try:
            return await self._requests.run("list", None, walk)
        except RequestFailed as failure:
            if self._is_absence(failure):
                return frozenset()
            raise failure.error() from failure.__cause__

    def leases(self) -> BlobLeases:
        """Return the leases on blobs of this container."""
        return BlobLeases(self._requests)

    async def aclose(self) -> None:
        await self._requests.aclose()

    def __repr__(self) -> str:
        return f"<BlobStorage {self._container_name!r}>"

    async def _get(self, key: str) -> StoredItem | None:
        async def download(connection: Connection, options: dict[str, Any]) -> StoredItem:
            return await connection.blobs.get(key, options)

        try:
            return await self._requests.run("read", key, download)
        except RequestFailed as failure:
            if self._is_absence(failure):
                return None
            raise failure.error() from failure.__cause__

    def _put_error(self, failure: RequestFailed, key: str, etag: str | None) -> StateError:
        if failure.kind in (FailureKind.CONFLICT, FailureKind.ABSENT):
            may_be_own = failure.maybe_done or not self._requests.sees_resends
            return conflict(key, etag, maybe_written=may_be_own)
        return failure.error()

    def _is_absence(self, failure: RequestFailed) -> bool:
        """True if the blob is missing, or its container is and the first write will create it."""
        missing = failure.kind is FailureKind.NO_CONTAINER and self._creates_container
        return missing or failure.kind is FailureKind.ABSENT

    async def _create_container(self, creations: int) -> None:
        """Create the container, unless another call did since ``creations`` was read."""

        async def create(connection: Connection, options: dict[str, Any]) -> None:
            await connection.container.create_container(**options)

        async with self._creating:
            if self._creations != creations:
                return
            try:
                await self._requests.run("create container", None, create)
            except RequestFailed as failure:
                if failure.kind is not FailureKind.CONFLICT:
                    raise failure.error() from failure.__cause__
            self._creations += 1


_ETAG: Final = re.compile(r"[!#-~]{1,200}")


def _condition(etag: str | None) -> dict[str, str]:
    if etag is None:
        return {"If-None-Match": "*"}
    if etag == ANY:
        return {}
    # No blob has an ETag that a header cannot carry; asking for "none" conflicts, as it should.
    safe = etag if _ETAG.fullmatch(etag) else "none"
    return {"If-Match": f'"{safe}"'}


def _info(blob: Any) -> ItemInfo:
    # Here, not above: the driver is imported when a BlobStorage is made.
    from .block_blobs import bare_etag

    metadata = frozen_metadata(blob.metadata)
    return ItemInfo(blob.name, bare_etag(blob.etag), blob.size, blob.last_modified, metadata)


def _is_directory(blob: Any) -> bool:
    # An account with a hierarchical namespace makes one for each "/" of a key, and lists it.
    return (blob.metadata or {}).get("hdi_isfolder") == "true"
