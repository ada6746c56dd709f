"""DocumentCache: what a process may keep of the documents that it has read and written."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal, TypeAlias
from weakref import WeakValueDictionary

from ..clock import Clock
from .base import StateStorage
from .kept_items import KeptItems
from .warm import WarmStorage

Sticky: TypeAlias = Literal[False, True, "user", "all"]
"""Which documents are served by one process; see `DocumentCache`."""

_STICKY: Final = (False, True, "user", "all")


class DocumentCache:
    """Lets a turn start without a read of the documents that this process served last.

    Example: ``StateScopes(storage, cache=DocumentCache(max_bytes=50_000_000,
    max_age=timedelta(minutes=10)))``

    With ``StateMiddleware(on_conflict="replay")`` any number of processes may serve a conversation:
    before a turn ends, the documents that it used are compared with storage, and it runs again if
    one of them was stale. In the other modes nothing compares them where nothing is written, so
    ``sticky`` has to say that they cannot be stale.

    ``max_bytes``: the limit of what is kept, with some overhead; for each storage.

    ``max_age``: how long a document is kept after its last read or write. Expiry is not delayed: a
    property that has expired since is absent.

    ``sticky``: which documents only one process serves.

    - False: none.
    - True: those of a conversation, and the private ones. A load balancer sends each conversation
      to one process. Other documents are read at each start.
    - ``"user"``: those of a user, too. Each user has one conversation, or all of a user's
      conversations are sent to one process.
    - ``"all"``: all. This process is the only one of the bot.

    With True and ``"user"``, a document that ``conversation_key`` or ``user_key`` chooses is read
    at each start.

    A change that another process makes to them all the same, such as an edit in its console, is not
    seen for up to ``max_age``. A write is always made under the ETag, so nothing is overwritten.

    Work outside turns, ``update()``, queries and sweeps read what is stored, as ever.

    :raises ValueError: a limit is not positive, or ``sticky`` is none of these.
    """

    def __init__(self, *, max_bytes: int, max_age: timedelta, sticky: Sticky = False) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
            raise TypeError(f"max_bytes must be an int, not {type(max_bytes).__name__}.")
        if not isinstance(max_age, timedelta):
            raise TypeError(f"max_age must be a timedelta, not {type(max_age).__name__}.")
        if max_bytes < 1 or max_age <= timedelta(0):
            raise ValueError(
                "max_bytes and max_age must be more than zero. For no cache, give None."
            )
        if sticky not in _STICKY:
            raise ValueError(f"sticky must be one of {_STICKY}, not {sticky!r}.")
        self.max_bytes: int = max_bytes
        self.max_age: timedelta = max_age
        self.sticky: Sticky = sticky
        self._around: WeakValueDictionary[int, WarmStorage] = WeakValueDictionary()

    def around(self, storage: StateStorage, clock: Clock) -> WarmStorage:
        """Return the storage that keeps this one's items, the same for each `StateScopes`.

        :raises ValueError: its conditions do not hold against other writers.
        """
        if not storage.conditional:
            raise ValueError(
                f"A cache needs a storage that checks ETags against every writer, and {storage!r} "
                "does not: use one of botstate_ext.storage, or leave out cache=."
            )
        # The wrapper holds its storage, so an id stays that storage's.
        warm = self._around.get(id(storage))
        if warm is None:
            warm = WarmStorage(storage, KeptItems(self.max_bytes, self.max_age, clock))
            self._around[id(storage)] = warm
        return warm

    def __repr__(self) -> str:
        return (
            f"<DocumentCache max_bytes={self.max_bytes}, max_age={self.max_age}, "
            f"sticky={self.sticky!r}>"
        )
