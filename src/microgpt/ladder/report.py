"""`report.html`: a run of `microgpt bench` as one page, in one file that asks for nothing else.

headline: what was found, in sentences. charts: bars. plot: lines. sheet: tables. figures: how a figure is written.
markup: how HTML is written. report.css: the looks, in light and dark, wide and narrow, on a screen and on paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import figures, headline
from .charts import kind, plain_bars, share_bars, step_bars
from .markup import Markup, markup, tag
from .plot import plot
from .results import Results, Rung
from .sheet import graph_figure, rung_table, size_table

# Nothing may be fetched, whatever gets into the page: a browser that honours this refuses even to try.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
LOSSES_SHOWN = 12


def report_html(results: Results) -> str:
    """The page as a whole. Figures that were not measured are named as such; all text of the results is escaped."""
    body = [_head(results), tag("main", *_sections(results)), _foot(results)]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"microgpt {results.software.get('microgpt', '')}".strip()),
        tag("title", f"microgpt bench: {' '.join(filter(None, headline.headline(results)))}"),
        tag("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        tag("style", _css()),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def _css() -> Markup:
    """The style sheet, which has nothing that ends the element it stands in."""
    return Markup(Path(__file__).with_name("report.css").read_text(encoding="utf-8"))


def _head(results: Results) -> Markup:
    """The headline sentence, and below it what it rests on."""
    value, words = headline.headline(results)
    wrong = bool(headline.differing(results))
    sign = tag("span", "≠" if wrong else "=", class_="sign", aria_hidden="true")
    line = tag("p", "microgpt bench", tag("span", " · "), _when(results.made), class_="eyebrow")
    title = tag("h1", *([tag("strong", value), " "] if value else []), words)
    verdict = tag(
        "p", sign, " ", tag("span", headline.verdict(results)), class_=f"verdict {'differs' if wrong else 'same'}"
    )
    return tag("header", line, title, tag("p", headline.summary(results), class_="lede"), verdict)


def _when(made: str) -> Markup:
    """The date in words, in UTC; as it stands there if it is none."""
    try:
        moment = datetime.fromisoformat(made)
        moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment  # results are in UTC
    except (TypeError, ValueError, OverflowError):
        return markup(str(made))
    return tag("time", f"{moment.day} {moment:%B %Y, %H:%M} UTC", datetime=made)


def _sections(results: Results) -> Iterable[Markup]:
    everyone = [*results.rungs, *results.others]
    bars = step_bars(results.rungs, results.others)
    yield _section("steps", "A step on every rung", headline.what_each_rung_buys(results), bars, _about_bars(results))
    yield _section("shares", "Where the time goes", headline.where_time_goes(results), share_bars(everyone))
    yield _section("memory", "Memory", headline.what_memory(results), _memory(results))
    if results.sizes:
        kinds = {rung.name: kind(rung) for rung in everyone}
        note = tag(
            "p", "Both axes are logarithmic: a straight line means that time grows as a power of size.", class_="note"
        )
        content = [plot(results, kinds), note, size_table(results)]
        yield _section("sizes", "Larger models", headline.how_it_grows(results), *content)
    yield _section("figures", "All figures", _about_figures(results), rung_table(results), _notes())
    yield _section("losses", "The losses", _about_losses(results), _losses(results))
    yield _section("measured", "How it was measured", _about_rounds(results), _facts(results))


def _section(name: str, title: str, lede: str, *content: str) -> Markup:
    head = tag("h2", title, id=name)
    return tag("section", head, tag("p", lede, class_="lede"), *content, aria_labelledby=name, class_=f"of-{name}")


def _about_bars(results: Results) -> Markup:
    return tag(
        "p",
        "The scale is logarithmic: each grid line is ten times the one before it. "
        f"Bars end at the median, thin lines go from the least to the most of {_rounds(results)}."
        f"{' Hatched bars are no rungs.' if results.others else ''}",
        class_="note",
    )


def _rounds(results: Results) -> str:
    return "1 round" if results.rounds == 1 else f"{figures.count(results.rounds)} rounds"


def _about_figures(results: Results) -> str:
    return f"Medians of {_rounds(results)}; below a step's time, the least and the most."


def _notes() -> Markup:
    return tag(
        "p",
        "Nodes are the Values of one step's graph as the rung holds it. Nanoseconds a node are a whole step's time for "
        "each node of the interpreted graph, so that rungs can be compared. Peak memory is that of a process of its "
        "own, above one that has imported the same and made the model. A kB is 1,000 bytes.",
        class_="note",
    )


def _memory(results: Results) -> Markup:
    """Two charts. A node of one rung stands for more than that of another, so their numbers are told with the first."""
    graph = plain_bars(results.rungs, lambda rung: rung.bytes_per_node, _bytes_a_node)
    peak = plain_bars(results.rungs, lambda rung: rung.peak_bytes, lambda rung: figures.memory(rung.peak_bytes))
    nodes = [f"{rung.name} {figures.count(rung.nodes)}" for rung in results.rungs if figures.known(rung.nodes)]
    note = tag("p", f"Nodes of a step's graph: {headline.listed(nodes)}.", class_="note") if nodes else ""
    return tag(
        "div",
        tag("div", tag("h3", "A node of the graph"), graph, note),
        tag("div", tag("h3", "A process at its peak"), peak),
        class_="panels",
    )


def _bytes_a_node(rung: Rung) -> str:
    return graph_figure(rung, figures.memory(rung.bytes_per_node))


def _about_losses(results: Results) -> str:
    return "The loss of each step that every rung took, in decimals and, as float.hex writes it, with all its bits."


def _losses(results: Results) -> Markup:
    """The first ones, in decimals and with all their bits."""
    if not results.losses:
        return tag("p", "No loss was kept.", class_="note")
    items = [tag("li", tag("span", _decimal(loss)), " ", tag("code", loss)) for loss in results.losses[:LOSSES_SHOWN]]
    more = len(results.losses) - len(items)
    note = tag("p", f"And {more:,} more in bench.json.", class_="note") if more else ""
    return markup(tag("ol", *items, class_="losses"), note)


def _decimal(loss: str) -> str:
    try:
        return f"{float.fromhex(loss):.4f}"
    except (ValueError, OverflowError):
        return ""


def _about_rounds(results: Results) -> str:
    return (
        f"All rungs trained the same model on the same documents in one run, {_rounds(results)} each, in turns, so "
        "that what slows the machine down for a while slows all of them. A figure is the median of the rounds; the "
        "spread goes from the least to the most."
    )


def _facts(results: Results) -> Markup:
    """Command, date, model, machine and software, in groups."""
    steps = [f"{figures.count(rung.steps)} {rung.name}" for rung in (*results.rungs, *results.others)]
    run = {
        "command": tag("code", results.command),
        "made": _when(results.made),
        "documents": results.documents,
        "steps in a round": ", ".join(steps),
    }
    groups = {
        "The run": run,
        "The model": {name: f"{figures.count(size)}" for name, size in results.model.items()},
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
