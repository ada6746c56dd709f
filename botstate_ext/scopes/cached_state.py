"""CachedState: the loaded state of a turn, as the SDK's own code asks for it."""

from __future__ import annotations

from typing import Any

from ..documents.document import Document


class CachedState:
    """Holds the loaded state of a turn, as upstream's ``CachedBotState`` for the SDK's own code."""

    def __init__(self, document: Document) -> None:
        self._document = document

    @property
    def state(self) -> dict[str, Any]:
        """Return the live mapping of all properties. Changes to it are saved."""
        return self._document.expose()

    @property
    def is_changed(self) -> bool:
        """Return True if a change is not saved yet."""
        return bool(self._document.changes())
