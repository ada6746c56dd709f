"""StateScopes: the six scopes, and an app's own, over one storage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from botbuilder.core import BotState, Storage
from botbuilder.schema import ConversationReference

from .allowlist import Types
from .asking import Query, TurnDocuments, as_query, ask_tree, document_of
from .conversation_end import ConversationEnd
from .document import Document
from .expiry import Clock
from .limits import Limits, positive_limit
from .merge import OnConflict
from .outside import OutsideTurn, reference_to
from .scope import StateScope
from .scopes import (
    BotScopeState,
    ConversationState,
    KeyFunction,
    OwnScope,
    PrivateConversationState,
    SharedState,
    UserState,
    WorkflowState,
)
from .storage.base import StateStorage
from .sweep import OnProgress, Sweep, SweepReport, Unmarked
from .template import SCOPES, Template, TemplateNames, TemplateProblem
from .view import StateView
from .work import UnitOfWork
from .workspace import Workspace

Self = TypeVar("Self", bound="StateScopes")


class StateScopes:
    """Everything a bot remembers, by scope.

    ``storage``: upstream's ``MemoryStorage`` or ``BlobStorage`` as the bot has it, one of
    ``botstate_ext.storage``, or any other ``botbuilder.core.Storage``.

    ``bot_id``: whose ``bot`` scope it is. None: the app id in the turn's claims, else "bot".

    ``types``: classes that untyped values may hold; or, as ``{"old.module.Name": Class}``, such
    classes with a name under which each was stored before it moved.

    ``user_key``, ``conversation_key``: ``(turn) -> id`` to choose the document by something else
    than upstream's key, for example one user on two channels; None from it means upstream's key.
    The private scope keeps upstream's key.

    ``namespace``: part of the private key only, as upstream.

    ``user_expires_after``, ``conversation_expires_after``: how long the properties of these scopes
    live from their last write, where ``create_property`` says nothing else.

    ``aliases``: other names for scopes in templates, beside ``session`` for conversation and
    ``chat`` for user: ``{"order": "shared"}``.

    ``max_bytes``: of a document's properties, as JSON; what this package adds (``$state``) is not
    counted. ``max_depth``: levels of arrays and objects in a property's value. A save that would go
    over one of them raises `StateTooLargeError` before anything is written, and a save that reaches
    80% of ``max_bytes`` logs a warning. What is over a new limit already may stay, and may shrink.

    ``clock``: gives the time now, as an aware UTC datetime.

    :raises TypeError: ``storage`` is not a Storage.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        bot_id: str | None = None,
        types: Types = (),
        user_key: KeyFunction | None = None,
        conversation_key: KeyFunction | None = None,
        namespace: str = "",
        conversation_expires_after: timedelta | None = None,
        user_expires_after: timedelta | None = None,
        max_bytes: int | None = None,
        max_depth: int | None = None,
        aliases: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        workspace = self._workspace = Workspace(
            storage,
            types=types,
            clock=clock,
            limits=Limits(
                positive_limit(max_bytes, "max_bytes"), positive_limit(max_depth, "max_depth")
            ),
        )
        self.user = UserState(workspace, key=user_key, expires_after=user_expires_after)
        self.conversation = ConversationState(
            workspace, key=conversation_key, expires_after=conversation_expires_after
        )
        self.private = PrivateConversationState(workspace, namespace)
        self.bot = BotScopeState(workspace, bot_id)
        self.workflow = WorkflowState(workspace)
        self.shared = SharedState(workspace)
        self._aliases = dict(aliases or {})
        self._own: dict[str, OwnScope] = {}
        self._added: list[BotState] = []
        self._unmarked = Unmarked()

    @property
    def storage(self) -> StateStorage:
        """The hardened storage that all scopes use."""
        return self._workspace.storage

    def scope(self, name: str, key: KeyFunction | None = None) -> OwnScope:
        """A scope of the app's own, made when it is first named: a Teams team, a tenant.

        ``key``: ``(turn) -> id`` of the document that the turn uses, loaded and saved with it; None
        from it means that this turn has none. Without one, `at` chooses the document.

        :raises ValueError: the name is not a scope's, or is taken.
        """
        own = self._own.get(name)
        if own is not None and key is None:
            return own
        if own is not None or name in SCOPES:
            raise ValueError(f"There is a scope named {name!r} already: choose another name.")
        own = self._own[name] = OwnScope(self._workspace, name, key)
        return own

    def add(self, bot_state: BotState) -> StateScopes:
        """Load and save an app's own ``BotState`` with each turn, in its own storage."""
        if not isinstance(bot_state, BotState):
            raise TypeError(f"add() takes a BotState, not {type(bot_state).__name__}.")
        self._added.append(bot_state)
        return self

    def __iter__(self) -> Iterator[StateScope]:
        """The scopes: the six, then the app's own."""
        six = (self.user, self.conversation, self.private, self.bot, self.workflow, self.shared)
        return iter((*six, *self._own.values()))

    def unit_of_work(
        self,
        reference: ConversationReference | None = None,
        *,
        channel_id: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        bot_id: str | None = None,
        workflow_id: str | None = None,
        on_conflict: OnConflict = "merge",
    ) -> OutsideTurn:
        """State outside any turn: ``async with states.unit_of_work(reference) as work``.

        ``reference``: whose state, as ``TurnContext.get_conversation_reference`` gave it; or by
        ids. A scope that needs an id which is not given raises `StateKeyError` when it is used.

        ``bot_id``: the app id in the turn's claims, for the bot scope of a `StateScopes` that has
        no
        ``bot_id`` of its own. ``workflow_id``: as `WorkflowState.bind`.

        :raises TypeError: both a reference and ids are given.
        """
        if reference is None:
            reference = reference_to(channel_id, user_id, conversation_id)
        elif (channel_id, user_id, conversation_id) != (None, None, None):
            raise TypeError("Give unit_of_work() a reference or ids, not both.")
        return OutsideTurn(
            self, reference, bot_id=bot_id, workflow_id=workflow_id, on_conflict=on_conflict
        )

    async def sweep(
        self,
        dry_run: bool = False,
        *,
        parallel: int = 8,
        per_second: float = 500,
        on_progress: OnProgress | None = None,
    ) -> SweepReport:
        """Remove what has expired, in all scopes, and run the handlers of what has one.

        Any number of processes may do so at once. A document that cannot be done is logged, counted
        and passed over. Cancelling stops it at once; what it had claimed for a handler is free for
        the next sweep after a minute.

        ``dry_run``: count only. ``parallel``: how many documents, with their handlers, at a time.
        ``per_second``: how many may be begun in a second. ``on_progress``: called with the report
        so far.

        :raises StateStorageError: the storage could not be listed.
        :raises ValueError: ``parallel`` or ``per_second`` is not positive.
        """
        sweep = Sweep(
            self._workspace,
            {scope.scope_name: scope.policies for scope in self},
            dry_run=dry_run,
            unmarked=self._unmarked,
            parallel=parallel,
            per_second=per_second,
            on_progress=on_progress,
        )
        report = await sweep.run()
        self._unmarked = sweep.unmarked
        return report

    async def complete_conversation(self, turn: Any, *, only_user: bool = False) -> None:
        """End the conversation: remove its document and its private ones, of all users; with
        ``only_user`` nothing but this user's private one. What the user scope holds stays.

        It is done when the turn has been saved, after all that the bot does in it; where nothing
        saves the turn at its end, at once. What had expired and has a handler is still given to it,
        and what was handled lately is still known (``deduplicate``): until then the document stays,
        without properties, for a sweep to remove.
        A private document whose key may also be another conversation's stays, with a warning.

        :raises StateKeyError: the turn names no conversation, or with ``only_user`` no user.
        :raises StateError: a document could not be removed; then this is what the save raises.
        """
        work = self._workspace.work_of(turn)
        ending = ConversationEnd(
            self._workspace, self.conversation, self.private, turn, only_user=only_user
        )
        if not work.is_saved_at_its_end:
            ending.let_go()
            await ending.carry_out()
        elif work.ending is None or not only_user:
            work.ending = ending

    @property
    def has_expiry_handlers(self) -> bool:
        """True when something waits for a sweep to call it."""
        policies = [scope.policies for scope in self]
        return any(each.handlers or each.handlers_of_all for each in policies)

    def view(self, turn: Any) -> StateView:
        """The loaded scopes of this turn as plain mappings. See `StateView`."""
        return StateView(self, turn)

    async def query(self, turn: Any, query: Query) -> Any:
        """What a JSONPath finds in all that this turn remembers, a tree of the scopes by name:
        ``{"user": {...}, "conversation": {...}, ..., "shared": {id: {...}}, "turn": activity}``.

        Shared documents that the path names are loaded in one batch; a path that names none sees
        those the turn has used. For the rest see `StateScope.query`.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        return await ask_tree(as_query(query), self, turn)

    async def render(self, turn: Any, template: str, *, strict: bool = False) -> str:
        """The template with each ``{@scope.name}`` replaced by what this turn remembers. See
        docs/templates.md for the syntax. A missing value is the empty text, or its ``|'default'``.

        :raises StateQueryError: the template is wrong; or, with ``strict``, a value is missing that
            has no default.
        """
        documents = TurnDocuments(self, turn)
        return await Template.parse(template).render(documents, self._names(), strict=strict)

    def check_template(self, template: str) -> list[TemplateProblem]:
        """What is wrong with a template, with positions; empty when nothing is. Needs no turn."""
        return Template.parse(template).check(self._names())

    def _names(self) -> TemplateNames:
        return TemplateNames(dict.fromkeys(self._own, "optional"), self._aliases)

    async def load_documents(self, turn: Any, documents: Iterable[Document]) -> None:
        """Read those of these documents that this turn has not read yet, in one batch."""
        await self._workspace.work_of(turn).load(documents)

    # The turn, as the middleware sees it

    def has_work(self, turn: Any) -> bool:
        """True while this turn's unit of work is open."""
        return self._workspace.has_work(turn)

    async def save_early(self, turn: Any) -> None:
        """Write what was changed in this turn before its unit of work is opened, by a middleware
        that goes before ours. See `UnitOfWork.save` for what it raises."""
        work = self._workspace.early_work(turn)
        if work is not None:
            await work.save()

    def begin(self, turn: Any, on_conflict: OnConflict = "merge") -> UnitOfWork:
        """Open the unit of work of a turn, and let dialogs find the scopes of this turn."""
        for scope in (self.user, self.conversation, self.private):
            turn.turn_state.setdefault(type(scope).__name__, scope)
        return self._workspace.begin(turn, on_conflict)

    async def load(self, turn: Any) -> None:
        """Read the documents of all scopes that the activity names, in one batch.

        :raises StateStorageError: a read failed; nothing was loaded.
        """
        work = self._workspace.work_of(turn)
        scopes = (self.user, self.conversation, self.private, self.bot, *self._own.values())
        # What has no key here raises, with its advice, when the bot uses that scope.
        named = [d for scope in scopes if (d := document_of(scope, turn)) is not None]
        await _all(work.load(named), *(added.load(turn) for added in self._added))

    async def save(self, turn: Any) -> None:
        """Write what changed, in one batch, and then what changed in the app's own states, so that
        they hold nothing of a turn that lost. See `UnitOfWork.save` for what it raises."""
        work = self._workspace.work_of(turn)
        if work.ending is not None:
            work.ending.let_go()
        await work.commit()
        if self._added:
            await asyncio.gather(*(added.save_changes(turn) for added in self._added))
        if work.ending is not None:
            await work.ending.carry_out()

    def end(self, turn: Any) -> None:
        """Close the turn's unit of work; what was not saved is forgotten."""
        self._workspace.end(turn)

    async def aclose(self) -> None:
        """Close what the storage opened. It may be called more than once."""
        await self.storage.aclose()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _all(first: Any, *others: Any) -> None:
    if not others:
        await first
        return
    for outcome in await asyncio.gather(first, *others, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
