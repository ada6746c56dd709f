"""StateProperty: a named value of a scope, as the bot reads and writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from msgspec.structs import replace

from ..clock import positive
from ..documents.document import ABSENT, Document
from ..documents.plain_view import Query, as_query, query_property
from ..documents.policy import ExpiryHandler, PropertyPolicy, UserHandler
from ..errors import StateDecodeError
from ..host.bases import StatePropertyAccessor
from ..serialization.codec_choice import type_from_default
from ..storage.waiting import maybe_await
from ..unit_of_work.update import update

if TYPE_CHECKING:
    from .scope import StateScope

T = TypeVar("T")
D = TypeVar("D")
H = TypeVar("H", bound=ExpiryHandler)
U = TypeVar("U", bound=UserHandler)


class StateProperty(StatePropertyAccessor, Generic[T]):
    """Reads and writes one property. Made by a scope's ``create_property``.

    Each ``turn`` argument is a ``TurnContext`` or the unit of work of ``states.unit_of_work``.
    """

    def __init__(self, scope: StateScope, name: str) -> None:
        self._scope = scope
        self._policies = scope._policies
        self._name = name

    @property
    def name(self) -> str:
        """Return the name of the property, also its name in the stored document."""
        return self._name

    @overload
    async def get(self, turn_context: Any) -> T | None: ...
    @overload
    async def get(
        self, turn_context: Any, default_value_or_factory: Callable[[], Awaitable[T]]
    ) -> T: ...
    @overload
    async def get(self, turn_context: Any, default_value_or_factory: Callable[[], T]) -> T: ...
    @overload
    async def get(self, turn_context: Any, default_value_or_factory: T) -> T: ...
    async def get(self, turn_context: Any, default_value_or_factory: Any = None) -> Any:
        """Return the value: the same object each time in a turn, so a change in place is saved.

        Example: ``profile = await profiles.get(turn, Profile)``

        Absent or expired returns the default, and makes it the property's value. A callable default
        (a class or a function, also async) is called; of any other default a copy is made. 0, ""
        and empty collections are defaults too. An unchanged default is stored only if no other turn
        wrote the property. Without a default, here and in ``create_property``, it returns None and
        stores nothing.

        :raises StateDecodeError: the stored value does not fit the property.
        :raises StateKeyError: the scope has no key in this turn.
        :raises StateStorageError: the storage failed.
        """
        document = await self._scope._document(turn_context)
        policy, default = self._policies.of(self._name), default_value_or_factory
        if default is None:
            default = policy.default
        hint = None if default is None else self._hint(policy, default)
        try:
            value = document.get(self._name, hint)
        except StateDecodeError:
            if hint is not None or not callable(default):
                raise
            value = await self._get_as_made(document, policy, default)
        if value is not ABSENT or default is None:
            return None if value is ABSENT else value
        value = await maybe_await(_make(default))
        if hint is None:
            hint = self._hint_of_made(policy, value)
        meanwhile = document.get(self._name, hint)
        if meanwhile is not ABSENT:
            return meanwhile
        document.set_default(self._name, value, hint)
        return value

    async def set(
        self, turn_context: Any, value: T | None, *, expires_after: timedelta | None = None
    ) -> None:
        """Set the value. It is stored when the turn's state is saved.

        Example: ``await code.set(turn, "1234", expires_after=timedelta(minutes=5))``

        ``expires_after`` overrides the property's own for this value. It stays in force when the
        value is changed in place or by `update`, until the property is set again. A sliding
        property slides by it.

        :raises ValueError: ``expires_after`` is zero or negative.
        """
        lifetime = None if expires_after is None else positive(expires_after, "expires_after")
        document = await self._scope._document(turn_context)
        document.set(self._name, value, lifetime=lifetime)

    async def delete(self, turn_context: Any) -> None:
        """Remove the property when the turn's state is saved. No error if it is absent."""
        (await self._scope._document(turn_context)).delete(self._name)

    async def update(
        self,
        turn_context: Any,
        fn: Callable[[Any], Any],
        *,
        default: Any = None,
    ) -> T:
        """Change the stored value atomically, and return the new value.

        Example: ``await visits.update(turn, lambda n: n + 1, default=0)``

        Reads the stored value, calls ``fn`` with it (absent: with the default, made anew), and
        writes the result if no other writer wrote meanwhile. If one did, it begins again. ``fn``
        may be async, may be called several times, and may change the value in place and return
        None. The result is stored at once, even if the turn fails later. After it, changing an
        older object of this property makes the save fail: the change would be lost.

        :raises StateConflictError: the turn has unsaved changes to this property, or other writers
            were faster each time (``attempts`` is their number).
        :raises TypeError: ``fn`` returned None for a value that cannot be changed in place.
        """
        work = self._scope._work_of(turn_context)
        document = self._scope._unloaded_document(turn_context)
        policy = self._policy
        default = policy.default if default is None else default
        policy = self._hint(policy, default) or document.codecs.policy(self._name)
        result: T = await update(work, document, self._name, fn, lambda: _make(default), policy)
        return result

    def on_expired(self, handler: H) -> H:
        """Call ``handler``, which may be async, with an `ExpiredState` once this property expired.

        Only a sweep calls it (``states.sweep``, or the sweeper of ``botstate_ext.aiohttp.setup``),
        never a turn. It is called at least once: again after it raised, which is logged, or after
        its process died. A value that was set since then, or that the handler sets, expires for
        itself. Deleting a property or a document calls no handler.
        """
        self._scope._policies.handlers.setdefault(self._name, []).append(handler)
        return handler

    def on_erase(self, handler: U) -> U:
        """Call ``handler``, which may be async, when a user is erased (`StateScopes.erase_user`).

        It gets a unit of work and a `StateUser`, before the user's documents are deleted, once in
        each erasure. Use it for data of the user in conversation, shared or workflow documents:
        only the app knows these documents. The unit of work names the channel and the user, and is
        saved when the handler ends. If it raises, none of its changes is saved, no document is
        deleted, and the report names the failure: run the erasure again.
        """
        self._scope._policies.erasers.append((self._name, handler))
        return handler

    def on_export(self, handler: U) -> U:
        """Call ``handler``, which may be async, when a user is exported
        (`StateScopes.export_user`).

        It gets a unit of work and a `StateUser`, once in each export. Its result, as JSON, becomes
        a part of the export. If it raises, the export says so.
        """
        self._scope._policies.exporters.append((self._name, handler))
        return handler

    async def query(self, turn_context: Any, query: Query) -> Any:
        """Return the result of a JSONPath on this property's value; see `StateScope.query`.

        Example: ``await cart.query(turn, "$.items[*].price")``

        An absent property has no values: None for a singular path, else an empty list.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        asked = as_query(query)
        return query_property(asked, await self._scope._document(turn_context), self._name)

    def at(self, document_id: str) -> StateProperty[T]:
        """Return the same property in the document with this id (shared, workflow, and the app's
        own scopes): ``await order.at("12345").get(turn)``.

        :raises StateKeyError: the scope's document is chosen by the activity.
        """
        return type(self)(self._scope.at(document_id), self._name)

    def __repr__(self) -> str:
        return f"<StateProperty {self._name!r} of {self._scope!r}>"

    @property
    def _policy(self) -> PropertyPolicy:
        return self._policies.of(self._name)

    def _hint(self, policy: PropertyPolicy, default: Any) -> PropertyPolicy | None:
        """Return the policy for the class that a default names, if no type was declared."""
        cls = None if policy.declared_type else type_from_default(default)
        if cls is None:
            return None
        codec = self._scope._default_codec(cls, tagged=policy.write_type_tags is not False)
        return None if codec is None else replace(policy, codec=codec, hinted_type=cls)

    def _hint_of_made(self, policy: PropertyPolicy, value: Any) -> PropertyPolicy | None:
        """Return the policy for the class of a value that a function made as default.

        It writes tags in any case: the next turn has only the function, which names no class.
        """
        cls = None if policy.declared_type or callable(value) else type_from_default(value)
        if cls is None or self._scope._reads_class(cls):
            return None
        codec = self._scope._default_codec(cls, tagged=True)
        return None if codec is None else replace(policy, codec=codec, hinted_type=cls)

    async def _get_as_made(self, document: Document, policy: PropertyPolicy, default: Any) -> Any:
        """Return the stored value that nothing but the default's own result tells the class of.

        :raises StateDecodeError: the value is not of that class.
        """
        hint = self._hint_of_made(policy, await maybe_await(_make(default)))
        value = document.get(self._name, hint)
        document.undecodable.pop(self._name, None)
        return value


def _make(default: Any) -> Any:
    return default() if callable(default) else deepcopy(default)
