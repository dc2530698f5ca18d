"""The charts of the report, of the README and of the course: SVG, one style for all.

A chart is 400 units wide, about as wide as a phone, and is scaled to the width it gets. Colours and fonts are classes
in charts.css, in light and dark. A logarithmic axis has dots, whose place alone counts; a bar has a length that can be
compared, so bars start at zero on a linear axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import figures
from .markup import Markup, tag
from .results import Results, Rung, Size, Spread

WIDTH = 400
ROW, LINE = 36, 17  # units: of a row with a track under its words, of a row of one line
NAMES = 106  # units for the names beside bars
MAX_NAME, MAX_SHORT_NAME = 14, 11  # letters of a name above a track, beside a bar or a line; the tables have it whole
PARTS = {"forward": "forward", "backward": "backward", "adam": "Adam"}  # of a step, and what they are called


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
    found = {part: rung.ms[part].median for part in PARTS if part in rung.ms and figures.known(rung.ms[part].median)}
    total = sum(found.values())
    if len(found) < len(PARTS):
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


def log_axis(values: Iterable[float], start: float, length: float, whole_decades: bool = True) -> LogAxis:
    """An axis for these positive values, from one power of ten to another or from the smallest to the largest."""
    exponents = [math.log10(value) for value in values] or [0.0]
    low, high = min(exponents), max(exponents)
    if whole_decades:
        low, high = math.floor(low), max(math.floor(low) + 1, math.ceil(high))
    return LogAxis(low, high, start, length)


# ---- pieces ---------------------------------------------------------------------------------------------------------


def _text(x: float, y: float, *words: str, class_: str | None = None, anchor: str | None = None) -> Markup:
    return tag("text", *words, x=f"{x:.4g}", y=f"{y:.4g}", class_=class_, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("path", d=f"M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}", class_=class_)


def _bar(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=f"{x:.3f}", y=f"{y:.2f}", width=f"{width:.3f}", height=f"{height:.2f}", class_=class_)


def _dot(x: float, y: float, class_: str) -> Markup:
    return tag("circle", cx=f"{x:.2f}", cy=f"{y:.2f}", r="5.5", class_=f"dot {class_}")


def _name(rung: Rung, max_letters: int = MAX_NAME) -> list[str]:
    shown = [] if rung.number is None else [tag("tspan", f"{rung.number} ", class_="soft")]
    return [*shown, tag("tspan", figures.cut(rung.name, max_letters), class_="strong")]


def _svg(height: float, in_words: str, *content: str) -> Markup:
    return tag("svg", *content, viewBox=f"0 0 {WIDTH} {height:.0f}", class_="chart", role="img", aria_label=in_words)


# ---- a step's time --------------------------------------------------------------------------------------------------


def steps(rungs: Sequence[Rung], others: Sequence[Rung]) -> Markup:
    """A step's time on a logarithmic axis, a dot each: the rungs from 0 up, below them what is no rung."""
    content, height = _steps(rungs, others)
    return _svg(height, f"Time of a training step on a logarithmic axis: {_times([*rungs, *others])}.", *content)


def _steps(rungs: Sequence[Rung], others: Sequence[Rung]) -> tuple[list[Markup], float]:
    spreads = [found for rung in (*rungs, *others) if (found := step(rung))]
    times = positive(time for found in spreads for time in (found.min, found.median, found.max))
    axis = log_axis(times, 12, WIDTH - 24)
    rows: list[Markup] = []
    y = 0.0
    for rung in (*rungs, *others):
        if others and rung is others[0]:
            rows.append(_text(0, y + 24, "Other programs that train the same model", class_="soft"))
            y += 30
        rows += _step_row(rung, y, axis)
        y += ROW
    bottom = y + 4
    grid = [_line(axis.at_power(power), 0, axis.at_power(power), bottom, "grid") for power in axis.decades()]
    return [*grid, *rows, *_time_axis(axis, bottom)], bottom + 38


