"""Finds the state that a command works on: an app's, or a container's."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import click

from ..errors import StateError
from ..states.state_scopes import StateScopes
from ..storage import BlobStorage

CONNECTION_STRING: Final = "AZURE_STORAGE_CONNECTION_STRING"

F = TypeVar("F", bound=Callable[..., Any])

Command: TypeAlias = Callable[..., Awaitable[int]]
"""Takes the states and the command's own options; returns the exit code."""


def as_json_option(text: str) -> Callable[[F], F]:
    """Give a command ``--json``, with this help text."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def on_states(command: Command) -> Callable[..., None]:
    """Give a command ``--app`` and ``--container``, and run it with the states that they name.

    The storage is closed afterwards. An error of this package is printed as one line, with exit
    code 1.
    """

    @click.option("--app", metavar="MODULE:STATES", help="The StateScopes of a bot.")
    @click.option("--container", metavar="NAME", help=f"In the account of {CONNECTION_STRING}.")
    @functools.wraps(command)
    def run(app: str | None, container: str | None, **options: Any) -> None:
        try:
            code = asyncio.run(_run(_states(app, container), command, options))
        except StateError as error:
            raise click.ClickException(str(error)) from None
        sys.exit(code)

    return run


async def _run(states: StateScopes, command: Command, options: dict[str, Any]) -> int:
    async with states:
        return await command(states, **options)


def _states(app: str | None, container: str | None) -> StateScopes:
    if (app is None) == (container is None):
        raise click.UsageError("Name the state by either --app or --container.")
    if app is None:
        return StateScopes(blob_storage(container, create_container=False))
    return _of_app(app)


def _of_app(name: str) -> StateScopes:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise click.UsageError("--app is MODULE:STATES, for example bot:STATES.")
    # `python -m` finds what is here; a script that was installed for it would not.
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109  # sys.path holds text
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the app was found, and lacks something of its own
        raise click.UsageError(f"There is no module {module_name!r} here.") from None
    for attribute in path.split("."):
        found = getattr(found, attribute, None)
    if not isinstance(found, StateScopes):
        raise click.UsageError(f"{name!r} is no StateScopes.")
    return found


def blob_storage(container: str | None, *, create_container: bool) -> BlobStorage:
    """Return a container of the account whose connection string is in the environment.

    :raises click.UsageError: it is not there, or is none.
    :raises click.ClickException: the driver is not installed.
    """
    connection_string = os.environ.get(CONNECTION_STRING)
    if not connection_string:
        raise click.UsageError(f"A container needs {CONNECTION_STRING} in the environment.")
    try:
        return BlobStorage(
            connection_string=connection_string,
            container_name=container,
            create_container=create_container,
        )
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    except ValueError:
        # Its own text may show a part of what was wrong.
        raise click.UsageError(f"{CONNECTION_STRING} is no connection string.") from None
