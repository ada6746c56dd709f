"""StateProperty: a named value of a scope, as the bot reads and writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..clock import positive
from ..documents.document import ABSENT
from ..documents.plain_view import Query, as_query, query_property
from ..documents.policy import ExpiryHandler, PropertyPolicy, UserHandler
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
    """Made by a scope's ``create_property``. Wherever a *turn* is asked for, a ``TurnContext`` or
    what ``states.unit_of_work`` gives is meant."""

    def __init__(self, scope: StateScope, name: str) -> None:
        self._scope = scope
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

        Absent or expired gives the default, which is then the property's value: what a callable
        returns (a class, or a function, which may be async), or a copy of any other value; 0, ""
        and empty collections are defaults like any other. While the bot does not change it, it is
        stored only if no other turn wrote the property. Without one, here and in
        ``create_property``, it gives None and nothing is stored.

        :raises StateDecodeError: what is stored does not fit the property.
        :raises StateKeyError: the scope has no key in this turn.
        :raises StateStorageError: the storage failed.
        """
        document = await self._scope.document(turn_context)
        policy, default = self._policy, default_value_or_factory
        if default is None:
            default = policy.default
        hint = self._hint(policy, default)
        value = document.get(self._name, hint)
        if value is not ABSENT or default is None:
            return None if value is ABSENT else value
        value = await maybe_await(_make(default))
        meanwhile = document.get(self._name, hint)
        if meanwhile is not ABSENT:
            return meanwhile
        document.set_default(self._name, value, hint)
        return value

    async def set(
        self, turn_context: Any, value: T | None, *, expires_after: timedelta | None = None
    ) -> None:
        """Give the property a value, stored when the turn's state is saved.

        ``expires_after`` overrides the property's own for this value, also when it is changed in
        place or by `update`, until the property is set again. A sliding property slides by it.

        :raises ValueError: ``expires_after`` is zero or negative.
        """
        lifetime = positive(expires_after, "expires_after")
        document = await self._scope.document(turn_context)
        document.set(self._name, value, lifetime=lifetime)

    async def delete(self, turn_context: Any) -> None:
        """Remove the property when the turn's state is saved. No error if it is absent."""
        (await self._scope.document(turn_context)).delete(self._name)

    async def update(
        self,
        turn_context: Any,
        fn: Callable[[Any], Any],
        *,
        default: Any = None,
    ) -> T:
        """Change the value atomically, whoever else does so meanwhile, and return the new one.

        Reads what is stored now, gives it to ``fn`` (absent: the default, made anew), and writes
        what ``fn`` returns only if nobody wrote meanwhile; otherwise all of that again. ``fn`` may
        be async, may be called several times, and may change the value in place and return None.
        Committed at once, whatever becomes of the turn. A later change to a value of this
        property that was handed out before fails the save: it would be lost.

        :raises StateConflictError: the turn has unsaved changes to this property, or others were
            faster each time (``attempts`` tells how often).
        :raises TypeError: ``fn`` returned None for a value that cannot be changed in place.
        """
        work = self._scope.work_of(turn_context)
        document = self._scope.unloaded_document(turn_context)
        policy = self._policy
        default = policy.default if default is None else default
        policy = self._hint(policy, default) or document.policy(self._name)
        result: T = await update(work, document, self._name, fn, lambda: _make(default), policy)
        return result

    def on_expired(self, handler: H) -> H:
        """Call ``handler``, which may be async, with an `ExpiredState` once this property expired.

        A sweep calls it (``states.sweep``, or the sweeper of ``botstate_ext.aiohttp.setup``), never
        a turn. At least once: one that raises is logged and called again later, and so is one whose
        process died. A value that was set since, or that the handler sets, is another value.
        Deleting a property or a document is no expiry, and calls nothing.
        """
        self._scope.policies.handlers.setdefault(self._name, []).append(handler)
        return handler

    def on_erase(self, handler: U) -> U:
        """Call ``handler``, which may be async, with a unit of work and a `StateUser` when that
        user is erased (`StateScopes.erase_user`), before their documents are removed.

        It is for what is theirs in conversation, shared or workflow documents, and is called once
        an erasure: which documents, it knows best. The unit of work names the channel and the user,
        and is saved when the handler ends. If it raises, nothing of it is saved, no document is
        removed, and the report says so: run the erasure again.
        """
        self._scope.policies.erasers.append((self._name, handler))
        return handler

    def on_export(self, handler: U) -> U:
        """Call ``handler``, which may be async, with a unit of work and a `StateUser` when that
        user's data is exported (`StateScopes.export_user`), once an export. What it returns, as
        JSON, becomes a part of the export. What it raises, the export raises.
        """
        self._scope.policies.exporters.append((self._name, handler))
        return handler

    async def query(self, turn_context: Any, query: Query) -> Any:
        """Return what a JSONPath finds in this property's value, as `StateScope.query` does in a
        document. An absent property has no values: None for a singular path, else an empty list.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        asked = as_query(query)
        return query_property(asked, await self._scope.document(turn_context), self._name)

    def at(self, document_id: str) -> StateProperty[T]:
        """Return the same property in the document with this id (shared, workflow, and the app's
        own scopes): ``await order.at("12345").get(turn)``.

        :raises StateKeyError: the scope's document is chosen by the activity.
        """
        return StateProperty(self._scope.at(document_id), self._name)

    def __repr__(self) -> str:
        return f"<StateProperty {self._name!r} of {self._scope!r}>"

    @property
    def _policy(self) -> PropertyPolicy:
        return self._scope.policies.of(self._name)

    def _hint(self, policy: PropertyPolicy, default: Any) -> PropertyPolicy | None:
        """Return the policy for the class that a default names, if no type was declared."""
        cls = None if policy.declared_type else type_from_default(default)
        if cls is None:
            return None
        codec = self._scope.default_codec(cls, tagged=policy.write_type_tags)
        return None if codec is None else replace(policy, codec=codec, hinted_type=cls)


def _make(default: Any) -> Any:
    return default() if callable(default) else deepcopy(default)
