"""The charts of the reports, of the README and of the course: SVG, one style for all.

A chart is 400 units wide, about as wide as a phone, and is scaled to the width it gets. Colours and fonts are classes
in charts.css, in light and dark. A logarithmic axis has dots, whose place alone counts; a bar has a length that can be
compared, so bars start at zero on a linear axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from . import figures
from .markup import Markup, css, tag
from .results import PARTS, Results, Rung, Spread

WIDTH = 400
ROW, LINE = 36, 21  # units: of a row with a track under its words, of a row of one line
NAMES, FIGURES = 106, 90  # units for the names beside bars, and for the figures behind them
MAX_NAME, MAX_SHORT_NAME = 14, 11  # letters of a name above a track, beside a bar or a line; the tables have it whole
TOP, BOTTOM, LEFT, RIGHT = 16, 296, 58, 388  # units: where the axes of a chart with two of them lie

Point = tuple[float, float]


class Chart(NamedTuple):
    """height: in units. in_words: what it shows, for whoever does not see it."""

    height: float
    in_words: str
    content: list[Markup]

    def svg(self, margin: float = 0, **attributes: str) -> Markup:
        box = f"{-margin} {-margin} {WIDTH + 2 * margin} {self.height + 2 * margin:.0f}"
        words = {"role": "img", "aria_label": self.in_words}
        return tag("svg", *self.content, viewBox=box, class_="chart", **words, **attributes)


# ---- what is drawn --------------------------------------------------------------------------------------------------


def kind(rung: Rung) -> str:
    """The class that gives a rung its colour."""
    if rung.number is None:
        return "other"
    return "top" if rung.name == "fused" else f"r{rung.number}" if rung.number in range(5) else "other"


def step(rung: Rung) -> Spread | None:
    """The time of a step, if it was measured."""
    found = rung.ms.get("step")
    return found if found is not None and figures.known(found.median) else None


def shares(rung: Rung) -> dict[str, float]:
    """What part of a step each of its parts takes, as far as they were measured; they sum to 1 only where all were.

    Medians need not add up, so the whole is the sum of the three where there are three, else the step.
    """
    parts = PARTS[1:]
    found = {part: rung.ms[part].median for part in parts if part in rung.ms and figures.known(rung.ms[part].median)}
    total = sum(found.values())
    if len(found) < len(parts):
        spread = step(rung)
        total = max(total, spread.median) if spread else 0
    return {part: ms / total for part, ms in found.items()} if total > 0 else {}


def positive(values: Iterable[float | None]) -> list[float]:
    """Those that a logarithmic axis has a place for."""
    return [value for value in values if value is not None and figures.known(value) and value > 0]


# ---- logarithmic axes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogAxis:
    """low, high: the ends, as exponents of ten. start, length: where it lies, in units; a negative length goes up."""

    low: float
    high: float
    start: float
    length: float

    def at(self, value: float) -> float:
        """Where a positive value lies."""
        return self.at_power(math.log10(value))

    def at_power(self, exponent: float) -> float:
        part = 0.5 if self.high <= self.low else (exponent - self.low) / (self.high - self.low)
        return self.start + self.length * min(1.0, max(0.0, part))

    def decades(self, max_labels: int = 99) -> list[int]:
        """The powers of ten on the axis, as exponents; every second or third if there are more than `max_labels`."""
        inside = range(math.ceil(self.low), math.floor(self.high) + 1)
        return list(inside[:: max(1, math.ceil(len(inside) / max_labels))])

    def spaced(self, values: Iterable[float], apart: float) -> list[float]:
        """Of ascending values those whose labels would not touch, if each takes so many units."""
        found: list[float] = []
        for value in values:
            if not found or self.at(value) - self.at(found[-1]) >= apart:
                found.append(value)
        return found


def log_axis(values: Iterable[float], start: float, length: float, whole_decades: bool = True) -> LogAxis:
    """An axis for these positive values, from one power of ten to another or from the smallest to the largest."""
    exponents = [math.log10(value) for value in values] or [0.0]
    low, high = min(exponents), max(exponents)
    if whole_decades:
        low, high = math.floor(low), max(math.floor(low) + 1, math.ceil(high))
    return LogAxis(low, high, start, length)


# ---- pieces ---------------------------------------------------------------------------------------------------------


def text(x: float, y: float, *words: str, class_: str | None = "soft", anchor: str | None = None) -> Markup:
    """anchor: middle or end, if the words do not start there."""
    return tag("text", *words, x=f"{x:.4g}", y=f"{y:.4g}", class_=class_, text_anchor=anchor)


def path(points: Iterable[Point | None], class_: str) -> Markup:
    """Straight from point to point, broken where there is None."""
    steps = [f"{'L' if before else 'M'}{x[0]:.2f} {x[1]:.2f}" for before, x in pairwise([None, *points]) if x]
    return tag("path", d="".join(steps), class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return path([(x1, y1), (x2, y2)], class_)


def bar(x: float, y: float, width: float, height: float, class_: str, *words: str, **more: str) -> Markup:
    """words: shown when the pointer is over it."""
    place = {"x": f"{x:.3f}", "y": f"{y:.2f}", "width": f"{width:.3f}", "height": f"{height:.2f}"}
    return tag("rect", *(tag("title", each) for each in words), **place, **more, class_=f"bar {class_}")


def dot(x: float, y: float, class_: str, *words: str) -> Markup:
    """A dot of its own, or, with words for when the pointer is over it, one of very many."""
    title = [tag("title", each) for each in words]
    return tag("circle", *title, cx=f"{x:.2f}", cy=f"{y:.2f}", r="3.2" if words else "5.5", class_=f"dot {class_}")


def zero_axis(y: float, right: float, end: str, left: float = NAMES) -> list[Markup]:
    """A linear axis from zero, with what stands at its end."""
    return [
        line(left, y, right, y, "axis"),
        text(left, y + 14, "0", anchor="middle"),
        text(right, y + 14, end, anchor="end"),
        text((left + right) / 2, y + 14, "to scale", anchor="middle"),
    ]


def _name(rung: Rung, max_letters: int = MAX_NAME) -> list[str]:
    shown = [] if rung.number is None else [tag("tspan", f"{rung.number} ", class_="soft")]
    return [*shown, tag("tspan", figures.cut(rung.name, max_letters), class_="strong")]


# ---- a step's time --------------------------------------------------------------------------------------------------


def steps(rungs: Sequence[Rung], others: Sequence[Rung]) -> Chart:
    """A step's time on a logarithmic axis, a dot each: the rungs from 0 up, below them what is no rung."""
    spreads = [found for rung in (*rungs, *others) if (found := step(rung))]
    times = positive(time for found in spreads for time in (found.min, found.median, found.max))
    axis = log_axis(times, 12, WIDTH - 24)
    rows: list[Markup] = []
    y = 0.0
    for rung in (*rungs, *others):
        if others and rung is others[0]:
            rows.append(text(0, y + 24, "Other programs that train the same model"))
            y += 30
        rows += _step_row(rung, y, axis)
        y += ROW
    bottom = y + 4
    grid = [line(axis.at_power(power), 0, axis.at_power(power), bottom, "grid") for power in axis.decades()]
    said = f"Time of a training step on a logarithmic axis: {_times([*rungs, *others])}."
    return Chart(bottom + 38, said, [*grid, *rows, *_time_axis(axis, bottom)])


