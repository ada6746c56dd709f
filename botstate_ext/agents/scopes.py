"""The scopes of an agent: those of the package, with the methods of the SDK's ``AgentState``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from ..documents.document import ABSENT, Document
from ..documents.policy import PropertyPolicy
from ..errors import StateKeyError
from ..scopes import kinds
from ..scopes.cached_state import CachedState
from ..scopes.scope import StateScope
from ..scopes.state_property import StateProperty
from ..serialization.codec_choice import type_from_default
from .agent_turn import current_context

T = TypeVar("T")


class AgentProperty(StateProperty[T]):
    """A property of a scope, as the SDK's ``StatePropertyAccessor``: `get` takes ``target_cls``."""

    async def get(
        self,
        turn_context: Any,
        default_value_or_factory: Any = None,
        *,
        target_cls: type[Any] | None = None,
    ) -> Any:
        """Return the value, see `botstate_ext.StateProperty.get`.

        ``target_cls``: the class to read it as, if ``create_property`` was given no type.

        :raises StateDecodeError: the stored value does not fit the class.
        """
        if target_cls is not None:
            document = await self._scope._document(turn_context)
            document.get(self._name, _hint(self._scope, self._name, target_cls))
        return await super().get(turn_context, default_value_or_factory)

    def _hint(self, policy: PropertyPolicy, default: Any) -> PropertyPolicy | None:
        cls = type_from_default(default)
        return None if cls is None else _hint(self._scope, self._name, cls)

    def _hint_of_made(self, policy: PropertyPolicy, value: Any) -> None:
        """Return None: a function names no class, and without tags the value would not either."""


class ScopeOfTurn:
    """One scope in one turn, as ``state.user``, ``state.conversation``, ``state.private`` and
    ``state.bot`` of a handler. Values are read and changed without ``await``: the turn has loaded
    them, and saves them when it ends.

    Each method raises `StateKeyError` if the turn names no document of the scope.
    """

    def __init__(self, scope: StateScope, context: Any) -> None:
        self._scope, self._context = scope, context

    def has_value(self, property_name: str) -> bool:
        """Return True if there is a value; 0, "" and None are values."""
        return self._document().get(property_name) is not ABSENT

    def get_value(
        self,
        property_name: str,
        default_value_factory: Callable[[], Any] | None = None,
        *,
        target_cls: type[Any] | None = None,
    ) -> Any:
        """Return the value, the same object each time in a turn, so that a change in place is
        saved.

        Example: ``count = state.conversation.get_value("count", lambda: 0)``

        Absent or expired calls the factory, and makes its result the value; without a factory it
        returns None and stores nothing. ``target_cls``: the class to read it as, unless
        ``create_property`` was given a type; a class as the factory is read as that, too.

        :raises StateDecodeError: the stored value does not fit the property.
        """
        document = self._document()
        cls = target_cls or type_from_default(default_value_factory)
        hint = None if cls is None else _hint(self._scope, property_name, cls)
        value = document.get(property_name, hint)
        if value is not ABSENT:
            return value
        default = self._scope._policies.of(property_name).default
        factory = default_value_factory or default
        if factory is None:
            return None
        value = factory() if callable(factory) else factory
        document.set_default(
            property_name, value, hint or _hint(self._scope, property_name, type(value))
        )
        return document.get(property_name)

    def set_value(self, property_name: str, value: Any) -> None:
        """Set the value. It is stored when the turn is saved.

        Example: ``state.user.set_value("name", "Ann")``
        """
        hint = _hint(self._scope, property_name, type(value))
        self._document().set(property_name, value, hint)

    def delete_value(self, property_name: str) -> None:
        """Remove a value when the turn is saved. No error if it is absent."""
        self._document().delete(property_name)

    def clear(self, turn_context: Any = None) -> None:
        """Remove every value when the turn is saved."""
        self._document().clear()

    def create_property(self, name: str) -> StateProperty[Any]:
        """Return the property of this name, for dialogs and for code that takes accessors."""
        return self._scope.create_property(name)

    def get_cached_state(self, turn_context: Any = None) -> CachedState | None:
        """Return the loaded state of this turn; None before it was loaded."""
        return self._scope.get_cached_state(self._context)

    def get(self, turn_context: Any = None) -> dict[str, Any] | None:
        """Return the live mapping of all values; None before it was loaded."""
        return self._scope.get(self._context)

    async def load(self, turn_context: Any = None, force: bool = False) -> None:
        """Read the document, unless the turn has; ``force`` discards unsaved changes."""
        await self._scope.load(self._context, force)

    async def save(self, turn_context: Any = None, force: bool = False) -> None:
        """Write the changes now, and not only when the turn ends."""
        await self._scope.save_changes(self._context, force)

    async def delete(self, turn_context: Any = None) -> None:
        """Remove the document from storage at once."""
        await self._scope.delete(self._context)

    def get_storage_key(self, turn_context: Any = None, *, target_cls: Any = None) -> str:
        """Return the key of the document."""
        return self._scope.get_storage_key(self._context)

    def _document(self) -> Document:
        document = self._scope._unloaded_document(self._context)
        if not document.is_loaded:
            raise StateKeyError(
                f"The {self._scope.scope_name} scope is not loaded in this turn: await "
                "load(context) first."
            )
        return document

    def __repr__(self) -> str:
        return f"<ScopeOfTurn {self._scope.scope_name!r}>"


