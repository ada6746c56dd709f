"""``python -m tests.histories --count 10000 --seed 0``: histories, each from a seed of its own."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from .checker import problems
from .history import History
from .simulation import history_of


def check(seed: int) -> tuple[int, list[str], int]:
    """The seed, what is wrong, and how many things were appended."""
    history = history_of(seed)
    return seed, problems(history), len(history.marks)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (0)")
    parser.add_argument("--tell", action="store_true", help="print what happened in each")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.count)
    wrong = marks = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, found, appended in pool.map(check, seeds, chunksize=20):
            marks += appended
            if found:
                wrong += 1
                sys.stdout.write(f"seed {seed}:\n" + "".join(f"  {line}\n" for line in found))
            if options.tell:
                tell(history_of(seed))
    sys.stdout.write(f"{len(seeds)} histories, {marks} appends: {wrong} histories are wrong.\n")
    return 1 if wrong else 0


def tell(history: History) -> None:
    """Print every version and every read, in order, and what became of each mark."""
    moments = [
        (version.at, f"{version.writer} stored {key}: {version.content}")
        for key, versions in history.versions.items()
        for version in versions
    ]
    moments += [
        (r.at, f"{r.turn} read {r.place}: {r.marks} since {r.since}") for r in history.reads
    ]
    for at, line in sorted(moments):
        sys.stdout.write(f"{at:5} {line}\n")
    for mark in history.marks.values():
        sys.stdout.write(f"      {mark.name} {mark.place}: {mark.outcome}\n")


if __name__ == "__main__":
    sys.exit(main())
