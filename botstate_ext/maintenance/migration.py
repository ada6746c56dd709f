"""Migrates a storage: rewrites every document, as plain JSON if that loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import Final, TypeAlias

from ..documents.document import Document
from ..documents.metadata import RESERVED
from ..documents.policy import Policies
from ..errors import reason_of
from ..keys.parse import parse
from ..serialization import json_text, jsonpickle
from ..storage.base import ItemInfo, StoredItem
from ..storage.parallel import for_each
from ..unit_of_work.rewrite import MAX_ATTEMPTS
from ..unit_of_work.workspace import Workspace
from ..unit_of_work.write_loop import Plan, fill, refresh, write_until_stored
from .problems import Problem, ProblemsSoFar
from .storage_check import unread_properties

PAGE: Final = 500
"""Documents in a page. A migration that is interrupted and resumed does its last page again."""

_log: Final = logging.getLogger("botstate_ext.migration")


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """Counts the results of one migration, and lists its problems.

    - ``seen``: items in the storage. ``rewritten``: documents that were rewritten, or in a dry run
      would be. ``unchanged``: documents that needed no change. ``others``: items that are no
      document of a scope, such as transcripts; they are left alone.
    - ``problems``: documents that could not be read or written; they are as they were. In a dry run
      also properties that the app could not read; a migration leaves them as they are.
    - ``resume``: pass it to the next migration if this one is interrupted; None: from the start.
    - ``seconds``: the duration of the migration.
    """

    seen: int = 0
    rewritten: int = 0
    unchanged: int = 0
    others: int = 0
    problems: Sequence[Problem] = field(default=(), repr=False)
    resume: str | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """Return the number of documents that were left as they were because of a problem."""
        return len(self.problems)


OnMigrated: TypeAlias = Callable[[MigrationReport], object]
"""Called with the report so far."""


@dataclass(frozen=True, slots=True)
class Options:
    """Holds the options of a migration. See ``StateScopes.migrate``."""

    dry_run: bool = False
    parallel: int = 8
    resume: str | None = None
    jsonpickle_1_before: datetime | None = None
    on_progress: OnMigrated | None = None


class Migration:
    """Runs one migration. ``scopes``: the policies of each scope, by its name."""

    def __init__(
        self, workspace: Workspace, scopes: Mapping[str, Policies], options: Options
    ) -> None:
        if options.parallel < 1:
            raise ValueError("parallel must be at least 1.")
        before = options.jsonpickle_1_before
        if before is not None and before.utcoffset() is None:
            raise ValueError("jsonpickle_1_before must be an aware time.")
        self._workspace, self._scopes, self._options = workspace, scopes, options
        self._problems: list[Problem] = []
        self._report = MigrationReport(resume=options.resume)
        self._started = monotonic()

    async def run(self) -> MigrationReport:
        """Migrate the storage and return the report.

        :raises StateStorageError: the storage could not be listed.
        """
        token = self._options.resume
        while True:
            page = await self._workspace.storage.list_page(limit=PAGE, continuation_token=token)
            await for_each(page.items, self._in_turn, parallel=self._options.parallel)
            token = page.continuation_token
            self._note(resume=token)
            if token is None:
                return replace(self._report, problems=tuple(self._problems))

    async def _in_turn(self, info: ItemInfo) -> None:
        counted: dict[str, object] = {}
        try:
            outcome = await self._one(info)
        except Exception as error:  # noqa: BLE001 - reported and logged; the others are still done
            reason = reason_of(error)
            self._add_problem(info.key, reason)
            _log.warning("A document was left as it was (key %r): %s", info.key, reason)
        else:
            counted[outcome] = getattr(self._report, outcome) + 1
        self._note(seen=self._report.seen + 1, **counted)

    async def _one(self, info: ItemInfo) -> str:
        parsed = parse(info.key)
        if parsed is None:
            return "others"
        work, scope = self._workspace.outside(), parsed.scope
        document = Document(info.key, scope, Policies(self._workspace.undeclared_policy()))
        data = b""

        def fill_expanded(document: Document, item: StoredItem | None, now: datetime) -> None:
            nonlocal data
            data = b"" if item is None else item.data
            fill(document, None if item is None else self._expanded(item, info), now)
            named = document.metadata.scope or scope
            document.assign_scope(named, self._scopes.get(named, document.policies))

        def decide(document: Document, _: int) -> Plan | None:
            if document.etag is None:
                return None  # removed since it was listed
            texts = _texts(document)
            if not _differs(data, texts):
                return None
            expiring = document.metadata.expiring
            return Plan(texts, {}, [*expiring, *document.newly_expiring(work.clock())])

        if self._options.dry_run:
            await refresh(work, document, fill=fill_expanded)
            is_rewritten = decide(document, 1) is not None
            for name, reason in unread_properties(document).items():
                self._add_problem(info.key, f"property {name!r} would not be read: {reason}")
        else:
            is_rewritten = await write_until_stored(
                work, {document: decide}, attempts=MAX_ATTEMPTS, fill=fill_expanded
            )
        return "rewritten" if is_rewritten else "unchanged"

    def _add_problem(self, key: str, reason: str) -> None:
        self._problems.append(Problem(key, reason))
        self._report = replace(self._report, problems=ProblemsSoFar(self._problems))

    def _expanded(self, item: StoredItem, info: ItemInfo) -> StoredItem:
        """Return the item without references, resolved as the jsonpickle of its time wrote them."""
        before = self._options.jsonpickle_1_before
        if before is None or not jsonpickle.has_references(item.data):
            return item
        expanded = jsonpickle.expand_references(
            json_text.loads(item.data), numbers_dictionaries=info.updated >= before
        )
        return replace(item, data=json_text.dumps(expanded))

    def _note(self, **changes: object) -> None:
        changes["seconds"] = monotonic() - self._started
        self._report = replace(self._report, **changes)  # type: ignore[arg-type]  # by name
        if self._options.on_progress is not None:
            self._options.on_progress(self._report)


def _texts(document: Document) -> dict[str, bytes]:
    """Return the text to store of each property, in its stored version.

    It is in the form that the property writes, with or without tags, if its type is declared. It is
    the stored text for any other property.

    :raises StateDecodeError: the document, or a typed property of the code's version, is malformed.
    """
    texts = {}
    for name, text in document.stored.items():
        policy, version = document.codecs.policy(name), document.stored_version(name)
        texts[name] = text
        if not policy.has_other_form(text):
            continue
        if version == policy.versions.current:
            document.codecs.decode(name, text, version)
            texts[name] = policy.codec.reencode(text)
        elif not policy.codec.keeps_tags:
            texts[name] = json_text.dumps(policy.codec.plain(text))
    return texts


def _differs(data: bytes, texts: Mapping[str, bytes]) -> bool:
    """Return True if the stored text is not exactly these texts.

    It may have other values, references or an ``e_tag``.
    """
    stored = json_text.split(data)
    stored.pop(RESERVED, None)
    return stored != texts