def _step_row(rung: Rung, y: float, axis: LogAxis) -> Iterator[Markup]:
    spread, middle = step(rung), y + 26
    time = figures.duration(spread.median if spread else None)
    gain = "the baseline" if rung.number == 0 else figures.times_faster(rung.ratio)
    said = ([f"  {gain}"] if spread else []) + ([] if rung.same_bits else ["  \N{NOT EQUAL TO} other bits"])
    yield _text(0, y + 15, *_name(rung))
    yield _text(WIDTH, y + 15, tag("tspan", time, class_="strong"), tag("tspan", *said, class_="soft"), anchor="end")
    yield _line(axis.start, middle, axis.start + axis.length, middle, "track")
    ends = positive((spread.min, spread.max)) if spread else []
    if len(ends) == 2:
        yield _line(axis.at(ends[0]), middle, axis.at(ends[1]), middle, f"spread {kind(rung)}")
    if spread and spread.median > 0:
        yield _dot(axis.at(spread.median), middle, kind(rung))


def _time_axis(axis: LogAxis, y: float) -> Iterator[Markup]:
    yield _line(axis.start, y, axis.start + axis.length, y, "axis")
    for power in axis.decades():
        yield _line(axis.at_power(power), y, axis.at_power(power), y + 4, "axis")
    for power in axis.decades(7):
        x = axis.at_power(power)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        yield _text(
            {"start": 0, "end": WIDTH}.get(anchor, x), y + 16, figures.tick(power), class_="soft", anchor=anchor
        )
    yield _text(WIDTH / 2, y + 32, "logarithmic: each line is ten times the one before", class_="soft", anchor="middle")


def to_scale(rungs: Sequence[Rung]) -> Markup:
    """The same times from zero, each bar as long as its time: the last ones cannot be seen, and that is the point."""
    content, height = _to_scale(rungs)
    return _svg(height, f"Time of a training step on a linear axis: {_times(rungs)}.", *content)


def _to_scale(rungs: Sequence[Rung]) -> tuple[list[Markup], float]:
    times = [(rung, spread.median) for rung in rungs if (spread := step(rung))]
    longest = max([ms for _, ms in times], default=0)
    room = WIDTH - NAMES
    rows = [_line(NAMES, 0, NAMES, len(times) * LINE, "axis")]
    for number, (rung, ms) in enumerate(times):
        part = ms / longest if longest > 0 else 0
        y = number * LINE
        rows += [
            _text(0, y + 12, *_name(rung, MAX_SHORT_NAME)),
            _bar(NAMES, y + 3, room * part, LINE - 6, f"bar {kind(rung)}"),
        ]
        if part < 0.8:  # else there is no room beside the bar, and nothing to say
            rows.append(_text(NAMES + room * part + 6, y + 12, figures.fraction(part), class_="soft"))
    bottom = len(times) * LINE
    axis = [
        _line(NAMES, bottom, WIDTH, bottom, "axis"),
        _text(NAMES, bottom + 14, "0", class_="soft", anchor="middle"),
        _text(WIDTH, bottom + 14, figures.duration(longest if times else None), class_="soft", anchor="end"),
        _text(NAMES + room / 2, bottom + 14, "to scale", class_="soft", anchor="middle"),
    ]
    return [*rows, *axis], bottom + 20


def _times(rungs: Sequence[Rung]) -> str:
    return ", ".join(f"{rung.name} {figures.duration(found.median)}" for rung in rungs if (found := step(rung)))


def ladder_svg(results: Results) -> str:
    """ladder.svg: both of the above in one file, on a ground of its own, so that it can be read on any page."""
    above, height = _steps(results.rungs, results.others)
    below, more = _to_scale(results.rungs)
    margin, gap = 16, 14
    whole = height + gap + more + 2 * margin
    content = [
        tag("style", css()),
        tag(
            "rect",
            x=f"{-margin}",
            y=f"{-margin}",
            width=f"{WIDTH + 2 * margin}",
            height=f"{whole:.0f}",
            class_="ground",
        ),
        *above,
        tag("g", *below, transform=f"translate(0 {height + gap:.0f})"),
    ]
    return tag(
        "svg",
        *content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-margin} {-margin} {WIDTH + 2 * margin} {whole:.0f}",
        width="560",
        class_="chart",
        role="img",
        aria_label=f"Time of a training step on every rung of the ladder: {_times(results.rungs)}.",
    )