def _step_row(rung: Rung, y: float, axis: LogAxis) -> Iterator[Markup]:
    spread, middle = step(rung), y + 26
    time = figures.duration(spread.median if spread else None)
    gain = "the baseline" if rung.number == 0 else figures.times_faster(rung.ratio)
    said = ([f"  {gain}"] if spread else []) + ([] if rung.same_bits else ["  \N{NOT EQUAL TO} other bits"])
    figure = tag("tspan", time, class_="strong"), tag("tspan", *said, class_="soft")
    yield text(0, y + 15, *_name(rung), class_=None)
    yield text(WIDTH, y + 15, *figure, class_=None, anchor="end")
    yield line(axis.start, middle, axis.start + axis.length, middle, "track")
    ends = positive((spread.min, spread.max)) if spread else []
    if len(ends) == 2:
        yield line(axis.at(ends[0]), middle, axis.at(ends[1]), middle, f"spread {kind(rung)}")
    if spread and spread.median > 0:
        yield dot(axis.at(spread.median), middle, kind(rung))


def _time_axis(axis: LogAxis, y: float) -> Iterator[Markup]:
    yield line(axis.start, y, axis.start + axis.length, y, "axis")
    for power in axis.decades():
        yield line(axis.at_power(power), y, axis.at_power(power), y + 4, "axis")
    for power in axis.decades(7):
        x = axis.at_power(power)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        yield text({"start": 0, "end": WIDTH}.get(anchor, x), y + 16, figures.tick(power), anchor=anchor)
    yield text(WIDTH / 2, y + 32, "logarithmic: each line is ten times the one before", anchor="middle")


