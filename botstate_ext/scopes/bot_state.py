"""DocumentBotState: upstream's BotState, over documents and units of work."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from botbuilder.core import BotState, Storage

from ..documents.document import ABSENT, Document
from ..documents.ownership import nobody, owner_of
from ..documents.policy import Policies
from ..errors import StateKeyError
from ..keys.build import is_own_key
from ..unit_of_work.work import UnitOfWork
from ..unit_of_work.workspace import Workspace


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


class DocumentBotState(BotState):
    """One document for each key, under upstream's contract, without its traps.

    It works with ``StateMiddleware``, with the SDK's ``AutoSaveStateMiddleware`` and
    ``BotStateSet``, with dialogs, and with ``load`` and ``save_changes`` by hand. Wherever a
    *turn* is asked for, a
    ``TurnContext`` or what ``states.unit_of_work`` gives is meant.
    """

    policies: Policies
    owner_parts: ClassVar[tuple[str, ...]] = ()
    """What in an activity says whose a document is, where the key is upstream's."""

    def __init__(self, storage: Storage | Workspace, scope_name: str) -> None:
        workspace = storage if isinstance(storage, Workspace) else Workspace(storage)
        BotState.__init__(self, workspace.storage, f"botstate_ext.{scope_name}")
        self.scope_name = scope_name
        self._workspace = workspace

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
        key = self.get_storage_key(turn)
        document = self._workspace.work_of(turn).document(key, self.scope_name, self.policies)
        # Where a key of our own holds an id, there is nothing that it leaves open.
        if document.whose is nobody and not is_own_key(key):
            document.whose = partial(owner_of, turn.activity, self.owner_parts)
        return document

    async def document(self, turn: Any) -> Document:
        """This turn's document of this scope, loaded."""
        document = self.unloaded_document(turn)
        if not document.is_loaded:
            await self._workspace.work_of(turn).load_together(document)
        return document

    def _documents(self, turn: Any) -> list[Document]:
        """The documents of this scope that a save by hand concerns."""
        return self.work_of(turn).documents(self.scope_name)


def _named(property_name: str) -> str:
    if not property_name:
        raise TypeError("property_name cannot be None or empty.")
    return property_name
