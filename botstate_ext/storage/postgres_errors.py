"""What an error of psycopg means, by its SQLSTATE. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import psycopg
import psycopg_pool

from .server_calls import CallFailure


class MayNotCreateTable(Exception):
    """The table is missing and the user may not create it."""

    def __init__(self, schema_sql: str) -> None:
        super().__init__(schema_sql)
        self.schema_sql = schema_sql


class CannotConnect(Exception):
    """A connection could not be made, so nothing was sent. The text is psycopg's."""


_LOST: Final = CallFailure("the connection was lost.", is_transient=True, may_be_done=True)
_NO_CONNECTION: Final = CallFailure("cannot connect to the server.", is_transient=True)
_NO_PASSWORD: Final = CallFailure("the server refuses the user. Check the user and the password.")
_NO_DATABASE: Final = CallFailure("the database does not exist. Create it, or name another.")
_BUSY: Final = CallFailure("the server has no connection left.", is_transient=True)
_RACE: Final = CallFailure("others were writing the same items.", is_transient=True)

_BY_STATE: Final[Mapping[str, CallFailure]] = {
    "25006": CallFailure("the server is read-only. Name the primary one."),
    "28000": _NO_PASSWORD,
    "28P01": _NO_PASSWORD,
    "3D000": _NO_DATABASE,
    "40001": _RACE,
    "40P01": _RACE,
    "42501": CallFailure("the user may not use the table. Grant SELECT, INSERT, UPDATE, DELETE."),
    "42P01": CallFailure("the table is gone. Close the storage, and it is created again."),
    "53100": CallFailure("the disk of the server is full."),
    "53300": _BUSY,
    "57014": CallFailure("the server cancelled it: see its statement_timeout.", is_transient=True),
    "57P01": _LOST,
    "57P02": _LOST,
    "57P03": CallFailure("the server is starting or stopping.", is_transient=True),
}

# An error of connecting has no SQLSTATE, only the text of the server.
_BY_TEXT: Final[Mapping[str, CallFailure]] = {
    "password authentication failed": _NO_PASSWORD,
    "no password supplied": _NO_PASSWORD,
    "no pg_hba.conf entry": CallFailure("the server takes no connections from here: pg_hba.conf."),
    'database "': _NO_DATABASE,
    'role "': _NO_PASSWORD,
    "ProactorEventLoop": CallFailure(
        "psycopg needs asyncio.WindowsSelectorEventLoopPolicy on Windows."
    ),
    "starting up": _BY_STATE["57P03"],
    "shutting down": _BY_STATE["57P03"],
    "too many": _BUSY,
    "remaining connection slots": _BUSY,
}


def failure_of(error: Exception) -> CallFailure | None:
    """Return the meaning of an error; None if it is not psycopg's.

    Its own text is left out: it may name addresses, or quote stored values.
    """
    if isinstance(error, MayNotCreateTable):
        return CallFailure(
            "the table is missing, and the user may not create it. Let someone who may run:\n"
            + error.schema_sql
        )
    if isinstance(error, psycopg_pool.PoolTimeout):
        return CallFailure("no connection within the time.", is_transient=True)
    if isinstance(error, CannotConnect):
        return next((it for words, it in _BY_TEXT.items() if words in str(error)), _NO_CONNECTION)
    if not isinstance(error, psycopg.Error):
        return None
    if error.sqlstate is not None:
        if error.sqlstate.startswith("08"):
            return _LOST
        known = _BY_STATE.get(error.sqlstate)
        return known or CallFailure(f"PostgreSQL answered {error.sqlstate}, {_name(error)}.")
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return _LOST
    # Such as an answer that PostgreSQL does not give: nothing tells what became of a write.
    return CallFailure(f"psycopg failed ({_name(error)}).", may_be_done=True)


def _name(error: Exception) -> str:
    return type(error).__name__
