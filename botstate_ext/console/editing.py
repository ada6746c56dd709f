"""Editing: one property of a document, under the ETag that the page showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import StateConflictError, StateKeyError
from ..keys.parse import is_own_key
from ..listing.records import DocumentRecord
from ..scopes.scope import StateScope
from ..states.outside_turn import OutsideTurn

if TYPE_CHECKING:
    from ..states.state_scopes import StateScopes


class Remove:
    """Takes the place of a value: the property is removed."""


def place_of(
    states: StateScopes, scope: StateScope, record: DocumentRecord
) -> tuple[StateScope, OutsideTurn] | None:
    """Return the scope and the unit of work in which a record is the scope's document.

    None if no unit of work can name it: its key was made by a key function, or can be read in
    several ways.
    """
    try:
        if scope.row.chosen_by == "id":
            if record.id is None or not is_own_key(record.key):
                return None
            chosen, turn = scope.at(record.id), states.unit_of_work()
        else:
            chosen = scope
            turn = states.unit_of_work(
                channel_id=record.channel_id,
                user_id=record.user_id,
                conversation_id=record.conversation_id,
                bot_id=record.id if scope is states.bot else None,
            )
        return (chosen, turn) if chosen._key_in(turn) == record.key else None
    except StateKeyError:
        return None


async def write_property(
    place: tuple[StateScope, OutsideTurn], name: str, value: Any, etag: str
) -> None:
    """Give a property a value, or remove it, if the document still has this ETag.

    :raises StateConflictError: it has another one, or is gone; nothing was written.
    :raises StateEncodeError, StateTooLargeError: the value cannot be stored; nothing was written.
    """
    scope, turn = place
    async with turn:
        data = await scope.read_data(turn)
        if data.data is None or data.etag != etag:
            raise StateConflictError("it was saved since the page was opened.")
        if value is Remove:
            data.data.pop(name, None)
        else:
            data.data[name] = value
        await scope.write_data(turn, data)
