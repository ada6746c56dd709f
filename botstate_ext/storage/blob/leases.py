"""BlobLeases: a blob has at most one holder, until it releases the lease or stops renewing it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from .errors import FailureKind, RequestFailed
from .requests import Connection, Request, Requests

_GONE: Final = (FailureKind.ABSENT, FailureKind.NO_CONTAINER)


class BlobLeases:
    """Acquires, renews and releases leases on the blobs of one container.

    A ``lease_id`` is a GUID. Acquiring a lease again with the same id succeeds.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def acquire(self, key: str, lease_id: str, duration: timedelta) -> bool | None:
        """Acquire a lease. Return False if another holds it, None if there is no such blob.

        :raises StateStorageError: it failed; the lease may have been acquired all the same.
        """
        seconds = int(duration.total_seconds())

        async def request(connection: Connection, options: dict[str, Any]) -> None:
            await _lease(connection, key, lease_id).acquire(seconds, **options)

        kind = await self._run("lease", key, request)
        return None if kind in _GONE else kind is None

    async def renew(self, key: str, lease_id: str) -> bool:
        """Extend a lease by its duration from now. Return False if it or the blob is gone.

        It opens no connection: a lease that was acquired before `aclose` is not extended after it.

        :raises StateStorageError: it failed.
        """

        async def request(connection: Connection, options: dict[str, Any]) -> None:
            await _lease(connection, key, lease_id).renew(**options)

        return await self._run("renew", key, request, opens=False) is None

    async def release(self, key: str, lease_id: str) -> bool:
        """Release a lease. Return False if it was not held. It opens no connection.

        :raises StateStorageError: it failed, or the storage was closed; the lease ends by itself.
        """

        async def request(connection: Connection, options: dict[str, Any]) -> None:
            await _lease(connection, key, lease_id).release(**options)

        return await self._run("release", key, request, opens=False) is None

    async def _run(
        self, operation: str, key: str, request: Request[None], *, opens: bool = True
    ) -> FailureKind | None:
        """Send a request. Return None if it was done, or why the lease or the blob is not there."""
        try:
            await self._requests.run(operation, key, request, opens=opens)
        except RequestFailed as failure:
            if failure.kind is FailureKind.LEASED or failure.kind in _GONE:
                return failure.kind
            raise failure.error() from failure.__cause__
        return None


def _lease(connection: Connection, key: str, lease_id: str) -> Any:
    # Here, not above: the driver is imported when a BlobStorage is made.
    from azure.storage.blob.aio import BlobLeaseClient

    return BlobLeaseClient(connection.blob(key), lease_id)
