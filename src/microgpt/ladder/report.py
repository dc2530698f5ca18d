"""`report.html`: a run of `microgpt bench` as one page, in one file that asks for nothing else.

charts: the charts, as SVG. table: the figures of a rung. markup: how HTML is written. report.css: the looks, in light
and dark, wide and narrow, on a screen and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from . import charts, figures
from .charts import step
from .markup import Markup, document, facts, markup, note, panel, panels, row, section, tag
from .markup import table as sheet
from .results import Results, Rung, Spread
from .table import COLUMNS, differing

MAX_LOSSES = 12
HEADS = ("rung, and how you get it", *COLUMNS, "losses")
NODES = (
    "Nodes are the Values of one step's graph as the rung holds it. The time of a node is a whole step's, divided by "
    "the nodes of the interpreted graph, so that rungs can be compared. Peak memory is that of a process of its own, "
    "above one that has only made the model. A kB is 1,000 bytes."
)


def report_html(results: Results) -> str:
    """The page as a whole. Figures that were not measured are named as such; all text of the results is escaped."""
    name = f"microgpt {results.software.get('microgpt', '')}".strip()
    title = f"microgpt bench: {' '.join(headline(results)).strip()}"
    return document(title, _head(results), _sections(results), f"Made by {name}. The same figures are in bench.json.")


# ---- the first screen -----------------------------------------------------------------------------------------------


def headline(results: Results) -> tuple[str, str]:
    """How many times faster the highest rung is, if that was measured, and the words after it."""
    measured = [rung for rung in results.rungs if step(rung)]
    if len(measured) < 2 or measured[0].number != 0 or not figures.known(measured[-1].ratio):
        return "", "A training step on every rung of the ladder"
    number, _, words = figures.times_faster(measured[-1].ratio).partition(figures.SPACE)
    return number, f"{words}, {'but not the same bits' if differing(results) else 'and the same bits'}"


def _head(results: Results) -> Iterator[Markup]:
    value, words = headline(results)
    yield tag("p", "microgpt bench", tag("span", " · "), _when(results.made), class_="eyebrow")
    yield tag("h1", *([tag("strong", value), " ", words] if value else [words]))
    yield tag("p", "Training step of a GPT: ", *_ends(results), class_="lede")
    if wrong := differing(results):
        verdict = f"Losses that differ from rung 0: {', '.join(wrong)}"
    else:
        verdict = "The same losses on every rung, to the last bit"
    yield tag("p", _bits(not wrong, verdict), class_=f"verdict {'differs' if wrong else 'same'}")


def _ends(results: Results) -> Iterator[str]:
    """The model's size, and a step's time at both ends of the ladder."""
    yield f"{figures.count(results.model.get('parameters'))} parameters"
    measured = [(rung.name, spread.median) for rung in results.rungs if (spread := step(rung))]
    for name, ms in dict([*measured[:1], *measured[-1:]]).items():
        yield f"; {name} {figures.duration(ms)}"


def _bits(same: bool, words: str) -> Markup:
    """A sign for whether losses are those of rung 0, and the same in words."""
    sign = "=" if same else "\N{NOT EQUAL TO}"
    return markup(tag("span", sign, class_="sign", aria_hidden="true"), " ", tag("span", words))


def _when(made: str) -> Markup:
    """The date in words, in UTC; as it stands there if it is none."""
    try:
        moment = datetime.fromisoformat(made)
        moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment  # results are in UTC
    except (TypeError, ValueError, OverflowError):
        return markup(str(made))
    return tag("time", f"{moment.day} {moment:%B %Y, %H:%M} UTC", datetime=made)


# ---- the sections ---------------------------------------------------------------------------------------------------


def _sections(results: Results) -> Iterator[Markup]:
    rungs, everyone = results.rungs, [*results.rungs, *results.others]
    rounds = "1 round" if results.rounds == 1 else f"{figures.count(results.rounds)} rounds"
    about = f"Dots are medians of {rounds}; the band behind a dot reaches from the fastest round to the slowest."
    linear = note(
        "A logarithmic axis shows all times, but not how far apart they are. Here a bar is as long as its time."
    )
    to_scale = panel("The same times to scale", charts.to_scale(rungs).svg(), linear)
    dots = panel("", charts.steps(rungs, results.others).svg())
    yield section("steps", "A training step on every rung", about, panels(dots, to_scale))
    yield section("shares", "Where the time goes", "The three parts of a training step.", charts.parts(everyone).svg())
    yield section("memory", "Memory", "What the graph of a step and a whole process take.", _memory(rungs))
    if results.sizes:
        yield section("sizes", "Larger models", "A training step by the number of parameters.", *_sizes(results))
    about = f"Times are medians of {rounds}; the fastest and the slowest round stand below a step's time."
    yield section("figures", "All figures", about, _rung_table(results), note(NODES))
    about = "The loss of each step that every rung took, in decimals and, as float.hex writes it, with all its bits."
    yield section("losses", "The losses", about, *_losses(results.losses))
    about = (
        "All rungs trained the same model on the same documents in one run, in turns, round by round, so that whatever "
        "slows the machine down for a while slows all of them."
    )
    yield section("measured", "How it was measured", about, _facts(results))


def _memory(rungs: Sequence[Rung]) -> Markup:
    """Two charts. A node of one rung stands for more than that of another, so a note has their numbers."""
    a_node = [(rung, rung.bytes_per_node) for rung in rungs]
    at_peak = [(rung, rung.peak_bytes) for rung in rungs]
    graph = charts.bars("Bytes a node", a_node, COLUMNS["memory a node"], figures.memory)
    peak = charts.bars("Peak memory", at_peak, COLUMNS["peak"], figures.memory)
    nodes = [f"{rung.name} {figures.count(rung.nodes)}" for rung in rungs if figures.known(rung.nodes)]
    told = [note(f"Nodes of a step's graph: {', '.join(nodes)}.")] if nodes else []
    return panels(panel("A node of the graph", graph.svg(), *told), panel("A process at its peak", peak.svg()))


def _sizes(results: Results) -> Iterator[Markup]:
    """The chart by size, the largest model to scale, and the table."""
    straight = note("On two logarithmic axes a straight line means that time grows as a power of size.")
    largest = max(results.sizes, key=lambda size: size.parameters)
    there = [(rung, largest.ms[rung.name]) for rung in results.rungs if rung.name in largest.ms]
    shown = [panel("", charts.sizes(results), straight)]
    if there:
        rungs = [replace(rung, ms={"step": Spread(ms, ms, ms)}) for rung, ms in there]
        left_out = note("Rungs that would take too long are left out.")
        title = f"{largest.parameters:,} parameters, to scale"
        shown.append(panel(title, charts.to_scale(rungs).svg(), left_out))
    yield panels(*shown)
    yield _size_table(results)


def _losses(losses: Sequence[str]) -> Iterator[Markup]:
    """The first ones, in decimals and with all their bits."""
    if not losses:
        yield note("No loss was kept.")
        return
    items = [tag("li", tag("span", _decimal(loss)), " ", tag("code", loss)) for loss in losses[:MAX_LOSSES]]
    yield tag("ol", *items, class_="losses")
    if len(losses) > MAX_LOSSES:
        yield note(f"And {len(losses) - MAX_LOSSES:,} more in bench.json.")


def _decimal(loss: str) -> str:
    try:
        return f"{float.fromhex(loss):.4f}"
    except (ValueError, OverflowError):
        return ""


# ---- the tables -----------------------------------------------------------------------------------------------------


def _rung_table(results: Results) -> Markup:
    """Every figure of every rung, and of the others below them."""
    bodies = [[_row(rung) for rung in results.rungs]]
    if results.others:
        words = "Other programs that train the same model"
        head = tag("th", words, scope="rowgroup", colspan=str(len(HEADS)), role="rowheader")
        bodies.append([tag("tr", head, role="row", class_="group"), *map(_row, results.others)])
    return sheet("Every figure of every rung", HEADS, *bodies)


def _size_table(results: Results) -> Markup:
    """A step's time for each size of the model."""
    names = charts.names_of_sizes(results)
    heads = ("parameters", "n_layer", "n_embd", "n_head", "block_size", *names)
    rows = []
    for size in results.sizes:
        shape = [f"{number:,}" for number in (size.n_layer, size.n_embd, size.n_head, size.block_size)]
        times = [figures.duration(size.ms.get(name)) for name in names]
        first = markup(f"{size.parameters:,}", tag("span", " parameters", class_="narrow", aria_hidden="true"))
        rows.append(row(heads, first, *map(_figure, (*shape, *times))))
    return sheet("A step's time for each size of the model", heads, rows)


