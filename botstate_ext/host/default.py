"""The host of an app that names none: the Bot Framework SDK."""

from __future__ import annotations

from .bases import HAS_BOT_FRAMEWORK
from .protocol import Host


def default_host() -> Host:
    """Return the host for the Bot Framework SDK.

    :raises ImportError: the SDK is not installed.
    """
    require_bot_framework("This")
    from .bot_framework.host import BotFrameworkHost

    return BotFrameworkHost()


def require_bot_framework(name: str) -> None:
    """Refuse a name that needs the Bot Framework SDK where it is not installed.

    :raises ImportError: it is not; the text says what to install.
    """
    if not HAS_BOT_FRAMEWORK:
        raise ImportError(
            f"{name} needs the Bot Framework SDK, which is not installed: "
            'pip install "botbuilder-core>=4.17,<5" aiohttp. '
            "On the Microsoft 365 Agents SDK, import from botstate_ext.agents."
        )
