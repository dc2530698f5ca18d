"""Holds a run of the benchmarks against a saved one: `compare.py LATEST.json [BASE.json] [--threshold 1.25]`.

What is compared are ratios that each run took in itself: the time of a benchmark over that of the reference, of plain
floats, of the kernel's peak, and bytes over the reference's bytes. Never nanoseconds, which are the machine's.

A ratio is worse when it has grown by more than the threshold. That fails, unless the quartiles of the two runs overlap:
then the difference is no larger than what each run saw between its own rounds, and is shown without failing.

Without BASE: of the runs saved beside LATEST, from the same kind of machine (CPU, Python's minor version, instruction
set), the one that shares the most ratios with it, and the newest of equals.

Exit status: 0; 1 if a ratio is worse; 2 with one line on stderr for files that can't be read or don't belong together.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from layers import TITLES, YARDSTICKS
from runs import Record, Unreadable, kind, load, rows_of

Key = tuple[str, str, str, str]  # layer, what, variant, what it is held against
NAMES = {"reference": "reference", "floats": "plain floats", "peak": "peak", "bytes": "reference, bytes"}


class Ratio(NamedTuple):
    """Time or bytes over a yardstick's, and the quartiles of that over the rounds (the same, if they were not kept)."""

    value: float
    low: float
    high: float


class Run(NamedTuple):
    path: str
    content: dict[str, Any]
    ratios: dict[Key, Ratio]


class Change(NamedTuple):
    key: Key
    before: Ratio
    now: Ratio

    @property
    def factor(self) -> float:
        """Above 1: worse."""
        return self.now.value / self.before.value

    @property
    def certain(self) -> bool:
        return self.now.low > self.before.high or self.now.high < self.before.low


# ---- reading --------------------------------------------------------------------------------------------------------


def ratios_of(record: Record) -> Iterator[tuple[str, Ratio]]:
    for name in YARDSTICKS:
        if f"{name}_ns" in record:
            value = record["ns"] / record[f"{name}_ns"]
            yield name, Ratio(value, *record.get("spread", {}).get(name, (value, value)))
    if "bytes_per_node" in record and "reference_bytes_per_node" in record:
        value = record["bytes_per_node"] / record["reference_bytes_per_node"]
        yield "bytes", Ratio(value, value, value)


