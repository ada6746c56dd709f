"""Which container a BlobStorage means, and a driver's client for it.

The driver is imported when a BlobStorage is made, not before: it costs up to a quarter of a second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol


class BlobSettings(Protocol):
    """The attributes of botbuilder-azure's ``BlobStorageSettings``, which need not be installed."""

    container_name: str
    account_name: str
    account_key: str
    connection_string: str


@dataclass(frozen=True)
class BlobSource:
    """A container, and how to get a client for it."""

    container_name: str
    open: Callable[[], Any]
    """A ``ContainerClient``: a new one each time, unless the app brought its own."""
    is_ours: bool = True
    """False when the app brought the client, and closes it."""


# Read in one request, so that a blob that is written meanwhile is never seen in two halves.
_OPTIONS: Final = {"max_single_get_size": 256 * 1024 * 1024}


def choose(
    *,
    settings: BlobSettings | None,
    connection_string: str | None,
    account_url: str | None,
    container_client: Any,
    container_name: str | None,
    credential: Any,
) -> BlobSource:
    """The source that is given in exactly one way.

    :raises ValueError: it is given in none, or in two; or something is missing.
    :raises ImportError: the driver is not installed.
    """
    ways = (settings, connection_string, account_url, container_client)
    if sum(way is not None for way in ways) != 1:
        raise ValueError(
            "BlobStorage needs exactly one of settings, connection_string, account_url and "
            "container_client."
        )
    if settings is not None:
        return _from_settings(settings)
    if connection_string is not None:
        return _from_connection_string(connection_string, container_name)
    if account_url is not None:
        return _from_account_url(account_url, container_name, credential)
    return _from_client(container_client)


def _from_settings(settings: BlobSettings) -> BlobSource:
    connection_string = settings.connection_string
    if not connection_string:
        if not settings.account_name or not settings.account_key:
            raise ValueError(
                "BlobStorageSettings needs a connection_string, or account_name and account_key."
            )
        connection_string = (
            f"DefaultEndpointsProtocol=https;AccountName={settings.account_name};"
            f"AccountKey={settings.account_key};EndpointSuffix=core.windows.net"
        )
    return _from_connection_string(connection_string, settings.container_name)


def _from_connection_string(connection_string: str, container_name: str | None) -> BlobSource:
    name, client_class = _named(container_name), _client_class()
    return BlobSource(
        name, lambda: client_class.from_connection_string(connection_string, name, **_OPTIONS)
    )


def _from_account_url(account_url: str, container_name: str | None, credential: Any) -> BlobSource:
    _refuse_blocking(credential)
    name, client_class = _named(container_name), _client_class()
    return BlobSource(
        name, lambda: client_class(account_url, name, credential=credential, **_OPTIONS)
    )


def _from_client(client: Any) -> BlobSource:
    client_class = _client_class()
    if not isinstance(client, client_class):
        raise TypeError(
            "container_client must be an azure.storage.blob.aio.ContainerClient (the asynchronous "
            f"one), not {type(client).__module__}.{type(client).__qualname__}."
        )
    return BlobSource(client.container_name, lambda: client, is_ours=False)


def _client_class() -> Any:
    try:
        from azure.storage.blob.aio import ContainerClient
    except ImportError as error:
        raise ImportError(
            f'BlobStorage needs the Azure driver: pip install "botstate-ext[azure]" ({error}).'
        ) from error
    return ContainerClient


def _named(container_name: str | None) -> str:
    if not container_name:
        raise ValueError("BlobStorage needs a container_name.")
    return container_name


def _refuse_blocking(credential: Any) -> None:
    # Only those that we know: another's get_token may well return something to await.
    is_azures = type(credential).__module__.startswith("azure.identity.")
    if is_azures and not inspect.iscoroutinefunction(credential.get_token):
        raise TypeError(
            "This credential would block the event loop: take the class of that name from "
            "azure.identity.aio."
        )