def _times(rungs: Sequence[Rung]) -> str:
    return ", ".join(f"{rung.name} {figures.duration(found.median)}" for rung in rungs if (found := step(rung)))


# ---- bars -----------------------------------------------------------------------------------------------------------


def bars(
    in_words: str,
    values: Sequence[tuple[Rung, float | None]],
    words: Callable[[Rung], str],
    written: Callable[[float | None], str],
) -> Chart:
    """A bar for each rung from zero on a linear axis. words: the figure beside it. written: the value at its end."""
    right = WIDTH - FIGURES
    longest = max(positive(value for _, value in values), default=0.0)
    bottom = len(values) * LINE
    content = [line(NAMES, 0, NAMES, bottom, "axis")]
    for number, (rung, value) in enumerate(values):
        y = number * LINE
        content.append(text(0, y + 14, *_name(rung, MAX_SHORT_NAME), class_=None))
        if found := positive([value]):
            content.append(bar(NAMES, y + 4, (right - NAMES) * (found[0] / longest), LINE - 8, kind(rung)))
        content.append(text(WIDTH, y + 14, words(rung), class_=None, anchor="end"))
    listed = ", ".join(f"{rung.name} {words(rung)}" for rung, _ in values)
    return Chart(bottom + 20, f"{in_words}: {listed}.", [*content, *zero_axis(bottom, right, written(longest or None))])


def to_scale(rungs: Sequence[Rung]) -> Chart:
    """The times of steps, each bar as long as its time: the last ones cannot be seen, and that is the point."""
    times = [(rung, spread.median) for rung in rungs if (spread := step(rung))]
    longest = max((ms for _, ms in times), default=0) or 1
    parts = {rung.name: figures.fraction(ms / longest) for rung, ms in times}
    return bars("Time of a training step", times, lambda rung: parts[rung.name], figures.duration)


