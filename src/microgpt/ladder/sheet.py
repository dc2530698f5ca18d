"""The tables of the report. On a phone every row becomes a block, with the heads of the columns before the figures.

The roles are written out because a table that is shown as blocks is no table to a screen reader otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import figures
from .charts import SHARES, bits, figure, spread_words, step, title
from .markup import Markup, markup, tag
from .plot import names
from .results import Results, Rung

HEADS = (
    "rung, and what a script holds",
    "a step",
    "times faster",
    *SHARES.values(),
    "nodes",
    "ns a node",
    "bytes a node",
    "peak memory",
    "losses",
)


def rung_table(results: Results) -> Markup:
    """Every figure of every rung, and of the others below them."""
    bodies = [_body([_row(rung) for rung in results.rungs])]
    if results.others:
        head = tag(
            "th",
            "Other programs that train the same model",
            scope="rowgroup",
            colspan=str(len(HEADS)),
            role="rowheader",
        )
        bodies.append(_body([tag("tr", head, role="row", class_="group"), *map(_row, results.others)]))
    return _table("Every figure of every rung", HEADS, bodies)


def size_table(results: Results) -> Markup:
    """A step's time for each size of the model."""
    who = names(results)
    heads = ("parameters", "n_layer", "n_embd", "n_head", "block_size", *who)
    rows = []
    for size in results.sizes:
        shape = [f"{number:,}" for number in (size.n_layer, size.n_embd, size.n_head, size.block_size)]
        times = [figures.duration(size.ms.get(name)) for name in who]
        first = markup(f"{size.parameters:,}", tag("span", " parameters", class_="narrow", aria_hidden="true"))
        rows.append(_cells(heads, first, [figure(text) for text in (*shape, *times)]))
    return _table("A step's time for each size of the model", heads, [_body(rows)])


def _row(rung: Rung) -> Markup:
    spread = step(rung)
    time = figure(figures.duration(spread.median if spread else None))
    words = spread_words(spread)
    parts = [figures.duration(rung.ms[part].median if part in rung.ms else None) for part in SHARES]
    cells = [
        markup(time, " ", tag("small", words)) if words else time,
        figure(figures.ratio(rung.ratio)),
        *map(figure, parts),
        figure(graph_figure(rung, figures.count(rung.nodes))),
        figure(figures.number(rung.ns_per_node)),
        figure(graph_figure(rung, figures.number(rung.bytes_per_node))),
        figure(figures.memory(rung.peak_bytes)),
        bits(rung.same_bits),
    ]
    return _cells(HEADS, title(rung), cells)


def graph_figure(rung: Rung, text: str) -> str:
    """A figure about the graph: a rung that was measured but has no nodes has no graph."""
    no_graph = rung.number is not None and rung.nodes is None and step(rung) is not None
    return figures.NO_GRAPH if text == figures.MISSING and no_graph else text


def _cells(heads: Sequence[str], first: str, rest: Sequence[Markup]) -> Markup:
    cells = [tag("td", content, role="cell", data_label=head) for head, content in zip(heads[1:], rest)]
    return tag("tr", tag("th", first, scope="row", role="rowheader"), *cells, role="row")


def _body(rows: Sequence[Markup]) -> Markup:
    return tag("tbody", *rows, role="rowgroup")


def _table(caption: str, heads: Sequence[str], bodies: Sequence[Markup]) -> Markup:
    row = tag("tr", *(tag("th", head, scope="col", role="columnheader") for head in heads), role="row")
    head = tag("thead", row, role="rowgroup")
    table = tag("table", tag("caption", caption), head, *bodies, role="table")
    return tag("div", table, class_="sheet", role="region", aria_label=caption, tabindex="0")
