"""Opens the storage that a URL names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

import click

from .. import storage as storages
from ..storage import StateStorage
from .target import CONNECTION_STRING, blob_storage

COSMOS_ENDPOINT: Final = "AZURE_COSMOS_ENDPOINT"
COSMOS_KEY: Final = "AZURE_COSMOS_KEY"
HELP: Final = (
    "sqlite:///PATH; postgresql://..., with ?table=NAME; redis://..., with ?prefix=NAME; "
    f"blob://CONTAINER, in the account of {CONNECTION_STRING}; cosmos://DATABASE/CONTAINER, of "
    f"{COSMOS_ENDPOINT} and {COSMOS_KEY}; or env:NAME, for a URL in this environment variable"
)

Open: TypeAlias = Callable[[str, bool], StateStorage]
"""``(url, must_exist)`` -> the storage, which opens nothing before it is used."""


class MissingFileError(click.UsageError):
    """Raised for a URL of a file that must exist, and does not."""


def open_storage(url: str, *, must_exist: bool) -> StateStorage:
    """Return the storage of a URL. ``must_exist``: do not make it if it is missing, where that can
    be told.

    :raises click.UsageError: the URL names none. Its text does not show the URL, which may hold a
        password.
    :raises MissingFileError: the file must exist, and does not.
    """
    if url.startswith("env:"):
        url = _variable(url.removeprefix("env:"))
    scheme = url.partition(":")[0]
    if scheme not in _KINDS:
        raise click.UsageError(f"A storage is one of these: {HELP}.")
    try:
        return _KINDS[scheme](url, must_exist)
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.UsageError(f"{scheme}: {error}") from None


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise click.UsageError(f"{name} is not in the environment.")
    return value


def _sqlite(url: str, must_exist: bool) -> StateStorage:
    parts = urlsplit(url)
    path = Path(unquote(parts.path.removeprefix("/")))
    if parts.netloc or not path.name:
        raise click.UsageError("A file is sqlite:///state/bot.db, or sqlite:////srv/state/bot.db.")
    if must_exist and not path.is_file():
        raise MissingFileError(f"There is no file {str(path)!r}.")
    return storages.SQLiteStorage(path)


def _postgres(url: str, must_exist: bool) -> StateStorage:
    rest, table = _without("table", url)
    return storages.PostgresStorage(rest, table=table or "botstate_items")


def _redis(url: str, must_exist: bool) -> StateStorage:
    rest, prefix = _without("prefix", url)
    return storages.RedisStorage(rest, prefix=prefix or "botstate")


def _blob(url: str, must_exist: bool) -> StateStorage:
    return blob_storage(urlsplit(url).netloc, create_container=not must_exist)


def _cosmos(url: str, must_exist: bool) -> StateStorage:
    parts = urlsplit(url)
    return storages.CosmosStorage(
        _variable(COSMOS_ENDPOINT),
        _variable(COSMOS_KEY),
        database=parts.netloc,
        container=parts.path.strip("/"),
        # All requests go where the variable says, also to an emulator.
        client_options={"enable_endpoint_discovery": False},
    )


def _without(name: str, url: str) -> tuple[str, str | None]:
    """Return the URL without this parameter, which is not the driver's, and its value, if any."""
    rest, _, query = url.partition("?")
    given = [pair for pair in query.split("&") if pair]
    mine = [pair for pair in given if pair.startswith(f"{name}=")]
    others = "&".join(pair for pair in given if pair not in mine)
    value = unquote(mine[-1].partition("=")[2]) if mine else None
    return (f"{rest}?{others}" if others else rest), value


_KINDS: Final[Mapping[str, Open]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "postgresql": _postgres,
    "redis": _redis,
    "rediss": _redis,
    "blob": _blob,
    "cosmos": _cosmos,
}
