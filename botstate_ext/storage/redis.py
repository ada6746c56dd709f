"""RedisStorage: items in Redis."""

from __future__ import annotations

import asyncio
import logging
import random as _random
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from .backend import (
    check_etag,
    check_key,
    check_put,
    check_writes,
    conflict_of,
    page_of,
    page_size,
    prefix_end,
)
from .base import ANY, DueItems, ItemInfo, ItemPage, ItemWrite, StateStorage, StoredItem
from .due_index import NEXT_EXPIRY
from .keycheck import may_start_a_key
from .redis_leases import RedisLeases
from .redis_server import RedisServer
from .retry import Retries
from .rows import due_pages_read, due_text, metadata_from, metadata_text

if TYPE_CHECKING:
    import redis.asyncio
    from redis.commands.core import AsyncScript

_log: Final = logging.getLogger("botstate_ext")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

# An item is a hash: e its ETag, d its data, m its metadata, u when it was written, x its due entry.
# Two sorted sets, all scores 0, so ordered by their bytes: the keys; and "due entry, NUL, key".
# A script runs alone, so its conditions hold. Arguments: seven for each write: its
# key, "put" or "delete", the ETag it needs ("" for none), its new ETag, its data, its metadata, its
# due entry. A write that finds its own new ETag is one that is sent again.
_WRITE: Final = """
local keys, due = KEYS[1], KEYS[2]
local lost, gone, time = {}, 0, redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
for i = 3, #KEYS do
  local a = (i - 3) * 7
  local etag, wanted = redis.call('HGET', KEYS[i], 'e'), ARGV[a + 3]
  local is_repeated = etag == ARGV[a + 4]
  local is_gone = ARGV[a + 2] == 'delete' and not etag
  local holds = wanted == '*' or (wanted == '' and not etag) or (etag and wanted == etag)
  if not (holds or is_repeated or is_gone) then lost[#lost + 1] = i - 3 end
end
if #lost > 0 then return {'lost', lost} end
for i = 3, #KEYS do
  local a, item = (i - 3) * 7, KEYS[i]
  local key = ARGV[a + 1]
  local before = redis.call('HGET', item, 'x')
  if before then redis.call('ZREM', due, before .. '\\0' .. key) end
  if ARGV[a + 2] == 'delete' then
    gone = gone + redis.call('DEL', item)
    redis.call('ZREM', keys, key)
  else
    redis.call('HSET', item, 'e', ARGV[a + 4], 'd', ARGV[a + 5], 'm', ARGV[a + 6],
      'x', ARGV[a + 7], 'u', now)
    redis.call('ZADD', keys, 0, key)
    redis.call('ZADD', due, 0, ARGV[a + 7] .. '\\0' .. key)
  end
end
return {'done', gone}
"""
# All are of one moment. No transaction (MULTI): a server whose memory is full refuses one, even to
# read.
_READ: Final = """
local found = {}
for i, item in ipairs(KEYS) do found[i] = redis.call('HMGET', item, 'e', 'd', 'm') end
return found
"""
# Arguments: what comes before an item's key, the range, the most members. An item that Redis
# evicted is left out.
_LIST: Final = """
local found = {}
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
for _, member in ipairs(members) do
  local key = string.match(member, '%z(.*)$') or member
  local item = ARGV[1] .. key
  local values = redis.call('HMGET', item, 'e', 'u', 'm')
  if values[1] then
    local size = redis.call('HSTRLEN', item, 'd')
    found[#found + 1] = {member, key, values[1], size, values[2], values[3]}
  else
    found[#found + 1] = {member}
  end
end
return found
"""


