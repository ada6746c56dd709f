"""What `import botstate_ext` adds to `import botbuilder.core`, in processes of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys

from . import report

RUNS = 15
CODE = """
import time, botbuilder.core
started = time.perf_counter()
import botstate_ext
print(time.perf_counter() - started)
"""


def main() -> None:
    seconds = [
        float(subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True).stdout)
        for _ in range(RUNS)
    ]
    row = [f"{s * 1e3:.0f} ms" for s in (min(seconds), statistics.median(seconds), max(seconds))]
    print(
        report.table(
            "What `import botstate_ext` adds to `import botbuilder.core`",
            ("least", "median", "most", "at most"),
            [[*row, "60 ms"]],
        )
    )
