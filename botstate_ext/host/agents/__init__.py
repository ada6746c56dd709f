"""The Microsoft 365 Agents SDK (``microsoft-agents-hosting-core``) as a host.

``host`` answers the questions of ``host.protocol``. ``channel`` holds an agent's replies.
``snapshot`` restores a turn's context for a replay. ``dialog_memory`` shows a scope to the SDK's
dialogs. ``sdk`` has the base classes. Imports nothing of ``botbuilder``.
"""

from __future__ import annotations

from importlib.util import find_spec


def require_agents_sdk() -> None:
    """Refuse to go on where the SDK is not installed.

    :raises ImportError: it is not; the text says what to install.
    """
    missing = (
        find_spec("microsoft_agents") is None or find_spec("microsoft_agents.hosting.core") is None
    )
    if missing:
        raise ImportError(
            "botstate_ext.agents needs the Microsoft 365 Agents SDK, which is not installed: "
            'pip install "microsoft-agents-hosting-core==1.9.*" '
            '"microsoft-agents-hosting-aiohttp==1.9.*"'
        )
