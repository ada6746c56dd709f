"""Defines the commands. click parses them, rich shows progress; the ``cli`` extra has both."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
