"""Defines the group of all commands."""

from __future__ import annotations

import click

from .check import check
from .copy import copy
from .documents import list_, query, show_
from .migrate import migrate
from .sweep import sweep
from .users import erase_user, export_user


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Look after the stored state of a bot.

    Name the state by --app module:states, the StateScopes of a bot that can be imported from here;
    or by --container and the connection string in AZURE_STORAGE_CONNECTION_STRING. `copy` takes
    URLs of two storages.

    The exit code is 0 if all went well; 1 if something failed, was not found, or is left for
    someone to look at; 2 for a wrong command line.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (check, copy, list_, show_, query, export_user, erase_user, migrate, sweep):
    main.add_command(command)
