"""StateScopes: everything a bot remembers, and what can be asked of all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botbuilder.schema import ConversationReference

from ..documents.merge import OnConflict
from ..documents.plain_view import Query, as_query
from ..documents.policy import Policies
from ..listing.attribution import attribute
from ..listing.listing import opened
from ..listing.records import DocumentRecord, record_of
from ..maintenance.conversation_end import ConversationEnd
from ..maintenance.migration import Migration, MigrationReport, OnMigrated, Options
from ..maintenance.sweep import OnProgress, Sweep, SweepReport
from ..templates.template import Template, TemplateNames, TemplateProblem
from ..unit_of_work.outside import OutsideTurn, reference_to
from .query_scopes import TurnDocuments, ask_tree
from .user_states import UserStates
from .view import StateView


class StateScopes(UserStates):
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

        ``bot_id``: the app id in the turn's claims, for the bot scope of a `StateScopes` without
        a ``bot_id`` of its own. ``workflow_id``: as `WorkflowState.bind`.

        ``on_conflict``: as `StateMiddleware`; but with ``"replay"`` the block cannot run again by
        itself: if it is overtaken, `StateConflictError` is raised, and nothing of it is stored.

        :raises TypeError: both a reference and ids are given.
        :raises ValueError: ``on_conflict`` is none of these.
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
            ending.discard_changes()
            await ending.run()
        elif work.ending is None or not only_user:
            work.ending = ending

    async def migrate(
        self,
        dry_run: bool = False,
        *,
        parallel: int = 8,
        resume: str | None = None,
        jsonpickle_1_before: datetime | None = None,
        on_progress: OnMigrated | None = None,
    ) -> MigrationReport:
        """Rewrite every document of every scope: typed properties as plain JSON, references
        expanded, what upstream's adapters left in bodies gone. Other values keep their tags.

        Turns may go on meanwhile, and it may be run again. A document that cannot be read or
        written is left as it was, logged and reported.

        ``dry_run``: report only. ``parallel``: how many documents at a time. ``resume``: from the
        report of a migration that was interrupted. ``jsonpickle_1_before``: when botbuilder-core
        4.17.1 was installed, if it is known: what was written before then counts its references in
        another way, which is found out otherwise. ``on_progress``: called with the report so far.

        :raises StateStorageError: the storage could not be listed.
        :raises ValueError: ``parallel`` is not positive, or the time is naive.
        """
        options = Options(dry_run, parallel, resume, jsonpickle_1_before, on_progress)
        scopes = {scope.scope_name: scope.policies for scope in self}
        return await Migration(self._workspace, scopes, options).run()

    async def read_document(self, key: str) -> DocumentRecord | None:
        """One stored document with its properties as plain JSON in ``data``, by its key as a
        listing tells it, in whatever scope; None if it is absent.

        :raises StateDecodeError: it is not a document.
        :raises StateStorageError: the storage failed, or does not list.
        """
        page = await self.storage.list_page(key, limit=1)
        item = await self.storage.get(key)
        if item is None or not page.items or page.items[0].key != key:
            return None
        attribution = attribute(page.items[0], self.private.namespace)
        scope = attribution.scope or ""
        policies = {each.scope_name: each.policies for each in self}
        return opened(
            record_of(page.items[0], attribution, scope),
            item,
            policies.get(scope) or Policies(self._workspace.undeclared_policy()),
            self._workspace.clock(),
        )

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
