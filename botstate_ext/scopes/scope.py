"""StateScope: the BotState that every scope is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar, overload

from botbuilder.core import Storage

from ..clock import positive
from ..documents.document import Document
from ..documents.limits import positive_limit
from ..documents.merge import Merge
from ..documents.metadata import is_reserved
from ..documents.plain_view import Query, as_query, ask
from ..documents.policy import ExpiryHandler, Policies, PropertyPolicy, Trim
from ..documents.quarantine import CHOICES, OnUndecodable
from ..documents.schema_versions import Migration, versions_of
from ..errors import StateKeyError
from ..keys.build import document_key
from ..serialization.codecs import Codec
from ..unit_of_work.workspace import Workspace
from .listed_scope import ListedScope
from .named import NamedStates
from .state_property import StateProperty
from .whole import WholeDocuments

T = TypeVar("T")
Self = TypeVar("Self", bound="StateScope")
H = TypeVar("H", bound=ExpiryHandler)


class StateScope(NamedStates, WholeDocuments, ListedScope):
    """One document for each key, and its properties: a drop-in for ``botbuilder.core.BotState``."""

    def __init__(
        self,
        storage: Storage | Workspace,
        scope_name: str,
        *,
        expires_after: timedelta | None = None,
    ) -> None:
        super().__init__(storage, scope_name)
        undeclared = PropertyPolicy(
            self._workspace.codec(None), expires_after=positive(expires_after, "expires_after")
        )
        self.policies = Policies(undeclared, self._workspace.limits)

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
        write_type_tags: bool = False,
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
        write_type_tags: bool = False,
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
        write_type_tags: bool = False,
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

        ``max_bytes``: of its JSON text; a save that would go over it raises `StateTooLargeError`.

        ``version``: of the values that this code knows; ``migrations``: ``{1: f, 2: g}``, one for
        each version before it, ``(value) -> value`` on plain JSON (or in place, returning None).
        What is stored in an older version is brought forward when it is first read, and written
        with the turn. What has no version is of version 1; null is null in every version. A newer
        one raises `StateDecodeError`, and is neither written over nor moved aside.

        ``on_undecodable``: what to do with a stored value that cannot be read as this property.
        ``"raise"``: `StateDecodeError`. ``"quarantine"``: a warning is logged, the property is
        absent, and the turn's save moves the value whole to a property of its own,
        ``{name}$quarantine.{digest}``: ``{"reason": ..., "version": ..., "value": ...}``.

        ``write_type_tags``: write jsonpickle's tags as upstream does, so that an instance without
        this package reads the value as its class. They are read either way.

        Declaring a name again replaces its declaration, except that ``create_property(name)`` alone
        gives one more accessor to what is declared.

        :raises TypeError: the name is empty, the type cannot be stored, or ``trim`` is no function.
        :raises ValueError: the name is reserved; ``expires_after`` or ``max_bytes`` is not
            positive; ``merge`` is none of these, or ``trim`` stands without it; the migrations do
            not lead from version 1 to ``version``, each to the next.
        """
        if not name:
            raise TypeError("BotState.create_property(): name cannot be None or empty.")
        if is_reserved(name):
            raise ValueError(f"{name!r} is a reserved name: choose another.")
        if on_undecodable not in CHOICES:
            raise ValueError(f"on_undecodable must be one of {CHOICES}, not {on_undecodable!r}.")
        policy = PropertyPolicy(
            self._workspace.codec(type, tagged=write_type_tags),
            declared_type=type is not None,
            write_type_tags=write_type_tags,
            default=default,
            expires_after=positive(expires_after, "expires_after")
            or self.policies.undeclared.expires_after,
            sliding=sliding,
            keep_reference=keep_reference,
            merge=merge,
            trim=trim,
            max_bytes=positive_limit(max_bytes, "max_bytes"),
            versions=versions_of(version, migrations),
            on_undecodable=on_undecodable,
        )
        if policy != self.policies.undeclared:
            self._workspace.allow(type)
            self.policies.declared[name] = policy
        return StateProperty(self, name)

    async def query(self, turn: Any, query: Query) -> Any:
        """What a JSONPath (RFC 9535) finds in the document, as the turn sees it now: with unsaved
        changes, without expired properties. A singular path gives its value or None, any other a
        list, a `StateQuery` a dictionary of such answers. Values are plain JSON, and copies. Only
        the properties that the path can reach are decoded.

        :raises StateQueryError: the path is not valid, or over a limit.
        """
        return ask(as_query(query), await self.document(turn))

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

    def default_codec(self, cls: type, *, tagged: bool = False) -> Codec | None:
        """The codec of a class that was given as a default, where one is needed."""
        return self._workspace.default_codec(cls, tagged=tagged)

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

    def unloaded_document(self, turn: Any) -> Document:
        document = super().unloaded_document(turn)
        if self._document_id is not None:
            document.id = self._document_id
        return document

    def _documents(self, turn: Any) -> list[Document]:
        chosen = self._document_id is not None
        return [self.unloaded_document(turn)] if chosen else super()._documents(turn)