def divided(
    in_words: str, rows: Sequence[tuple[Sequence[str], str, Mapping[str, float]]], groups: Mapping[str, str]
) -> Chart:
    """Bars of one length, divided.

    rows: name, words at the right, and what share of the bar each class has. groups: class -> what it stands for.
    """
    columns = 2 if len(groups) > 3 else 3
    content: list[Markup] = []
    for number, (class_, name) in enumerate(groups.items()):
        x, y = number % columns * WIDTH / columns, 1.0 * (number // columns * LINE)
        content += [bar(x, y + 2, 10, 10, class_), text(x + 15, y + 11, name)]
    y = 20.0 + (len(groups) - 1) // columns * LINE
    for row_name, words, found in rows:
        content += [text(0, y + 15, *row_name, class_=None), text(WIDTH, y + 15, words, anchor="end")]
        content.append(bar(0, y + 20, WIDTH, 11, "empty"))
        starts = accumulate(found.values(), initial=0.0)
        content += [
            bar(WIDTH * start, y + 20, max(0.0, WIDTH * share - 1), 11, class_)
            for start, (class_, share) in zip(starts, found.items())
        ]
        y += ROW
    return Chart(y, in_words, content)


def parts(rungs: Sequence[Rung]) -> Chart:
    """Where the time of a step goes."""
    groups = {part: part.replace("adam", "Adam") for part in PARTS[1:]}
    rows, said = [], []
    for rung in rungs:
        found = shares(rung)
        percents = [figures.percent(found[part]) if part in found else "-" for part in groups]
        rows.append((_name(rung), "  ".join(percents) if found else figures.MISSING, found))
        said.append(f"{rung.name} {', '.join(percents)}")
    return divided(f"Parts of a training step, {', '.join(groups.values())}: {'; '.join(said)}.", rows, groups)


def ladder_svg(results: Results) -> str:
    """ladder.svg: a step's time on both axes, on a ground of its own, so that it can be read on any page."""
    above, below = steps(results.rungs, results.others), to_scale(results.rungs)
    margin, gap = 16, 14
    height = above.height + gap + below.height
    place = {
        "x": f"{-margin}",
        "y": f"{-margin}",
        "width": f"{WIDTH + 2 * margin}",
        "height": f"{height + 2 * margin:.0f}",
    }
    ground = [tag("style", css("charts.css")), tag("rect", **place, class_="ground")]
    lower = tag("g", *below.content, transform=f"translate(0 {above.height + gap:.0f})")
    said = f"Time of a training step on every rung of the ladder: {_times(results.rungs)}."
    whole = Chart(height, said, [*ground, *above.content, lower])
    return whole.svg(margin, xmlns="http://www.w3.org/2000/svg", width="560")


# ---- larger models --------------------------------------------------------------------------------------------------


def names_of_sizes(results: Results) -> list[str]:
    """Of whom any size was measured: the rungs from 0 up, then the rest."""
    there = [name for size in results.sizes for name in size.ms]
    known = [rung.name for rung in (*results.rungs, *results.others)]
    return [name for name in dict.fromkeys(known + there) if name in there]


def sizes(results: Results) -> Markup:
    """How a step's time grows with the model, both axes logarithmic. Empty where nothing was measured."""
    ordered = sorted((size for size in results.sizes if size.parameters > 0), key=lambda size: size.parameters)
    right = RIGHT - FIGURES
    across = log_axis((size.parameters for size in ordered), LEFT + 12, right - LEFT - 24, whole_decades=False)
    up = log_axis(positive(ms for size in ordered for ms in size.ms.values()), BOTTOM, TOP - BOTTOM)
    kinds = {rung.name: kind(rung) for rung in (*results.rungs, *results.others)}
    curves: dict[str, list[Point | None]] = {}
    said = []
    for name in names_of_sizes(results):
        measured = [(size, found[0]) if (found := positive([size.ms.get(name)])) else None for size in ordered]
        points = [(across.at(each[0].parameters), up.at(each[1])) if each else None for each in measured]
        if ends := [each for each in measured if each]:
            curves[name] = points
            said.append(f"{name} {figures.duration(ends[-1][1])} at {ends[-1][0].parameters:,}")
    if not curves:
        return Markup("")
    content = [*_size_axes([size.parameters for size in ordered], across, up, right)]
    lasts = {name: [point for point in points if point][-1] for name, points in curves.items()}
    for number, name in enumerate(sorted(curves, key=lambda name: lasts[name][1])):
        points, class_, (x, y) = curves[name], kinds.get(name, "other"), lasts[name]
        label = TOP + number * (BOTTOM - TOP) / max(1, len(curves) - 1)  # evenly, so that none covers another
        content.append(path([(x, y), (right + 2, y), (right + 10, label)], "leader"))
        content.append(path(points, f"curve {class_}"))
        content += [dot(*point, class_) for point in points if point]
        content.append(text(right + 14, label + 4, figures.cut(name, MAX_SHORT_NAME), class_="strong"))
    return Chart(BOTTOM + 44, f"Time of a training step by parameters: {'; '.join(said)}.", content).svg()


def _size_axes(parameters: Sequence[int], across: LogAxis, up: LogAxis, right: float) -> Iterator[Markup]:
    for power in up.decades():
        yield line(LEFT, up.at_power(power), right, up.at_power(power), "grid")
    for power in up.decades(8):
        yield text(LEFT - 6, up.at_power(power) + 4, figures.tick(power), anchor="end")
    yield path([(LEFT, TOP), (LEFT, BOTTOM), (right, BOTTOM)], "axis")
    for size in across.spaced(parameters, 40):
        yield line(across.at(size), BOTTOM, across.at(size), BOTTOM + 4, "axis")
        yield text(across.at(size), BOTTOM + 17, figures.compact(size), anchor="middle")
    yield text((LEFT + right) / 2, BOTTOM + 36, "parameters; both axes logarithmic", anchor="middle")