def css() -> Markup:
    """The style sheet of the charts, which has nothing that ends the element it stands in."""
    return Markup(Path(__file__).with_name("charts.css").read_text(encoding="utf-8"))


# ---- parts of a step, and memory ------------------------------------------------------------------------------------


def parts(rungs: Sequence[Rung]) -> Markup:
    """Where the time of a step goes: bars of the same length, divided into forward, backward and Adam."""
    content: list[Markup] = []
    x = 0
    for part, name in PARTS.items():
        content += [_bar(x, 2, 10, 10, f"bar {part}"), _text(x + 15, 11, name, class_="soft")]
        x += 90
    for number, rung in enumerate(rungs):
        content += _parts_row(rung, 20 + number * ROW)
    return _svg(20 + len(rungs) * ROW, f"Parts of a training step. {_parts_in_words(rungs)}", *content)


def _parts_row(rung: Rung, y: float) -> Iterator[Markup]:
    found = shares(rung)
    words = "  ".join(figures.percent(found[part]) if part in found else "-" for part in PARTS)
    yield _text(0, y + 15, *_name(rung))
    yield _text(WIDTH, y + 15, words if found else figures.MISSING, class_="soft", anchor="end")
    yield _bar(0, y + 20, WIDTH, 11, "bar empty")
    x = 0.0
    for part, share in found.items():
        yield _bar(x, y + 20, max(0.0, WIDTH * share - 1), 11, f"bar {part}")
        x += WIDTH * share


def _parts_in_words(rungs: Sequence[Rung]) -> str:
    words = []
    for rung in rungs:
        if found := shares(rung):
            words.append(f"{rung.name}: " + ", ".join(f"{PARTS[p]} {figures.percent(s)}" for p, s in found.items()))
    return "; ".join(words)


def bars(
    rungs: Sequence[Rung], in_words: str, value: Callable[[Rung], float | None], words: Callable[[Rung], str]
) -> Markup:
    """A bar for each rung from zero on a linear axis; `words` is the figure beside it."""
    room, height = WIDTH - NAMES - 90, len(rungs) * (LINE + 4)
    longest = max(positive(map(value, rungs)), default=0.0)
    content = [_line(NAMES, 0, NAMES, height, "axis")]
    for number, rung in enumerate(rungs):
        y, found = number * (LINE + 4), positive([value(rung)])
        content.append(_text(0, y + 14, *_name(rung, MAX_SHORT_NAME)))
        if found:
            content.append(_bar(NAMES, y + 4, room * found[0] / longest, LINE - 4, f"bar {kind(rung)}"))
        content.append(_text(WIDTH, y + 14, words(rung), anchor="end"))
    listed = ", ".join(f"{rung.name} {words(rung)}" for rung in rungs)
    return _svg(height, f"{in_words}: {listed}.", *content)


# ---- larger models --------------------------------------------------------------------------------------------------

TOP, BOTTOM, LEFT, RIGHT = 16, 296, 58, 292  # units: where the axes lie
APART = 15.0  # units between two labels at the ends of lines


@dataclass(frozen=True)
class Curve:
    """A rung's time for every size, as points of the chart; None where it was not measured."""

    name: str
    kind: str
    points: list[tuple[float, float] | None]

    @property
    def last(self) -> tuple[float, float]:
        return [point for point in self.points if point][-1]


def names_of_sizes(results: Results) -> list[str]:
    """Of whom any size was measured: the rungs from 0 up, then the rest."""
    there = [name for size in results.sizes for name in size.ms]
    known = [rung.name for rung in (*results.rungs, *results.others)]
    return [name for name in dict.fromkeys(known + there) if name in there]


