"""RoutedStorage: stores the items of a channel in the storage for this channel."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ..host.bases import Storage
from .adapt import as_state_storage
from .backend import page_size
from .base import ANY, FLAGS, DueItems, ItemPage, ItemWrite, StateStorage, StoredItem
from .parallel import all_outcomes, in_parallel


class RoutedStorage(StateStorage):
    """Stores each item in the storage of its channel, for a channel with its own compliant store.

    ``routes``: a storage for each channel id. The first part of a key, up to the first "/", chooses
    the route. In the SDK's three scopes it is the channel. ``default`` takes the channels without
    a route and all keys without a channel: ``bot/...``, ``workflow/...``, ``shared/...``, those of
    an app's own scope or of a key function. A route with such a name (``"shared"``) takes its keys.

    An item that was written to another storage before its route existed is neither found nor
    listed.

    Its flags are true if they are true of all the storages. `write_many` writes items in one step
    if one storage holds all of them and can do so: see `transactional_for`. Closing it closes all
    of them, and then raises the first error, if any.

    :raises TypeError: a value is not a Storage.
    :raises ValueError: a channel id is empty or holds a "/".
    """

    def __init__(self, routes: Mapping[str, Storage], *, default: Storage) -> None:
        for channel in routes:
            if not channel or "/" in channel:
                raise ValueError(f"{channel!r} cannot be a channel: it is empty or holds a '/'.")
        self._default = as_state_storage(default)
        self._routes = {name: as_state_storage(routes[name]) for name in sorted(routes)}
        # In the order in which a listing comes to them: that of their keys.
        self._prefixes = sorted(f"{channel}/" for channel in routes)
        self._all = list(dict.fromkeys((*self._routes.values(), self._default)))
        types = dict.fromkeys(type_ for storage in self._all for type_ in storage._types)
        super().__init__(types=types)
        for flag in FLAGS:
            setattr(self, flag, all(getattr(storage, flag) for storage in self._all))
        # No step spans two storages.
        self.transactional: bool = self.transactional and len(self._all) == 1

    def storage_of(self, key: str) -> StateStorage:
        """Return the storage that holds the item with this key."""
        channel, slash, _ = str(key).partition("/")  # that storage refuses a key that is no text
        return self._routes.get(channel, self._default) if slash else self._default

    async def get_many(self, keys: Collection[str]) -> dict[str, StoredItem]:
        wanted: dict[StateStorage, list[str]] = {}
        for key in dict.fromkeys(keys):
            wanted.setdefault(self.storage_of(key), []).append(key)
        found = await in_parallel(storage.get_many(some) for storage, some in wanted.items())
        return {key: item for items in found for key, item in items.items()}

    async def put_if(
        self,
        key: str,
        data: bytes,
        *,
        etag: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        return await self.storage_of(key).put_if(key, data, etag=etag, metadata=metadata)

    async def delete_if(self, key: str, *, etag: str = ANY) -> bool:
        return await self.storage_of(key).delete_if(key, etag=etag)

    async def write_many(self, writes: Sequence[ItemWrite]) -> dict[str, str]:
        storages = self._storages_of([write.key for write in writes])
        if len(storages) > 1:
            return await super().write_many(writes)
        return await storages.pop().write_many(writes)

    def transactional_for(self, keys: Collection[str]) -> bool:
        storages = self._storages_of(keys)
        return len(storages) == 1 and storages.pop().transactional_for(keys)

    async def list_page(
        self, prefix: str = "", *, limit: int | None = None, continuation_token: str | None = None
    ) -> ItemPage:
        size = page_size(limit)
        below = [p for p in self._prefixes if p.startswith(prefix)]
        position = (
            _Position() if continuation_token is None else _position(continuation_token, len(below))
        )
        if "/" in prefix:  # all of it is in one storage
            whole = self.storage_of(prefix)
            page = await whole.list_page(prefix, limit=size, continuation_token=position.default)
            return _page(page.items, position._replace(default=page.continuation_token))
        if position.is_route:
            return await self._route_page(below, position, size)
        return await self._default_page(prefix, below, position, size)

    async def list_folders(self) -> frozenset[str]:
        found = await in_parallel(storage.list_folders() for storage in self._all)
        of = dict(zip(self._all, found, strict=True))
        routed = {name for name, storage in self._routes.items() if name in of[storage]}
        return frozenset(routed | (of[self._default] - self._routes.keys()))

    async def list_due(self, entry: str, until: str) -> AsyncIterator[DueItems]:
        for storage in self._all:
            async for page in storage.list_due(entry, until):
                mine = tuple(item for item in page.items if self.storage_of(item.key) is storage)
                yield DueItems(mine, page.seen - len(page.items) + len(mine))

    async def aclose(self) -> None:
        outcomes = await all_outcomes(storage.aclose() for storage in self._all)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    def __repr__(self) -> str:
        routes = ", ".join(f"{channel!r}: {s!r}" for channel, s in self._routes.items())
        return f"<RoutedStorage {{{routes}}}, default {self._default!r}>"

    def _storages_of(self, keys: Collection[str]) -> set[StateStorage]:
        return {self.storage_of(key) for key in keys} or {self._default}

    async def _route_page(self, below: list[str], position: _Position, size: int) -> ItemPage:
        prefix = below[position.passed]
        page = await self.storage_of(prefix).list_page(
            prefix, limit=size, continuation_token=position.route
        )
        if page.continuation_token is not None:
            return _page(page.items, position._replace(route=page.continuation_token))
        after = position._replace(passed=position.passed + 1, is_route=False, route=None)
        return ItemPage(page.items, _token(after))

    async def _default_page(
        self, prefix: str, below: list[str], position: _Position, size: int
    ) -> ItemPage:
        """Return the items of the default storage between the last route and the next.

        If its page reaches beyond the next route, the same page is read again after that route.
        """
        page = await self._default.list_page(
            prefix, limit=size, continuation_token=position.default
        )
        start = below[position.passed - 1] if position.passed else ""
        stop = below[position.passed] if position.passed < len(below) else None
        between = [item for item in page.items if item.key >= start]
        if stop is not None:
            between = [item for item in between if item.key < stop]
        items = tuple(item for item in between if not self._has_route(item.key))
        reaches_over = bool(page.items) and stop is not None and page.items[-1].key >= stop
        if reaches_over or (stop is not None and page.continuation_token is None):
            return ItemPage(items, _token(position._replace(is_route=True)))
        return _page(items, position._replace(default=page.continuation_token))

    def _has_route(self, key: str) -> bool:
        channel, slash, _ = key.partition("/")
        return bool(slash) and channel in self._routes


class _Position(NamedTuple):
    """The position of a listing: the number of routes ``passed``, then in the next route
    (``is_route``) or in the default storage before it; and the tokens of both."""

    passed: int = 0
    is_route: bool = False
    route: str | None = None
    default: str | None = None


def _page(items: tuple[Any, ...], after: _Position) -> ItemPage:
    is_last = after.route is None and after.default is None
    return ItemPage(items, None if is_last else _token(after))


def _token(position: _Position) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def _position(token: str, routes: int) -> _Position:
    try:
        position = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Position)
        is_ours = _token(position) == token and position.passed >= 0
    except (ValueError, msgspec.MsgspecError):
        is_ours = False
    if not is_ours or position.passed + position.is_route > routes:
        raise ValueError("This continuation token is not one of this storage.")
    return position
