"""What a sweep found, in text: its best runs, and what each option does."""

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from statistics import median
from typing import Any

from .runs import Result

BEST = 10  # rows of a table
VALUES = 12  # of an option with more, the effect is told of these


def best(results: Iterable[Result], objective: str) -> Result | None:
    """The run with the least, the first of equals; None where none has any."""
    return min(_measured(results, objective), key=lambda result: (result[objective], result["run"]), default=None)


def _measured(results: Iterable[Result], objective: str) -> list[Result]:
    return [result for result in results if result[objective] is not None and result["diverged"] is None]


def ranked(results: Iterable[Result], objective: str) -> list[Result]:
    """All that have the objective, the least first."""
    return sorted(_measured(results, objective), key=lambda result: (result[objective], result["run"]))


def medians(results: Iterable[Result], objective: str, group: Callable[[Result], Any]) -> dict[Any, float]:
    """The median of the objective over the runs of each group."""
    groups: dict[Any, list[float]] = {}
    for result in _measured(results, objective):
        groups.setdefault(group(result), []).append(result[objective])
    return {value: median(found) for value, found in groups.items()}


def effects(results: Collection[Result], objective: str, varied: Sequence[str]) -> dict[str, dict[Any, float]]:
    """Option -> value -> median of the objective over all runs with it; the option with the largest effect first."""
    found = {option: medians(results, objective, itemgetter(option)) for option in varied}
    return dict(sorted(found.items(), key=lambda item: -_span(item[1].values())))


def _span(medians: Collection[float]) -> float:
    return max(medians, default=0.0) - min(medians, default=0.0)


def text(results: Collection[Result], objective: str, varied: Sequence[str]) -> str:
    """The ten best runs in a table, and a line for each value of each option."""
    order = ranked(results, objective)
    diverged = [result for result in results if result["diverged"] is not None]
    lines = [f"{len(results):,} runs, the best by {objective}:\n"]
    columns = ["run", *varied, "params", objective, "seconds"]
    columns = list(dict.fromkeys(columns))
    lines += _table([columns, *([_cell(result[name]) for name in columns] for result in order[:BEST])])
    for option, medians in effects(results, objective, varied).items():
        if medians:
            lines.append(f"\n{option}: median {objective} by value, {_span(medians.values()):.4f} apart\n")
            shown = sorted(medians.items(), key=lambda item: item[1])[:VALUES]
            lines += _table([[_cell(value), _cell(found)] for value, found in shown])
    if diverged:
        steps = [result["diverged"] for result in diverged]
        lines.append(f"\n{len(diverged):,} runs diverged, at steps {min(steps)} to {max(steps)}\n")
    return "".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [f"  {'  '.join(cell.rjust(width) for cell, width in zip(row, widths))}\n" for row in rows]
