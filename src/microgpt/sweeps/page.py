"""`sweep.html`: what a sweep found, as one page that asks for nothing else, in the style of the ladder's report."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from ..ladder import charts, figures, report
from ..ladder.charts import WIDTH, _line, _svg, _text, log_axis
from ..ladder.markup import Markup, markup, tag
from ..version import __version__
from .runs import Result
from .summary import effects, ranked

TOP, BOTTOM, LEFT, RIGHT = 14, 250, 44, 388  # units: where the axes of a chart lie
LABELS = 7  # along an axis, at most
SHOWN = 95  # percent of the runs that the axis of losses is for
BEST = 10  # rows of the table
CELLS = 14  # of a heat map, along each side
POINT = "r3"  # the class that colours points
STYLE = """
.chart .dot.point { stroke-width: .5; fill-opacity: .7; }
.chart .curve.front { stroke-dasharray: none; }
"""


def page_html(about: dict[str, Any], results: Collection[Result], objective: str) -> str:
    """The page as a whole. about: what sweep.json holds. All text is escaped."""
    axes = {name: values for name, values in about["space"]["axes"].items() if len(values) > 1}
    order = ranked(results, objective)
    body = [
        _head(results, order, objective, list(axes)),
        tag("main", *_sections(results, order, objective, list(axes), about)),
        tag("footer", tag("p", f"Made by microgpt {__version__}. All runs are in sweep.csv.")),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=report.POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"microgpt sweep: {len(results):,} runs"),
        tag("link", rel="icon", href="data:,"),
        tag("style", charts.css(), report._css(), Markup(STYLE)),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def table_csv(results: Collection[Result]) -> str:
    """All results, a row each in the order of their numbers; a cell is empty where there is no figure."""
    rows = sorted(results, key=lambda result: result["run"])
    content = io.StringIO()
    writer = csv.DictWriter(content, list(rows[0]) if rows else ["run"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return content.getvalue()


def _head(results: Collection[Result], order: Sequence[Result], objective: str, varied: Sequence[str]) -> Markup:
    lede = f"The best by {_name(objective)}: {_settings(order[0], varied)}." if order else "None has a result."
    value = [tag("strong", _short(order[0][objective])), " "] if order else []
    diverged = sum(result["diverged"] is not None for result in results)
    return tag(
        "header",
        tag("p", "microgpt sweep", class_="eyebrow"),
        tag("h1", *value, f"{_name(objective)}, the lowest of {len(results):,} runs"),
        tag("p", lede, class_="lede"),
        tag("p", f"{diverged:,} runs diverged.", class_="lede") if diverged else "",
    )


def _name(objective: str) -> str:
    return {"loss": "training loss", "holdout_loss": "held-out loss", "seconds": "processor time"}[objective]


def _sections(
    results: Collection[Result], order: Sequence[Result], objective: str, varied: Sequence[str], about: dict[str, Any]
) -> Iterator[Markup]:
    if not order:
        return
    front = "The line is the front: what no run with as little reached. Hold the pointer over a dot for its settings."
    compute = (
        "Floating-point operations as 6 x parameters x tokens (Kaplan et al. 2020). The highest 5 % of the runs lie at "
        "the upper edge."
    )
    panels = [
        report._panel(
            "Against parameters", _scatter(order, objective, lambda run: run["params"], "parameters", varied)
        ),
        report._panel("Against compute", _scatter(order, objective, _compute, "operations", varied)),
    ]
    yield report._section("front", _name(objective).capitalize(), front, report._panels(*panels), report._note(compute))
    found = effects(results, objective, varied)
    if lines := [report._panel(name, _by_value(name, order, objective, found[name])) for name in found]:
        note = f"Median {_name(objective)} of all runs with a value; the option with the largest effect first."
        yield report._section("options", "What each option does", note, report._panels(*lines))
    if len(found) > 1:
        one, two = list(found)[:2]
        note = f"Median {_name(objective)} for each pair of {one} and {two}; the darker, the lower."
        yield report._section("pairs", f"{one} and {two}", note, _heat_map(order, objective, one, two))
    heads = ("run", *varied, "params", *dict.fromkeys(("loss", objective, "seconds")))
    rows = [
        report._cells(heads, str(run["run"]), [markup(_short(run[name])) for name in heads[1:]]) for run in order[:BEST]
    ]
    sheet = report._table(f"The best runs by {_name(objective)}", heads, [report._body(rows)])
    yield report._section("best", "The best runs", "The lowest first.", sheet)
    facts = {"command": tag("code", str(about.get("command"))), "documents": f"{about['documents']:,}"}
    facts |= {name: figures.cut(", ".join(map(_short, about["space"]["axes"][name])), 200) for name in varied}
    yield report._section("sweep", "The sweep", "What was swept.", tag("div", report._group("", facts), class_="facts"))


def _compute(run: Result) -> float:
    return float(6 * run["params"] * max(1, run["positions"]))


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _settings(run: Result, varied: Sequence[str]) -> str:
    return ", ".join(f"{name} {run[name]}" for name in varied) or "the settings of the script"


# ---- charts ---------------------------------------------------------------------------------------------------------


def _height(values: Sequence[float]) -> Callable[[float], float]:
    """A linear axis upwards, from the lowest of these values to the highest; what is above lies at the upper end."""
    low, high = min(values), max(values)
    room = (BOTTOM - TOP) / (high - low) if high > low else 0.0
    return lambda value: BOTTOM - room * (min(value, high) - low)


def _axes(values: Sequence[float], up: Callable[[float], float], across: str) -> Iterator[Markup]:
    low, high = min(values), max(values)
    for part in range(5):
        value = low + (high - low) * part / 4
        yield _line(LEFT, up(value), RIGHT, up(value), "grid")
        if part == 0 or high > low:
            yield _text(LEFT - 6, up(value) + 4, f"{value:.3g}", class_="soft", anchor="end")
    yield _line(LEFT, BOTTOM + 6, RIGHT, BOTTOM + 6, "axis")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 42, across, class_="soft", anchor="middle")


def _scatter(
    order: Sequence[Result], objective: str, x: Callable[[Result], float], what: str, varied: Sequence[str]
) -> Markup:
    """A dot a run, and the front."""
    values = [run[objective] for run in order]  # ascending
    values = values[: max(2, -(-len(values) * SHOWN // 100))]
    up, across = _height(values), log_axis(map(x, order), LEFT + 8, RIGHT - LEFT - 16, whole_decades=False)
    front: list[tuple[float, float]] = []
    for run in sorted(order, key=lambda run: (x(run), run[objective])):
        if not front or run[objective] < front[-1][1]:
            front.append((x(run), run[objective]))
    path = "".join(f"{'L' if n else 'M'}{across.at(a):.1f} {up(b):.1f}" for n, (a, b) in enumerate(front))
    dots = [_point(across.at(x(run)), up(run[objective]), f"{_settings(run, varied)}: {_told(run)}") for run in order]
    shown = sorted({x(run) for run in order})
    labels, last = [], float("-inf")
    for value in shown:
        place = across.at(value)
        if place - last >= 56:  # else they would touch
            last = place
            anchor = "end" if place > RIGHT - 20 else "middle"
            labels.append(_text(place, BOTTOM + 22, figures.compact(round(value)), class_="soft", anchor=anchor))
    words = f"{objective} against {what}: from {_short(front[0][1])} at {front[0][0]:,.0f} to {_short(front[-1][1])}"
    content = [
        *_axes(values, up, f"{what}, logarithmic"),
        *labels,
        *dots,
        tag("path", d=path, class_="curve top front"),
        *_to_scale(shown, BOTTOM + 70),
    ]
    return _svg(BOTTOM + 90, f"{words} at {front[-1][0]:,.0f}.", *content)


def _to_scale(values: Sequence[float], y: float) -> Iterator[Markup]:
    """The same values on a linear axis from zero, a tick each."""
    for value in values:
        x = LEFT + (RIGHT - LEFT) * value / max(values)
        yield _line(x, y - 8, x, y, "axis")
    yield _line(LEFT, y, RIGHT, y, "axis")
    yield _text(LEFT, y + 15, "0", class_="soft", anchor="middle")
    yield _text((LEFT + RIGHT) / 2, y + 15, "to scale", class_="soft", anchor="middle")
    yield _text(RIGHT, y + 15, figures.compact(round(max(values))), class_="soft", anchor="end")


def _told(run: Result) -> str:
    loss = run["loss"] if run["holdout_loss"] is None else run["holdout_loss"]
    return f"loss {_short(loss)}, {run['params']:,} parameters, {run['seconds']:.3g} s (run {run['run']})"


def _point(x: float, y: float, words: str) -> Markup:
    return tag("circle", tag("title", words), cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.2", class_=f"dot point {POINT}")


def _by_value(name: str, order: Sequence[Result], objective: str, medians: dict[Any, float]) -> Markup:
    """The medians of an option's values, side by side in their order."""
    found = _in_order(medians)
    values = [medians[value] for value in found]
    up, step = _height(values), (RIGHT - LEFT - 40) / max(1, len(found) - 1)
    places = [LEFT + 20 + step * number for number in range(len(found))]
    path = "".join(f"{'L' if n else 'M'}{x:.1f} {up(y):.1f}" for n, (x, y) in enumerate(zip(places, values)))
    points = [_point(x, up(y), f"{name} {v}: median {_short(y)}") for x, y, v in zip(places, values, found)]
    every = -(-len(found) // LABELS)
    shown = zip(places[::every], found[::every])
    labels = [_text(x, BOTTOM + 22, _label(value), class_="soft", anchor="middle") for x, value in shown]
    words = ", ".join(f"{value}: {_short(medians[value])}" for value in found)
    content = [*_axes(values, up, name), *labels, tag("path", d=path, class_=f"curve {POINT} front"), *points]
    return _svg(BOTTOM + 50, f"Median {objective} by {name}: {words}.", *content)


def _in_order(values: Collection[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (isinstance(value, str), value is None, value if value is not None else 0))


def _label(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else figures.cut(str(value), 8)


def _heat_map(order: Sequence[Result], objective: str, one: str, two: str) -> Markup:
    """Median by two options; of one with very many values, those evenly apart."""
    rows, columns = (_thinned(_in_order({run[name] for run in order})) for name in (one, two))
    groups: dict[tuple[Any, Any], list[float]] = {}
    for run in order:
        groups.setdefault((run[one], run[two]), []).append(run[objective])
    medians = {pair: median(groups[pair]) for pair in product(rows, columns) if pair in groups}
    low, high = min(medians.values()), max(medians.values())
    left, width, height = 62, (WIDTH - 62) / len(columns), max(20.0, 240 / len(rows))
    content = [_text(0, 12, f"{one}, down; {two}, across", class_="soft")]
    for (row, y), (column, x) in product(enumerate(rows), enumerate(columns)):
        if (value := medians.get((y, x))) is not None:
            shade = 0.1 + 0.9 * (1 - (value - low) / (high - low or 1))
            place = {"x": f"{left + column * width:.1f}", "y": f"{22 + row * height:.1f}"}
            size = {"width": f"{width - 1:.1f}", "height": f"{height - 1:.1f}", "fill_opacity": f"{shade:.2f}"}
            words = tag("title", f"{one} {y}, {two} {x}: median {_short(value)} of {len(groups[y, x])}")
            content.append(tag("rect", words, **place, **size, class_=f"bar {POINT}"))
    content += [
        _text(left - 6, 26 + (n + 0.5) * height, _label(value), class_="soft", anchor="end")
        for n, value in enumerate(rows)
    ]
    bottom, every = 22 + len(rows) * height, -(-len(columns) // LABELS)
    content += [
        _text(left + (n + 0.5) * width, bottom + 16, _label(columns[n]), class_="soft", anchor="middle")
        for n in range(0, len(columns), every)
    ]
    return _svg(bottom + 26, f"Median {objective} by {one} and {two}: from {_short(low)} to {_short(high)}.", *content)


def _thinned(values: list[Any]) -> list[Any]:
    return values[:: -(-len(values) // CELLS)]


def write(folder: str, about: dict[str, Any], results: Collection[Result], objective: str) -> list[str]:
    """The page and the table, into the sweep's folder; their names."""
    from ..files import replace_file

    files = {"sweep.html": page_html(about, results, objective), "sweep.csv": table_csv(results)}
    for name, content in files.items():
        replace_file(str(Path(folder) / name), content.encode())
    return list(files)
