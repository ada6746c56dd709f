"""Leases: at most one holder of a blob at a time, until it releases it or stops renewing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from .errors import Meaning, RequestFailed
from .requests import Request, Requests

_GONE: Final = (Meaning.ABSENT, Meaning.NO_CONTAINER)


class BlobLeases:
    """Leases on the blobs of one container. A ``lease_id`` is a GUID; the same one again is no
    other's."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def acquire(self, key: str, lease_id: str, duration: timedelta) -> bool | None:
        """False when another holds the lease; None when there is no such blob.

        :raises StateStorageError: it failed; the lease may be ours all the same.
        """
        seconds = int(duration.total_seconds())

        async def request(container: Any, options: dict[str, Any]) -> None:
            await _lease(container, key, lease_id).acquire(seconds, **options)

        meaning = await self._run("lease", key, request)
        return None if meaning in _GONE else meaning is None

    async def renew(self, key: str, lease_id: str) -> bool:
        """Hold it for its duration from now on. False when it is another's, or the blob is gone.

        :raises StateStorageError: it failed.
        """

        async def request(container: Any, options: dict[str, Any]) -> None:
            await _lease(container, key, lease_id).renew(**options)

        return await self._run("renew", key, request) is None

    async def release(self, key: str, lease_id: str) -> bool:
        """Let it go. False when it was not held.

        :raises StateStorageError: it failed; the lease ends by itself.
        """

        async def request(container: Any, options: dict[str, Any]) -> None:
            await _lease(container, key, lease_id).release(**options)

        return await self._run("release", key, request) is None

    async def _run(self, operation: str, key: str, request: Request[None]) -> Meaning | None:
        """None when it was done; otherwise why another's hand, or an absence, kept it from that."""
        try:
            await self._requests.run(operation, key, request)
        except RequestFailed as failure:
            if failure.meaning is Meaning.LEASED or failure.meaning in _GONE:
                return failure.meaning
            raise failure.error() from failure.__cause__
        return None


def _lease(container: Any, key: str, lease_id: str) -> Any:
    # Here, not above: the driver is imported when a BlobStorage is made.
    from azure.storage.blob.aio import BlobLeaseClient

    return BlobLeaseClient(container.get_blob_client(key), lease_id)
