"""`report.html`: a run of `microgpt bench` as one page, in one file that asks for nothing else.

charts: the charts, as SVG. figures: how a figure is written. markup: how HTML is written. report.css: the looks, in
light and dark, wide and narrow, on a screen and on paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import charts, figures
from .charts import PARTS, step
from .markup import Markup, markup, tag
from .results import Results, Rung, Spread

# Nothing may be fetched, whatever gets into the page: a browser that honours this refuses even to try.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MAX_LOSSES = 12


def report_html(results: Results) -> str:
    """The page as a whole. Figures that were not measured are named as such; all text of the results is escaped."""
    body = [_head(results), tag("main", *_sections(results)), _foot(results)]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"microgpt {results.software.get('microgpt', '')}".strip()),
        tag("title", f"microgpt bench: {' '.join(headline(results)).strip()}"),
        tag("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        tag("style", charts.css(), _css()),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def _css() -> Markup:
    """The style sheet of the page, which has nothing that ends the element it stands in."""
    return Markup(Path(__file__).with_name("report.css").read_text(encoding="utf-8"))


# ---- the first screen -----------------------------------------------------------------------------------------------


def headline(results: Results) -> tuple[str, str]:
    """How many times faster the highest rung is, if that was measured, and the words after it."""
    measured = [rung for rung in results.rungs if step(rung)]
    if len(measured) < 2 or measured[0].number != 0 or not figures.known(measured[-1].ratio):
        return "", "A training step on every rung of the ladder"
    number, _, words = figures.times_faster(measured[-1].ratio).partition(figures.SPACE)
    return number, f"{words}, {'but not the same bits' if _differing(results) else 'and the same bits'}"


def _differing(results: Results) -> list[str]:
    return [rung.name for rung in results.rungs if not rung.same_bits]


def _head(results: Results) -> Markup:
    value, words = headline(results)
    wrong = _differing(results)
    verdict = (
        f"Losses that differ from rung 0: {', '.join(wrong)}"
        if wrong
        else "The same losses on every rung, to the last bit"
    )
    title = [tag("strong", value), " ", words] if value else [words]
    return tag(
        "header",
        tag("p", "microgpt bench", tag("span", " · "), _when(results.made), class_="eyebrow"),
        tag("h1", *title),
        tag("p", "Training step of a GPT: ", *_ends(results), class_="lede"),
        tag("p", _bits(not wrong, verdict), class_=f"verdict {'differs' if wrong else 'same'}"),
    )


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


def _sections(results: Results) -> Iterable[Markup]:
    rungs, everyone = results.rungs, [*results.rungs, *results.others]
    rounds = "1 round" if results.rounds == 1 else f"{figures.count(results.rounds)} rounds"
    about = f"Dots are medians of {rounds}; the band behind a dot reaches from the fastest round to the slowest."
    note = _note(
        "A logarithmic axis shows all times, but not how far apart they are. Here a bar is as long as its time."
    )
    to_scale = _panel("The same times to scale", charts.to_scale(rungs), note)
    panels = _panels(_panel("", charts.steps(rungs, results.others)), to_scale)
    yield _section("steps", "A training step on every rung", about, panels)
    yield _section("shares", "Where the time goes", "The three parts of a training step.", charts.parts(everyone))
    yield _section("memory", "Memory", "What the graph of a step and a whole process take.", _memory(rungs))
    if results.sizes:
        yield _section("sizes", "Larger models", "A training step by the number of parameters.", *_sizes(results))
    about = f"Times are medians of {rounds}; the fastest and the slowest round stand below a step's time."
    yield _section("figures", "All figures", about, _rung_table(results), _notes())
    about = "The loss of each step that every rung took, in decimals and, as float.hex writes it, with all its bits."
    yield _section("losses", "The losses", about, _losses(results.losses))
    about = (
        "All rungs trained the same model on the same documents in one run, in turns, round by round, so that whatever "
        "slows the machine down for a while slows all of them."
    )
    yield _section("measured", "How it was measured", about, _facts(results))


def _section(name: str, title: str, lede: str, *content: str) -> Markup:
    head = tag("h2", title, id=name)
    return tag("section", head, tag("p", lede, class_="lede"), *content, aria_labelledby=name, class_=f"of-{name}")


def _panels(*panels: str) -> Markup:
    return tag("div", *panels, class_="panels")


def _panel(title: str, *content: str) -> Markup:
    return tag("div", *([tag("h3", title)] if title else []), *content)


def _note(words: str) -> Markup:
    return tag("p", words, class_="note")


def _memory(rungs: Sequence[Rung]) -> Markup:
    """Two charts. A node of one rung stands for more than that of another, so a note has their numbers."""
    graph = charts.bars(rungs, "Bytes a node", lambda rung: rung.bytes_per_node, _bytes_a_node)
    peak = charts.bars(rungs, "Peak memory", lambda rung: rung.peak_bytes, lambda rung: figures.memory(rung.peak_bytes))
    nodes = [f"{rung.name} {figures.count(rung.nodes)}" for rung in rungs if figures.known(rung.nodes)]
    note = [_note(f"Nodes of a step's graph: {', '.join(nodes)}.")] if nodes else []
    return _panels(_panel("A node of the graph", graph, *note), _panel("A process at its peak", peak))


def _sizes(results: Results) -> Iterator[Markup]:
    """The chart by size, the largest model to scale, and the table."""
    note = _note("On two logarithmic axes a straight line means that time grows as a power of size.")
    largest = max(results.sizes, key=lambda size: size.parameters)
    there = [(rung, largest.ms[rung.name]) for rung in results.rungs if rung.name in largest.ms]
    rungs = [replace(rung, ms={"step": Spread(ms, ms, ms)}) for rung, ms in there]
    left_out = _note("Rungs that would take too long are left out.")
    to_scale = _panel(f"{largest.parameters:,} parameters, to scale", charts.to_scale(rungs), left_out)
    yield (
        _panels(_panel("", charts.sizes(results), note), to_scale) if rungs else _panel("", charts.sizes(results), note)
    )
    yield _size_table(results)


def _bytes_a_node(rung: Rung) -> str:
    return _of_graph(rung, figures.memory(rung.bytes_per_node))


def _of_graph(rung: Rung, text: str) -> str:
    """A figure about the graph: a rung that was measured and has no figure has no nodes."""
    no_nodes = rung.number is not None and rung.nodes is None and step(rung) is not None
    return figures.NO_NODES if text == figures.MISSING and no_nodes else text


def _notes() -> Markup:
    return _note(
        "Nodes are the Values of one step's graph as the rung holds it. Nanoseconds a node are a whole step's time "
        "divided by the nodes of the interpreted graph, so that rungs can be compared. Peak memory is that of a "
        "process of its own, above one that has only made the model. A kB is 1,000 bytes."
    )


def _losses(losses: Sequence[str]) -> Markup:
    """The first ones, in decimals and with all their bits."""
    if not losses:
        return _note("No loss was kept.")
    items = [tag("li", tag("span", _decimal(loss)), " ", tag("code", loss)) for loss in losses[:MAX_LOSSES]]
    more = len(losses) - len(items)
    return markup(tag("ol", *items, class_="losses"), *([_note(f"And {more:,} more in bench.json.")] if more else []))


def _decimal(loss: str) -> str:
    try:
        return f"{float.fromhex(loss):.4f}"
    except (ValueError, OverflowError):
        return ""


# ---- the tables -----------------------------------------------------------------------------------------------------
# On a phone every row becomes a block, with the heads of the columns before the figures. The roles are written out
# because a table that is shown as blocks is no table to a screen reader otherwise.

HEADS = (
    *("rung, and how you get it", "a step", "times faster", *PARTS.values()),
    *("nodes", "ns a node", "bytes a node", "peak memory", "losses"),
)


def _rung_table(results: Results) -> Markup:
    """Every figure of every rung, and of the others below them."""
    bodies = [_body([_row(rung) for rung in results.rungs])]
    if results.others:
        words = "Other programs that train the same model"
        head = tag("th", words, scope="rowgroup", colspan=str(len(HEADS)), role="rowheader")
        bodies.append(_body([tag("tr", head, role="row", class_="group"), *map(_row, results.others)]))
    return _table("Every figure of every rung", HEADS, bodies)


def _size_table(results: Results) -> Markup:
    """A step's time for each size of the model."""
    names = charts.names_of_sizes(results)
    heads = ("parameters", "n_layer", "n_embd", "n_head", "block_size", *names)
    rows = []
    for size in results.sizes:
        shape = [f"{number:,}" for number in (size.n_layer, size.n_embd, size.n_head, size.block_size)]
        times = [figures.duration(size.ms.get(name)) for name in names]
        first = markup(f"{size.parameters:,}", tag("span", " parameters", class_="narrow", aria_hidden="true"))
        rows.append(_cells(heads, first, [_figure(text) for text in (*shape, *times)]))
    return _table("A step's time for each size of the model", heads, [_body(rows)])


