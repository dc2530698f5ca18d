"""Measured figures for the pages in docs/, from docs/bench.json, which `microgpt bench --out DIR` has written.

A page writes `{{ ms fused }}` where it wants one; whatever else stands there is a FigureError.

    ms RUNG [PART]          median time of a step, or of its part forward, backward or adam
    ratio RUNG              how many times faster than rung 0 a step is
    times RUNG OTHER [PART] how many times faster OTHER is than RUNG, in a step or a part of it
    share RUNG PART         of a step, in percent
    nodes RUNG              of one step's graph
    ns_per_node RUNG, bytes_per_node RUNG, peak RUNG    as in microgpt/ladder/results.py
    model NAME, machine NAME, software NAME             as in bench.json
    run                     by which command, where and with what, as a sentence
    table                   the ladder as a table
    chart                   the ladder as a picture, SVG in HTML
    profile [RUNG]          where the processor's time goes, as a picture, from docs/profile.json
    pythons NAME            the range of a figure over versions of Python, from docs/pythons.json; `run`: which
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import profile_chart

from microgpt.ladder import charts
from microgpt.ladder.results import Results, load

NBSP = "\u00a0"
BENCH = Path(__file__).resolve().parents[1] / "bench.json"
PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)


class FigureError(LookupError):
    """No such figure in bench.json; the message says what was asked for."""


def figure(results: Results, words: str) -> str:
    """The text of one figure."""
    name, *arguments = words.split()
    try:
        return FIGURES[name](results, *arguments)
    except (KeyError, TypeError) as error:
        raise FigureError(f"bench.json has no figure {words!r}") from error


def fill(page: str, results: Results) -> str:
    """A page with all figures in their places."""
    return PLACE.sub(lambda place: figure(results, place[1]), page)


def results() -> Results:
    """What is in docs/bench.json."""
    return load(BENCH)


# ---- how numbers are written ----------------------------------------------------------------------------------------


def duration(ms: float) -> str:
    """Milliseconds, or microseconds below a tenth of one; the unit stays in the line of the number."""
    return f"{rounded(ms)}{NBSP}ms" if ms >= 0.1 else f"{rounded(1000 * ms)}{NBSP}µs"


def rounded(number: float) -> str:
    """Three digits, two where they begin with a larger one, all of those before the point."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.{2 if number < 1 else 1 if number < 10 else 0}f}".removesuffix(".0")


def factor(ratio: float) -> str:
    """How many times; three digits of more than a thousand, or below two."""
    if 1 != ratio < 2:
        return f"{ratio:.2f}"
    return rounded(round(ratio, 2 - math.floor(math.log10(ratio))) if ratio >= 1000 else ratio)


def known(number: float | None) -> float:
    """A figure that was measured; KeyError for None."""
    if number is None:
        raise KeyError("not measured")
    return number


# ---- the figures ----------------------------------------------------------------------------------------------------


def _ms(results: Results, rung: str, part: str = "step") -> str:
    return duration(results.rung(rung).ms[part].median)


def _times(results: Results, rung: str, other: str, part: str = "step") -> str:
    return factor(results.rung(rung).ms[part].median / results.rung(other).ms[part].median)


def _share(results: Results, rung: str, part: str) -> str:
    ms = results.rung(rung).ms
    return f"{100 * ms[part].median / ms['step'].median:.0f}{NBSP}%"


def _peak(results: Results, rung: str) -> str:
    return f"{rounded(known(results.rung(rung).peak_bytes) / 1e6)}{NBSP}MB"


def _run(results: Results) -> str:
    machine, software = results.machine, results.software
    return (
        f"`{results.command}` on {machine['cpu']} ({machine['cores']} cores, {machine['system']}), "
        f"{software['python']}, {software['compiler']}, {software['libc']}, "
        f"kernels for {software['instruction_set']}; medians of {results.rounds} rounds in turns"
    )


def _table(results: Results) -> str:
    lines = ["| rung | a step | times faster | forward | backward | Adam |", "|---|--:|--:|--:|--:|--:|"]
    for rung in results.rungs:
        parts = [duration(rung.ms[part].median) if part in rung.ms else "" for part in ("forward", "backward", "adam")]
        cells = [f"{rung.number} {rung.name}", duration(rung.ms["step"].median), factor(rung.ratio), *parts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _chart(results: Results) -> str:
    """The ladder's picture, as in README.md."""
    caption = "Time of a training step on each rung: first on a logarithmic axis, then to scale."
    return f'<figure class="picture">{charts.ladder_svg(results)}<figcaption>{caption}</figcaption></figure>'


def _pythons(results: Results, name: str) -> str:
    """From the least to the most over the saved runs: `1.02 to 1.1 times`, `49 to 64 %`."""
    saved = json.loads((BENCH.parent / "pythons.json").read_text("utf-8"))
    if name == "run":
        versions = sorted(saved, key=lambda version: [int(part) for part in version.split(".")])
        cpus = sorted({run["cpu"] for run in saved.values()})
        return f"CPython {', '.join(versions)} on {', '.join(cpus)}"
    low, high = min(run[name] for run in saved.values()), max(run[name] for run in saved.values())
    if name == "collector":
        return f"{100 * low:.0f} to {100 * high:.0f}{NBSP}%"
    return f"{low:.2f} to {high:.2f}{NBSP}times"


FIGURES: dict[str, Callable[..., str]] = {
    "ms": _ms,
    "times": _times,
    "share": _share,
    "peak": _peak,
    "run": _run,
    "table": _table,
    "chart": _chart,
    "profile": lambda results, rung=None: profile_chart.figure(rung),
    "pythons": _pythons,
    "ratio": lambda results, rung: factor(results.rung(rung).ratio),
    "nodes": lambda results, rung: f"{known(results.rung(rung).nodes):,.0f}",
    "ns_per_node": lambda results, rung: rounded(known(results.rung(rung).ns_per_node)),
    "bytes_per_node": lambda results, rung: rounded(known(results.rung(rung).bytes_per_node)),
    "model": lambda results, name: f"{results.model[name]:,}",
    "machine": lambda results, name: str(results.machine[name]),
    "software": lambda results, name: str(results.software[name]),
}
