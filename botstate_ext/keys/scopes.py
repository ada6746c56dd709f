"""The table of scopes: one row for each. Pure.

Adding a scope is a row here and a class in ``scopes``. Everything else reads the row: the one read
at the start of a turn, ``.at``, templates, views, queries, listings, migrations, exports, erasures.
An app's own scopes (``states.scope(name)``) are rows that `own_scope` makes at run time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from ..errors import StateKeyError
from . import build
from .build import Activity

USERS: Final = "users"
CONVERSATIONS: Final = "conversations"

ChosenBy: TypeAlias = Literal["activity", "id"]
"""``"activity"``: the channel, user, conversation or bot of the turn. ``"id"``: ``.at(id)``, or an
id that the turn has been given."""

TemplateID: TypeAlias = Literal["never", "optional", "required"]
"""Whether a template writes an id in parentheses after the name: ``{@shared('12345').total}``."""

Loaded: TypeAlias = Literal["always", "when_used", "never"]
"""Whether each turn reads its document at its start, if the turn names one. ``"when_used"``: once
this process has used the scope (``create_property``, or asking for its document)."""

ActivityKey: TypeAlias = Callable[[Activity, str], str]
"""``(activity, namespace) -> key``, as the SDK makes it."""

_OWN_PREFIX: Final = "scope."
_OWN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


class ScopeRow(Struct, frozen=True):
    """Describes one scope.

    - ``name``: its name in the API, in templates and in the metadata of its documents.
    - ``prefix``: the start of its keys that hold an id: ``{prefix}{escaped id}``. None: it has no
      such keys.
    - ``chosen_by``: how a turn finds its document.
    - ``activity_key``: makes the SDK's key from an activity; None: all keys hold an id.
    - ``folder``: the part after the channel in the SDK's keys; None: it has no such keys.
    - ``owner``: the ids in the activity that say to whom a document under the SDK's key belongs.
    - ``loaded``: whether a turn reads its document at its start.
    - ``template_id``: whether templates write an id after its name.
    """

    name: str
    prefix: str | None
    chosen_by: ChosenBy
    activity_key: ActivityKey | None = None
    folder: str | None = None
    owner: tuple[str, ...] = ()
    loaded: Loaded = "when_used"
    template_id: TemplateID = "never"

    @property
    def is_by_id(self) -> bool:
        """True if a turn has many documents of it and none of its own: views and queries then show
        a mapping by id instead of one document."""
        return self.template_id == "required"

    def channel_prefix(self, channel_id: str) -> str:
        """Return the start of the SDK's keys of a channel: ``{channel}/{folder}/``.

        :raises StateKeyError: no key of the scope names a channel.
        """
        if self.folder is None:
            raise StateKeyError(f"The {self.name} scope has no documents of a channel.")
        return f"{channel_id}/{self.folder}/"

    def key(self, document_id: str) -> str:
        """Return the key of the document with this id: ``{prefix}{escaped id}``.

        :raises StateKeyError: the id is not a string, or is empty; or no key of it holds an id.
        """
        if self.prefix is None:
            raise StateKeyError(f"The {self.name} scope has no documents that an id chooses.")
        return build.document_key(self.prefix.removesuffix("/"), document_id)


_ROWS: Final = (
    ScopeRow(
        "user",
        "user/",
        "activity",
        activity_key=build.user_key,
        folder=USERS,
        owner=("channel", "user"),
        loaded="always",
    ),
    ScopeRow(
        "conversation",
        "conversation/",
        "activity",
        activity_key=build.conversation_key,
        folder=CONVERSATIONS,
        owner=("channel", "conversation"),
        loaded="always",
    ),
    ScopeRow(
        "private",
        None,
        "activity",
        activity_key=build.private_key,
        folder=CONVERSATIONS,
        owner=("channel", "user", "conversation"),
    ),
    ScopeRow("bot", "bot/", "activity"),
    ScopeRow("workflow", "workflow/", "id", template_id="optional"),
    ScopeRow("shared", "shared/", "id", loaded="never", template_id="required"),
)

SCOPES: Final[Mapping[str, ScopeRow]] = {row.name: row for row in _ROWS}
"""The package's own scopes by name, in the order in which they are shown."""


def own_scope(name: str) -> ScopeRow:
    """Return the row of an app's own scope. Its keys are ``scope.{name}/{escaped id}``.

    :raises ValueError: the name is not a letter and up to 62 letters, digits, ``_`` and ``-``.
    """
    if not _OWN_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a scope: use up to 63 letters, digits, _ and -, "
            "beginning with a letter."
        )
    return ScopeRow(name, f"{_OWN_PREFIX}{name}/", "id", template_id="optional")


def row_of_prefix(prefix: str) -> ScopeRow | None:
    """Return the scope of keys that begin with this prefix and an id; None if no scope has it."""
    for row in SCOPES.values():
        if row.prefix == prefix:
            return row
    name = prefix.removeprefix(_OWN_PREFIX).removesuffix("/")
    is_own = prefix == f"{_OWN_PREFIX}{name}/" and _OWN_NAME.fullmatch(name) is not None
    return own_scope(name) if is_own else None