def _row(rung: Rung) -> Markup:
    spread = step(rung)
    time = _figure(figures.duration(spread.median if spread else None))
    range_ = _range(spread)
    parts = [figures.duration(rung.ms[part].median if part in rung.ms else None) for part in PARTS]
    number = [] if rung.number is None else [tag("span", str(rung.number), class_="number"), " "]
    same = rung.same_bits
    cells = [
        markup(time, " ", tag("small", range_)) if range_ else time,
        _figure(figures.ratio(rung.ratio)),
        *map(_figure, parts),
        _figure(_of_graph(rung, figures.count(rung.nodes))),
        _figure(figures.number(rung.ns_per_node)),
        _figure(_of_graph(rung, figures.number(rung.bytes_per_node))),
        _figure(figures.memory(rung.peak_bytes)),
        tag("span", _bits(same, "same bits" if same else "other bits"), class_=f"bits {'same' if same else 'differs'}"),
    ]
    name = markup(tag("span", *number, rung.name, class_="title"), " ", tag("small", rung.holds))
    return _cells(HEADS, name, cells)


def _range(spread: Spread | None) -> str:
    """From the fastest round to the slowest, or nothing where nothing was measured."""
    if spread is None or not (figures.known(spread.min) and figures.known(spread.max)):
        return ""
    return figures.span(spread.min, spread.max)


