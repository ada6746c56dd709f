"""What the names of a bot's first lines add to `import botbuilder.core`, in processes of its own.

As for an installed package, which has its bytecode: the first process makes it, uncounted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from . import report

RUNS = 15
CODE = """
import time, botbuilder.core
started = time.perf_counter()
from botstate_ext import StateMiddleware, StateScopes
print(time.perf_counter() - started)
"""


def seconds(environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    return float(done.stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        seconds(environment)
        runs = [seconds(environment) for _ in range(RUNS)]
    row = [f"{s * 1e3:.0f} ms" for s in (min(runs), statistics.median(runs), max(runs))]
    print(
        report.table(
            "What StateMiddleware and StateScopes add to `import botbuilder.core`",
            ("least", "median", "most", "at most"),
            [[*row, "40 ms"]],
        )
    )