class RedisStorage(StateStorage):
    """Items in one Redis database, 6 or newer, or in one slot of a cluster.

    ``url``: as ``redis.asyncio.from_url`` takes it, for a client that this storage opens and
    closes; or a ``redis.asyncio.Redis`` of the app's, which stays the app's and must not have
    ``decode_responses``.
    ``prefix``: what the names of all keys begin with. All have one hash tag, ``{prefix}``, so that
    they can be written in one step.
    ``parallel``: the most connections of the own client. ``deadline``: for one operation with all
    its attempts; a lost connection and a server that restarts are tried again until then.
    ``types``: see StateStorage. ``sleep`` and ``random`` are asyncio's and random's, for tests.

    Redis keeps what it answered only if it writes a log of it (``appendonly yes``), and may drop
    items under ``maxmemory`` with an ``allkeys`` policy: either is warned of when it is opened.

    :raises ImportError: redis-py is not installed; the text says what to install.
    :raises ValueError: ``url`` is not one, or ``prefix`` is empty or holds a brace.
    """

    transactional = True

    def __init__(
        self,
        url: str | redis.asyncio.Redis,
        *,
        prefix: str = "botstate",
        parallel: int = 16,
        deadline: timedelta = timedelta(seconds=8),
        types: Iterable[type] = (),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        super().__init__(types=types)
        if parallel < 1:
            raise ValueError("parallel must be at least 1.")
        if not prefix or "{" in prefix or "}" in prefix:
            raise ValueError("prefix must be a text without braces that is not empty.")
        self._prefix = prefix
        self._keys, self._due = f"{{{prefix}}}:keys", f"{{{prefix}}}:due"
        self._item = f"{{{prefix}}}:item:"
        self._server = RedisServer(
            url,
            parallel=parallel,
            retries=Retries(deadline, sleep, random),
            on_open=_warn_of_losses,
        )
        self._scripts: dict[str, AsyncScript] = {}

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        for key in keys:
            check_key(key)
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}

        async def read(client: redis.asyncio.Redis) -> dict[str, StoredItem]:
            names = [self._item + key for key in wanted]
            rows = await self._script(_READ, client)(names, client=client)
            return {
                key: StoredItem(bytes(data), etag.decode(), metadata_from(metadata))
                for key, (etag, data, metadata) in zip(wanted, rows, strict=True)
                if etag is not None
            }

        only = wanted[0] if len(wanted) == 1 else None
        return await self._server.run("read", only, read)

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        check_put(key, etag, metadata)
        etags, _ = await self._write("put", key, [ItemWrite(key, data, etag, metadata)])
        return etags[key]

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        check_key(key)
        check_etag(etag)
        _, gone = await self._write("delete", key, [ItemWrite(key, None, etag)])
        return gone > 0

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        check_writes(writes)
        etags, _ = await self._write("put", None, writes) if writes else ({}, 0)
        return etags

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)
        if not may_start_a_key(prefix + (continuation_token or "")):
            return ItemPage(())
        start = f"[{prefix}"
        if continuation_token is not None and continuation_token >= prefix:
            start = f"({continuation_token}"
        end = prefix_end(prefix)
        stop = "+" if end is None else f"({end}"
        infos = {
            member.decode(): info
            for member, info in await self._list(self._keys, start, stop, size + 1)
        }
        page = page_of(infos, size, lambda key: infos[key] or _EVICTED)
        items = tuple(item for item in page.items if item is not _EVICTED)
        return ItemPage(items, page.continuation_token)

    def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        if entry != NEXT_EXPIRY:
            return super().list_due(entry, until)
        end = f"({until}\1".encode()  # after every key of this entry, before the next entry

        async def read(last: bytes | None, limit: int) -> list[tuple[bytes, ItemInfo | None]]:
            start = "-" if last is None else b"(" + last
            return await self._list(self._due, start, end, limit)

        return due_pages_read(read)

    def leases(self) -> RedisLeases:
        """Return leases on names, over the connections of this storage."""
        return RedisLeases(self._server, self._prefix, owns_server=False)

    async def aclose(self) -> None:
        await self._server.aclose()

    def __repr__(self) -> str:
        return f"<RedisStorage with prefix {self._prefix!r}>"

    async def _write(
        self, operation: str, key: str | None, writes: Sequence[ItemWrite]
    ) -> tuple[dict[str, str], int]:
        """Write, and return the new ETags and how many items were deleted."""
        etags = {write.key: token_hex(16) for write in writes if write.data is not None}
        names = [self._keys, self._due, *(self._item + write.key for write in writes)]
        values = [value for write in writes for value in _values(write, etags.get(write.key, ""))]

        async def run(client: redis.asyncio.Redis) -> int:
            told, found = await self._script(_WRITE, client)(names, values, client)
            if told == b"lost":
                raise conflict_of(writes, [writes[number] for number in found])
            if told != b"done" or not isinstance(found, int):
                raise ValueError("this is no answer of the script")
            return found

        return etags, await self._server.run(operation, key, run)

    def _script(self, text: str, client: redis.asyncio.Redis) -> AsyncScript:
        # Kept: each makes a hash of its text. It runs on any client.
        if text not in self._scripts:
            self._scripts[text] = client.register_script(text)
        return self._scripts[text]

    async def _list(
        self, name: str, start: str | bytes, end: str | bytes, limit: int
    ) -> list[tuple[bytes, ItemInfo | None]]:
        """Return the members of a sorted set in this range, each with its item."""

        async def run(client: redis.asyncio.Redis) -> list[tuple[bytes, ItemInfo | None]]:
            values = [self._item, start, end, limit]
            rows = await self._script(_LIST, client)([name], values, client)
            return [(bytes(row[0]), _info(row)) for row in rows]

        return await self._server.run("list", None, run)


async def _warn_of_losses(client: redis.asyncio.Redis) -> None:
    told = await client.info("all")
    if not told.get("aof_enabled"):
        _log.warning(
            "Redis keeps no log of what is written (appendonly no): a crash loses the last turns,"
            " or all. Set appendonly yes; with appendfsync always no acknowledged turn is lost."
        )
    if told.get("maxmemory") and str(told.get("maxmemory_policy")).startswith("allkeys"):
        _log.warning(
            "Redis drops state when its memory is full (maxmemory-policy %s): set noeviction.",
            told["maxmemory_policy"],
        )


def _values(write: ItemWrite, new_etag: str) -> tuple[str | bytes, ...]:
    if write.data is None:
        return (write.key, "delete", write.etag or "", "", "", "", "")
    content = (bytes(write.data), metadata_text(write.metadata), due_text(write.metadata))
    return (write.key, "put", write.etag or "", new_etag, *content)


_EVICTED: Final = ItemInfo("", "", 0, _EPOCH)


def _info(row: Sequence[Any]) -> ItemInfo | None:
    """None for an item that was evicted."""
    if len(row) == 1:
        return None
    _, key, etag, size, updated, metadata = row
    when = _EPOCH + timedelta(microseconds=int(updated))
    return ItemInfo(key.decode(), etag.decode(), size, when, metadata_from(metadata))