def sizes(results: Results) -> Markup:
    """How a step's time grows with the model, both axes logarithmic. Empty where nothing was measured."""
    ordered = sorted((size for size in results.sizes if size.parameters > 0), key=lambda size: size.parameters)
    across = log_axis((size.parameters for size in ordered), LEFT + 12, RIGHT - LEFT - 24, whole_decades=False)
    up = log_axis(positive(ms for size in ordered for ms in size.ms.values()), BOTTOM, TOP - BOTTOM)
    kinds = {rung.name: kind(rung) for rung in (*results.rungs, *results.others)}
    curves = [_curve(name, kinds.get(name, "other"), ordered, across, up) for name in names_of_sizes(results)]
    curves = [curve for curve in curves if any(curve.points)]
    if not curves:
        return Markup("")
    labels = apart([curve.last[1] for curve in curves])
    content = [*_size_axes(ordered, across, up)]
    for curve, y in zip(curves, labels):
        content += _drawn(curve, y)
    return _svg(BOTTOM + 44, f"Time of a training step by parameters: {_growth(ordered, curves)}.", *content)


def _curve(name: str, kind: str, ordered: Sequence[Size], across: LogAxis, up: LogAxis) -> Curve:
    points = [
        (across.at(size.parameters), up.at(found[0])) if (found := positive([size.ms.get(name)])) else None
        for size in ordered
    ]
    return Curve(name, kind, points)


def _drawn(curve: Curve, label: float) -> Iterator[Markup]:
    """Straight from size to size, broken where one was not measured, and a line to the name."""
    x, y = curve.last
    yield tag("path", d=f"M{x:.2f} {y:.2f}L{RIGHT + 2} {y:.2f}L{RIGHT + 10} {label:.2f}", class_="leader")
    commands, pen = [], "M"
    for point in curve.points:
        if point:
            commands.append(f"{pen}{point[0]:.2f} {point[1]:.2f}")
        pen = "L" if point else "M"
    yield tag("path", d="".join(commands), class_=f"curve {curve.kind}")
    yield from (_dot(*point, curve.kind) for point in curve.points if point)
    yield _text(RIGHT + 14, label + 4, figures.cut(curve.name, MAX_SHORT_NAME), class_="strong")


def _size_axes(ordered: Sequence[Size], across: LogAxis, up: LogAxis) -> Iterator[Markup]:
    for power in up.decades():
        yield _line(LEFT, up.at_power(power), RIGHT, up.at_power(power), "grid")
    for power in up.decades(8):
        yield _text(LEFT - 6, up.at_power(power) + 4, figures.tick(power), class_="soft", anchor="end")
    yield tag("path", d=f"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}", class_="axis")
    shown = -math.inf
    for parameters in dict.fromkeys(size.parameters for size in ordered):
        x = across.at(parameters)
        yield _line(x, BOTTOM, x, BOTTOM + 4, "axis")
        if x - shown >= 40:  # else the labels would touch
            shown = x
            yield _text(x, BOTTOM + 17, figures.compact(parameters), class_="soft", anchor="middle")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 36, "parameters; both axes logarithmic", class_="soft", anchor="middle")


def apart(wanted: Sequence[float]) -> list[float]:
    """Heights for the labels, each as near as may be to the one wanted, none nearer than APART to another."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = list(wanted)
    for before, index in zip([None, *order], order):
        if before is not None:
            heights[index] = max(heights[index], heights[before] + APART)
    ceiling = float(BOTTOM)
    for index in reversed(order):  # those that were pushed out at the bottom push back
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - APART
    return heights


def _growth(ordered: Sequence[Size], curves: Sequence[Curve]) -> str:
    words = []
    for curve in curves:
        found = [(size.parameters, size.ms[curve.name]) for size in ordered if positive([size.ms.get(curve.name)])]
        (smallest, fast), (largest, slow) = found[0], found[-1]
        grows = f" to {figures.duration(slow)} at {largest:,}" if len(found) > 1 else ""
        words.append(f"{curve.name} from {figures.duration(fast)} at {smallest:,} parameters{grows}")
    return "; ".join(words)
