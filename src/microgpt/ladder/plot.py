"""How a step's time grows with the model: logarithmic on both axes, a line for each rung.

The lines are an SVG that is stretched to the width there is; marks and words lie over it as HTML, so that they keep
their size on every screen. Heights are pixels, widths parts of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import figures
from .markup import Markup, tag
from .results import Results, Size
from .scale import LogScale, exactly, for_axis

HEIGHT = 340.0  # pixels between the top and the bottom of the axes
LINE = 20.0  # pixels that a label at the end of a line needs
AXIS_LABELS = 9
LONGEST = 14  # letters of a name at the end of a line; the table has it in full
MARGIN = 0.04  # of the width, left and right of the marks
CLOSE, CLOSE_ON_A_PHONE = 0.09, 0.27  # labels of sizes nearer than this part of the width would touch


@dataclass(frozen=True)
class Line:
    """points: parts of the width from the left, pixels from the top; None where a size was not measured."""

    name: str
    kind: str
    points: list[tuple[float, float] | None]

    @property
    def last(self) -> tuple[float, float]:
        return [point for point in self.points if point][-1]


def names(results: Results) -> list[str]:
    """Of whom any size was measured: the rungs from 0 up, then the rest."""
    there = [name for size in results.sizes for name in size.ms]
    known = [rung.name for rung in (*results.rungs, *results.others)]
    return [name for name in dict.fromkeys(known + there) if name in there]


def plot(results: Results, kinds: Mapping[str, str]) -> Markup:
    """The whole chart. kinds: the class that gives each rung its colour and mark. Empty where nothing can be drawn."""
    across, up = _scales(results.sizes)
    lines = [
        line for name in names(results) if (line := _line(name, kinds.get(name, "other"), results.sizes, across, up))
    ]
    if not lines:
        return Markup("")
    heights = apart([line.last[1] for line in lines])
    ticks = [_height(up.at_power(exponent)) for exponent in up.decades()]
    paths = [tag("path", d="".join(f"M0 {y:.2f}H100" for y in ticks), class_="grid")]
    paths += [tag("path", d=_leader(line, y), class_="leader") for line, y in zip(lines, heights)]
    paths += [tag("path", d=_path(line), class_=f"line {line.kind}") for line in lines]
    drawing = tag("svg", *paths, viewBox=f"0 0 100 {HEIGHT:.0f}", preserveAspectRatio="none", aria_hidden="true")
    marks = [_mark(line.kind, point) for line in lines for point in line.points if point]
    ends = [
        tag("span", figures.cut(line.name, LONGEST), class_=f"end {line.kind}", style=f"top: {y:.1f}px")
        for line, y in zip(lines, heights)
    ]
    longest = max(len(line.name) for line in lines)
    names_of_axes = [tag("span", "a step", class_="up-name"), tag("span", "parameters", class_="across-name")]
    axes = [*_up_labels(up), *_across_labels(results.sizes, across), *names_of_axes]
    area = tag("div", drawing, *marks, *axes, *ends, class_="area", role="img", aria_label=_in_words(results, lines))
    return tag("div", area, class_="plot", style=f"--height: {HEIGHT:.0f}px; --gutter: {min(longest, LONGEST)}ch")


def apart(wanted: Sequence[float]) -> list[float]:
    """Heights for the labels, each as near as may be to the one wanted, none nearer than LINE to another."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = list(wanted)
    for before, index in zip([None, *order], order):
        if before is not None:
            heights[index] = max(heights[index], heights[before] + LINE)
    ceiling = HEIGHT
    for index in reversed(order):  # those that were pushed out at the bottom push back
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - LINE
    return heights


def _scales(sizes: Sequence[Size]) -> tuple[LogScale, LogScale]:
    times = [ms for size in sizes for ms in size.ms.values() if _drawn(ms)]
    return exactly(size.parameters for size in sizes if size.parameters > 0), for_axis(times)


def _drawn(ms: float | None) -> bool:
    return ms is not None and figures.known(ms) and ms > 0


def _across(across: LogScale, parameters: int) -> float:
    """Marks keep a little away from the axes."""
    return MARGIN + (1 - 2 * MARGIN) * across.at(parameters)


def _height(part: float) -> float:
    return HEIGHT * (1 - part)


def _line(name: str, kind: str, sizes: Sequence[Size], across: LogScale, up: LogScale) -> Line | None:
    ordered = sorted((size for size in sizes if size.parameters > 0), key=lambda size: size.parameters)
    points = [
        (_across(across, size.parameters), _height(up.at(size.ms[name]))) if _drawn(size.ms.get(name)) else None
        for size in ordered
    ]
    return Line(name, kind, points) if any(points) else None


def _path(line: Line) -> str:
    """Straight from size to size, broken where one was not measured."""
    commands, pen = [], "M"
    for point in line.points:
        if point is None:
            pen = "M"
            continue
        commands.append(f"{pen}{100 * point[0]:.3f} {point[1]:.2f}")
        pen = "L"
    return "".join(commands)


def _leader(line: Line, height: float) -> str:
    """From the last point of a line to its label."""
    x, y = line.last
    return f"M{100 * x:.3f} {y:.2f}L100 {y:.2f}L102 {height:.2f}"


def _mark(kind: str, point: tuple[float, float]) -> Markup:
    return tag("i", class_=f"mark {kind}", style=f"left: {100 * point[0]:.3f}%; top: {point[1]:.1f}px")


def _up_labels(up: LogScale) -> list[Markup]:
    return [
        tag("span", figures.tick(exponent), class_="up", style=f"top: {_height(up.at_power(exponent)):.1f}px")
        for exponent in up.decades(AXIS_LABELS)
    ]


def _across_labels(sizes: Sequence[Size], across: LogScale) -> list[Markup]:
    """The parameters of each size, left out where they would touch."""
    labels: list[Markup] = []
    shown, shown_on_a_phone = -1.0, -1.0
    for parameters in sorted({size.parameters for size in sizes if size.parameters > 0}):
        x = _across(across, parameters)
        if x - shown < CLOSE:
            continue
        narrow = x - shown_on_a_phone >= CLOSE_ON_A_PHONE
        shown, shown_on_a_phone = x, x if narrow else shown_on_a_phone
        labels.append(tag("span", figures.count(parameters), class_="across wide", style=f"left: {100 * x:.3f}%"))
        if narrow:
            labels.append(
                tag("span", figures.compact(parameters), class_="across narrow", style=f"left: {100 * x:.3f}%")
            )
    return labels


def _in_words(results: Results, lines: Sequence[Line]) -> str:
    """The chart for those who cannot see it; the table below has every figure."""
    told = []
    for line in lines:
        found = [(size.parameters, size.ms[line.name]) for size in results.sizes if _drawn(size.ms.get(line.name))]
        (least, fast), (most, slow) = min(found), max(found)
        grows = f" to {figures.duration(slow)} at {most:,}" if most > least else ""
        told.append(f"{line.name} from {figures.duration(fast)} at {least:,} parameters{grows}")
    return "Milliseconds a step by the number of parameters, both on logarithmic scales: " + "; ".join(told) + "."
