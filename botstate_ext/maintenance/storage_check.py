"""A check of the storage: which stored classes and documents this app would not read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeAlias

from ..documents.document import Document
from ..documents.policy import Policies
from ..documents.schema_versions import FIRST
from ..errors import reason_of
from ..keys.parse import parse
from ..listing.attribution import attribute
from ..listing.listing import read_each
from ..serialization import json_text, jsonpickle
from ..storage.base import ItemInfo, StoredItem
from ..unit_of_work.workspace import Workspace

PAGE: Final = 500
"""Documents of a page of the listing."""

_CLASS_TAGS: Final = ("py/object", "py/type")

_log: Final = logging.getLogger("botstate_ext.check")


@dataclass(frozen=True, slots=True)
class StoredClass:
    """Describes a class in stored values: its stored name, how often, and if the app reads it."""

    name: str
    count: int
    is_read: bool


@dataclass(frozen=True, slots=True)
class UnreadProperty:
    """Names a property that the app could not read, and the reason.

    ``name`` is None for a whole document.
    """

    key: str
    name: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class StorageCheck:
    """Holds the result of a check.

    - ``seen``: the number of items in the storage. ``others``: of them, items that are no document
      of a scope, such as transcripts.
    - ``classes``: the classes that stored values name, by name.
    - ``unread``: the properties and documents that the app would not read.
    - ``seconds``: the time that the check took.
    """

    seen: int = 0
    others: int = 0
    classes: tuple[StoredClass, ...] = ()
    unread: tuple[UnreadProperty, ...] = field(default=(), repr=False)
    seconds: float = 0.0

    @property
    def is_readable(self) -> bool:
        """Return True if the app would read everything."""
        return not self.unread

    @property
    def missing_types(self) -> tuple[str, ...]:
        """The names of the classes to give to ``StateScopes(types=[...])``, as they are stored."""
        return tuple(each.name for each in self.classes if not each.is_read)

    def lines_to_paste(self) -> str:
        """Return the import lines and the ``types=[...]`` of the missing classes; "" if there are
        none."""
        found = [_import_of(name) for name in self.missing_types]
        pairs = {(module, name.partition(".")[0]) for module, name in found}
        imports = [f"from {module} import {name}" for module, name in sorted(pairs)]
        names = ", ".join(sorted({name for _, name in found}))
        return "\n".join([*imports, f"types=[{names}]"]) if found else ""


OnChecked: TypeAlias = Callable[[int], object]
"""Called with the number of items that were looked at so far."""


class StorageChecker:
    """Runs one check: reads every document, ``parallel`` at a time, and changes nothing.

    ``scopes``: the policies of each scope, by its name.
    """

    def __init__(
        self,
        workspace: Workspace,
        scopes: Mapping[str, Policies],
        *,
        namespace: str,
        parallel: int,
        on_progress: OnChecked | None,
    ) -> None:
        if parallel < 1:
            raise ValueError("parallel must be at least 1.")
        self._workspace, self._scopes, self._namespace = workspace, scopes, namespace
        self._parallel, self._on_progress = parallel, on_progress
        self._seen = self._others = 0
        self._named: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._unread: list[UnreadProperty] = []
        self._started = monotonic()

    async def run(self) -> StorageCheck:
        """Return the result.

        :raises StateStorageError: the storage could not be listed.
        """
        token = None
        while True:
            page = await self._workspace.storage.list_page(limit=PAGE, continuation_token=token)
            for start in range(0, len(page.items), self._parallel):
                await self._read(page.items[start : start + self._parallel])
            token = page.continuation_token
            if token is None:
                return self._result()

    async def _read(self, batch: Sequence[ItemInfo]) -> None:
        documents = [info for info in batch if parse(info.key) is not None]
        self._others += len(batch) - len(documents)
        if documents:
            items = await self._items([info.key for info in documents])
            for info in documents:
                self._check(info, items.get(info.key))
        self._seen += len(batch)
        if self._on_progress is not None:
            self._on_progress(self._seen)

    async def _items(self, keys: Sequence[str]) -> Mapping[str, StoredItem | Exception]:
        try:
            return await read_each(self._workspace.storage, keys)
        except Exception as error:  # noqa: BLE001 - of all of them: reported for each
            return dict.fromkeys(keys, error)

    def _check(self, info: ItemInfo, item: StoredItem | Exception | None) -> None:
        if item is None:
            return  # removed since it was listed
        try:
            if isinstance(item, Exception):
                raise item
            document = self._document(info, item)
            unread = unread_properties(document)
        except Exception as error:  # noqa: BLE001 - reported; the others are checked
            self._unread.append(UnreadProperty(info.key, None, reason_of(error)))
            return
        self._unread += [UnreadProperty(info.key, name, why) for name, why in unread.items()]
        for name, text in document.stored.items():
            classes = Counter(_classes_in(text))
            self._named += classes
            if name in unread:
                knows = self._workspace.reads_class
                self._refused.update(each for each in classes if not knows(each))

    def _document(self, info: ItemInfo, item: StoredItem) -> Document:
        scope = attribute(info, self._namespace).scope or ""
        undeclared = Policies(self._workspace.undeclared_policy())
        document = Document(info.key, scope, self._scopes.get(scope, undeclared))
        document.fill(item.data, item.etag, self._workspace.clock())
        return document

    def _result(self) -> StorageCheck:
        return StorageCheck(
            seen=self._seen,
            others=self._others,
            classes=tuple(
                StoredClass(name, count, name not in self._refused)
                for name, count in sorted(self._named.items())
            ),
            unread=tuple(self._unread),
            seconds=monotonic() - self._started,
        )


def unread_properties(document: Document) -> dict[str, str]:
    """Return the reason for each property of a document that cannot be decoded as declared."""
    unread = {}
    for name, text in document.stored.items():
        times = document.metadata.props.get(name)
        try:
            document.codecs.decode(name, text, FIRST if times is None else times.version)
        except Exception as error:  # noqa: BLE001 - reported; the others are decoded
            unread[name] = reason_of(error)
    return unread


def _classes_in(text: bytes) -> Iterator[str]:
    """Yield the classes that a stored value names, once for each time."""
    if not jsonpickle.has_tags(text):
        return
    waiting: list[Any] = [json_text.loads(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            names = (value.get(tag) for tag in _CLASS_TAGS)
            yield from (name for name in names if isinstance(name, str))
            # A date's own text names its class a second time.
            waiting += (member for name, member in value.items() if name != "__reduce__")
        elif isinstance(value, list):
            waiting += value


def _import_of(name: str) -> tuple[str, str]:
    """Return the module and the class in a stored name. Nothing in it separates the two: the class
    is taken to begin at the first part with a capital letter, else at the last part."""
    parts = name.split(".")
    at = next((i for i, part in enumerate(parts) if part[:1].isupper()), len(parts) - 1)
    at = max(at, 1) if len(parts) > 1 else 0
    return ".".join(parts[:at]) or "__main__", ".".join(parts[at:])
