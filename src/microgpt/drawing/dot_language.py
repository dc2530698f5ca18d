"""Graphs of Values in the language of graphviz: every node, or a summary of the large ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import log10
from typing import Any

from .graphs import Graph
from .operations import Operation

MAX_BANDS = 10  # boxes of a summary, beside the leaves and the root
MAX_LABEL = 60  # characters
MAX_NUMBER = 24  # characters; longer ones are shown with an exponent
ESCAPES = str.maketrans(
    {**{character: f"\\{character}" for character in '\\"{}|<>'}, "&": "&amp;", "\n": "\\n", "\r": "\\n", "\t": " "}
)


def escape(text: str) -> str:
    """Text for a field of a record or another label between double quotes, cut where it is long."""
    if len(text) > MAX_LABEL:
        text = text[: MAX_LABEL - 1] + "…"
    printable = [character if _is_printable(character) else "\N{REPLACEMENT CHARACTER}" for character in text]
    return "".join(printable).translate(ESCAPES)


def _is_printable(character: str) -> bool:
    """Whether it may stand in UTF-8 and in XML: no control character, half of a surrogate pair, or non-character."""
    code = ord(character)
    if code < 0xA0:
        return 0x20 <= code < 0x7F or character in "\n\r\t"
    return not 0xD800 <= code < 0xE000 and code & 0xFFFE != 0xFFFE


def show_number(number: Any, format: str) -> str:
    """A number as `format` has it; what is no real number, as it shows itself."""
    try:
        shown = str(format % number)
        return shown if len(shown) <= MAX_NUMBER else f"{number:.4e}"
    except OverflowError:
        return f"an int of {number.bit_length():,} bits"
    except (TypeError, ValueError):
        return str(number)


def value_box(name: str, value: Any, format: str) -> str:
    """The box of a Value: its label if it has one, data and grad, side by side if arrows go sideways."""
    label = getattr(value, "label", None)
    fields = [] if label is None or label == "" or callable(label) else [escape(str(label))]
    fields += [
        f"{attribute} {escape(show_number(getattr(value, attribute), format))}" for attribute in ("data", "grad")
    ]
    return _box(name, f"{{ {' | '.join(fields)} }}")


def _box(name: str, label: str) -> str:
    return f'    {name} [shape=record, label="{label}"]'


def _operation_node(name: str, operation: Operation) -> str:
    return f'    {name} [label="{escape(operation.label)}"]'


def every_node(graph: Graph, operations: list[Operation], format: str) -> Iterator[str]:
    """Lines for all nodes: children to operation to result."""
    for i, (node, children) in enumerate(zip(graph.nodes, graph.children)):
        yield value_box(f"n{i}", node, format)
        if children:
            yield _operation_node(f"op{i}", operations[i])
            yield f"    op{i} -> n{i}"
    for i, children in enumerate(graph.children):
        for child in children:
            yield f"    n{child} -> op{i}"


# ---- summaries -------------------------------------------------------------------------------------------------------


def summary(graph: Graph, operations: list[Operation], format: str, rankdir: str, n_bands: int) -> Iterator[str]:
    """Lines for a few boxes: the leaves, bands of depths with how many nodes of each kind, and the root."""
    root = len(graph.nodes) - 1
    deepest = graph.depths[root]
    n_bands = max(1, min(n_bands, MAX_BANDS, deepest - 1))
    of_depth = [_band(depth, deepest, n_bands) for depth in range(max(graph.depths) + 1)]
    places = [*(of_depth[depth] for depth in graph.depths[:root]), n_bands + 1]
    names = ["leaves", *(f"band{i}" for i in range(1, n_bands + 1)), "operation"]
    counts, depths, links = _gather(graph, operations, places)
    for place in sorted(counts):
        fields = _fields(counts[place], depths[place], links.pop((place, place), 0))
        yield _box(names[place], _stacked(fields, rankdir))
    yield _operation_node("operation", operations[root])
    yield value_box("root", graph.nodes[root], format)
    yield "    operation -> root"
    for (child, parent), n in sorted(links.items()):
        yield f'    {names[child]} -> {names[parent]} [label="{n:,}", penwidth={1 + log10(n):.1f}]'
    yield f'    label="{len(graph.nodes):,} nodes, {graph.n_edges:,} edges"'


def _stacked(fields: list[str], rankdir: str) -> str:
    """Fields one above the other, wherever the arrows go."""
    label = " | ".join(fields)
    return label if rankdir in ("LR", "RL") else f"{{ {label} }}"


def _band(depth: int, deepest: int, n_bands: int) -> int:
    """0 for leaves, then bands of as many depths each, as nearly as can be."""
    return 0 if depth == 0 else 1 + (depth - 1) * n_bands // max(1, deepest - 1)


def _gather(
    graph: Graph, operations: list[Operation], places: list[int]
) -> tuple[dict[int, Counter[str]], dict[int, tuple[int, int]], dict[tuple[int, int], int]]:
    """By place, the root left out: nodes of each kind, the smallest and the largest depth. By pair of places: links."""
    counts: dict[int, Counter[str]] = {place: Counter() for place in set(places[:-1])}
    depths: dict[int, set[int]] = {place: set() for place in counts}
    ends: dict[int, list[int]] = {place: [] for place in set(places)}
    for place, depth, operation in zip(places[:-1], graph.depths, operations):
        counts[place][operation.kind] += 1
        depths[place].add(depth)
    for place, children in zip(places, graph.children):
        ends[place] += children
    links = {(start, end): n for end in ends for start, n in Counter(places[child] for child in ends[end]).items()}
    return counts, {place: (min(found), max(found)) for place, found in depths.items()}, links


def _fields(counts: Counter[str], depths: tuple[int, int], inner: int) -> list[str]:
    """What stands in the box of a band, or of the leaves."""
    low, high = depths
    where = f"depth {low:,}" if low == high else f"depth {low:,} to {high:,}"
    names = {"leaf": "leaf" if counts["leaf"] == 1 else "leaves"}
    kinds = "".join(f"{n:,} {escape(names.get(kind, kind))}\\l" for kind, n in counts.most_common() if n)
    return [where, kinds, *([f"{inner:,} edges within"] if inner else [])]