def _figure(text: str) -> Markup:
    """A figure in words, paler where there is none."""
    return tag("span", text, class_="missing") if text in (figures.MISSING, figures.NO_NODES) else markup(text)


def _cells(heads: Sequence[str], first: str, rest: Sequence[Markup]) -> Markup:
    cells = [tag("td", content, role="cell", data_label=head) for head, content in zip(heads[1:], rest)]
    return tag("tr", tag("th", first, scope="row", role="rowheader"), *cells, role="row")


def _body(rows: Sequence[Markup]) -> Markup:
    return tag("tbody", *rows, role="rowgroup")


def _table(caption: str, heads: Sequence[str], bodies: Sequence[Markup]) -> Markup:
    row = tag("tr", *(tag("th", head, scope="col", role="columnheader") for head in heads), role="row")
    table = tag("table", tag("caption", caption), tag("thead", row, role="rowgroup"), *bodies, role="table")
    return tag("div", table, class_="sheet", role="region", aria_label=caption, tabindex="0")


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
    groups = {
        "The run": run,
        "The model": {name: figures.count(size) for name, size in results.model.items()},
        "The machine": _named(results.machine, {"pinned": "pinned to core", "load": "load at the start"}),
        "The software": _named(results.software, {"flags": "compiler flags", "instruction_set": "instruction set"}),
    }
    return tag("div", *(_group(title, facts) for title, facts in groups.items() if facts), class_="facts")


def _named(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {names.get(key, key.replace("_", " ")): _said(key, value) for key, value in found.items()}


def _said(key: str, value: Any) -> str:
    if value is None:
        return "none" if key == "pinned" else "not known"
    text = str(value)
    return tag("code", text) if key == "flags" else text


def _group(title: str, facts: Mapping[str, str]) -> Markup:
    entries = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("div", tag("h3", title), tag("dl", *entries))


def _foot(results: Results) -> Markup:
    name = f"microgpt {results.software.get('microgpt', '')}".strip()
    return tag("footer", tag("p", f"Made by {name}. The same figures are in bench.json."))
