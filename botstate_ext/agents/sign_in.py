"""Finds what the SDK's sign-in keeps of a user: flows, and the message that waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from ..privacy.user_documents import StateUser
from ..storage.base import StateStorage
from ..storage.keycheck import MAX_KEY_LENGTH

_FLOWS: Final = "auth/"
_WAITING: Final = "auth:_SignInState:"


async def sign_in_keys(storage: StateStorage, user: StateUser) -> AsyncIterator[str]:
    """Yield the keys of the items that `AgentsStorage` keeps of this user's sign-ins, on every
    sub-channel.

    On a storage that does not list, only the message that waits for a sign-in is found, and that
    of the channel itself.

    :raises StateStorageError: the storage failed.
    """
    waiting = {f"{_WAITING}{user.channel_id}:{user.user_id}"}
    if storage.lists:
        async for channel, key in _flows(storage, user):
            waiting.add(f"{_WAITING}{channel}:{user.user_id}")
            yield key
    for key in sorted(waiting):
        if len(key) <= MAX_KEY_LENGTH and await _exists(storage, key):
            yield key


async def _exists(storage: StateStorage, key: str) -> bool:
    if not storage.lists:
        return await storage.get(key) is not None
    page = await storage.list_page(key, limit=1)  # reads no content
    return any(item.key == key for item in page.items)


async def _flows(storage: StateStorage, user: StateUser) -> AsyncIterator[tuple[str, str]]:
    """Yield the keys of the user's flows, ``auth/{channel}/{user}/{handler}``, with the channel."""
    async for item in storage.list_items(f"{_FLOWS}{user.channel_id}"):
        channel = item.key.removeprefix(_FLOWS).partition("/")[0]
        of_user = f"{_FLOWS}{channel}/{user.user_id}/"
        is_channel = channel.partition(":")[0] == user.channel_id
        handler = item.key.removeprefix(of_user)
        if is_channel and item.key.startswith(of_user) and "/" not in handler:
            yield channel, item.key
