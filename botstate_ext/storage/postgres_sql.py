"""The SQL of PostgresStorage, for one table."""

from __future__ import annotations

from typing import Any, Final

from psycopg import sql

# Texts are compared byte by byte (COLLATE "C"), whatever the database's language. The index over
# keys holds their first characters only: it takes some 2,700 bytes, and a character has up to three
# for each of the 1,024 that a key may have.
_HEAD: Final = "left(key, 800)"

_TABLE: Final = (
    'CREATE TABLE IF NOT EXISTS {table} (id bytea PRIMARY KEY, key text COLLATE "C" NOT NULL,'
    " etag text NOT NULL, data bytea NOT NULL, metadata text NOT NULL,"
    ' updated timestamptz NOT NULL, due text COLLATE "C" NOT NULL)'
)
_KEY_INDEX: Final = f"CREATE INDEX IF NOT EXISTS {{key_index}} ON {{table}} ({_HEAD})"
_DUE_INDEX: Final = "CREATE INDEX IF NOT EXISTS {due_index} ON {table} (due, id)"
_INSERT: Final = (
    "INSERT INTO {table} AS stored (id, key, etag, data, metadata, updated, due)"
    " VALUES (%s, %s, %s, %s, %s, clock_timestamp(), %s) ON CONFLICT (id) DO UPDATE SET "
)
_INFO: Final = "key, etag, octet_length(data), updated, metadata"
_FIRST_FOLDER: Final = (
    "SELECT split_part(key, '/', 1) FROM {table} WHERE {range} strpos(key, '/') > 0"
    " ORDER BY " + _HEAD + ", key LIMIT 1"
)


class Statements:
    """The statements for a table.

    :raises ValueError: ``table`` is not a name.
    """

    def __init__(self, table: str) -> None:
        parts = table.split(".")
        # An index has the table's name and a few characters more, and a name at most 63 bytes.
        if not all(parts) or len(parts) > 2 or any(len(part.encode()) > 59 for part in parts):
            raise ValueError("table must be a name, or schema.table, of at most 59 bytes each.")
        self._names = {
            "table": sql.Identifier(*parts),
            "key_index": sql.Identifier(f"{parts[-1]}_key"),
            "due_index": sql.Identifier(f"{parts[-1]}_due"),
        }
        self.quoted_table = sql.Identifier(*parts).as_string()
        self.schema = [self._made(statement) for statement in (_TABLE, _KEY_INDEX, _DUE_INDEX)]
        self.is_there = "SELECT to_regclass(%s)::text"
        self.select = self._made("SELECT key, etag, data, metadata FROM {table} WHERE id = ANY(%s)")
        # A create that is sent again because its answer was lost finds its own ETag.
        self.create = self._made(_INSERT + "etag = excluded.etag WHERE stored.etag = excluded.etag")
        self.overwrite = self._made(
            _INSERT + "etag = excluded.etag, data = excluded.data, metadata = excluded.metadata,"
            " updated = excluded.updated, due = excluded.due"
        )
        self.update = self._made(
            "UPDATE {table} SET etag = %s, data = %s, metadata = %s, updated = clock_timestamp(),"
            " due = %s WHERE id = %s AND etag IN (%s, %s)"
        )
        # What was deleted, and what is there with another ETag.
        self.delete = self._made(
            "WITH found AS (SELECT 1 FROM {table} WHERE id = %s FOR UPDATE), deleted AS ("
            "DELETE FROM {table} WHERE id = %s AND (etag = %s OR %s = '*') RETURNING 1)"
            " SELECT (SELECT count(*) FROM deleted), (SELECT count(*) FROM found)"
        )
        self.due = self._made(
            f"SELECT {_INFO}, due, id FROM {{table}} WHERE due <= %s AND (due, id) > (%s, %s)"
            " ORDER BY due, id LIMIT %s"
        )
        self.folders = self._made(_folders())

    def schema_sql(self) -> str:
        """Return the statements that create the table and its indexes."""
        return "\n".join(f"{statement};" for statement in self.schema)

    def list(self, prefix: str, end: str | None, after: str | None) -> tuple[Any, tuple[str, ...]]:
        """Return the statement of a page, whose last value is its limit, and its other values."""
        if after is not None and after >= prefix:
            conditions, values = [f"{_HEAD} >= left(%s, 800) AND key > %s"], [after, after]
        else:
            conditions, values = [f"{_HEAD} >= left(%s, 800) AND key >= %s"], [prefix, prefix]
        if end is not None:
            conditions.append(f"{_HEAD} <= left(%s, 800) AND key < %s")
            values += [end, end]
        where = " AND ".join(conditions)
        statement = f"SELECT {_INFO} FROM {{table}} WHERE {where} ORDER BY {_HEAD}, key LIMIT %s"
        return self._made(statement), tuple(values)

    def _made(self, statement: str) -> Any:
        # As a text: psycopg would put a composed statement together at each use. Typed Any, since
        # it takes literals only, so that no value gets into a statement; here only names do.
        return sql.SQL(statement).format(**self._names).as_string()


def _folders() -> str:
    """Return the query for all folders. It jumps from each folder to the first key after it, so its
    cost grows with the folders, not with the keys."""
    following = _HEAD + " >= left(folder || '0', 800) AND key >= folder || '0' AND"
    first = _FIRST_FOLDER.replace("{range}", "")
    then = _FIRST_FOLDER.replace("{range}", following)
    return (
        f"WITH RECURSIVE folders (folder) AS (({first}) UNION ALL SELECT ({then}) FROM folders"
        " WHERE folder IS NOT NULL) SELECT folder FROM folders WHERE folder IS NOT NULL"
    )
