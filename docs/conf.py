"""The documentation site: `make docs` builds it, without a network, into build/docs."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

project = "botstate_ext"
author = "botstate_ext contributors"
release = version = metadata.version("botstate-ext")
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
html_theme = "furo"
html_copy_source = False
html_search_scorer = str(Path(__file__).parent / "search.js")
html_title = f"botstate_ext {release}"

# Links to headings, as Git hosts make them.
myst_heading_anchors = 3

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}


_HIDDEN = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)


def _for_readers(app: Any, page: str, source: list[str]) -> None:
    """Take out of a page the comments that only its test reads."""
    source[0] = _HIDDEN.sub("", source[0])


def _docstring(app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Show `Name` and ``code`` in a docstring alike: not each name has a page."""
    lines[:] = [re.sub(r"(?<![`:])`([^`\n]+)`(?!`)", r"``\1``", line) for line in lines]


def setup(app: Any) -> None:
    """Register the two functions above with Sphinx."""
    app.connect("source-read", _for_readers)
    app.connect("autodoc-process-docstring", _docstring)
