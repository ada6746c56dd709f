"""`python -m benchmarks [name ...]`: the named ones, or all that take seconds.

`all` runs those that have a limit, in five minutes on an idle machine.
"""

from __future__ import annotations

import sys
from importlib import import_module

from . import report

QUICK = ("cpu", "round_trips", "startup", "jsonpath", "telemetry")
LONG = (
    *("picture", "blob", "drivers", "soak", "sweep", "concurrency", "storages", "console"),
    *("scale", "warm"),
)
ALL = (*QUICK, "blob", "drivers", "storages", "warm")


def main(names: list[str]) -> None:
    names = list(ALL) if names == ["all"] else names
    unknown = set(names) - {*QUICK, *LONG}
    if unknown:
        sys.exit(f"No such benchmark: {', '.join(sorted(unknown))}. There are {QUICK + LONG}.")
    # What is not installed is told now, and not after ten minutes.
    benchmarks = [import_module(f"benchmarks.{name}") for name in names or QUICK]
    print(report.machine(), end="\n\n")
    for benchmark in benchmarks:
        benchmark.main()


if __name__ == "__main__":
    main(sys.argv[1:])
