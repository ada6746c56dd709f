"""``python -m tests.histories --count 10000 --seed 0``: histories, each from a seed of its own."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from .checker import problems
from .history import History
from .simulation import Cache, history_of


def check(seed: int, cache: Cache | None = None) -> tuple[int, list[str], int, int]:
    """The seed, what is wrong, how many things were appended, and how many documents came from a
    cache."""
    history = history_of(seed, cache=cache)
    return seed, problems(history), len(history.marks), history.cached


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (0)")
    parser.add_argument("--tell", action="store_true", help="print what happened in each")
    parser.add_argument(
        "--cache", choices=("replay", "sticky"), help="processes with a cache, of this kind"
    )
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.count)
    wrong = marks = cached = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        checking = partial(check, cache=options.cache)
        for seed, found, appended, warm in pool.map(checking, seeds, chunksize=20):
            marks += appended
            cached += warm
            if found:
                wrong += 1
                sys.stdout.write(f"seed {seed}:\n" + "".join(f"  {line}\n" for line in found))
            if options.tell:
                tell(history_of(seed, cache=options.cache))
    of_cache = f", {cached} documents from a cache" if options.cache else ""
    sys.stdout.write(
        f"{len(seeds)} histories, {marks} appends{of_cache}: {wrong} histories are wrong.\n"
    )
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
