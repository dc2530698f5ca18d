"""`ladder.png`: a step's time on every rung as a picture for a README, drawn by matplotlib, an extra.

It brings its own white ground, so that it reads the same on a light page and on a dark one.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from .._files import replace_file
from . import figures
from .charts import ends, positive, step
from .results import Results, Rung
from .scale import LogScale, for_bars

COLORS = ("#7b7f86", "#6286ae", "#3f6fa6", "#234f83", "#c9440f")  # as in report.css
OTHER, INK, SOFT, RULE = "#857c6d", "#1d1c1a", "#5b5852", "#e2dfd8"
WIDTH, ROW, REST = 8.4, 0.44, 0.95  # inches: the width of a README, a bar, and what stands around the bars
DPI = 200
LONGEST = 20  # letters of a name; more would leave no room for the bars
NARROWEST = 1e-3  # the least part of the width that a spread takes


class PictureUnavailable(RuntimeError):
    """matplotlib is not installed; the message is one line and says how to install it."""


def check() -> None:
    """PictureUnavailable before the measuring rather than after it, if no picture could be made."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise PictureUnavailable(
            "ladder.png needs matplotlib, which is not installed: pip install 'microgpt-engine[plot]'"
        )


def picture_png(results: Results, path: str | os.PathLike[str]) -> None:
    """Draw the picture and put it in place of one that was there.

    PictureUnavailable without matplotlib, OSError where the file can't be written; then what was there is still there.
    """
    check()
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in a script that the font does not have
        _draw(results).savefig(content, format="png", dpi=DPI, metadata={"Source": source_of(results.to_json())})
    replace_file(os.fspath(path), content.getvalue())


def source_of(text: str) -> str:
    """What the picture says of the bench.json it was drawn from: a digest of its text."""
    return f"bench.json, sha256 {sha256(text.encode()).hexdigest()}"


def _draw(results: Results) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [*results.rungs, *results.others]
    size = (WIDTH, REST + ROW * max(1, len(rows)))
    figure = Figure(size, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12))
    axes = figure.add_subplot()
    scale = for_bars(_times(rows))
    for place, rung in enumerate(rows):
        _bar(axes, place, rung, scale)
    _axes(axes, rows, scale)
    _words(axes, rows)
    return figure


def _times(rows: Sequence[Rung]) -> list[float]:
    """All that the scale has to reach."""
    return positive(time for rung in rows for time in ends(step(rung)))


def _bar(axes: Any, place: int, rung: Rung, scale: LogScale) -> None:
    """In exponents of ten, so that no time is too small or too large for the axes."""
    spread = step(rung)
    if spread is None or spread.median <= 0:
        return
    is_rung = rung.number in range(len(COLORS))
    color = COLORS[rung.number] if is_rung and rung.number is not None else OTHER
    width = scale.at(spread.median)
    look = (
        {"color": color} if is_rung else {"facecolor": "white", "edgecolor": color, "hatch": "////", "linewidth": 0.8}
    )
    axes.barh(place, width, height=0.6, zorder=2, **look)
    line = [scale.at(end) for end in positive((spread.least, spread.most))]
    if len(line) == 2 and max(line) - min(line) > NARROWEST:
        axes.plot(line, [place, place], color="white", linewidth=3.2, solid_capstyle="butt", zorder=3)
        axes.plot(line, [place, place], color=INK, linewidth=1.4, solid_capstyle="butt", zorder=4)


def _axes(axes: Any, rows: Sequence[Rung], scale: LogScale) -> None:
    exponents = scale.decades(9)
    axes.set(xlim=(0, 1.02), ylim=(max(1, len(rows)) - 0.45, -0.55))
    axes.set_xticks([scale.at_power(exponent) for exponent in exponents], [figures.tick(each) for each in exponents])
    axes.set_yticks([])
    axes.grid(axis="x", color=RULE, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=SOFT)
    axes.spines[:].set_visible(False)


def _words(axes: Any, rows: Sequence[Rung]) -> None:
    """Names left of the bars, figures right of them."""
    axes.set_title("a training step, on a logarithmic scale", loc="left", fontsize=9, color=SOFT, pad=8)
    sides = axes.get_yaxis_transform()  # x in parts of the axes, y in rows
    for place, rung in enumerate(rows):
        spread = step(rung)
        name = figures.cut(rung.name, LONGEST)
        name = name if rung.number is None else f"{rung.number}  {name}"
        time = figures.duration(spread.median if spread else None)
        gain = "baseline" if rung.number == 0 else figures.times_faster(rung.ratio)
        style = {"transform": sides, "va": "center", "parse_math": False}
        axes.text(-0.015, place, name, ha="right", fontsize=10, weight="bold", color=INK, **style)
        axes.text(1.115, place, time, ha="right", fontsize=10, weight="bold", color=INK, **style)
        axes.text(1.135, place, _small(gain, rung), ha="left", fontsize=8.5, color=SOFT, linespacing=1.25, **style)


def _small(gain: str, rung: Rung) -> str:
    return f"{gain}\n{'= same bits' if rung.same_bits else '≠ other bits'}"
