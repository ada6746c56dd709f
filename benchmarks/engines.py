"""Every storage that several processes can share: how its server starts, and how it is opened."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from botstate_ext import BlobLeaseLock, PostgresAdvisoryLock, RedisLeaseLock, TurnLock
from botstate_ext import storage as storages
from botstate_ext.storage import StateStorage
from tests import azurite, cosmos, servers

# To measure: no deadline that a busy machine reaches.
DEADLINE: Final = timedelta(minutes=5)

LOCKS: Final[dict[str, Callable[..., TurnLock]]] = {
    "blob": BlobLeaseLock,
    "postgres": lambda storage, **options: PostgresAdvisoryLock(storage, **options),
    "redis": lambda storage, **options: RedisLeaseLock(storage, **options),
}
"""The kinds of storage that have a lock of their own, and how it is made of such a storage."""


def opened(
    kind: str,
    address: str,
    name: str,
    deadline: timedelta = DEADLINE,
    types: Iterable[type] = (),
) -> StateStorage:
    """Return a storage with the items that are under this name at this address."""
    if kind == "sqlite":
        path = Path(address) / f"{name}.db"
        return storages.SQLiteStorage(path, busy_timeout=deadline, types=types)
    if kind == "postgres":
        table = name.replace("-", "_")
        return storages.PostgresStorage(address, table=table, deadline=deadline, types=types)
    if kind == "redis":
        return storages.RedisStorage(address, prefix=name, deadline=deadline, types=types)
    if kind == "cosmos":
        return storages.CosmosStorage(
            address,
            cosmos.KEY,
            database="bots",
            container=name,
            timeout=deadline,
            types=types,
            client_options={"enable_endpoint_discovery": False},
        )
    return storages.BlobStorage(
        connection_string=address, container_name=name, deadline=deadline, types=types
    )


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="sqlite-") as folder:
        yield folder


@contextmanager
def _azurite() -> Iterator[str]:
    program = azurite.find_azurite()
    if program is None:
        raise LookupError("no Azurite: `make azurite` installs it")
    with azurite.running_azurite(program) as endpoint:
        yield azurite.connection_string(endpoint)


@contextmanager
def _cosmos() -> Iterator[str]:
    program = cosmos.find_cosmos()
    if program is None:
        raise LookupError("no emulator of Cosmos DB: `make test` installs it")
    with cosmos.running_cosmos(program) as endpoint:
        yield endpoint


STARTS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "sqlite": _folder,
    "postgres": servers.postgres_for_tests,
    "redis": servers.redis_for_tests,
    "blob": _azurite,
    "cosmos": _cosmos,
}
"""How the server of each kind is started. Each gives the address for `opened`."""
