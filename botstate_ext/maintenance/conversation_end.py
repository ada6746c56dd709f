"""Ends a conversation: deletes its document and its private documents when the turn ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from ..documents.document import Document
from ..errors import StateKeyError
from ..keys.build import private_prefixes
from ..keys.parse import parse
from ..listing.attribution import attribute
from ..scopes.kinds import ConversationState, PrivateConversationState
from ..storage.base import ItemInfo
from ..storage.parallel import all_outcomes
from ..unit_of_work.rewrite import remainder, rewrite
from ..unit_of_work.workspace import Workspace
from ..unit_of_work.write_loop import Plan

PARALLEL: Final = 8

_log: Final = logging.getLogger("botstate_ext")


class ConversationEnd:
    """Deletes the documents of a conversation when the turn that ended it is over.

    :raises StateKeyError: the turn names no conversation, or with ``only_user`` no user.
    """

    def __init__(
        self,
        workspace: Workspace,
        conversation: ConversationState,
        private: PrivateConversationState,
        turn: Any,
        *,
        only_user: bool,
    ) -> None:
        self._workspace, self._private, self._activity = workspace, private, turn.activity
        self._only_user = only_user
        self._documents: list[Document] = []
        if not only_user:
            self._documents.append(conversation._unloaded_document(turn))
            self._prefixes = private_prefixes(turn.activity)
        try:
            self._documents.append(private._unloaded_document(turn))
        except StateKeyError:
            if only_user:
                raise  # otherwise the end of the conversation came from nobody in particular

    def discard_changes(self) -> None:
        """Discard the turn's unsaved changes to the documents that `run` will delete."""
        for document in self._documents:
            document.forget()

    async def run(self) -> None:
        """Delete the documents. Expired properties in them that wait for a handler still reach it.

        :raises StateError: a document could not be deleted; the others were.
        """
        documents = list(self._documents)
        if not self._only_user:
            known = {document.key for document in documents}
            documents += [
                Document(key, "private", self._private._policies)
                async for key in self._private_keys()
                if key not in known
            ]
        slots = asyncio.Semaphore(PARALLEL)
        for outcome in await all_outcomes(self._remove(document, slots) for document in documents):
            if isinstance(outcome, Exception):
                raise outcome

    async def _remove(self, document: Document, slots: asyncio.Semaphore) -> None:
        async with slots:
            await rewrite(self._workspace.outside(), document, _nothing_but_what_waits)

    async def _private_keys(self) -> AsyncIterator[str]:
        """Yield the keys of the private documents of this conversation only."""
        storage = self._workspace.storage
        if not storage.lists:
            _log.warning(
                "A conversation ended, and the private state of its other users stays: %r cannot "
                "list what it holds.",
                storage,
            )
            return
        for prefix in self._prefixes:
            async for info in storage.list_items(prefix):
                if _is_private(info, self._private.namespace):
                    yield info.key


def _is_private(info: ItemInfo, namespace: str) -> bool:
    """Return True for a private document of the listed conversation.

    False if it is another conversation's, or may be.
    """
    parsed = parse(info.key, namespace)
    if parsed is None or parsed.scope != "private":
        return False
    if len(parsed.own_readings) > 1:
        reason = "its key reads two ways"
    elif attribute(info, namespace).disagrees:
        reason = "its metadata names another owner than its key"
    else:
        return True
    _log.warning("A conversation ended, and the document %r stays: %s.", info.key, reason)
    return False


def _nothing_but_what_waits(document: Document) -> Plan | None:
    now = document.now
    if document.etag is None or now is None:
        return None
    if document.metadata.scope not in ("", document.scope):
        _log.warning(
            "A conversation ended, and the document %r stays: it was written by the %r scope.",
            document.key,
            document.metadata.scope,
        )
        return None
    expiring = [*document.metadata.expiring, *document.newly_expiring(now)]
    is_kept = bool(expiring or document.metadata.handled_at(now))
    if is_kept and not document.stored and not document.expired:
        return None  # only that is left already
    return remainder({}, expiring)
