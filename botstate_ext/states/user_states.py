"""UserStates: everything of one user, removed or handed out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

from botbuilder.schema import ActivityTypes

from ..documents.policy import UserHandler
from ..privacy.erasure import Erasure, ErasureReport
from ..privacy.export import Export
from ..privacy.user_documents import OnProgress, StateUser, UserDocuments
from ..storage.keycheck import check_key
from ..unit_of_work.outside import OutsideTurn, reference_to
from .query_scopes import document_of
from .turn_states import TurnStates

_log: Final = logging.getLogger("botstate_ext.privacy")


class UserStates(TurnStates):
    """The scopes, as far as they hold what is one user's."""

    async def erase_user(
        self,
        channel_id: str,
        user_id: str,
        *,
        conversation_ids: Iterable[str] | None = None,
        dry_run: bool = False,
        on_progress: OnProgress | None = None,
    ) -> ErasureReport:
        """Remove the user's document and every private document of theirs, in any conversation.

        First the handlers of ``on_erase`` are called, each once, for what is kept elsewhere. If one
        fails, no document is removed yet. Documents are found by listing the keys of the channel's
        conversations, and no one else's is read. Whose a document is comes from its metadata, and
        where upstream wrote it from its key; one whose key reads two ways is reported and stays.

        It may be run again, also after it was interrupted. A turn that read a document before it
        was removed cannot bring it back: its save raises `StateConflictError`.

        ``conversation_ids``: look in these conversations only; needed for a storage that does not
        list. ``dry_run``: report only. ``on_progress``: called with how many keys were looked at.

        :raises StateKeyError: no user can be called so.
        :raises StateStorageError: documents could not be looked for. What could not be removed is
            in the report instead.
        """
        user = StateUser(channel_id, user_id)
        documents = self._documents_of(user, self._outside(user), conversation_ids, on_progress)
        handlers = _UserHandlers(self, user, erase=True)
        told = self._workspace.save_handlers
        return await Erasure(self.storage, user, documents, handlers, told, dry_run=dry_run).run()

    async def export_user(
        self,
        channel_id: str,
        user_id: str,
        *,
        conversation_ids: Iterable[str] | None = None,
        dry_run: bool = False,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Any]:
        """The same data as plain JSON, ready for ``json.dumps``.

        ``{"channel_id", "user_id", "documents", "exported", "ambiguous", "failed"}``: each document
        with ``scope``, ``key``, ``conversation_id``, ``created``, ``updated``, ``tags`` and
        ``properties``, without expired ones; the answers of the ``on_export`` handlers, by
        ``"scope.property"``; the keys of documents that may be the user's and were not read; and,
        by key or by handler, the reason why a document or an answer is missing. An export is whole
        if the last two are empty.
        With ``dry_run``, no document is read (there are no ``properties``) and no handler called.
        The other options are those of `erase_user`.

        :raises StateKeyError: no user can be called so.
        :raises StateStorageError: documents could not be looked for, or none could be read.
        """
        user = StateUser(channel_id, user_id)
        documents = self._documents_of(user, self._outside(user), conversation_ids, on_progress)
        export = Export(
            self.storage,
            self._workspace.clock,
            user,
            documents,
            _UserHandlers(self, user, erase=False),
            policies={scope.scope_name: scope.policies for scope in (self.user, self.private)},
            dry_run=dry_run,
        )
        return await export.run()

    def let_user_go(self, turn: Any) -> None:
        """Forget what this turn changed in what `erase_user_of` is about to remove."""
        for scope in (self.user, self.private):
            document = document_of(scope, turn)
            if document is not None:
                document.forget()

    async def erase_user_of(self, turn: Any) -> None:
        """`erase_user` for the user of this turn, who is gone. What failed is logged.

        :raises StateStorageError: documents could not be looked for.
        """
        activity = turn.activity
        user = StateUser(activity.channel_id, activity.from_property.id)
        conversation_ids = None
        if not self.storage.lists:
            conversation_ids = [activity.conversation.id] if activity.conversation else []
            _log.warning(
                "A user is gone, and their private state in other conversations stays: %r cannot "
                "list what it holds.",
                self.storage,
            )
        documents = self._documents_of(user, turn, conversation_ids, None)
        handlers = _UserHandlers(self, user, erase=True)
        told = self._workspace.save_handlers
        report = await Erasure(self.storage, user, documents, handlers, told, dry_run=False).run()
        if not report.complete:
            _log.error(
                "A user is gone, and not everything of theirs could be removed: failed %s, "
                "ambiguous %s. Call erase_user again.",
                report.failed,
                report.ambiguous,
            )

    def _documents_of(
        self,
        user: StateUser,
        turn: Any,
        conversation_ids: Iterable[str] | None,
        on_progress: OnProgress | None,
    ) -> UserDocuments:
        user_key = self.user.get_storage_key(turn)
        check_key(user_key)
        return UserDocuments(
            self.storage,
            self._workspace.clock,
            user,
            user_key=user_key,
            namespace=self.private.namespace,
            conversation_ids=conversation_ids,
            on_progress=on_progress,
        )

    def _outside(self, user: StateUser) -> OutsideTurn:
        reference = reference_to(user.channel_id, user.user_id, None)
        return OutsideTurn(self, reference, bot_id=None, workflow_id=None, on_conflict="merge")


def is_removal(activity: Any) -> bool:
    """True for an activity that says that its user is gone: they asked for their data to be
    deleted, removed the bot from their contacts, or uninstalled it in their personal scope."""
    sender, conversation = activity.from_property, activity.conversation
    if not (activity.channel_id and sender and sender.id):
        return False
    if activity.type == ActivityTypes.delete_user_data:
        return True
    if activity.action != "remove":  # an upgrade is "remove-upgrade", and nobody leaves
        return False
    if activity.type == ActivityTypes.contact_relation_update:
        return True
    is_personal = bool(conversation) and conversation.conversation_type == "personal"
    return is_personal and activity.type == ActivityTypes.installation_update


class _UserHandlers:
    """The handlers of ``on_erase`` or ``on_export``, for one user."""

    def __init__(self, states: UserStates, user: StateUser, *, erase: bool) -> None:
        self._states, self._user, self._erase = states, user, erase

    def named(self) -> Iterator[tuple[str, UserHandler]]:
        """Each handler, with the name of its property."""
        for scope in self._states:
            policies = scope.policies
            for name, handler in policies.erasers if self._erase else policies.exporters:
                yield f"{scope.scope_name}.{name}", handler

    def work(self) -> OutsideTurn:
        """A unit of work of the user, saved when its handler has ended."""
        return self._states._outside(self._user)
