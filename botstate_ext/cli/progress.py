"""Shows the progress bar of commands that go through a whole storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Show: TypeAlias = Callable[[str], None]
"""Shows a text beside the bar."""


@contextmanager
def progress() -> Iterator[Show]:
    """Show a bar on standard error if that is a terminal, with log messages above it."""
    console = Console(stderr=True)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_time=False, show_path=False, markup=False)],
    )
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        # The total is not known before the end.
        task = bar.add_task("", total=None)
        yield lambda text: bar.update(task, description=text)
