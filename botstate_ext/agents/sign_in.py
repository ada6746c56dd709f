"""Erases what the SDK's sign-in keeps of a user: flows, and the message that waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from ..privacy.user_documents import StateUser
from ..storage.base import StateStorage
from ..storage.parallel import in_parallel

_FLOWS: Final = "auth/"
_WAITING: Final = "auth:_SignInState:"


async def erase_sign_in(storage: StateStorage, user: StateUser) -> None:
    """Delete the items that `AgentsStorage` keeps of this user's sign-ins, on every sub-channel.

    On a storage that does not list, only the message that waits for a sign-in is deleted, and
    that of the channel itself.

    :raises StateStorageError: the storage failed.
    """
    keys = {f"{_WAITING}{user.channel_id}:{user.user_id}"}
    if storage.lists:
        async for channel, key in _flows(storage, user):
            keys |= {key, f"{_WAITING}{channel}:{user.user_id}"}
    await in_parallel(storage.delete_if(key) for key in sorted(keys))


async def _flows(storage: StateStorage, user: StateUser) -> AsyncIterator[tuple[str, str]]:
    """Yield the keys of the user's flows, ``auth/{channel}/{user}/{handler}``, with the channel."""
    async for item in storage.list_items(f"{_FLOWS}{user.channel_id}"):
        channel = item.key.removeprefix(_FLOWS).partition("/")[0]
        of_user = f"{_FLOWS}{channel}/{user.user_id}/"
        is_channel = channel.partition(":")[0] == user.channel_id
        handler = item.key.removeprefix(of_user)
        if is_channel and item.key.startswith(of_user) and "/" not in handler:
            yield channel, item.key
