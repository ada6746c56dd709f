"""A bot that asks nothing does not pay for the parser: it is imported with the first path."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from botstate_ext.jsonpath.state_query import StateQuery
from botstate_ext.templates.template import Template
assert not {"jsonpath_rfc9535", "regex", "iregexp_check"} & set(sys.modules)
Template.parse("Hi {@user.name}")
assert not {"jsonpath_rfc9535", "regex"} & set(sys.modules)
StateQuery({"a": "$.a"})
assert {"jsonpath_rfc9535", "regex"} <= set(sys.modules)
"""


def test_the_parser_is_imported_with_the_first_path() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
