"""StateScopes: all state of a bot, and the operations on all scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from ..clock import Clock
from ..documents.limits import Limits, positive_limit
from ..documents.merge import OnConflict
from ..documents.plain_view import Query, as_query
from ..documents.policy import Policies
from ..host.bases import BotState, Storage
from ..host.protocol import ConversationReference, Host
from ..scopes.kinds import (
    KINDS,
    BotScopeState,
    ConversationState,
    KeyFunction,
    OwnScope,
    PrivateConversationState,
    SharedState,
    UserState,
    WorkflowState,
)
from ..scopes.scope import StateScope
from ..serialization.allow_list import Types
from ..storage.base import StateStorage
from ..storage.keycheck import check_key
from ..unit_of_work.save_events import SaveHandler
from ..unit_of_work.workspace import Workspace
from .observers import Observers
from .outside_turn import OutsideTurn
from .view import StateView

# The rest is imported in the methods that use it: it does not delay the start of a bot.
if TYPE_CHECKING:
    from ..listing.records import DocumentRecord
    from ..maintenance.migration import MigrationReport, OnMigrated
    from ..maintenance.storage_check import OnChecked, StorageCheck
    from ..maintenance.sweep import OnProgress, SweepReport, Unmarked
    from ..privacy import user_documents
    from ..privacy.erasure import ErasureReport
    from ..privacy.user_documents import StateUser, UserDocuments
    from ..storage.document_cache import DocumentCache
    from ..templates.template import TemplateNames, TemplateProblem
    from .turn_report import TurnReport

Self = TypeVar("Self", bound="StateScopes")
H = TypeVar("H", bound=SaveHandler)
TurnHandler = TypeVar("TurnHandler", bound="Callable[[TurnReport], Any]")
SweepHandler = TypeVar("SweepHandler", bound="Callable[[SweepReport], Any]")
ErasureHandler = TypeVar("ErasureHandler", bound="Callable[[ErasureReport], Any]")
MigrationHandler = TypeVar("MigrationHandler", bound="Callable[[MigrationReport], Any]")


class StateScopes:
    """Holds everything that a bot remembers, by scope.

    ``storage``: upstream's ``MemoryStorage`` or ``BlobStorage`` as the bot has it, one of
    ``botstate_ext.storage``, or any other ``botbuilder.core.Storage``.

    ``bot_id``: the id of the ``bot`` scope's document. None: the app id in the turn's claims, else
    "bot".

    ``types``: classes that untyped values may hold, and modules, for the classes that each defines
    now. As ``{"old.module.Name": Class}``: classes that have moved, each with an old stored name.

    ``write_type_tags``: write jsonpickle's tags, so that the SDK reads each value as its class.

    - None: write them where only the default given to ``get`` names the class.
    - True: write them also where a type is declared.
    - False: write plain JSON.

    Values that plain JSON cannot keep have tags in any case. ``create_property`` may choose
    otherwise for one property.

    ``user_key``, ``conversation_key``: ``(turn) -> id``, to choose the document in another way than
    upstream's key; for example, one document for a user on two channels. If it returns None,
    upstream's key is used. The private scope keeps upstream's key.

    ``namespace``: a part of the private key only, as upstream.

    ``user_expires_after``, ``conversation_expires_after``: how long the properties of these scopes
    live after their last write, unless ``create_property`` says otherwise.

    ``aliases``: other names for scopes in templates, beside ``session`` for conversation and
    ``chat`` for user: ``{"order": "shared"}``.

    ``max_bytes``: the limit of a document's properties, as JSON, without the package's own
    ``$state``. ``max_depth``: the limit of nested arrays and objects in a property's value. A save
    over a limit raises `StateTooLargeError` before anything is written. A save over 80% of
    ``max_bytes`` logs a warning. A document that is already over a new limit may stay, and may
    shrink.

    ``cache``: what this process may keep of its documents, so that a turn need not read them; see
    `DocumentCache`.

    ``clock``: returns the time now, as an aware UTC datetime.

    :raises TypeError: ``storage`` is not a Storage.
    :raises ValueError: there is a ``cache``, and the storage does not check ETags.
    """

    _kinds: ClassVar[Mapping[str, type[Any]]] = KINDS
    _own_kind: ClassVar[type[OwnScope]] = OwnScope

    def __init__(
        self,
        storage: Storage,
        *,
        bot_id: str | None = None,
        types: Types = (),
        write_type_tags: bool | None = None,
        user_key: KeyFunction | None = None,
        conversation_key: KeyFunction | None = None,
        namespace: str = "",
        conversation_expires_after: timedelta | None = None,
        user_expires_after: timedelta | None = None,
        max_bytes: int | None = None,
        max_depth: int | None = None,
        aliases: Mapping[str, str] | None = None,
        cache: DocumentCache | None = None,
        clock: Clock | None = None,
    ) -> None:
        workspace = self._workspace = Workspace(
            storage,
            types=types,
            write_type_tags=write_type_tags,
            clock=clock,
            limits=Limits(
                positive_limit(max_bytes, "max_bytes"), positive_limit(max_depth, "max_depth")
            ),
            host=self._host(),
            cache=cache,
        )
        kinds = self._kinds
        self.user: UserState = kinds["user"](
            workspace, key=user_key, expires_after=user_expires_after
        )
        self.conversation: ConversationState = kinds["conversation"](
            workspace, key=conversation_key, expires_after=conversation_expires_after
        )
        self.private: PrivateConversationState = kinds["private"](workspace, namespace)
        self.bot: BotScopeState = kinds["bot"](workspace, bot_id)
        self.workflow: WorkflowState = kinds["workflow"](workspace)
        self.shared: SharedState = kinds["shared"](workspace)
        self._scopes: dict[str, StateScope] = {}
        for name, kind in kinds.items():
            scope = getattr(self, name, None) or kind(workspace)
            self._scopes[name] = scope
            setattr(self, name, scope)
        of_the_sdk = (self.user, self.conversation, self.private)
        self._for_dialogs = tuple(map(workspace.host.for_dialogs, of_the_sdk))
        self._aliases = dict(aliases or {})
        self._own: dict[str, OwnScope] = {}
        self._added: list[BotState] = []
        self._unmarked: Unmarked = {}
        self._observers = Observers()

    def _host(self) -> Host | None:
        """Return the SDK that the bot runs on; None for the Bot Framework SDK."""
        return None

    @property
    def storage(self) -> StateStorage:
        """Return the hardened storage of all scopes."""
        return self._workspace.storage

    def scope(self, name: str, key: KeyFunction | None = None) -> OwnScope:
        """Return an app's own scope, made when it is first named: a Teams team, a tenant.

        ``key``: ``(turn) -> id`` of the turn's document, which is loaded and saved with the turn.
        None as a result: this turn has no such document. Without a ``key``, `at` chooses the
        document.

        :raises ValueError: the name cannot be a scope's, or is taken.
        """
        own = self._own.get(name)
        if own is not None and key is None:
            return own
        if own is not None or name in {*self._scopes, "turn"}:
            raise ValueError(f"There is a scope named {name!r} already: choose another name.")
        own = self._own[name] = self._own_kind(self._workspace, name, key)
        return own

    def add(self: Self, bot_state: BotState) -> Self:
        """Load and save an app's own ``BotState`` with each turn, in its own storage."""
        if not isinstance(bot_state, BotState):
            raise TypeError(f"add() takes a BotState, not {type(bot_state).__name__}.")
        self._added.append(bot_state)
        return self

    @overload
    def on_saved(self, handler: H) -> H: ...
    @overload
    def on_saved(self, *, values: bool = False, before: bool = False) -> Callable[[H], H]: ...
    def on_saved(
        self, handler: H | None = None, *, values: bool = False, before: bool = False
    ) -> H | Callable[[H], H]:
        """Call ``handler``, which may be async, with a `SavedState` after each successful write.

        These are the writes of turns, ``update()``, deletions and sweeps. Use it for an audit log,
        for example. The save awaits the handler before it returns. With ``on_conflict="replay"``
        the handler is called when the turn is committed. If it raises, the error is logged, and the
        save has still succeeded. Saves by a handler call no handler. If the process ends between a
        write and its handlers, they are not called.

        ``values``: as ``@states.on_saved(values=True)``, the handler also gets the written values.
        ``before``: it also gets the values that they replaced.
        """

        def add(handler: H) -> H:
            self._workspace.save_handlers.add(handler, values=values, before=before)
            return handler

        return add if handler is None else add(handler)

    def on_turn(self, handler: TurnHandler) -> TurnHandler:
        """Call ``handler``, which may be async, with a `TurnReport` after each turn.

        Also after a turn that failed. The turn awaits the handler, but no other turn waits for it:
        the turn's lock is released. If it raises, the error is logged, and the turn ends as it
        would without it.
        """
        self._observers.turn.add(handler)
        return handler

    def on_sweep(self, handler: SweepHandler) -> SweepHandler:
        """Call ``handler``, which may be async, with the `SweepReport` of each sweep.

        Not after a dry run, and not if the sweep raised. If it raises, the error is logged.
        """
        self._observers.sweep.add(handler)
        return handler

    def on_erasure(self, handler: ErasureHandler) -> ErasureHandler:
        """Call ``handler``, as that of `on_sweep`, with the `ErasureReport` of each erasure, also
        of one that ``erase_on_removal`` began. The report names the user."""
        self._observers.erasure.add(handler)
        return handler

    def on_migration(self, handler: MigrationHandler) -> MigrationHandler:
        """Call ``handler``, as that of `on_sweep`, with the `MigrationReport` of each migration."""
        self._observers.migration.add(handler)
        return handler

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
        """Open state outside any turn.

        Example: ``async with states.unit_of_work(channel_id="msteams", user_id="29:1") as work:
        ...``

        ``reference``: from ``TurnContext.get_conversation_reference``; or give the ids. A scope
        that needs an absent id raises `StateKeyError` when it is used.

        ``bot_id``: the app id in the turn's claims, for the bot scope of a `StateScopes` without
        a ``bot_id`` of its own. ``workflow_id``: as `WorkflowState.bind`.

        ``on_conflict``: as `StateMiddleware`. With ``"replay"`` the block cannot run again by
        itself: if another writer was faster, `StateConflictError` is raised and nothing is stored.

        :raises TypeError: both a reference and ids are given.
        :raises ValueError: ``on_conflict`` is none of these.
        """
        if reference is None:
            reference = self._workspace.host.reference_to(channel_id, user_id, conversation_id)
        elif (channel_id, user_id, conversation_id) != (None, None, None):
            raise TypeError("Give unit_of_work() a reference or ids, not both.")
        return OutsideTurn(
            self, reference, bot_id=bot_id, workflow_id=workflow_id, on_conflict=on_conflict
        )

    async def complete_conversation(self, turn: Any, *, only_user: bool = False) -> None:
        """End the conversation: delete its document and the private documents of all its users.

        With ``only_user``, delete this user's private document only. The user scope stays.

        It happens when the turn has been saved, after all the bot's work; at once if nothing saves
        the turn at its end. Expired properties still reach their handlers, and ``deduplicate``
        still knows the last activities: until then the document stays, without properties, for a
        sweep to delete. A private document stays, with a warning, if its key may be another
        conversation's too.

        :raises StateKeyError: the turn names no conversation, or with ``only_user`` no user.
        :raises StateError: a document could not be deleted; then the save raises it.
        """
        from ..maintenance.conversation_end import ConversationEnd

        work = self._workspace.work_of(turn)
        ending = ConversationEnd(
            self._workspace, self.conversation, self.private, turn, only_user=only_user
        )
        if not work.is_saved_at_its_end:
            ending.discard_changes()
            await ending.run()
        elif work.ending is None or not only_user:
            work.ending = ending

    def view(self, turn: Any) -> StateView:
        """Return the loaded scopes of this turn as plain mappings. See `StateView`."""
        return StateView(self, turn)

    async def query(self, turn: Any, query: Query) -> Any:
        """Return the result of a JSONPath on all scopes of this turn.

        Example: ``await states.query(turn, "$.user.profile.name")``

        It runs on a tree of the scopes by name: ``{"user": {...}, "conversation": {...}, ...,
        "shared": {id: {...}}, "turn": activity}``. Shared documents that the path names are loaded
        in one batch. A path that names none sees the shared documents that the turn has used. For
        the rest see `StateScope.query`.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        from .query_scopes import ask_tree

        return await ask_tree(as_query(query), self, turn)

    async def render(self, turn: Any, template: str, *, strict: bool = False) -> str:
        """Return a template with each ``{@scope.name}`` replaced by its value in this turn.

        Example: ``await states.render(turn, "Hi {@user.name|'there'}")``

        See docs/templates.md for the syntax. A missing value becomes its ``|'default'``, or else
        the empty text.

        :raises StateQueryError: the template is wrong; or, with ``strict``, a value is missing that
            has no default.
        """
        from ..templates.template import Template
        from .query_scopes import TurnDocuments

        documents = TurnDocuments(self, turn)
        return await Template.parse(template).render(documents, self._names(), strict=strict)

    def check_template(self, template: str) -> list[TemplateProblem]:
        """Return the problems of a template, with their positions. Needs no turn."""
        from ..templates.template import Template

        return Template.parse(template).check(self._names())

    async def erase_user(
        self,
        channel_id: str,
        user_id: str,
        *,
        conversation_ids: Iterable[str] | None = None,
        dry_run: bool = False,
        on_progress: user_documents.OnProgress | None = None,
    ) -> ErasureReport:
        """Delete the user's document and every private document of the user, in any conversation.

        Example: ``report = await states.erase_user("msteams", "29:1", dry_run=True)``

        First the ``on_erase`` handlers are called, each once, for the user's data in other
        documents. If one fails, no document is deleted. Documents are found by listing the keys of
        the channel's conversations; documents of other users are not read. The owner of a document
        comes from its metadata, or from its key if the SDK wrote it. A document with an ambiguous
        key is reported and stays.

        It may be run again, also after an interruption. A turn that read a document before it was
        deleted cannot bring it back: its save raises `StateConflictError`.

        ``conversation_ids``: look in these conversations only. It is needed for a storage that does
        not list. ``dry_run``: report only. ``on_progress``: called with the number of keys looked
        at.

        :raises StateKeyError: no user can have this id.
        :raises StateStorageError: documents could not be looked for. Documents that could not be
            deleted are in the report instead.
        """
        from ..privacy.user_documents import StateUser

        user = StateUser(channel_id, user_id)
        turn = self.unit_of_work(channel_id=user.channel_id, user_id=user.user_id)
        documents = self._documents_of(user, turn, conversation_ids, on_progress)
        return await self._erase(user, documents, dry_run=dry_run)

    async def export_user(
        self,
        channel_id: str,
        user_id: str,
        *,
        conversation_ids: Iterable[str] | None = None,
        dry_run: bool = False,
        on_progress: user_documents.OnProgress | None = None,
    ) -> dict[str, Any]:
        """Return the data that `erase_user` would delete as plain JSON, ready for ``json.dumps``.

        The result has these entries:

        - ``channel_id``, ``user_id``.
        - ``documents``: each with ``scope``, ``key``, ``conversation_id``, ``created``,
          ``updated``, ``tags`` and ``properties``, without expired ones.
        - ``exported``: the results of the ``on_export`` handlers, by ``"scope.property"``.
        - ``ambiguous``: the keys of documents that may be the user's and were not read.
        - ``failed``: the reason why a document or a result is missing, by key or by handler.

        An export is complete if the last two are empty. With ``dry_run``, no document is read
        (there are no ``properties``) and no handler is called. The other options are those of
        `erase_user`.

        :raises StateKeyError: no user can have this id.
        :raises StateStorageError: documents could not be looked for, or none could be read.
        """
        from ..privacy.export import Export
        from ..privacy.user_documents import StateUser
        from .user_handlers import UserHandlers

        user = StateUser(channel_id, user_id)
        turn = self.unit_of_work(channel_id=user.channel_id, user_id=user.user_id)
        documents = self._documents_of(user, turn, conversation_ids, on_progress)
        export = Export(
            self.storage,
            self._workspace.clock,
            user,
            documents,
            UserHandlers(self, user, erase=False),
            policies={
                scope.scope_name: scope._policies for scope in self if "user" in scope.row.owner
            },
            dry_run=dry_run,
        )
        return await export.run()

    async def sweep(
        self,
        dry_run: bool = False,
        *,
        parallel: int = 8,
        per_second: float = 500,
        on_progress: OnProgress | None = None,
    ) -> SweepReport:
        """Delete expired properties in all scopes and call their expiry handlers.

        Example: ``report = await states.sweep(dry_run=True)``

        Any number of processes may do so at once. A document that fails is logged, counted and
        skipped. Cancelling stops the sweep at once; the next sweep can call the handlers that it
        had claimed after a minute.

        ``dry_run``: count only. ``parallel``: the number of documents, with their handlers, at a
        time. ``per_second``: the largest number of documents to begin in a second. ``on_progress``:
        called with the report so far.

        :raises StateStorageError: the storage could not be listed.
        :raises ValueError: ``parallel`` or ``per_second`` is not positive.
        """
        from ..maintenance.sweep import Sweep

        sweep = Sweep(
            self._workspace,
            {scope.scope_name: scope._policies for scope in self},
            dry_run=dry_run,
            unmarked=self._unmarked,
            parallel=parallel,
            per_second=per_second,
            on_progress=on_progress,
        )
        report = await self._observers.observed("sweep", sweep.run(), dry_run=dry_run)
        self._unmarked = sweep.unmarked
        return report

    async def migrate(
        self,
        dry_run: bool = False,
        *,
        parallel: int = 8,
        resume: str | None = None,
        jsonpickle_1_before: datetime | None = None,
        on_progress: OnMigrated | None = None,
    ) -> MigrationReport:
        """Rewrite every document of every scope in the format of this package.

        Typed properties become plain JSON, references are expanded, and the extra entries of the
        SDK's storages are removed from bodies. Other values keep their tags.

        Turns may go on meanwhile, and it may be run again. A document that cannot be read or
        written is left as it was, logged and reported.

        ``dry_run``: report only. ``parallel``: the number of documents at a time. ``resume``: from
        the report of an interrupted migration. ``jsonpickle_1_before``: when botbuilder-core 4.17.1
        was installed, if it is known. Documents that were written before then count their
        references in another way; without this time, it is found out from the document.
        ``on_progress``: called with the report so far.

        :raises StateStorageError: the storage could not be listed.
        :raises ValueError: ``parallel`` is not positive, or the time is naive.
        """
        from ..maintenance.migration import Migration, Options

        options = Options(dry_run, parallel, resume, jsonpickle_1_before, on_progress)
        scopes = {scope.scope_name: scope._policies for scope in self}
        migration = Migration(self._workspace, scopes, options)
        return await self._observers.observed("migration", migration.run(), dry_run=dry_run)

    async def check_storage(
        self, *, parallel: int = 16, on_progress: OnChecked | None = None
    ) -> StorageCheck:
        """Read every document and report the values that this app could not read. Changes nothing.

        ``parallel``: the number of documents that are read at a time. ``on_progress``: called with
        the number of items looked at so far. A class that only a default of ``get(turn, Class)``
        names is not known here: declare the property, or give the class to ``types``.

        :raises StateStorageError: the storage could not be listed.
        :raises ValueError: ``parallel`` is not positive.
        """
        from ..maintenance.storage_check import StorageChecker

        checker = StorageChecker(
            self._workspace,
            {scope.scope_name: scope._policies for scope in self},
            namespace=self.private.namespace,
            parallel=parallel,
            on_progress=on_progress,
        )
        return await checker.run()

    async def read_document(self, key: str) -> DocumentRecord | None:
        """Read one stored document of any scope by its key from a listing. None if it is absent.

        The record's ``data`` holds the properties as plain JSON.

        :raises StateDecodeError: it is not a document.
        :raises StateStorageError: the storage failed, or does not list.
        """
        from ..listing.attribution import attribute
        from ..listing.listing import opened
        from ..listing.records import record_of

        page = await self.storage.list_page(key, limit=1)
        item = await self.storage.get(key)
        if item is None or not page.items or page.items[0].key != key:
            return None
        attribution = attribute(page.items[0], self.private.namespace)
        scope = attribution.scope or ""
        policies = {each.scope_name: each._policies for each in self}
        return opened(
            record_of(page.items[0], attribution, scope),
            item,
            policies.get(scope) or Policies(self._workspace.undeclared_policy()),
            self._workspace.clock(),
        )

    def __iter__(self) -> Iterator[StateScope]:
        """Return the scopes: those of the package in the order of their table, then the app's
        own."""
        return iter((*self._scopes.values(), *self._own.values()))

    async def aclose(self) -> None:
        """Close the connections that the storage and the turn lock opened. May be called more than
        once."""
        await self._workspace.aclose()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _documents_of(
        self,
        user: StateUser,
        turn: Any,
        conversation_ids: Iterable[str] | None,
        on_progress: user_documents.OnProgress | None,
    ) -> UserDocuments:
        from ..privacy.user_documents import UserDocuments

        user_key = self.user.get_storage_key(turn)
        check_key(user_key)
        return UserDocuments(
            self.storage,
            self._workspace.clock,
            user,
            user_key=user_key,
            namespace=self.private.namespace,
            conversation_ids=conversation_ids,
            on_progress=on_progress,
        )

    async def _erase(
        self, user: StateUser, documents: UserDocuments, *, dry_run: bool
    ) -> ErasureReport:
        from ..privacy.erasure import Erasure
        from .user_handlers import UserHandlers

        handlers = UserHandlers(self, user, erase=True)
        told = self._workspace.save_handlers
        erasure = Erasure(
            self.storage,
            user,
            documents,
            handlers,
            told,
            other_keys=self._other_keys_of(user),
            dry_run=dry_run,
        )
        try:
            return await self._observers.observed("erasure", erasure.run(), dry_run=dry_run)
        finally:
            if self._workspace.warm is not None and not dry_run:
                # All of it: a document that is gone from storage may be kept, and is not found.
                self._workspace.warm.forget()

    async def _other_keys_of(self, user: StateUser) -> AsyncIterator[str]:
        """Yield the keys of the items that the SDK itself stores of a user."""
        for key in tuple[str]():
            yield key

    def _names(self) -> TemplateNames:
        from ..templates.template import TemplateNames

        return TemplateNames(
            {scope.scope_name: scope.row.template_id for scope in self}, self._aliases
        )
