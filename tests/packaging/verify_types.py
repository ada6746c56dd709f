"""`make verifytypes`: everything that is public has a type of its own, as pyright sees it.

Prints the public symbols whose annotation is missing, and ends with code 1 if there are any. What
is unknown because the Bot Framework SDK, which has no types, is a base of it, is not counted.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.test_layout import ON_THEIR_OWN, PUBLIC  # noqa: E402  # after the path to it

# The last line of a message of pyright about what the code does not say.
MISSING = ("missing type annotation", "annotation is missing", "Type unknown", "Ambiguous base")


def owners() -> set[str]:
    """Return the public names, and the classes of the package that they inherit from."""
    found = set()
    for module in map(importlib.import_module, (*PUBLIC, *ON_THEIR_OWN)):
        for name in module.__all__:
            thing = getattr(module, name)
            for each in getattr(thing, "__mro__", (thing,)):
                if str(getattr(each, "__module__", "")).startswith("botstate_ext"):
                    found.add(f"{each.__module__}.{getattr(each, '__qualname__', name)}")
    return found


def problems(symbol: dict[str, Any]) -> list[str]:
    messages = [each["message"] for each in symbol.get("diagnostics", ())]
    return [m.splitlines()[0] for m in messages if any(text in m for text in MISSING)]


def main(pyright: str) -> int:
    command = [pyright, "--pythonpath", sys.executable, "--ignoreexternal", "--outputjson"]
    done = subprocess.run(
        [*command, "--verifytypes", "botstate_ext"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public, wrong, seen = owners(), 0, 0
    for symbol in symbols:
        name: str = symbol["name"]
        if name not in public and name.rpartition(".")[0] not in public:
            continue
        seen += 1
        for problem in problems(symbol):
            wrong += 1
            print(f"{name}: {problem}")  # noqa: T201  # its output
    print(f"{seen - wrong} of {seen} public symbols have a type of their own.")  # noqa: T201
    return 1 if wrong or seen < len(public) / 2 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