if TYPE_CHECKING:
    _Scope = StateScope
else:
    _Scope = object


class AgentScope(_Scope):
    """The methods of the SDK's ``AgentState`` that name no turn. They act in the turn that the
    running code is a part of, so one object serves all turns at once."""

    _property_kind = AgentProperty

    def in_turn(self, turn_context: Any = None) -> ScopeOfTurn:
        """Return the scope in a turn; without one, in the turn that is running.

        :raises StateKeyError: no turn is running.
        """
        context = turn_context or current_context()
        if context is None:
            raise StateKeyError(
                f"The {self.scope_name} scope was used outside a turn: give it a turn, "
                "scope.in_turn(context)."
            )
        return ScopeOfTurn(self, context)

    def has_value(self, property_name: str) -> bool:
        """Return True if there is a value in the running turn; see `ScopeOfTurn.has_value`."""
        return self.in_turn().has_value(property_name)

    def get_value(
        self,
        property_name: str,
        default_value_factory: Callable[[], Any] | None = None,
        *,
        target_cls: type[Any] | None = None,
    ) -> Any:
        """Return the value in the running turn; see `ScopeOfTurn.get_value`."""
        return self.in_turn().get_value(property_name, default_value_factory, target_cls=target_cls)

    def set_value(self, property_name: str, value: Any) -> None:
        """Set the value in the running turn; see `ScopeOfTurn.set_value`."""
        self.in_turn().set_value(property_name, value)

    def delete_value(self, property_name: str) -> None:
        """Remove the value in the running turn."""
        self.in_turn().delete_value(property_name)

    def clear(self, turn_context: Any = None) -> None:
        """Remove every value when the turn is saved."""
        self.in_turn(turn_context).clear()

    async def save(self, turn_context: Any, force: bool = False) -> None:
        """Write the changes of this scope now: the SDK's name for ``save_changes``."""
        await self.save_changes(turn_context, force)


class UserState(AgentScope, kinds.UserState):
    """State of a user, in place of the SDK's class. Key: ``{channel}/users/{user}``."""


class ConversationState(AgentScope, kinds.ConversationState):
    """State of a conversation, in place of the SDK's class. Key:
    ``{channel}/conversations/{conversation}``."""


class PrivateConversationState(AgentScope, kinds.PrivateConversationState):
    """State of one user in one conversation."""


class BotScopeState(AgentScope, kinds.BotScopeState):
    """State of the agent itself."""


class WorkflowState(AgentScope, kinds.WorkflowState):
    """State of a piece of work that may span conversations."""


class SharedState(AgentScope, kinds.SharedState):
    """State of everyone who knows an id."""


class OwnScope(AgentScope, kinds.OwnScope):
    """A scope of the app's own, made by ``states.scope``."""


KINDS: Final[dict[str, type[Any]]] = {
    "user": UserState,
    "conversation": ConversationState,
    "private": PrivateConversationState,
    "bot": BotScopeState,
    "workflow": WorkflowState,
    "shared": SharedState,
}
"""The class of each scope in the table of scopes."""


def _hint(scope: StateScope, name: str, cls: type[Any]) -> PropertyPolicy | None:
    """Return the policy to read and write a property as this class; None where it has a declared
    type, or where the class needs none."""
    policy = scope._policies.of(name)
    if policy.declared_type or type_from_default(cls) is None:
        return None
    # Without tags, unless they are asked for: this SDK does not know them.
    codec = scope._default_codec(cls, tagged=policy.write_type_tags is True)
    return None if codec is None else replace(policy, codec=codec, hinted_type=cls)
