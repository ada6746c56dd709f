"""The group of all commands."""

from __future__ import annotations

import click

from .documents import list_, query, show_
from .migrate import migrate
from .sweep import sweep
from .users import erase_user, export_user


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look after the stored state of a bot.

    Which state is said by --app module:states, the StateScopes of a bot that can be imported from
    here; or by --container and the connection string in AZURE_STORAGE_CONNECTION_STRING.

    The exit code is 0 when all went well, 1 when something failed, 2 for a wrong command line.
    """


for command in (list_, show_, query, export_user, erase_user, migrate, sweep):
    main.add_command(command)
