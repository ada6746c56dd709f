"""The SDK's classes that ours are subclasses of; stand-ins where the SDK is not installed.

With stand-ins every module of the package can be imported without the SDK. The public names that
need it say then what to install.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

__all__ = [
    "HAS_BOT_FRAMEWORK",
    "BotState",
    "ConversationState",
    "Middleware",
    "PrivateConversationState",
    "StatePropertyAccessor",
    "Storage",
    "UserState",
]


def _is_missing(error: ModuleNotFoundError) -> bool:
    """Return True if the SDK itself is not installed; False if something that it needs is not."""
    return (error.name or "").partition(".")[0] == "botbuilder"


HAS_BOT_FRAMEWORK = True
"""True if botbuilder-core is installed."""

if TYPE_CHECKING:
    from botbuilder.core import (
        BotState,
        ConversationState,
        Middleware,
        PrivateConversationState,
        StatePropertyAccessor,
        Storage,
        UserState,
    )
else:
    try:
        from botbuilder.core import (
            BotState,
            ConversationState,
            Middleware,
            PrivateConversationState,
            StatePropertyAccessor,
            Storage,
            UserState,
        )
    except ModuleNotFoundError as error:
        if not _is_missing(error):
            raise
        HAS_BOT_FRAMEWORK = False

        class Storage(ABC):
            """Stands in for ``botbuilder.core.Storage``."""

            @abstractmethod
            async def read(self, keys: Any) -> Any:
                """Read items."""

            @abstractmethod
            async def write(self, changes: Any) -> None:
                """Write items."""

            @abstractmethod
            async def delete(self, keys: Any) -> None:
                """Delete items."""

        class BotState:
            """Stands in for ``botbuilder.core.BotState``."""

            def __init__(self, storage: Any, context_service_key: str) -> None:
                pass

        class UserState(BotState):
            """Stands in for ``botbuilder.core.UserState``."""

        class ConversationState(BotState):
            """Stands in for ``botbuilder.core.ConversationState``."""

        class PrivateConversationState(BotState):
            """Stands in for ``botbuilder.core.PrivateConversationState``."""

        class StatePropertyAccessor:
            """Stands in for ``botbuilder.core.StatePropertyAccessor``."""

        class Middleware:
            """Stands in for ``botbuilder.core.Middleware``."""
