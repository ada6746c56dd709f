"""Implements upstream's ``Storage`` contract (items as objects with an ``e_tag``).

It keeps upstream's promises and mends its faults: a stale ``e_tag`` always conflicts. A written
item gets its new ``e_tag``, so that it can be saved twice. No ``e_tag`` is written into a body.
Only allowed classes are restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import StateConflictError, StateDecodeError, StateEncodeError, StateError
from ..serialization import json_text
from ..serialization.allow_list import AllowList
from ..serialization.jsonpickle import expand_references, flatten, has_references, restore
from .parallel import all_outcomes, in_parallel

if TYPE_CHECKING:
    from .base import StateStorage, StoredItem

_ANY: Final = "*"


async def read(
    storage: StateStorage, keys: Iterable[str] | None, types: tuple[type, ...]
) -> dict[str, Any]:
    if keys is None:
        raise TypeError("Keys are required when reading")
    stored = await storage.get_many(tuple(dict.fromkeys(keys)))
    return {key: _to_item(key, item, types) for key, item in stored.items()}


async def write(
    storage: StateStorage, changes: Mapping[str, Any] | None, types: tuple[type, ...]
) -> None:
    if changes is None:
        raise TypeError("Changes are required when writing")
    if not changes:
        return
    # Everything is encoded before anything is written: one bad item must not leave half a batch.
    ready = [
        (key, item, _e_tag(key, item), _to_body(key, item, types)) for key, item in changes.items()
    ]
    outcomes = await all_outcomes(_put(storage, key, body, etag) for key, _, etag, body in ready)
    for (_, item, etag, _), outcome in zip(ready, outcomes, strict=True):
        if isinstance(outcome, str) and etag != _ANY:
            _set_e_tag(item, outcome)
    _raise_failure(tuple(changes), outcomes)


async def delete(storage: StateStorage, keys: Iterable[str] | None) -> None:
    if keys is None:
        raise TypeError("Keys are required when deleting")
    await in_parallel(storage.delete_if(key) for key in dict.fromkeys(keys))


async def _put(storage: StateStorage, key: str, body: bytes, etag: str | None) -> str:
    if etag is None or etag == _ANY:
        return await storage.put_if(key, body, etag=_ANY)
    try:
        return await storage.put_if(key, body, etag=etag)
    except StateConflictError:
        # Parts of the SDK (Teams single sign-on) invent an e_tag to create an item once.
        if await storage.get(key) is not None:
            raise
        return await storage.put_if(key, body, etag=None)


def _raise_failure(keys: tuple[str, ...], outcomes: list[str | Exception]) -> None:
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if not failures:
        return
    error = failures[0]
    if isinstance(error, StateError) and len(keys) > 1:
        pairs = list(zip(keys, outcomes, strict=True))
        error.saved = tuple(key for key, outcome in pairs if isinstance(outcome, str))
        error.not_saved = tuple(key for key, outcome in pairs if not isinstance(outcome, str))
    raise error


def _to_item(key: str, stored: StoredItem, types: tuple[type, ...]) -> Any:
    try:
        body = json_text.loads(stored.data)
        if not isinstance(body, dict):
            raise StateDecodeError("it is not a JSON object")
        if has_references(stored.data):
            body = expand_references(body)
        item = restore(body, _allowed(types))
    except StateDecodeError as error:
        raise error.located(scope=None, key=key) from error
    _set_e_tag(item, stored.etag)
    return item


def _to_body(key: str, item: Any, types: tuple[type, ...]) -> bytes:
    try:
        body = flatten(item, _allowed(types))
        if not isinstance(body, dict):
            raise StateEncodeError("an item must be a dictionary or an object")
        # What is plain JSON already is not copied by `flatten`, so it is the app's own object.
        return json_text.dumps({name: part for name, part in body.items() if name != "e_tag"})
    except StateEncodeError as error:
        raise error.located(scope=None, key=key) from error


def _e_tag(key: str, item: Any) -> str | None:
    etag = item.get("e_tag") if isinstance(item, dict) else getattr(item, "e_tag", None)
    if etag == "":
        raise ValueError(f"The e_tag of {key!r} is empty: leave it out, or use '*', to overwrite.")
    return etag


def _set_e_tag(item: Any, etag: str) -> None:
    if isinstance(item, dict):
        item["e_tag"] = etag
    elif hasattr(item, "__dict__"):
        item.__dict__["e_tag"] = etag


@lru_cache(maxsize=64)
def _allowed(types: tuple[type, ...]) -> AllowList:
    return AllowList(types)
