"""`sweep.html`: what a sweep found, as one page that asks for nothing else, in the style of the ladder's report."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from ..files import replace_file
from ..ladder import figures
from ..ladder.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, Chart, bar, dot, line, log_axis, path, text, zero_axis
from ..ladder.markup import Markup, document, facts, note, panel, panels, row, section, table, tag
from ..version import __version__
from .runs import Result
from .summary import BEST, effects, medians, ranked

LABELS = 7  # along an axis, at most
SHOWN = 95  # percent of the runs that the axis of losses is for
CELLS = 14  # of a heat map, along each side
POINT = "r3"  # the class that colours points
STYLE = """
.chart .dot.point { stroke-width: .5; fill-opacity: .7; }
.chart .curve.front { stroke-dasharray: none; }
"""
NAMES = {"loss": "training loss", "holdout_loss": "held-out loss", "seconds": "processor time"}
FRONT = "The line is the front: what no run with as little reached. Hold the pointer over a dot for its settings."
COMPUTE = (
    "Floating-point operations as 6 x parameters x tokens (Kaplan et al. 2020). The highest 5 % of the runs lie at "
    "the upper edge."
)


def page_html(about: dict[str, Any], results: Collection[Result], objective: str) -> str:
    """The page as a whole. about: what sweep.json holds. All text is escaped."""
    varied = [name for name, values in about["space"]["axes"].items() if len(values) > 1]
    order = ranked(results, objective)
    return document(
        f"microgpt sweep: {len(results):,} runs",
        _head(results, order, objective, varied),
        _sections(results, order, objective, varied, about),
        f"Made by microgpt {__version__}. All runs are in sweep.csv.",
        STYLE,
    )


def table_csv(results: Collection[Result]) -> str:
    """All results, a row each in the order of their numbers; a cell is empty where there is no figure."""
    rows = sorted(results, key=lambda result: result["run"])
    content = io.StringIO()
    writer = csv.DictWriter(content, list(rows[0]) if rows else ["run"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()


def _head(
    results: Collection[Result], order: Sequence[Result], objective: str, varied: Sequence[str]
) -> Iterator[Markup]:
    value = [tag("strong", _short(order[0][objective])), " "] if order else []
    yield tag("p", "microgpt sweep", class_="eyebrow")
    yield tag("h1", *value, f"{NAMES[objective]}, the lowest of {len(results):,} runs")
    best = f"The best by {NAMES[objective]}: {_settings(order[0], varied)}." if order else "None has a result."
    yield tag("p", best, class_="lede")
    if diverged := sum(result["diverged"] is not None for result in results):
        yield tag("p", f"{diverged:,} runs diverged.", class_="lede")


def _sections(
    results: Collection[Result], order: Sequence[Result], objective: str, varied: Sequence[str], about: dict[str, Any]
) -> Iterator[Markup]:
    if not order:
        return
    name = NAMES[objective]
    charts = {
        "Against parameters": _scatter(order, objective, lambda run: run["params"], "parameters", varied),
        "Against compute": _scatter(order, objective, _compute, "operations", varied),
    }
    yield section("front", name.capitalize(), FRONT, _panels(charts), note(COMPUTE))
    found = effects(results, objective, varied)
    if found:
        said = f"Median {name} of all runs with a value; the option with the largest effect first."
        charts = {option: _by_value(option, objective, found[option]) for option in found}
        yield section("options", "What each option does", said, _panels(charts))
    if len(found) > 1:
        one, two = list(found)[:2]
        said = f"Median {name} for each pair of {one} and {two}; the darker, the lower."
        yield section("pairs", f"{one} and {two}", said, _heat_map(order, objective, one, two).svg())
    heads = ("run", *varied, "params", *dict.fromkeys(("loss", objective, "seconds")))
    rows = [row(heads, str(run["run"]), *(_short(run[name]) for name in heads[1:])) for run in order[:BEST]]
    yield section("best", "The best runs", "The lowest first.", table(f"The best runs by {name}", heads, rows))
    told = {"command": tag("code", str(about.get("command"))), "documents": f"{about['documents']:,}"}
    told |= {each: figures.cut(", ".join(map(_short, about["space"]["axes"][each])), 200) for each in varied}
    yield section("sweep", "The sweep", "What was swept.", facts({"": told}))


def _panels(charts: Mapping[str, Chart]) -> Markup:
    return panels(*(panel(title, chart.svg()) for title, chart in charts.items()))


def _compute(run: Result) -> float:
    return float(6 * run["params"] * max(1, run["positions"]))


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _settings(run: Result, varied: Sequence[str]) -> str:
    return ", ".join(f"{name} {run[name]}" for name in varied) or "the settings of the script"


# ---- charts ---------------------------------------------------------------------------------------------------------


def _upwards(values: Sequence[float]) -> tuple[Callable[[float], float], list[Markup]]:
    """A linear axis, from the lowest of these values to the highest; what is above lies at the upper end."""
    low, high = min(values), max(values)
    room = (BOTTOM - TOP) / (high - low) if high > low else 0.0

    def up(value: float) -> float:
        return BOTTOM - room * (min(value, high) - low)

    grid = [line(LEFT, BOTTOM + 6, RIGHT, BOTTOM + 6, "axis")]
    for value in [low + (high - low) * part / 4 for part in range(5)] if high > low else [low]:
        grid += [line(LEFT, up(value), RIGHT, up(value), "grid")]
        grid += [text(LEFT - 6, up(value) + 4, f"{value:.3g}", anchor="end")]
    return up, grid


def _below(words: str) -> Markup:
    return text((LEFT + RIGHT) / 2, BOTTOM + 42, words, anchor="middle")


def _scatter(
    order: Sequence[Result], objective: str, x: Callable[[Result], float], what: str, varied: Sequence[str]
) -> Chart:
    """A dot a run, and the front."""
    values = [run[objective] for run in order]  # ascending
    up, grid = _upwards(values[: max(2, -(-len(values) * SHOWN // 100))])
    across = log_axis(map(x, order), LEFT + 8, RIGHT - LEFT - 16, whole_decades=False)
    front: list[tuple[float, float]] = []
    for run in sorted(order, key=lambda run: (x(run), run[objective])):
        if not front or run[objective] < front[-1][1]:
            front.append((x(run), run[objective]))
    dots = [
        dot(across.at(x(run)), up(run[objective]), f"point {POINT}", f"{_settings(run, varied)}: {_told(run)}")
        for run in order
    ]
    curve = path([(across.at(a), up(b)) for a, b in front], "curve top front")
    shown, y = sorted({x(run) for run in order}), BOTTOM + 70
    labels = [
        text(place, BOTTOM + 22, figures.compact(round(value)), anchor="end" if place > RIGHT - 20 else "middle")
        for value in across.spaced(shown, 56)
        for place in [across.at(value)]
    ]
    ticks = [LEFT + (RIGHT - LEFT) * value / shown[-1] for value in shown]
    linear = [line(place, y - 8, place, y, "axis") for place in ticks]
    linear += zero_axis(y, RIGHT, figures.compact(round(shown[-1])), LEFT)
    ends = [f"{_short(b)} at {a:,.0f}" for a, b in (front[0], front[-1])]
    content = [*grid, _below(f"{what}, logarithmic"), *labels, *dots, curve, *linear]
    return Chart(y + 20, f"{objective} against {what}: from {ends[0]} to {ends[1]}.", content)


def _told(run: Result) -> str:
    loss = run["loss"] if run["holdout_loss"] is None else run["holdout_loss"]
    return f"loss {_short(loss)}, {run['params']:,} parameters, {run['seconds']:.3g} s (run {run['run']})"


def _by_value(name: str, objective: str, found: Mapping[Any, float]) -> Chart:
    """The medians of an option's values, side by side in their order."""
    order = _in_order(found)
    up, grid = _upwards(list(found.values()))
    apart = (RIGHT - LEFT - 40) / max(1, len(order) - 1)
    places = [(LEFT + 20 + apart * number, up(found[value])) for number, value in enumerate(order)]
    points = [
        dot(x, y, f"point {POINT}", f"{name} {value}: median {_short(found[value])}")
        for (x, y), value in zip(places, order)
    ]
    every = -(-len(order) // LABELS)
    labels = [
        text(x, BOTTOM + 22, _label(value), anchor="middle") for (x, _), value in zip(places[::every], order[::every])
    ]
    said = ", ".join(f"{value}: {_short(found[value])}" for value in order)
    content = [*grid, _below(name), *labels, path(places, f"curve {POINT} front"), *points]
    return Chart(BOTTOM + 50, f"Median {objective} by {name}: {said}.", content)


def _in_order(values: Collection[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (isinstance(value, str), value is None, value if value is not None else 0))


def _label(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else figures.cut(str(value), 8)


def _heat_map(order: Sequence[Result], objective: str, one: str, two: str) -> Chart:
    """Median by two options; of one with very many values, those evenly apart."""
    rows, columns = (_thinned(_in_order({run[name] for run in order})) for name in (one, two))
    found = medians(order, objective, lambda run: (run[one], run[two]))
    there = [pair for pair in product(rows, columns) if pair in found]
    low, high = min(found[pair] for pair in there), max(found[pair] for pair in there)
    left, width, height = 62, (WIDTH - 62) / len(columns), max(20.0, 240 / len(rows))
    content = [text(0, 12, f"{one}, down; {two}, across")]
    for y, x in there:
        shade = 0.1 + 0.9 * (1 - (found[y, x] - low) / (high - low or 1))
        place = left + columns.index(x) * width, 22 + rows.index(y) * height
        words = f"{one} {y}, {two} {x}: median {_short(found[y, x])}"
        content.append(bar(*place, width - 1, height - 1, POINT, words, fill_opacity=f"{shade:.2f}"))
    for number, value in enumerate(rows):
        content.append(text(left - 6, 26 + (number + 0.5) * height, _label(value), anchor="end"))
    bottom = 22 + len(rows) * height
    for number in range(0, len(columns), -(-len(columns) // LABELS)):
        content.append(text(left + (number + 0.5) * width, bottom + 16, _label(columns[number]), anchor="middle"))
    return Chart(bottom + 26, f"Median {objective} by {one} and {two}: {_short(low)} to {_short(high)}.", content)


def _thinned(values: list[Any]) -> list[Any]:
    return values[:: -(-len(values) // CELLS)]


def write(folder: str, about: dict[str, Any], results: Collection[Result], objective: str) -> list[str]:
    """The page and the table, into the sweep's folder; their names."""
    files = {"sweep.html": page_html(about, results, objective), "sweep.csv": table_csv(results)}
    for name, content in files.items():
        replace_file(os.path.join(folder, name), content.encode())
    return list(files)
