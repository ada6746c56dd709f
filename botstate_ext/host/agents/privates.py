"""The parts of the SDK without a public name that this package uses: all of them are named here.

A new version of the SDK may move one. `tests/agents/test_privates.py` says which.
"""

from __future__ import annotations

from asyncio import Task
from typing import Any, Final

_SIGN_IN_TASK: Final = "AgentApplication._handle_turn_skip.<locals>.__replay"


def goes_on_after_sign_in(task: Task[Any] | None) -> bool:
    """Return True for the task in which the application handles an activity that waited for the
    user to sign in. The turn that started the task does not wait for it."""
    return getattr(task and task.get_coro(), "__qualname__", None) == _SIGN_IN_TASK
