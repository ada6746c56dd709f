"""BlobSource: the container of a BlobStorage, checked, and a driver's client for it.

The driver is imported when a BlobStorage is made, not before: it costs up to a quarter of a second.
"""

from __future__ import annotations

import base64
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit


class BlobSettings(Protocol):
    """The attributes of botbuilder-azure's ``BlobStorageSettings``, which need not be installed."""

    container_name: str
    account_name: str
    account_key: str
    connection_string: str


@dataclass(frozen=True)
class BlobSource:
    """A container, and a function that makes a client for it."""

    container_name: str
    open: Callable[[], Any]
    """A ``ContainerClient``: a new one each time, unless the app brought its own."""
    is_ours: bool = True
    """False if the app made the client, and closes it."""


_CONTAINER_NAME: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])+|\$root|\$web|\$logs")
_NAME_LENGTHS: Final = range(3, 64)
_ACCOUNT_NAME: Final = re.compile(r"[a-z0-9]{3,24}")


def choose(
    *,
    settings: BlobSettings | None,
    connection_string: str | None,
    account_url: str | None,
    container_client: Any,
    container_name: str | None,
    credential: Any,
) -> BlobSource:
    """Return the source that is given in exactly one way.

    :raises ValueError: it is given in none, or in two; or a setting is missing or malformed; or
        the client encrypts. The text names the setting, and shows no value.
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
        if not _ACCOUNT_NAME.fullmatch(settings.account_name):
            raise ValueError("account_name must be 3 to 24 lower-case letters and digits.")
        _check_key(settings.account_key, "account_key")
        connection_string = (
            f"DefaultEndpointsProtocol=https;AccountName={settings.account_name};"
            f"AccountKey={settings.account_key};EndpointSuffix=core.windows.net"
        )
    return _from_connection_string(connection_string, settings.container_name)


def _from_connection_string(connection_string: str, container_name: str | None) -> BlobSource:
    client_class = _client_class()
    _check_connection_string(connection_string)
    name = _checked_name(container_name)

    def open_() -> Any:
        try:
            return client_class.from_connection_string(connection_string, name, **_options())
        except ValueError:  # its text may show a part of the connection string
            raise ValueError(_NO_CONNECTION_STRING) from None

    return BlobSource(name, open_)


def _from_account_url(account_url: str, container_name: str | None, credential: Any) -> BlobSource:
    _refuse_blocking(credential)
    name, client_class = _checked_name(container_name), _client_class()
    _check_url(account_url)
    if isinstance(credential, str) and "sig=" not in credential:
        _check_key(credential, "credential")
    return BlobSource(
        name, lambda: client_class(account_url, name, credential=credential, **_options())
    )


def _from_client(client: Any) -> BlobSource:
    client_class = _client_class()
    if not isinstance(client, client_class):
        raise TypeError(
            "container_client must be an azure.storage.blob.aio.ContainerClient (the asynchronous "
            f"one), not {type(client).__module__}.{type(client).__qualname__}."
        )
    if client.require_encryption or client.key_encryption_key is not None:
        raise ValueError(
            "container_client must not encrypt blobs itself: it would not be asked to. Let Azure "
            "Storage encrypt them with a key of yours (customer-managed keys)."
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


def _check_url(account_url: str) -> None:
    try:
        parts = urlsplit(account_url if "://" in account_url else f"https://{account_url}")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its port is no number
        is_address = False
    if not is_address:
        raise ValueError(
            "account_url must be the address of the account, for example "
            "https://NAME.blob.core.windows.net."
        )


def _options() -> dict[str, Any]:
    from .transport import Transport  # here, not above: it imports the driver

    return {"transport": Transport()}


def _checked_name(container_name: str | None) -> str:
    if not container_name:
        raise ValueError("BlobStorage needs a container_name.")
    if len(container_name) not in _NAME_LENGTHS or not _CONTAINER_NAME.fullmatch(container_name):
        raise ValueError(
            f"container_name {container_name!r} is not one that Azure takes: 3 to 63 lower-case "
            "letters, digits and single hyphens, with a letter or digit at both ends."
        )
    return container_name


_NO_CONNECTION_STRING: Final = (
    "connection_string is empty or not a connection string of an Azure Storage account. It is a "
    "text like DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...; is the environment "
    "variable set that it comes from?"
)


def _check_connection_string(connection_string: object) -> None:
    if not isinstance(connection_string, str):
        given = type(connection_string).__name__
        raise TypeError(f"connection_string must be a str, not {given}.")
    parts = [part.partition("=") for part in connection_string.strip().rstrip(";").split(";")]
    settings = {name.strip().lower(): value for name, _, value in parts}
    names_account = settings.get("accountname") or settings.get("blobendpoint")
    if not names_account or not all(equals for _, equals, _ in parts):
        raise ValueError(_NO_CONNECTION_STRING)
    if "accountkey" in settings:
        _check_key(settings["accountkey"], "the AccountKey in connection_string")


def _check_key(key: str, setting: str) -> None:
    try:
        is_key = bool(base64.b64decode(key, validate=True))
    except ValueError:
        is_key = False
    if not is_key:
        raise ValueError(
            f"{setting} is no account key: it is not base64. Is it whole? It ends with '=='."
        )


def _refuse_blocking(credential: Any) -> None:
    # Azure's own only: the get_token of another class may return an awaitable.
    is_azures = type(credential).__module__.startswith("azure.identity.")
    if is_azures and not inspect.iscoroutinefunction(credential.get_token):
        raise TypeError(
            "This credential would block the event loop: take the class of that name from "
            "azure.identity.aio."
        )
