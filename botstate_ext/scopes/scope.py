"""StateScope: a scope of state, and upstream's ``BotState``."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from ..clock import positive
from ..documents import document_tags
from ..documents.document import ABSENT, Document
from ..documents.limits import positive_limit
from ..documents.merge import Merge
from ..documents.metadata import check_name, is_reserved
from ..documents.ownership import nobody, owner_of
from ..documents.pending_expiry import PropertyTimes
from ..documents.pending_writes import Changes
from ..documents.plain_view import Query, as_query, query_document
from ..documents.policy import ExpiryHandler, Policies, PropertyPolicy, Trim
from ..documents.quarantine import CHOICES, OnUndecodable
from ..documents.revision import apply_changes
from ..documents.schema_versions import Migration, versions_of
from ..errors import StateDecodeError, StateEncodeError, StateKeyError, StateNotFoundError
from ..host.activity import conversation_id_of, user_id_of
from ..host.bases import BotState, Storage
from ..jsonpath import JsonPath
from ..keys.parse import id_of_key, is_own_key
from ..keys.scopes import ScopeRow
from ..serialization.allow_list import name_of
from ..serialization.codec import Codec
from ..unit_of_work.work import UnitOfWork
from ..unit_of_work.workspace import Workspace
from ..unit_of_work.write_changes import MAX_ATTEMPTS
from ..unit_of_work.write_loop import Plan, conflict, refresh, write_until_stored
from .cached_state import CachedState
from .merge_patch import merge_patch
from .state_data import StateData
from .state_property import StateProperty
from .state_record import StateRecord

if TYPE_CHECKING:
    from ..listing.listing import Listing
    from ..listing.records import DocumentPage, DocumentRecord

T = TypeVar("T")
Self = TypeVar("Self", bound="StateScope")
H = TypeVar("H", bound=ExpiryHandler)


class StateScope(BotState):
    """Stores one document for each key: a drop-in for ``botbuilder.core.BotState`` without its
    traps.

    It works with ``StateMiddleware``, with the SDK's ``AutoSaveStateMiddleware`` and
    ``BotStateSet``, with dialogs, and with ``load`` and ``save_changes`` by hand. Every ``turn``
    argument is a ``TurnContext`` or the unit of work of ``states.unit_of_work``.

    Listings need a storage that lists. Memory and Blob do. An SDK storage of another kind may not;
    listings then raise `StateStorageError`. A listing makes a record from metadata and reads no
    document. A document that the SDK wrote has no metadata: its record is made from its key.
    """

    _property_kind: ClassVar[type[StateProperty[Any]]] = StateProperty
    namespace: str = ""
    """The last part of the private scope's keys."""
    _key: Callable[[Any], str | None] | None = None
    """Chooses the document of a turn, if the app does not leave that to the SDK's key."""

    def __init__(
        self,
        storage: Storage | Workspace,
        row: ScopeRow,
        *,
        expires_after: timedelta | None = None,
    ) -> None:
        workspace = storage if isinstance(storage, Workspace) else Workspace(storage)
        BotState.__init__(self, workspace.storage, f"botstate_ext.{row.name}")
        self.row: ScopeRow = row
        self.scope_name: str = row.name
        self._document_id: str | None = None
        self._makes_own_keys = type(self).get_storage_key is not StateScope.get_storage_key
        self._is_used = row.loaded == "always"
        self._workspace = workspace
        undeclared = PropertyPolicy(
            workspace.codec(None),
            expires_after=positive(expires_after, "expires_after"),
            write_type_tags=workspace.write_type_tags,
        )
        self._policies = Policies(undeclared, workspace.limits)

    # Properties

    @overload
    def create_property(
        self,
        name: str,
        type: type[T],
        *,
        default: Any = None,
        expires_after: timedelta | None = None,
        sliding: bool = False,
        keep_reference: bool = False,
        merge: Merge | None = None,
        trim: Trim | None = None,
        max_bytes: int | None = None,
        version: int = 1,
        migrations: Mapping[int, Migration] | None = None,
        on_undecodable: OnUndecodable = "raise",
        write_type_tags: bool | None = None,
    ) -> StateProperty[T]: ...
    @overload
    def create_property(
        self,
        name: str,
        type: Any = None,
        *,
        default: Any = None,
        expires_after: timedelta | None = None,
        sliding: bool = False,
        keep_reference: bool = False,
        merge: Merge | None = None,
        trim: Trim | None = None,
        max_bytes: int | None = None,
        version: int = 1,
        migrations: Mapping[int, Migration] | None = None,
        on_undecodable: OnUndecodable = "raise",
        write_type_tags: bool | None = None,
    ) -> StateProperty[Any]: ...
    def create_property(
        self,
        name: str,
        type: Any = None,  # noqa: A002  # the documented name, also as a keyword
        *,
        default: Any = None,
        expires_after: timedelta | None = None,
        sliding: bool = False,
        keep_reference: bool = False,
        merge: Merge | None = None,
        trim: Trim | None = None,
        max_bytes: int | None = None,
        version: int = 1,
        migrations: Mapping[int, Migration] | None = None,
        on_undecodable: OnUndecodable = "raise",
        write_type_tags: bool | None = None,
    ) -> StateProperty[Any]:
        """Declare a property of this scope.

        Example: ``cart = states.user.create_property("cart", list[str], default=list)``

        ``type``: the type of its values: builtins, dataclasses, attrs classes, TypedDict, msgspec
        Struct, enums, pydantic models, plain classes, and generics over these. Values are stored as
        plain JSON. Without a type, values are JSON builtins or classes of
        ``StateScopes(types=...)``.

        ``default``: the result of ``get`` for an absent property, if ``get`` is given no default.

        ``expires_after``: how long the property lives after its last write; with ``sliding``, after
        its last use. A use is noted at most once in each tenth of that time. None: as the scope
        says, which may be forever. ``set(expires_after=)`` overrides it for one value.

        ``keep_reference``: store the conversation of the last turn that wrote the property. An
        expiry handler can then message the user.

        ``merge``: how to combine concurrent changes of two turns. ``trim`` is called to shorten a
        merged value. Without ``merge`` the later save raises `StateConflictError`.

        - ``"fields"``: merge objects field by field.
        - ``"append"``: as ``"fields"``, and also merge lists by their items.
        - a function: called as ``(base, mine, theirs)`` with the values, None for an absent one.

        ``max_bytes``: the limit of its JSON text. A save over it raises `StateTooLargeError`.

        ``version``: the version of the values that this code writes. ``migrations``: ``{1: f, 2:
        g}``, one function for each earlier version: ``(value) -> value`` on plain JSON, or a change
        in place that returns None. A stored value of an older version is migrated when it is first
        read, and written with the turn. A value without a version has version 1. Null is null in
        every version. A newer version raises `StateDecodeError`, and is neither overwritten nor
        moved aside.

        ``on_undecodable``: how to treat a stored value that cannot be read as this property.

        - ``"raise"``: raise `StateDecodeError`.
        - ``"quarantine"``: log a warning and treat the property as absent. The turn's save moves
          the whole value to the property ``{name}$quarantine.{digest}``:
          ``{"reason": ..., "version": ..., "value": ...}``.

        ``write_type_tags``: write jsonpickle's tags as the SDK does, so that a bot without this
        package reads the value as its class. None: as `StateScopes` says. Tags are always read. A
        value that is stored in the other form keeps it until it is changed or set, or until
        ``StateScopes.migrate`` rewrites it.

        Declaring a name again replaces its declaration. ``create_property(name)`` alone does not:
        it returns one more accessor of the declared property.

        :raises TypeError: the name is empty, the type cannot be stored, or ``trim`` is no function.
        :raises ValueError: the name is reserved; ``expires_after`` or ``max_bytes`` is not
            positive; ``merge`` is none of these, or ``trim`` is given without it; the migrations do
            not lead from version 1 to ``version``, each to the next.
        """
        if not name:
            raise TypeError("BotState.create_property(): name cannot be None or empty.")
        check_name(name)
        if is_reserved(name):
            raise ValueError(f"{name!r} is a reserved name: choose another.")
        if on_undecodable not in CHOICES:
            raise ValueError(f"on_undecodable must be one of {CHOICES}, not {on_undecodable!r}.")
        if write_type_tags is None:
            write_type_tags = self._workspace.write_type_tags
        policy = PropertyPolicy(
            self._workspace.codec(type, tagged=bool(write_type_tags) and type is not None),
            declared_type=type is not None,
            write_type_tags=write_type_tags,
            default=default,
            expires_after=positive(expires_after, "expires_after")
            or self._policies.undeclared.expires_after,
            sliding=sliding,
            keep_reference=keep_reference,
            merge=merge,
            trim=trim,
            max_bytes=positive_limit(max_bytes, "max_bytes"),
            versions=versions_of(version, migrations),
            on_undecodable=on_undecodable,
        )
        if policy != self._policies.undeclared:
            self._workspace.allow(type)
            self._policies.declare(name, policy)
        self._is_used = True
        return self._property_kind(self, name)

    def at(self: Self, document_id: str) -> Self:
        """Return the same scope, with all its methods and properties, for the document with this
        id: ``await states.shared.at("12345").load(turn)``.

        :raises StateKeyError: the id is not a non-empty string; or the activity, not an id, chooses
            the document of this scope.
        """
        if self.row.chosen_by != "id":
            raise StateKeyError(
                f"The {self.scope_name} scope's document is chosen by the activity: use it without "
                ".at."
            )
        self.row.key(document_id)  # an id that makes no key fails here
        bound = copy.copy(self)
        bound._document_id = document_id
        return bound

    def on_expired(self, handler: H) -> H:
        """Call ``handler`` with an `ExpiredState` for every property of this scope that expires, as
        `StateProperty.on_expired` does for one."""
        self._policies.handlers_of_all.append(handler)
        return handler

    async def query(self, turn: Any, query: Query) -> Any:
        """Return the result of a JSONPath (RFC 9535) on the document, as the turn sees it now.

        Example: ``await states.user.query(turn, "$.profile.name")``

        Unsaved changes are included, expired properties are not. A singular path returns its value
        or None, any other path a list, a `StateQuery` a dictionary of such answers. Values are
        plain JSON, and copies. Only the properties that the path can reach are decoded.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        return query_document(as_query(query), await self._document(turn))

    # The key

    def get_storage_key(self, turn_context: Any) -> str:
        """Return the key of this turn's document.

        :raises StateKeyError: the turn names no document of this scope.
        """
        key = self._key_in(turn_context)
        if key is None:
            raise self._no_id()
        return key

    def _key_in(self, turn: Any) -> str | None:
        """Return the key of this turn's document; None if the turn has no id for it.

        :raises StateKeyError: the activity does not name all that the key is made of.
        """
        return self._key_of(self._id_in(turn), turn)

    def _key_of(self, document_id: str | None, turn: Any) -> str | None:
        if document_id is not None:
            return self.row.key(document_id)
        if self.row.activity_key is None:
            return None
        activity = self._workspace.host.key_activity(turn.activity)
        return self.row.activity_key(activity, self.namespace)

    def _id_in(self, turn: Any) -> str | None:
        """Return the id of this turn's document, if the key is made of an id."""
        return self._document_id

    def _no_id(self) -> StateKeyError:
        return StateKeyError(f"The {self.scope_name} scope needs an id: use .at(id).")

    # Upstream's BotState

    def get_cached_state(self, turn_context: Any) -> CachedState | None:
        """Return the loaded state of this turn; None before it was loaded."""
        try:
            document = self._unloaded_document(turn_context)
        except StateKeyError:
            return None  # as upstream: dialogs ask every scope, also in a turn without a user
        return CachedState(document) if document.is_loaded else None

    def get(self, turn_context: Any) -> dict[str, Any] | None:
        """Return the live mapping of all properties; None before it was loaded."""
        cached = self.get_cached_state(turn_context)
        return None if cached is None else cached.state

    async def load(self, turn_context: Any, force: bool = False) -> None:
        """Read the document once in a turn. ``force``: read it again and discard unsaved changes.

        :raises StateKeyError: the scope has no key in this turn.
        :raises StateStorageError: the storage failed.
        """
        self._is_used = True
        document = self._unloaded_document(turn_context)
        if force:
            await self._work_of(turn_context).load([document], force=True)
        else:
            await self._work_of(turn_context).load_together(document)

    async def save_changes(self, turn_context: Any, force: bool = False) -> None:
        """Write the changes of this scope. ``force``: write the document even if it did not change.

        :raises StateConflictError, StateEncodeError, StateStorageError: see `UnitOfWork.save`.
        """
        if force:
            await self.load(turn_context)
        await self._work_of(turn_context).save(self._documents(turn_context), force=force)

    async def clear_state(self, turn_context: Any) -> None:
        """Remove every property when the turn's state is saved. The document stays, empty."""
        (await self._document(turn_context)).clear()

    async def delete(self, turn_context: Any) -> None:
        """Remove the document from storage at once. No error if there is none.

        In a turn that could not decode all of the document, the values that cannot be decoded are
        kept, moved to quarantine with a warning (see ``on_undecodable`` of `create_property`). An
        error handler, called after its turn has failed, does not remove what is in quarantine.

        :raises StateDecodeError: this turn found that the stored text is not a document: it stays.
        """
        await self._work_of(turn_context).delete(self._unloaded_document(turn_context))

    async def get_property_value(self, turn_context: Any, property_name: str) -> Any:
        """Return the value of a property.

        :raises KeyError: it is absent.
        """
        value = (await self._document(turn_context)).get(_named(property_name))
        if value is ABSENT:
            raise KeyError(property_name)
        return value

    async def set_property_value(
        self, turn_context: Any, property_name: str, value: object
    ) -> None:
        """Give a property a value, stored when the turn's state is saved."""
        (await self._document(turn_context)).set(_named(property_name), value)

    async def delete_property_value(self, turn_context: Any, property_name: str) -> None:
        """Remove a property when the turn's state is saved. No error if it is absent."""
        (await self._document(turn_context)).delete(_named(property_name))

    # Named states: the scope's properties by name alone

    async def get_state(self, turn: Any, name: str) -> StateRecord:
        """Return the state of this name; as plain JSON if nothing names the class of its value.

        :raises StateNotFoundError: there is none, or it has expired.
        """
        document = await self._document(turn)
        value = document.get_or_plain(name)
        if value is ABSENT:
            raise StateNotFoundError(scope=self.scope_name, key=document.key, name=name)
        return self._record(turn, document, name, value)

    async def get_or_set_state(self, turn: Any, name: str, payload: Any) -> StateRecord:
        """Return the state of this name. If there is none, set it to a copy of this payload.

        :raises StateEncodeError: the payload is nested too deeply to be copied.
        """
        document = await self._document(turn)
        value = document.get_or_plain(name)
        if value is ABSENT:
            value = _not_too_deep(document, name, copy.deepcopy, payload)
            document.set_default(name, value)
        return self._record(turn, document, name, value)

    async def set_state(
        self, turn: Any, name: str, payload: Any, *, expires_after: timedelta | None = None
    ) -> StateRecord:
        """Give the state of this name a payload.

        :raises ValueError: ``expires_after`` is zero or negative.
        """
        lifetime = positive(expires_after, "expires_after")
        document = await self._document(turn)
        document.set(name, payload, lifetime=lifetime)
        return self._record(turn, document, name, payload)

    async def patch_state(self, turn: Any, name: str, patch: Any) -> StateRecord:
        """Change the state of this name by a JSON merge patch (RFC 7396).

        Objects are merged, null removes a member, any other value replaces. An absent state is made
        from the patch. The payload is a new object; changing an older object of this state later
        makes the save fail.

        :raises StateDecodeError: the stored value, or the result, does not fit the property's type.
        :raises StateEncodeError: the patch is nested too deeply.
        """
        document = await self._document(turn)
        document.get_or_plain(name)  # what cannot be read is moved aside, or raises
        value = document.patched(name, patch, merge_patch)
        document.replace(name, value)
        return self._record(turn, document, name, value)

    async def delete_state(self, turn: Any, name: str) -> None:
        """Remove the state of this name. No error if there is none."""
        (await self._document(turn)).delete(name)

    async def list_states(self, turn: Any) -> list[StateRecord]:
        """Return all states of the scope's document, in no particular order."""
        document = await self._document(turn)
        values = ((name, document.get_or_plain(name)) for name in document.names())
        return [
            self._record(turn, document, name, value)
            for name, value in values
            if value is not ABSENT
        ]

    # The document as a whole

    async def read_data(self, turn: Any) -> StateData:
        """Read the document as it is stored now. See `StateData`.

        :raises StateDecodeError: it is not a document.
        """
        work = self._work_of(turn)
        return StateData._of(await self._fresh(work, turn), self._workspace.codec)

    async def write_data(self, turn: Any, data: StateData) -> StateData:
        """Store ``data`` as the whole document, if the document has not changed since it was read.

        Data that was read as absent creates the document, and only once. Properties that did not
        change stay as they are stored. Returns the new data, for the next write.

        :raises StateConflictError: another writer was faster: read again, change again. Or the turn
            has unsaved changes to a property that this changes: save them first.
        :raises StateEncodeError, StateTooLargeError: a value cannot be stored, or does not fit the
            declared type of its property; nothing was written.
        """
        work, known = self._work_of(turn), self._unloaded_document(turn)
        known.was_read = True  # the turn depends on it, as if it had read its properties
        document = known.unloaded_copy()

        def decide(found: Document, attempt: int) -> Plan:
            changes = data._changes_of(found)
            if not data._allows(found.etag):
                reason = "someone else wrote it since it was read."
                raise conflict(found, changes, attempt, reason)
            if any(known.has_changed(name) for name in changes):
                reason = "this turn has unsaved changes to it: save them first."
                raise conflict(found, changes, 0, reason)
            _check_declared(found, changes)
            return Plan(apply_changes(found, changes), changes)

        async with work.writing(known):
            await write_until_stored(
                work, {document: decide}, attempts=MAX_ATTEMPTS, holds_lock=True
            )
            if known.is_loaded:
                await refresh(work, known)
        return StateData._of(document, self._workspace.codec)

    # Documents and their tags

    async def list_documents(
        self,
        limit: int = 100,
        continuation_token: str | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        channel_id: str | None = None,
    ) -> DocumentPage:
        """Return a page of the scope's documents, in the order of their keys, channel by channel.

        Example: ``page = await states.user.list_documents(50, tags={"plan": "pro"})``

        ``limit``: the largest number of documents. ``continuation_token``: from the page before. A
        token holds the last key, never gets old, and works with this scope only. Adding or removing
        a document between two pages neither repeats nor hides another.

        ``tags``: only documents that have all of these. ``channel_id``: only documents of this
        channel (user, conversation and private scope). Less is listed then.

        A document that has expired as a whole is left out, also before a sweep deletes it.

        :raises ValueError: ``limit`` is not positive.
        :raises StateQueryError: the token is of another scope or channel, or was changed.
        :raises StateKeyError: the scope's documents have no channel, or no channel has this id.
        :raises StateStorageError: the storage failed, or does not list.
        """
        return await self._listing(tags, channel_id).page(limit, continuation_token)

    async def scan(
        self,
        where: str | JsonPath | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        channel_id: str | None = None,
        data: bool = False,
    ) -> AsyncIterator[DocumentRecord]:
        """Yield all documents of the scope. Pages are read when they are needed.

        Example: ``async for record in states.user.scan("$[?@.plan == 'pro']"): ...``

        ``where``: only documents in which this JSONPath finds something. With it, or with
        ``data=True``, documents are read, a hundred at a time, and each record's ``data`` holds the
        properties as plain JSON. A document that cannot be read, or on which the path goes over a
        limit, is logged and skipped.
        ``tags`` and ``channel_id``: as in `list_documents`, applied first, without reading.

        :raises StateQueryError: the path is not valid.
        :raises StateKeyError, StateStorageError: as `list_documents`.
        """
        from ..listing.listing import PAGE, with_data  # not before it is needed: see `_listing`

        path = JsonPath(where) if isinstance(where, str) else where
        workspace = self._workspace
        async for page in self._listing(tags, channel_id).all():
            if path is None and not data:
                for record in page.items:
                    yield record
                continue
            for start in range(0, len(page.items), PAGE):
                batch = page.items[start : start + PAGE]
                found = with_data(workspace.storage, workspace.clock, batch, self._policies, path)
                async for record in found:
                    yield record

    async def tags(self, turn: Any) -> dict[str, str]:
        """Return a copy of the tags of this turn's document, as the turn sees them."""
        return (await self._document(turn)).tags

    async def set_tags(self, turn: Any, tags: Mapping[str, str]) -> None:
        """Replace all tags of this turn's document, when the turn's state is saved.

        Listings find documents by tags. Tags are stored readable for anyone who may list the
        storage. Concurrent changes to different tags are merged. Of one tag, the later save wins.

        :raises TypeError: ``tags`` is no mapping of strings to strings. :raises StateTooLargeError:
            there are over 32 tags, or names and values have over 4 KB in all. The save may raise it
            too, if another turn added other tags meanwhile.
        """
        wanted = document_tags.checked(tags)
        (await self._document(turn)).tags = wanted

    # What properties and the middleware ask of a scope

    def _work_of(self, turn: Any) -> UnitOfWork:
        """Return the unit of work of this turn."""
        return self._workspace.work_of(turn)

    def _unloaded_document(self, turn: Any) -> Document:
        """Return this turn's document of this scope, which may not be loaded yet.

        :raises StateKeyError: the scope has no key in this turn.
        """
        work = self._workspace.work_of(turn)
        if self._makes_own_keys:
            return self._made_document(turn, work)
        document_id = self._id_in(turn)
        choice: Hashable
        if document_id is None:
            activity = turn.activity
            user, conversation = activity.from_property, activity.conversation
            choice = (
                self.scope_name,
                self.namespace,
                activity.channel_id,
                user and user.id,
                conversation and conversation.id,
            )
        elif isinstance(document_id, str):
            choice = (self.scope_name, document_id)
        else:
            return self._made_document(turn, work)  # which refuses this id
        document = work.chosen.get(choice)
        if document is None:
            key = self._key_of(document_id, turn)
            document = work.chosen[choice] = self._made_document(turn, work, key)
        elif self._document_id is not None:
            document.id = self._document_id
        return document

    def _made_document(self, turn: Any, work: UnitOfWork, key: str | None = None) -> Document:
        if key is None:
            key = self.get_storage_key(turn)
        document = work.document(key, self.scope_name, self._policies)
        # Where a key of our own holds an id, there is nothing that it leaves open.
        if document.owner is nobody and not is_own_key(key):
            activity = self._workspace.host.key_activity(turn.activity)
            document.owner = partial(owner_of, activity, self.row.owner)
        if self._document_id is not None:
            document.id = self._document_id
        return document

    async def _document(self, turn: Any) -> Document:
        """Return this turn's document of this scope, loaded."""
        self._is_used = True
        document = self._unloaded_document(turn)
        if not document.is_loaded:
            await self._workspace.work_of(turn).load_together(document)
        return document

    def _documents(self, turn: Any) -> list[Document]:
        """Return the documents of this scope for an explicit save."""
        if self._document_id is not None:
            return [self._unloaded_document(turn)]
        return self._work_of(turn).documents(self.scope_name)

    def _default_codec(self, cls: type, *, tagged: bool = False) -> Codec | None:
        """Return the codec of a class that was given as a default; None if it needs none."""
        return self._workspace.default_codec(cls, tagged=tagged)

    def _reads_class(self, cls: type) -> bool:
        """Return True if untyped values may hold this class."""
        return self._workspace.reads_class(name_of(cls))

    async def _fresh(self, work: UnitOfWork, turn: Any) -> Document:
        known = self._unloaded_document(turn)
        known.was_read = True  # the turn depends on it, as if it had read its properties
        document = known.unloaded_copy()
        await refresh(work, document)
        return document

    def _record(self, turn: Any, document: Document, name: str, payload: Any) -> StateRecord:
        times = document.metadata.props.get(name) or PropertyTimes()
        return StateRecord(
            scope=self.scope_name,
            id=document.id or self._owner_id(document.key, turn.activity),
            name=name,
            payload=payload,
            created=times.created,
            updated=times.updated,
            expires=times.expires,
        )

    def _owner_id(self, key: str, activity: Any) -> str | None:
        if is_own_key(key):
            return id_of_key(key)
        return user_id_of(activity) if "user" in self.row.owner else conversation_id_of(activity)

    def _listing(self, tags: Mapping[str, str] | None, channel_id: str | None) -> Listing:
        # Imported here, so that a bot that lists nothing starts without it.
        from ..listing.listing import KeyRange, Listing

        workspace = self._workspace
        key_range = KeyRange(self.row, self.namespace)
        return Listing(
            workspace.storage, workspace.clock, key_range, channel_id=channel_id, tags=tags
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scope_name!r}>"


def _named(property_name: str) -> str:
    if not property_name:
        raise TypeError("property_name cannot be None or empty.")
    return property_name


def _not_too_deep(document: Document, name: str, make: Callable[..., T], *args: Any) -> T:
    try:
        return make(*args)
    except RecursionError:
        reason = "it is nested too deeply, or holds itself"
    raise StateEncodeError(reason, scope=document.scope, key=document.key, property_name=name)


def _check_declared(document: Document, changes: Changes) -> None:
    for name, text in changes.items():
        policy = document.codecs.policy(name)
        if text is None or not policy.declared_type:
            continue
        try:
            document.codecs.decode(name, text, policy.versions.current)
        except StateDecodeError as error:
            reason = f"it does not fit the property: {error.reason}"
        else:
            continue
        # Outside of the handler: nothing that may show the value is chained.
        raise StateEncodeError(reason, scope=document.scope, key=document.key, property_name=name)
