"""An app on the storage of a bot that ran on the SDK alone."""

from __future__ import annotations

from typing import Any

from botstate_ext import StateScopes
from botstate_ext.storage import MemoryStorage


class Profile:
    """A class of the app, which nobody declared."""


def _storage() -> MemoryStorage:
    profile: dict[str, Any] = {"py/object": f"{Profile.__module__}.Profile", "name": "Ann"}
    return MemoryStorage({"test/users/ann": {"profile": profile}, "test/users/bob": {"count": 1}})


UNREAD = StateScopes(_storage())
FAILING = StateScopes(_storage(), types=[Profile])
FAILING.user.create_property("n").on_export(lambda work, user: object())
STATES = StateScopes(_storage(), types=[Profile])