def read(path: str) -> Run:
    content = load(path)
    ratios = {}
    try:
        for (layer, what), variants in rows_of(content, path).items():
            for variant, record in variants.items():
                if variant not in YARDSTICKS:
                    ratios |= {(layer, what, variant, name): ratio for name, ratio in ratios_of(record)}
        if not all(number > 0 for ratio in ratios.values() for number in ratio):
            raise ValueError("a time that is not above 0")
    except (AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise Unreadable(f"{path}: a benchmark lacks what a comparison needs: {error}") from error
    return Run(path, content, ratios)


def saved_beside(latest: Run) -> Run:
    """The run to compare with where none is named."""
    found = []
    for path in sorted(Path(latest.path).parent.glob("*.json")):
        try:
            run = read(str(path))
        except Unreadable:
            continue
        shared = len(run.ratios.keys() & latest.ratios.keys())
        if not path.samefile(latest.path) and shared and kind(run.content) == kind(latest.content):
            found.append((shared, str(run.content.get("datetime")), run))
    if not found:
        raise Unreadable(
            f"{Path(latest.path).parent}: no saved run of this kind of machine ({', '.join(kind(latest.content))}); "
            "keep a copy of latest.json there under another name, or name a file by BASE="
        )
    return max(found, key=lambda each: each[:2])[2]


def check_that_they_belong_together(base: Run, latest: Run, any_machine: bool) -> None:
    there, here = kind(base.content), kind(latest.content)
    if there != here and not any_machine:
        raise Unreadable(
            f"{base.path}: from another kind of machine ({', '.join(there)}; {latest.path}: {', '.join(here)}), "
            "where the reference has other ratios; --any-machine compares them all the same"
        )
    if not base.ratios.keys() & latest.ratios.keys():
        raise Unreadable(f"{base.path}: has nothing in common with {latest.path}")


# ---- the table ------------------------------------------------------------------------------------------------------


def verdict(change: Change, threshold: float) -> str:
    if 1 / threshold <= change.factor <= threshold:
        return ""
    word = "worse" if change.factor > 1 else "better"
    return word if change.certain else f"{word}, within the spread"


def held_against(layer: str, yardstick: str) -> str:
    return "Python alone" if layer in ("import", "command") else NAMES[yardstick]


def shown(layer: str, yardstick: str, ratio: Ratio) -> str:
    if yardstick == "floats" or layer in ("import", "command"):
        return f"{ratio.value:.2f} times"
    return f"{1 / ratio.value:.0%}" if yardstick == "peak" else f"{1 / ratio.value:,.1f} x"


def line(what: str, *cells: str) -> str:
    return f"  {what:<64}{cells[0]:>18}" + "".join(f"{cell:>14}" for cell in cells[1:4]) + f"  {cells[4]}".rstrip()


def row(change: Change, threshold: float) -> str:
    layer, what, _, yardstick = change.key
    before, now = (shown(layer, yardstick, ratio) for ratio in (change.before, change.now))
    percent = f"{change.factor - 1:+.0%}"
    return line(f"{layer}: {what}", held_against(layer, yardstick), before, now, percent, verdict(change, threshold))


def table(changes: list[Change], threshold: float, everything: bool) -> list[str]:
    worst_first = sorted(changes, key=lambda change: -change.factor)
    rows = [row(change, threshold) for change in worst_first if everything or verdict(change, threshold)]
    return [line("", "held against", "before", "now", "change", ""), *rows] if rows else []


def shifts(changes: list[Change], threshold: float) -> list[str]:
    """Layers that moved as a whole: more likely the yardstick than the code."""
    found = []
    for layer in TITLES:
        factors = [change.factor for change in changes if change.key[0] == layer and change.key[3] != "bytes"]
        middle = statistics.median(factors) if len(factors) > 3 else 1.0
        if not 1 / threshold**0.5 <= middle <= threshold**0.5:
            found.append(
                f"All of {layer!r} moved by {middle - 1:+.0%} (median): look at the reference's own times first."
            )
    return found


def summary(changes: list[Change], threshold: float) -> str:
    verdicts = [verdict(change, threshold) for change in changes]
    noisy = sum(each.endswith("spread") for each in verdicts)
    return (
        f"{len(changes)} ratios, threshold {threshold:g}: {verdicts.count('worse')} worse, "
        f"{verdicts.count('better')} better, {noisy} beyond it but within the spread of the rounds, "
        f"{verdicts.count('')} within it."
    )


def missing(base: Run, latest: Run) -> list[str]:
    """What only one of the runs has, by layer."""
    lines = []
    for title, keys in (
        ("Not measured now", base.ratios.keys() - latest.ratios.keys()),
        ("Not in the saved run", latest.ratios.keys() - base.ratios.keys()),
    ):
        for layer in TITLES:
            names = sorted({what for of_layer, what, _, _ in keys if of_layer == layer})
            if names:
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                lines.append(f"{title}: {layer}: {'; '.join(names[:3])}{more}")
    return lines


def heading(run: Run) -> str:
    commit = (run.content.get("commit_info") or {}).get("id") or "?"
    build = (run.content.get("machine_info") or {}).get("microgpt") or {}
    return (
        f"{run.path}: {str(run.content.get('datetime', '?'))[:19]}, commit {commit[:10]}, "
        f"load {build.get('load_at_start', '?')}; {build.get('extension_flags', 'unknown flags')}"
    )


# ---- the program ----------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"compare.py: {message}\n")


def threshold(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 1 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 1, not {text!r}")
    return number


def main(arguments: list[str]) -> int:
    parser = Parser(prog="compare.py", description="Hold a run of the benchmarks against a saved one, by ratios.")
    parser.add_argument("latest")
    parser.add_argument("base", nargs="?", help="default: the saved run beside it that fits best")
    parser.add_argument(
        "--threshold", type=threshold, default=1.25, help="a ratio may grow by this factor (default 1.25)"
    )
    parser.add_argument("--all", action="store_true", help="show the ratios that did not change, too")
    parser.add_argument("--any-machine", action="store_true", help="compare runs of different kinds of machine")
    options = parser.parse_args(arguments)
    try:
        latest = read(options.latest)
        base = read(options.base) if options.base else saved_beside(latest)
        check_that_they_belong_together(base, latest, options.any_machine)
    except Unreadable as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    changes = [Change(key, base.ratios[key], now) for key, now in latest.ratios.items() if key in base.ratios]
    lines = table(changes, options.threshold, options.all)
    print("\n".join([f"before: {heading(base)}", f"now:    {heading(latest)}", "", *lines, *([""] if lines else [])]))
    print("\n".join([summary(changes, options.threshold), *shifts(changes, options.threshold), *missing(base, latest)]))
    return int(any(verdict(change, options.threshold) == "worse" for change in changes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
