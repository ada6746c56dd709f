"""StateScope: the BotState that every scope is."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any, TypeVar, overload

from botbuilder.core import BotState, Storage

from .codec import Codec
from .document import ABSENT, Document
from .errors import StateKeyError
from .expiry import positive
from .keys import document_key
from .merge import Merge
from .metadata import RESERVED, UPSTREAM_ETAG
from .policy import ExpiryHandler, Policies, PropertyPolicy, Trim
from .properties import StateProperty
from .work import UnitOfWork
from .workspace import Workspace

T = TypeVar("T")
Self = TypeVar("Self", bound="StateScope")
H = TypeVar("H", bound=ExpiryHandler)


class CachedState:
    """What ``get_cached_state`` gives: upstream's ``CachedBotState``, as far as the SDK uses it."""

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def state(self) -> dict[str, Any]:
        """The live mapping of all properties: what is changed in it is saved."""
        return self._document.expose()

    @property
    def is_changed(self) -> bool:
        """True when something is not saved yet."""
        return bool(self._document.changes())


class StateScope(BotState):
    """One document for each key, with its properties.

    A drop-in for ``botbuilder.core.BotState`` without its traps. It works with ``StateMiddleware``,
    with the SDK's ``AutoSaveStateMiddleware`` and ``BotStateSet``, with dialogs, and with ``load``
    and ``save_changes`` by hand. Wherever a *turn* is asked for, a ``TurnContext`` or a unit of
    work is meant.
    """

    def __init__(
        self,
        storage: Storage | Workspace,
        scope_name: str,
        *,
        expires_after: timedelta | None = None,
    ) -> None:
        workspace = storage if isinstance(storage, Workspace) else Workspace(storage)
        BotState.__init__(self, workspace.storage, f"botstate_ext.{scope_name}")
        self.scope_name = scope_name
        self._workspace = workspace
        undeclared = PropertyPolicy(
            workspace.codec(None), expires_after=positive(expires_after, "expires_after")
        )
        self.policies = Policies(undeclared)

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
    ) -> StateProperty[Any]:
        """Declare a property of this scope.

        ``type``: what its values are: builtins, dataclasses, attrs classes, TypedDict, msgspec
        Struct, enums, pydantic models, plain classes, and generics over these. Stored as plain
        JSON. Without one, values are JSON builtins, or classes that ``StateScopes(types=...)``
        names.

        ``default``: what ``get`` gives where it is given no default of its own.

        ``expires_after``: how long the property lives from its last write, or with ``sliding`` from
        its last use (which is noted at most once for each tenth of that time). None: the scope's,
        which may be none. ``set(expires_after=)`` overrides it for one value.

        ``keep_reference``: store the conversation of the last turn that wrote the property, for a
        handler of its expiry that wants to message the user.

        ``merge``: what happens when two turns change the property at once: ``"fields"`` merges
        objects field by field, ``"append"`` also lists by their items, a function is called as
        ``(base, mine, theirs)`` with values, None for an absent one. ``trim`` shortens what was
        merged. Without ``merge`` the later save raises `StateConflictError`.

        Declaring a name again replaces its declaration, except that ``create_property(name)`` alone
        gives one more accessor to what is declared.

        :raises TypeError: the name is empty, or the type cannot be stored.
        :raises ValueError: the name is reserved, or ``expires_after`` is zero or negative.
        """
        if not name:
            raise TypeError("BotState.create_property(): name cannot be None or empty.")
        if name in (RESERVED, UPSTREAM_ETAG):
            raise ValueError(f"{name!r} is a reserved name: choose another.")
        policy = PropertyPolicy(
            self._workspace.codec(type),
            declared_type=type is not None,
            default=default,
            expires_after=positive(expires_after, "expires_after")
            or self.policies.undeclared.expires_after,
            sliding=sliding,
            keep_reference=keep_reference,
            merge=merge,
            trim=trim,
        )
        if policy != self.policies.undeclared:
            self._workspace.allow(type)
            self.policies.declared[name] = policy
        return StateProperty(self, name)

    def at(self: Self, document_id: str) -> Self:
        """The same scope for the document with this id.

        :raises StateKeyError: this scope's document is chosen by the activity, not by an id.
        """
        raise StateKeyError(
            f"The {self.scope_name} scope's document is chosen by the activity: use it without .at."
        )

    def on_expired(self, handler: H) -> H:
        """Call ``handler`` with an `ExpiredState` for every property of this scope that expires, as
        `StateProperty.on_expired` does for one."""
        self.policies.handlers_of_all.append(handler)
        return handler

    # Upstream's BotState

    def get_cached_state(self, turn_context: Any) -> CachedState | None:
        """The loaded state of this turn, or None before it was loaded."""
        try:
            document = self.unloaded_document(turn_context)
        except StateKeyError:
            return None  # as upstream: dialogs ask every scope, also in a turn without a user
        return CachedState(document) if document.is_loaded else None

    def get(self, turn_context: Any) -> dict[str, Any] | None:
        """The live mapping of all properties, or None before it was loaded."""
        cached = self.get_cached_state(turn_context)
        return None if cached is None else cached.state

    async def load(self, turn_context: Any, force: bool = False) -> None:
        """Read the document, once a turn; with ``force`` again, forgetting unsaved changes.

        :raises StateKeyError: the scope has no key in this turn.
        :raises StateStorageError: the storage failed.
        """
        document = self.unloaded_document(turn_context)
        if force:
            await self.work_of(turn_context).load([document], force=True)
        else:
            await self.work_of(turn_context).load_together(document)

    async def save_changes(self, turn_context: Any, force: bool = False) -> None:
        """Write what changed in this scope; with ``force`` also what did not.

        :raises StateConflictError, StateEncodeError, StateStorageError: see `UnitOfWork.save`.
        """
        if force:
            await self.load(turn_context)
        await self.work_of(turn_context).save(self._documents(turn_context), force=force)

    async def clear_state(self, turn_context: Any) -> None:
        """Remove every property when the turn's state is saved. The document stays, empty."""
        (await self.document(turn_context)).clear()

    async def delete(self, turn_context: Any) -> None:
        """Remove the document from storage at once. No error if there is none."""
        await self.work_of(turn_context).delete(self.unloaded_document(turn_context))

    async def get_property_value(self, turn_context: Any, property_name: str) -> Any:
        """The value of a property.

        :raises KeyError: it is absent.
        """
        value = (await self.document(turn_context)).get(_named(property_name))
        if value is ABSENT:
            raise KeyError(property_name)
        return value

    async def set_property_value(
        self, turn_context: Any, property_name: str, value: object
    ) -> None:
        """Give a property a value, stored when the turn's state is saved."""
        (await self.document(turn_context)).set(_named(property_name), value)

    async def delete_property_value(self, turn_context: Any, property_name: str) -> None:
        """Remove a property when the turn's state is saved. No error if it is absent."""
        (await self.document(turn_context)).delete(_named(property_name))

    # What properties and the middleware ask of a scope

    def work_of(self, turn: Any) -> UnitOfWork:
        """The unit of work of this turn."""
        return self._workspace.work_of(turn)

    def unloaded_document(self, turn: Any) -> Document:
        """This turn's document of this scope, which may not be loaded yet.

        :raises StateKeyError: the scope has no key in this turn.
        """
        work = self._workspace.work_of(turn)
        return work.document(self.get_storage_key(turn), self.scope_name, self.policies)

    async def document(self, turn: Any) -> Document:
        """This turn's document of this scope, loaded."""
        document = self.unloaded_document(turn)
        if not document.is_loaded:
            await self._workspace.work_of(turn).load_together(document)
        return document

    def default_codec(self, cls: type) -> Codec | None:
        """The codec of a class that was given as a default, where one is needed."""
        return self._workspace.default_codec(cls)

    def _documents(self, turn: Any) -> list[Document]:
        """The documents of this scope that a save by hand concerns."""
        return self.work_of(turn).documents(self.scope_name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scope_name!r}>"


class ScopeByID(StateScope):
    """A scope whose documents are chosen by an id."""

    _document_id: str | None = None

    def at(self: Self, document_id: str) -> Self:
        """The same scope, with all its methods and properties, for the document with this id.

        :raises StateKeyError: the id is not a non-empty string.
        """
        document_key(self.scope_name, document_id)  # an id that makes no key fails here
        bound = copy.copy(self)
        bound._document_id = document_id
        return bound

    def _documents(self, turn: Any) -> list[Document]:
        chosen = self._document_id is not None
        return [self.unloaded_document(turn)] if chosen else super()._documents(turn)


def _named(property_name: str) -> str:
    if not property_name:
        raise TypeError("property_name cannot be None or empty.")
    return property_name
