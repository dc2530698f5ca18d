"""The pictures of rungs 1 to 3, drawn when the site is built: what of `a * b` and of a dot product lives where.

Units and classes are those of docs/pictures: 400 wide, `box` for what was there, `new` for what the operation makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from microgpt import Value, _compiled, linear, reference
from microgpt.drawing import draw_dot
from microgpt.ladder.markup import Markup, tag

ARROW = "M0 0L8 4L0 8z"


def _text(x: float, y: float, words: str, class_: str = "") -> Markup:
    return tag("text", words, x=f"{x:g}", y=f"{y:g}", class_=class_ or None)


def _box(x: float, y: float, width: float, height: float, words: str = "", class_: str = "box") -> Iterator[Markup]:
    yield tag("rect", x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", rx="3", class_=class_)
    if words:
        yield _text(x + width / 2, y + height / 2 + 4.5, words, "mid")


def _cells(x: float, y: float, values: Sequence[str], width: float, new: range = range(0)) -> Iterator[Markup]:
    """An array in memory: cells side by side."""
    for k, value in enumerate(values):
        yield from _box(x + k * width, y, width, 24, value, "new" if k in new else "box")


def _arrow(name: str, path: str) -> Markup:
    return tag("path", d=path, class_="arrow", marker_end=f"url(#tip-{name})")


def _svg(name: str, height: float, *content: Markup) -> str:
    tip = tag("path", d=ARROW)
    marker = {"viewBox": "0 0 8 8", "refX": "7", "refY": "4", "markerWidth": "7", "markerHeight": "7", "orient": "auto"}
    defs = tag("defs", tag("marker", tip, id=f"tip-{name}", **marker))
    return tag("svg", defs, *content, viewBox=f"-1 -1 402 {height:g}", xmlns="http://www.w3.org/2000/svg")


def made_by(engine: object) -> int:
    """Bytes of the Python objects that a product makes."""
    a, b = engine.Value(2.0), engine.Value(3.0)  # type: ignore[attr-defined]
    c = a * b
    return sum(map(sys.getsizeof, (c, c.data, c._children, c._local_grads)))


def compiled() -> str:
    """What a * b takes on rungs 0 and 1: the second column lacks one row."""
    rows = [
        ("fetch and decode bytecode", False),
        ("find __mul__ by the types", True),
        ("look up .data, twice", True),
        ("multiply: a new float", True),
        ("two tuples and a Value", True),
        ("count references", True),
        ("queue for the collector", True),
    ]
    content = [_text(0, 14, "0 interpreted"), _text(206, 14, "1 compiled")]
    for k, (words, stays) in enumerate(rows):
        y = 24 + 30 * k
        content += _box(0, y, 194, 24, words)
        content += _box(206, y, 194, 24, words if stays else "gone", "box" if stays else "gone")
    y = 24 + 30 * len(rows)
    for x, engine in ((0, reference), (206, _compiled)):
        content.append(_text(x, y + 14, f"4 objects, {made_by(engine)} bytes", "faint"))
    return _svg("compiled", y + 22, *content)


def typed() -> str:
    """A handle, and the node as one column of the block's arrays."""
    rows = [("data", "2 3 6"), ("grad", "0 0 0"), ("local grads", "- - 3,2"), ("children", "- - a,b")]
    content = [_text(0, 14, "Python"), _text(136, 14, "a block: arrays of 1,024, in C")]
    for k, name in enumerate("abc"):
        content += _box(0, 28 + 38 * k, 74, 28, f"handle {name}", "new" if name == "c" else "box")
    content.append(_text(0, 160, f"{sys.getsizeof(Value(1.0))} bytes each", "faint"))
    for k, (name, values) in enumerate(rows):
        y = 28 + 30 * k
        content += [
            _text(136, y + 17, name),
            *_cells(226, y, values.split(), 44, range(2, 3)),
            _text(368, y + 17, "..."),
        ]
    content += [_text(240, 162, "a"), _text(284, 162, "b"), _text(328, 162, "c")]
    content.append(_arrow("typed", "M74 118H108V176H332V168"))
    return _svg("typed", 190, *content)


def bulk() -> str:
    """A row of linear, on rung 2 a chain of nodes and on rung 3 one; its operands are neighbours."""
    w, x = [Value(k / 4) for k in range(4)], [Value(k / 2) for k in range(4)]
    before, after = (draw_dot(function(x, [w])[0]).n_nodes - 8 for function in (reference.linear, linear))
    content = [_text(0, 17, "weights"), *_cells(64, 0, ["w0", "w1", "w2", "w3"], 40)]
    content += [_text(240, 17, "x"), *_cells(256, 0, ["x0", "x1", "x2", "x3"], 36)]
    content.append(_text(0, 60, f"2 typed: {before} nodes"))
    for k in range(4):
        content += [*_box(40 + 96 * k, 72, 40, 24, "*", "new"), *_box(40 + 96 * k, 112, 40, 24, "+", "new")]
        content.append(_arrow("bulk", f"M{60 + 96 * k} 96V110"))
        content.append(_arrow("bulk", f"M{20 if k == 0 else 80 + 96 * (k - 1)} 124H{38 + 96 * k}"))
    content += _box(0, 112, 20, 24, "0", "new")
    content.append(_text(0, 166, f"3 bulk: {after} node, and its children as two lists of neighbours"))
    content += _box(152, 178, 96, 26, "dot", "new")
    content += [_arrow("bulk", "M60 191H150"), _arrow("bulk", "M340 191H250")]
    content += [_text(0, 196, "w0 ... w3"), _text(346, 196, "x0 ... x3")]
    return _svg("bulk", 212, *content)


PICTURES: dict[str, Callable[[], str]] = {"compiled": compiled, "typed": typed, "bulk": bulk}
