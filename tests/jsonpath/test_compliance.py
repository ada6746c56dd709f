"""The public JSONPath Compliance Test Suite, where a copy of it is at hand.

It is not part of this repository. `make test` fetches it; JSONPATH_COMPLIANCE_SUITE names another
folder with its JSON files (the ``tests`` folder of the suite).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from botstate_ext.errors import StateQueryError
from botstate_ext.jsonpath import JsonPath

FETCHED = Path(__file__).parents[2] / ".jsonpath-suite" / "tests"
NAMED = os.environ.get("JSONPATH_COMPLIANCE_SUITE")
CASES_AT_LEAST = 700


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    folder = Path(NAMED) if NAMED else FETCHED
    if not (NAMED or folder.exists()):
        pytest.skip("no compliance suite: `make unit` fetches it, or JSONPATH_COMPLIANCE_SUITE")
    files = sorted(folder.rglob("*.json"))
    return [case for file in files for case in json.loads(file.read_text("utf-8")).get("tests", [])]


def test_the_whole_compliance_suite(cases: list[dict[str, Any]]) -> None:
    assert len(cases) >= CASES_AT_LEAST, "the suite is not all there"
    assert [case["name"] for case in cases if not _passes(case)] == []


def _passes(case: dict[str, Any]) -> bool:
    try:
        found = JsonPath(case["selector"]).find(case.get("document"))
    except StateQueryError:
        return bool(case.get("invalid_selector", False))
    accepted = case["results"] if "results" in case else [case.get("result")]
    # As text, because 1 is True in Python.
    return not case.get("invalid_selector") and _text(found) in map(_text, accepted)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