def _row(rung: Rung) -> Markup:
    time, *rest = (_figure(figure(rung)) for figure in COLUMNS.values())
    spread = step(rung)
    if spread and figures.known(spread.min) and figures.known(spread.max):
        time = markup(time, " ", tag("small", figures.span(spread.min, spread.max)))
    same = rung.same_bits
    bits = tag(
        "span", _bits(same, f"{'same' if same else 'other'} bits"), class_=f"bits {'same' if same else 'differs'}"
    )
    number = [] if rung.number is None else [tag("span", str(rung.number), class_="number"), " "]
    name = markup(tag("span", *number, rung.name, class_="title"), " ", tag("small", rung.holds))
    return row(HEADS, name, time, *rest, bits)


def _figure(text: str) -> Markup:
    """A figure in words, paler where there is none."""
    return tag("span", text, class_="missing") if text in (figures.MISSING, figures.NO_NODES) else markup(text)


# ---- the facts ------------------------------------------------------------------------------------------------------


def _facts(results: Results) -> Markup:
    """Command, date, model, machine and software, in groups."""
    steps = [f"{figures.count(rung.steps)} {rung.name}" for rung in (*results.rungs, *results.others)]
    run = {
        "command": tag("code", results.command),
        "made": _when(results.made),
        "documents": results.documents,
        "rounds": figures.count(results.rounds),
        "steps in a round": ", ".join(steps),
    }
    model = {name: figures.count(size) for name, size in results.model.items()}
    machine = _named(results.machine, {"pinned": "pinned to core", "load": "load at the start"})
    software = _named(results.software, {"flags": "compiler flags", "instruction_set": "instruction set"})
    return facts({"The run": run, "The model": model, "The machine": machine, "The software": software})


def _named(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(key, key.replace("_", " ")): _said(key, value) for key, value in found.items()}


def _said(key: str, value: Any) -> str:
    if value is None:
        return "none" if key == "pinned" else "not known"
    return tag("code", str(value)) if key == "flags" else str(value)
