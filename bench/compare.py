"""Compares a run of the benchmarks with a saved one: `compare.py LATEST.json [BASE.json] [--threshold 1.25]`.

What is compared are ratios that each run took in itself: the time of a benchmark over that of the reference, of plain
floats, of the kernel's peak, and bytes over the reference's bytes. Never nanoseconds, which are the machine's. Those
that changed by more than the threshold are printed, the worst first.

Without BASE: the run saved beside LATEST, from the same kind of machine, that shares the most benchmarks with it.

Exit status: 0; 1 if a ratio is worse; 2 with one line on stderr for files that can't be read or don't belong together.
"""

import argparse
import sys
from typing import NoReturn

from runs import BASELINES, Run, Unreadable, load, ratio, saved_beside


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"compare.py: {message}\n")


def threshold(text: str) -> float:
    number = float(text)
    if not 1 < number < float("inf"):
        raise ValueError
    return number


def base_for(latest: Run, path: str | None, any_machine: bool) -> Run:
    """The run to compare with. Unreadable where there is none, or not of the same kind of machine."""
    base = load(path) if path else saved_beside(latest)
    if base is None:
        raise Unreadable(f"no saved run of this kind of machine ({', '.join(latest.kind)}) lies beside {latest.path}")
    if base.kind != latest.kind and not any_machine:
        raise Unreadable(f"{base.path}: from another kind of machine ({', '.join(base.kind)}); see --any-machine")
    if not base.records.keys() & latest.records.keys():
        raise Unreadable(f"{base.path}: has nothing in common with {latest.path}")
    return base


def changes(base: Run, latest: Run) -> list[tuple[float, str]]:
    """By how much each ratio has grown, and what it is of; the worst first."""
    found = []
    for (layer, what, variant), now in latest.records.items():
        before = base.records.get((layer, what, variant))
        for baseline in (*BASELINES, "bytes") if before and variant not in BASELINES else ():
            new, old = ratio(now, baseline), ratio(before, baseline) if before else None
            if new and old:
                found.append((new / old, f"{layer}: {what} (to {baseline}: {old:.4g}, now {new:.4g})"))
    return sorted(found, reverse=True)


def main(arguments: list[str]) -> int:
    parser = Parser(prog="compare.py", description="Compare a run of the benchmarks with a saved one, by ratios.")
    parser.add_argument("latest")
    parser.add_argument("base", nargs="?", help="default: the saved run beside it that fits best")
    parser.add_argument("--threshold", type=threshold, default=1.25, help="above 1: a ratio may grow by this factor")
    parser.add_argument("--any-machine", action="store_true", help="compare runs of different kinds of machine")
    options = parser.parse_args(arguments)
    try:
        latest = load(options.latest)
        base = base_for(latest, options.base, options.any_machine)
    except Unreadable as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    found = changes(base, latest)
    worse = [each for each in found if each[0] > options.threshold]
    better = [each for each in found if each[0] < 1 / options.threshold]
    print(f"before: {base.heading()}\nnow:    {latest.heading()}\n")
    for word, several in (("worse", worse), ("better", better)):
        for factor, what in several:
            print(f"  {factor - 1:+7.0%}  {word}  {what}")
    print(f"{len(found)} ratios, threshold {options.threshold:g}: {len(worse)} worse, {len(better)} better")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
