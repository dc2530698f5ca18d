"""What a run found, in sentences: the first of the report, and one above each chart. Every figure is a measured one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from . import figures
from .charts import SHARES, shares, step
from .plot import names
from .results import Results, Rung


def base(results: Results) -> Rung | None:
    """Rung 0, if it was measured."""
    return next((rung for rung in results.rungs if rung.number == 0 and step(rung)), None)


def top(results: Results) -> Rung | None:
    """The highest rung that was measured."""
    measured = [rung for rung in results.rungs if rung.number is not None and step(rung)]
    return max(measured, key=lambda rung: rung.number or 0, default=None)


def differing(results: Results) -> list[str]:
    """The names of the rungs whose losses have other bits than rung 0's."""
    return [rung.name for rung in results.rungs if not rung.same_bits]


def listed(words: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def headline(results: Results) -> tuple[str, str]:
    """The figure of the first sentence, which may be empty, and the rest of the sentence."""
    first, last = base(results), top(results)
    if last is None:
        return "", "No rung was measured"
    spread = step(last)
    taken = figures.duration(spread.median if spread else None)
    if first is None or first is last or not figures.known(last.ratio):
        return taken, "a training step"
    bits = "but not the same bits" if differing(results) else "and the same bits"
    if last.ratio < 1:
        return figures.ratio(last.ratio), f"times as fast, {bits}"
    return figures.ratio(last.ratio), f"times faster, {bits}"


def summary(results: Results) -> str:
    """A training step at the two ends of the ladder."""
    first, last = base(results), top(results)
    if last is None:
        return "This file holds no figure of any rung."
    spread, parameters = step(last), results.model.get("parameters")
    model = "the model" if parameters is None else f"a GPT with {parameters:,} parameters"
    at_the_top = f"{figures.duration(spread.median if spread else None)} {_standing(last)}"
    before = step(first) if first else None
    if before is None or first is last:
        return f"A training step of {model} takes {at_the_top}."
    return f"A training step of {model} takes {figures.duration(before.median)} {_standing(first)} and {at_the_top}."


def _standing(rung: Rung | None, when: str = "") -> str:
    """ "interpreted" and "fused" are words that a sentence can use, after `when`; the other names are names."""
    if rung is None:
        return ""
    return f"{when}{rung.name}" if rung.name in ("interpreted", "fused") else f"on the rung {rung.name}"


def verdict(results: Results) -> str:
    """Whether the losses of the rungs are equal to the bit."""
    wrong, rungs = differing(results), len(results.rungs)
    if wrong:
        have = "has" if len(wrong) == 1 else "have"
        return f"The losses are not the same on all rungs: {listed(wrong)} {have} other bits."
    if rungs < 2:
        return "One rung was measured, so there is nothing to compare its losses with."
    losses = len(results.losses)
    what = "Every loss" if losses == 0 else "The loss" if losses == 1 else f"Each of the {losses:,} losses"
    return f"{what} has the same bits on {'both' if rungs == 2 else f'all {rungs}'} rungs."


def what_each_rung_buys(results: Results) -> str:
    """How many times faster each rung is than the one before it."""
    rungs = [rung for rung in results.rungs if rung.number is not None]
    told = [
        f"{rung.name} {figures.ratio(rung.ratio / before.ratio)}"
        for before, rung in pairwise(rungs)
        if figures.known(before.ratio) and figures.known(rung.ratio) and before.ratio > 0
    ]
    return f"Times faster than the rung before it: {listed(told)}." if told else "Time of a training step."


def where_time_goes(results: Results) -> str:
    """The largest part at the two ends of the ladder."""
    ends = [rung for rung in (base(results), top(results)) if rung is not None and len(shares(rung)) == len(SHARES)]
    told = [_largest(rung) for index, rung in enumerate(ends) if index == 0 or rung is not ends[0]]
    return f"The largest part of a step is {listed(told)}." if told else "How much of a step its three parts take."


def _largest(rung: Rung) -> str:
    part, share = max(shares(rung).items(), key=lambda item: item[1])
    return f"{SHARES[part]} {_standing(rung, 'when ')} ({figures.percent(share)})"


def what_memory(results: Results) -> str:
    """The most and the least that a process needed."""
    found = [(rung.peak_bytes, rung.name) for rung in results.rungs if rung.peak_bytes is not None]
    if len(found) < 2:
        return "What a graph and a process need."
    (least, small), (most, large) = min(found), max(found)
    return f"At its peak, training needs from {figures.memory(least)} ({small}) to {figures.memory(most)} ({large})."


def how_it_grows(results: Results) -> str:
    """How many times longer a step takes with the largest model than with the smallest."""
    sizes = sorted((size for size in results.sizes if size.parameters > 0), key=lambda size: size.parameters)
    if len(sizes) < 2:
        return "A step's time by the number of parameters."
    first, last = sizes[0], sizes[-1]
    told = [
        f"{name} {figures.ratio(last.ms[name] / first.ms[name])}"
        for name in names(results)
        if figures.known(first.ms.get(name)) and figures.known(last.ms.get(name)) and first.ms[name] > 0
    ]
    more = f"With {figures.ratio(last.parameters / first.parameters)} times as many parameters"
    return (
        f"{more}, the time of a step grows by these factors: {listed(told)}."
        if told
        else "A step's time by the number of parameters."
    )
