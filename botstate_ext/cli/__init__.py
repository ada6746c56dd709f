"""The commands. click parses them, rich shows progress; both come with the ``cli`` extra."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
