"""StateMiddleware: the turn. Wait, load, run the bot, save."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import Any, Final, Literal, TypeAlias

from ..documents.merge import ON_CONFLICT, OnConflict
from ..errors import StateError, StateStorageError
from ..host.activity import channel_id_of, is_end_of_conversation, user_is_gone
from ..host.bases import Middleware
from ..host.protocol import Context, Host
from ..states.state_scopes import StateScopes
from ..states.turn_meter import TurnMeter
from ..states.turn_session import TurnSession
from ..unit_of_work.replay_write import Overtaken
from ..unit_of_work.work_counts import WorkCounts
from .deduplication import Deliveries, Delivery
from .held_replies import HeldReplies
from .locks import InProcessTurnLock, TurnLock
from .replay import replayed

OnError: TypeAlias = Literal["discard", "save"]
Replies: TypeAlias = Literal["immediate", "after_save"]
Logic: TypeAlias = Callable[[], Awaitable[Any]]
_Replies: TypeAlias = Callable[[Host, Context], AbstractAsyncContextManager["HeldReplies | None"]]

_log: Final = logging.getLogger("botstate_ext")
_NOTHING_HELD: Final = nullcontext()
_REPLIES: Final = ("immediate", "after_save")
_ON_ERROR: Final = ("discard", "save")
GIVEN_THE_CLASS: Final = (
    "The adapter was given the class StateMiddleware: give it an object, "
    "adapter.use(StateMiddleware(states))."
)


class StateMiddleware(Middleware):
    """Loads state when the turn starts and saves it when it ends.

    ``on_conflict``: how to save a document that changed in storage while the turn ran. In the first
    three modes, a document that this turn changed and another writer deleted raises
    `StateConflictError`.

    - ``"merge"``: merge it property by property, see ``create_property``.
    - ``"raise"``: raise `StateConflictError`.
    - ``"last_writer_wins"``: store this turn's properties.
    - ``"replay"``: run the turn again on fresh state, as if it had begun after the other turn had
      ended. Replies are held, and ``update()`` and ``save_changes`` are committed with the turn.
      docs/replies.md says which code must not be in such a turn.

    ``replies``: when the bot's replies are sent.

    - ``"immediate"``: when the bot sends them.
    - ``"after_save"``: when the turn's state is saved, in order, one at a time. If the save fails,
      none is sent. If sending fails, state stays saved, the rest is not sent, and the error is
      raised.

    ``on_error``: how to end a turn when the bot raised.

    - ``"discard"``: discard its changes, except those that ``update()`` or ``save_changes`` had
      committed.
    - ``"save"``: save its changes and send held replies.

    ``serialize_turns``: which turns run one after another. State is loaded when a turn may run.

    - True: the turns of one conversation in this process.
    - False: none.
    - A `TurnLock`: the turns with the same lock, such as `BlobLeaseLock` across processes.

    ``deduplicate``: how long a repeated delivery of an activity is skipped. If a finished turn
    handled the activity, the second is skipped; if that turn still runs, the second waits for its
    end. An activity of a failed turn may be delivered again. The activity's id is compared. It is
    kept with the conversation's state. Invokes, edits and deletions of messages, reactions and
    typing are never skipped.

    ``end_conversation``: an incoming ``endOfConversation`` activity ends its conversation after the
    bot has seen it; see `StateScopes.complete_conversation`.

    ``erase_on_removal``: an activity about a leaving user erases the user after the bot has seen
    it, as `StateScopes.erase_user`: ``deleteUserData``, a removed contact, an uninstall in personal
    scope. If documents could not be removed, an error is logged.
    """

    def __init__(
        self,
        states: StateScopes,
        *,
        on_conflict: OnConflict = "merge",
        on_error: OnError = "discard",
        replies: Replies = "immediate",
        serialize_turns: bool | TurnLock = True,
        deduplicate: timedelta | None = None,
        end_conversation: bool = False,
        erase_on_removal: bool = False,
    ) -> None:
        if not isinstance(states, StateScopes):
            is_class = isinstance(states, type)
            given = f"the class {states.__name__}" if is_class else type(states).__name__
            raise TypeError(f"StateMiddleware takes a StateScopes, not {given}.")
        self._states, self._host = states, states._workspace.host
        self._observers = states._observers
        self._on_conflict = _one_of("on_conflict", on_conflict, ON_CONFLICT)
        _check_cache(states, on_conflict)
        self._on_error = _one_of("on_error", on_error, _ON_ERROR)
        holds = _one_of("replies", replies, _REPLIES) == "after_save" or on_conflict == "replay"
        self._end_conversation = end_conversation
        self._erase_on_removal = erase_on_removal
        self._replies: _Replies = HeldReplies if holds else _sent_at_once
        self._lock = _lock_of(serialize_turns)
        self._deliveries = Deliveries(states.conversation, deduplicate)
        self._has_warned = False
        states._workspace.has_middleware = True
        if isinstance(serialize_turns, TurnLock):
            states._workspace.call_on_close(serialize_turns.aclose)

    async def on_turn(self, context: Context, logic: Logic | None = None) -> Any:
        """Run the rest of the turn between one load and one save."""
        if logic is None or not isinstance(self, StateMiddleware):
            raise TypeError(GIVEN_THE_CLASS)
        earlier = self._states._workspace.open_work(context)
        if earlier is not None and earlier.is_saved_at_its_end:
            self._warn_once()
            return await logic()  # the outer one loads and saves
        if earlier is not None:
            await earlier.save()  # what a middleware before this one changed
        meter = TurnMeter(["wait", perf_counter()], WorkCounts())
        if self._observers.turn.handlers:
            around = self._observers.around
            if around is None:
                return await self._reported(context, logic, meter)
            with around("turn"):
                return await self._reported(context, logic, meter)
        return await self._serialized(context, logic, meter)

    async def _reported(self, context: Context, logic: Logic, meter: TurnMeter) -> Any:
        """Run the turn, and call the handlers of ``on_turn``: after the lock is released, so that a
        slow handler delays no other turn."""
        channel, failure = channel_id_of(context.activity), None
        try:
            return await self._serialized(context, logic, meter)
        except BaseException as error:
            failure = error
            raise
        finally:
            await self._observers.turn.emit(meter.report(channel, failure))

    async def _serialized(self, context: Context, logic: Logic, meter: TurnMeter) -> Any:
        async with self._deliveries.delivery(context) as delivery, self._lock(context, self._host):
            if self._on_conflict == "replay":
                attempt = partial(self._attempt, context, logic, delivery, meter)
                return await replayed(self._host, context, attempt)
            return await self._attempt(context, logic, delivery, meter)

    def _warn_once(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "A turn passed two StateMiddleware of the same StateScopes, and the second has no "
                "effect, nor have its options. Call adapter.use with one of them only."
            )

    async def _attempt(
        self, context: Context, logic: Logic, delivery: Delivery | None, meter: TurnMeter
    ) -> Any:
        open_session = self._observers.session
        async with (
            self._replies(self._host, context) as replies,
            open_session(self._states, context, self._on_conflict, meter) as session,
        ):
            await session.load(warm=True)
            if delivery is not None and delivery.is_handled(session):
                return None
            try:
                result = await logic()
            except Exception:
                if self._on_error == "discard":
                    await _check_after_error(session)
                elif await _saved_after_error(session) and replies is not None:
                    replies.release_on_exit()
                raise
            await self._finish(session, context, delivery)
            if replies is not None:
                replies.release_on_exit()
            return result

    async def _finish(
        self, session: TurnSession, context: Context, delivery: Delivery | None
    ) -> None:
        """Save the turn of a bot that has ended."""
        if delivery is not None:
            delivery.mark_handled(session)
        if self._end_conversation and is_end_of_conversation(context.activity):
            await self._states.complete_conversation(context)
        erases = self._erase_on_removal and user_is_gone(context.activity)
        if erases:
            session.discard_user_changes()
        await session.save()
        if erases:
            await session.erase_user()


async def _saved_after_error(session: TurnSession) -> bool:
    """Save the turn of a bot that raised. Return False if the save failed.

    The turn raises the bot's own error, so an error of the save is logged.
    """
    try:
        await session.save()
    except Overtaken:
        raise  # the turn runs again
    except StateError as error:
        session.give_up()
        _log.error("The changes of a turn whose bot raised could not be saved: %s", error)
        return False
    return True


async def _check_after_error(session: TurnSession) -> None:
    """Let the turn run again if its bot raised and had seen stale state from the cache.

    :raises Overtaken: it had.
    """
    try:
        await session.check_kept()
    except StateStorageError as error:
        # The turn raises the bot's own error.
        _log.warning("A bot raised, and it is not known whether its state was stale: %s", error)


def _check_cache(states: StateScopes, on_conflict: OnConflict) -> None:
    """Check that turns which begin with state from the cache do not act on stale state.

    :raises ValueError: nothing would tell them.
    """
    cache = states._workspace.cache
    if cache is not None and not cache.sticky and on_conflict != "replay":
        raise ValueError(
            f"With a cache, a turn with on_conflict={on_conflict!r} would not notice that another "
            'process had changed its state. Use on_conflict="replay"; or, if each conversation is '
            "served by one process only, DocumentCache(sticky=True)."
        )


def _lock_of(
    serialize_turns: bool | TurnLock,
) -> Callable[[Context, Host], AbstractAsyncContextManager[None]]:
    if isinstance(serialize_turns, TurnLock):
        return serialize_turns.turn
    if not isinstance(serialize_turns, bool):
        raise TypeError(
            f"serialize_turns is True, False or a TurnLock, not {type(serialize_turns).__name__}."
        )
    return InProcessTurnLock().turn if serialize_turns else lambda context, host: nullcontext()


def _sent_at_once(host: Host, context: Context) -> AbstractAsyncContextManager[None]:
    return _NOTHING_HELD


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")
    return value
