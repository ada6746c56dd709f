"""Named states: properties by name alone, as records with their times."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ..clock import positive
from ..documents.document import ABSENT, Document
from ..documents.pending_expiry import PropertyTimes
from ..documents.plain_view import plain
from ..errors import StateEncodeError, StateNotFoundError
from ..keys.build import id_of_key, is_own_key
from ..serialization import json_text
from .bot_state import DocumentBotState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A state by its name.

    - ``scope``: the name of its scope. ``id``: whose it is: what ``.at`` takes, the user's id in
      the user and private scopes, the conversation's in the conversation scope; None where only
      the hash of a very long one is known.
    - ``payload``: the live value, as the property's ``get`` gives it. Not shown.
    - ``created``, ``updated``, ``expires``: aware UTC, as stored; None for what is not saved yet,
      and for what upstream wrote.
    """

    scope: str
    id: str | None
    name: str
    payload: Any = field(repr=False)
    created: datetime | None
    updated: datetime | None
    expires: datetime | None


class NamedStates(DocumentBotState):
    """States of a scope by name. They are the scope's properties: what ``create_property`` declares
    of a name holds here too, and all of them are saved with the turn."""

    async def get_state(self, turn: Any, name: str) -> StateRecord:
        """The state of this name.

        :raises StateNotFoundError: there is none, or it has expired.
        """
        document = await self.document(turn)
        value = document.get(name)
        if value is ABSENT:
            raise StateNotFoundError(scope=self.scope_name, key=document.key, name=name)
        return self._record(turn, document, name, value)

    async def get_or_set_state(self, turn: Any, name: str, payload: Any) -> StateRecord:
        """The state of this name; where there is none, a new one with a copy of this payload.

        :raises StateEncodeError: the payload is nested too deeply to be copied.
        """
        document = await self.document(turn)
        value = document.get(name)
        if value is ABSENT:
            value = _not_too_deep(document, name, deepcopy, payload)
            document.set(name, value)
        return self._record(turn, document, name, value)

    async def set_state(
        self, turn: Any, name: str, payload: Any, *, expires_after: timedelta | None = None
    ) -> StateRecord:
        """Give the state of this name a payload.

        :raises ValueError: ``expires_after`` is zero or negative.
        """
        lifetime = positive(expires_after, "expires_after")
        document = await self.document(turn)
        document.set(name, payload, lifetime=lifetime)
        return self._record(turn, document, name, payload)

    async def patch_state(self, turn: Any, name: str, patch: Any) -> StateRecord:
        """Change the state of this name by a JSON merge patch (RFC 7396): objects are merged, null
        removes a member, anything else replaces. Where there is none, the patch makes one. The
        payload is a new object; one that was handed out before is detached.

        :raises StateDecodeError: what is stored, or the result, does not fit the property's type.
        :raises StateEncodeError: the patch is nested too deeply.
        """
        document = await self.document(turn)
        document.get(name)  # what cannot be read is moved aside, or raises, as everywhere
        before = plain(document, frozenset({name})).get(name)
        text = json_text.dumps(_not_too_deep(document, name, _patched, before, patch))
        value = document.decode(name, text, document.policy(name).versions.current)
        document.set(name, value, is_change=True)
        return self._record(turn, document, name, value)

    async def delete_state(self, turn: Any, name: str) -> None:
        """Remove the state of this name. No error if there is none."""
        (await self.document(turn)).delete(name)

    async def list_states(self, turn: Any) -> list[StateRecord]:
        """All states of the scope's document, in no particular order."""
        document = await self.document(turn)
        values = ((name, document.get(name)) for name in document.names())
        return [
            self._record(turn, document, name, value)
            for name, value in values
            if value is not ABSENT
        ]

    def _record(self, turn: Any, document: Document, name: str, payload: Any) -> StateRecord:
        times = document.metadata.props.get(name) or PropertyTimes()
        return StateRecord(
            scope=self.scope_name,
            id=document.id or _id(document.key, self.scope_name, turn.activity),
            name=name,
            payload=payload,
            created=times.created,
            updated=times.updated,
            expires=times.expires,
        )


def _not_too_deep(document: Document, name: str, make: Callable[..., T], *args: Any) -> T:
    try:
        return make(*args)
    except RecursionError:
        reason = "it is nested too deeply, or holds itself"
    raise StateEncodeError(reason, scope=document.scope, key=document.key, property_name=name)


def _id(key: str, scope: str, activity: Any) -> str | None:
    if is_own_key(key):
        return id_of_key(key)
    whose = activity.conversation if scope == "conversation" else activity.from_property
    found: str = whose.id
    return found


def _patched(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _patched(result.get(name), value)
    return result
