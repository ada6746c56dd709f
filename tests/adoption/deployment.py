"""What the tests of adoption share: which package a process runs on, and the SDK's Blob storage."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

Package: TypeAlias = Literal["sdk", "ours"]


def settings_of(azurite: str, container: str) -> Any:
    """Return the settings of the SDK's Blob storage for a container."""
    from botbuilder.azure import BlobStorageSettings

    return BlobStorageSettings(container, connection_string=azurite)


async def close_upstream(storage: Any) -> None:
    """Close the session below the SDK's Blob storage, which the SDK itself never closes."""
    await storage._BlobStorage__container_client._pipeline._transport._transport.close()
