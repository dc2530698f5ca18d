"""Pictures of graphs: every node and edge is there, named rightly, and the source is one that graphviz takes."""

from __future__ import annotations

import math
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from bits import reachable, snapshot
from dot_parser import parse
from drawn import Labelled, Plain, operation
from effort import at_length
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import printed
from random_programs import Pair, programs
from script_gpt import Script, loss_of, random_document

import microgpt
from microgpt import draw_dot, drawing
from microgpt.drawing import DrawingError
from microgpt.drawing.dot_language import MAX_LABEL
from microgpt.model import GPTConfig

DOT = shutil.which("dot")
rankdirs = st.sampled_from(["LR", "TB", "RL", "BT"])
needs_dot = pytest.mark.skipif(DOT is None, reason="graphviz is not installed")


def svg(source: str) -> ElementTree.Element:
    run = subprocess.run([DOT, "-Tsvg"], input=source.encode(), capture_output=True, check=True)
    assert not run.stderr
    return ElementTree.fromstring(run.stdout)


def texts(root: ElementTree.Element) -> list[str]:
    return [(element.text or "") for element in root.iter("{http://www.w3.org/2000/svg}text")]


def graphs_of(reference: SimpleNamespace, rival: SimpleNamespace, program: list[Any]) -> list[Any]:
    """What a random program made last, with either engine, if anything."""
    pair = Pair(reference, rival)
    pair.run(program)
    return [slots[-1] for slots in pair.slots if slots]


def shown(number: float) -> str:
    return f"{number:.4f}" if len(f"{number:.4f}") <= 24 else f"{number:.4e}"


def check_faithful(root: Any, **options: Any) -> None:
    """The picture has the graph's nodes and edges, and nothing else."""
    nodes = reachable([root])
    drawn = draw_dot(root, max_nodes=len(nodes), **options)
    picture = parse(drawn.source)
    edges = Counter((id(child), id(node)) for node in nodes for child in node._children)
    inner = [node for node in nodes if len(tuple(node._children))]
    assert not drawn.is_summary
    assert picture.attributes["rankdir"] == options.get("rankdir", "LR")
    assert drawn.n_nodes == len(nodes) == len(picture.boxes())
    assert drawn.n_edges == edges.total()
    assert len(picture.operations()) == len(inner)
    assert len(picture.edges) == edges.total() + len(inner)
    assert sorted(picture.links().values()) == sorted([*edges.values(), *[1] * len(inner)])
    assert all(picture.links()[f"op{name[2:]}", f"n{name[2:]}"] == 1 for name in picture.operations())
    assert sorted(picture.boxes().values()) == sorted(
        [
            *([str(node.label)] if getattr(node, "label", "") else []),
            f"data {shown(node.data)}",
            f"grad {shown(node.grad)}",
        ]
        for node in nodes
    )


# ---- the picture -----------------------------------------------------------------------------------------------------


def test_an_expression_is_drawn_as_micrograd_does(engine):
    a, b, c = engine.Value(2.0), engine.Value(-3.0), engine.Value(10.0)
    root = a * b + c
    root.backward()
    picture = parse(draw_dot(root).source)
    assert picture.attributes == {"rankdir": "LR"}
    assert picture.boxes() == {
        "n0": ["data 2.0000", "grad -3.0000"],
        "n1": ["data -3.0000", "grad 2.0000"],
        "n2": ["data -6.0000", "grad 1.0000"],
        "n3": ["data 10.0000", "grad 1.0000"],
        "n4": ["data 4.0000", "grad 1.0000"],
    }
    assert picture.operations() == ({"op2": "*", "op4": "+"} if engine.compiled else {"op2": "f", "op4": "f"})
    expected = [("n0", "op2"), ("n1", "op2"), ("op2", "n2"), ("n2", "op4"), ("n3", "op4"), ("op4", "n4")]
    assert picture.links() == Counter(expected)


def test_values_that_are_equal_by_their_class_are_not_taken_for_one():
    class Equal(Plain):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    root = Equal(3.0, (Equal(1.0), Equal(2.0)), (1, 1))
    assert draw_dot(root).n_nodes == 3


@given(st.data())
def test_any_graph_is_drawn_node_for_node(rival, reference, data):
    for root in graphs_of(reference, rival, data.draw(programs)):
        before = snapshot([root])
        check_faithful(root, rankdir=data.draw(rankdirs))
        assert snapshot([root]) == before


@needs_dot
@settings(max_examples=15)
@given(programs)
def test_graphviz_draws_any_graph(rival, reference, program):
    for root in graphs_of(reference, rival, program)[-1:]:
        drawn = draw_dot(root, max_nodes=30)
        shown = texts(svg(drawn.source))
        assert len([text for text in shown if text.startswith("data ")]) == (1 if drawn.is_summary else drawn.n_nodes)


def test_numbers_are_shown_in_the_format_asked_for():
    assert parse(draw_dot(microgpt.Value(1 / 3), format="%.2e").source).boxes()["n0"] == [
        "data 3.33e-01",
        "grad 0.00e+00",
    ]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (3 + 4j, "(3+4j)"),
        ("x|y", "x|y"),
        (None, "None"),
        (10**400, "an int of 1,329 bits"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_what_is_no_real_number_shows_itself(number, shown):
    assert parse(draw_dot(Plain(number)).source).boxes()["n0"][0] == f"data {shown}"
    assert operation(Plain(number, (Plain(number),), (number,))) == "f"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rankdir": "down"}, "rankdir must be one of LR, TB, RL, BT, not 'down'"),
        ({"rankdir": "LR; a"}, "rankdir"),
        ({"format": "svg"}, "format must be one for numbers"),
        ({"format": "%d %d"}, "format"),
        ({"format": "%"}, "format"),
        ({"max_nodes": 0}, "max_nodes must be a positive int, not 0"),
        ({"max_nodes": 2.5}, "max_nodes"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        draw_dot(microgpt.Value(1.0), **options)


def test_what_is_no_value_is_refused_and_named():
    with pytest.raises(TypeError, match="'float' is no node of a graph, it has no data, grad, _children, _local_grads"):
        draw_dot(2.0)
    with pytest.raises(TypeError, match="'str' is no node of a graph"):
        draw_dot(Plain(1.0, ("ab",), (1.0,)))


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_labels_of_subclasses_are_shown():
    a, b = Labelled(2.0, label="a"), Labelled(3.0, label="b")
    total = a + b
    total.label = "a + b"
    del b
    assert parse(draw_dot(total).source).boxes() == {
        "n0": ["a", "data 2.0000", "grad 0.0000"],
        "n1": ["b", "data 3.0000", "grad 0.0000"],
        "n2": ["a + b", "data 5.0000", "grad 0.0000"],
    }


@pytest.mark.parametrize("label", [None, "", len])
def test_empty_labels_and_methods_of_that_name_are_not_shown(label):
    assert parse(draw_dot(Plain(1.0, label=label)).source).boxes()["n0"] == ["data 1.0000", "grad 0.0000"]


def test_a_label_may_be_a_number_even_0():
    assert parse(draw_dot(Plain(1.0, label=0)).source).boxes()["n0"][0] == "0"


awkward = st.text(st.one_of(st.sampled_from('\\"{}|<>&;#\n\r\t lnrNGLT%$`\x00\x7f\x85\ud800\ufffe'), st.characters()))


def printable(text: str) -> str:
    """What is left of a label in a picture, but for its spaces."""
    text = text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
    bad = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
    text = "".join("\ufffd" if bad.match(c) or ord(c) & 0xFFFE == 0xFFFE else c for c in text)
    return re.sub(r"[ \n\r\t\xa0]", "", text)


@given(awkward)
def test_any_label_is_escaped(label):
    own = Plain(1.0, (Plain(2.0, label=label),), (1.0,), _op=label)
    picture = parse(draw_dot(own).source)
    shown = picture.boxes()["n0"][:-2]
    assert re.sub(r"[ \n\t\xa0]", "", "".join(shown)) == printable(label)
    if label:
        assert re.sub(r"[ \n\t\xa0]", "", picture.operations()["op1"]) == printable(label)


@needs_dot
@settings(max_examples=20)
@given(st.lists(awkward, min_size=1, max_size=20))
def test_graphviz_shows_any_label_as_it_is(labels):
    own = Plain(
        1.0, tuple(Plain(2.0, label=label) for label in labels), tuple([1.0] * len(labels)), _op="".join(labels)
    )
    shown = re.sub(r"[ \n\xa0]", "", "".join(sorted("".join(texts(svg(draw_dot(own).source))))))
    numbers = "data1.0000grad0.0000" + "data2.0000grad0.0000" * len(labels)
    expected = "".join([numbers, *map(printable, labels), printable("".join(labels)) or "f"])
    assert shown == "".join(sorted(expected))


# ---- large graphs ----------------------------------------------------------------------------------------------------


def whole_loss(engine: SimpleNamespace, n: int = 8) -> Any:
    config = GPTConfig(vocab_size=27)
    state_dict = microgpt.GPT(config, random.Random(1)).state_dict()
    script = Script(engine, config, {name: rows.tolist() for name, rows in state_dict.items()})
    return loss_of(config, script.state_dict, random_document(random.Random(2), 27, n))


def add_up(drawn: drawing.Dot) -> tuple[Counter[str], int]:
    """Nodes of each kind and the number of edges, by the boxes and arrows of a summary."""
    picture = parse(drawn.source)
    kinds: Counter[str] = Counter()
    edges = sum(int(of["label"].replace(",", "")) for _, _, of in picture.edges if of)
    for name, box in picture.boxes().items():
        if name == "root":
            continue
        for line in box[1].strip().split("\n"):
            count, kind = line.split(" ", 1)
            kinds["leaf" if kind == "leaves" else kind] += int(count.replace(",", ""))
        for line in box[2:]:
            edges += int(line.split()[0].replace(",", ""))
    return kinds, edges


def check_summary(root: Any, max_nodes: int, rankdir: str = "LR") -> drawing.Dot:
    drawn = draw_dot(root, max_nodes=max_nodes, rankdir=rankdir)
    nodes = reachable([root])
    kinds, edges = add_up(drawn)
    assert drawn.is_summary
    assert kinds.total() == drawn.n_nodes - 1 == len(nodes) - 1
    assert edges == drawn.n_edges == sum(len(node._children) for node in nodes)
    assert (Counter(drawn.operations) - kinds).total() == 1  # the root's, which has a node of its own
    assert len(parse(drawn.source).nodes) <= 13
    assert parse(drawn.source).attributes["rankdir"] == rankdir
    assert parse(drawn.source).attributes["label"] == f"{drawn.n_nodes:,} nodes, {drawn.n_edges:,} edges"
    return drawn


def test_the_summary_of_a_whole_loss_adds_up(engine):
    root = whole_loss(engine)
    drawn = check_summary(root, 200)
    assert drawn.n_nodes > 60_000
    assert len(drawn.source) < 5000
    assert parse(drawn.source).boxes()["root"] == [f"data {root.data:.4f}", f"grad {root.grad:.4f}"]
    if engine.compiled:
        assert set(drawn.operations) == {"leaf", "+", "*", "**", "exp", "log", "relu"}


@given(st.data())
def test_any_summary_adds_up(rival, reference, data):
    program = [each for each in data.draw(programs) if each[0] != "set_children"]
    for root in graphs_of(reference, rival, program):
        n = len(reachable([root]))
        if n > 1:
            check_summary(root, data.draw(st.integers(1, n - 1)), data.draw(rankdirs))


def test_the_limit_is_the_largest_number_of_nodes_that_are_all_drawn(engine):
    x = engine.Value(1.5)
    for _ in range(9):
        x = x.exp().log()
    assert not draw_dot(x, max_nodes=19).is_summary
    assert draw_dot(x, max_nodes=18).is_summary


def test_a_chain_of_any_depth_is_drawn(compiled):
    half = x = compiled.Value(0.5)
    depth = at_length(100_000, 500_000)
    for _ in range(depth):
        x = x * half + half
    before = sys.getrecursionlimit()
    drawn = draw_dot(x)
    assert sys.getrecursionlimit() == before
    assert drawn.n_nodes == 2 * depth + 1
    assert drawn.operations == {"+": depth, "*": depth, "leaf": 1}


def test_deep_graphs_of_other_classes_are_drawn(reference):
    x = reference.Value(0.75)
    for _ in range(20_000):
        x = x.tanh()
    assert draw_dot(x).n_nodes == 20_001
    while x._children:  # let it go without recursion
        x, x._children = x._children[0], ()


def test_cycles_are_drawn_once_round(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c = b + 1.0
    b._children = (c, a)
    check_faithful(c)
    drawn = draw_dot(c, max_nodes=1)
    assert add_up(drawn)[1] == 4
    b._children = ()


@pytest.mark.parametrize("max_nodes", [1, 100])
def test_a_value_made_its_own_child_does_not_hang(max_nodes):
    a = microgpt.Value(2.0).exp()
    a._children = (a,)
    assert draw_dot(a, max_nodes=max_nodes).n_edges == 1
    a._children = ()


# ---- the graph stays as it is ----------------------------------------------------------------------------------------


def test_drawing_leaves_no_values():
    x = microgpt.Value(1.5)
    root = x
    for _ in range(3000):
        root = (root * x).tanh()
    root.backward()
    before, nodes = snapshot([root]), microgpt.arena_stats()["nodes"]
    drawn = draw_dot(root), draw_dot(root, max_nodes=100_000)
    assert snapshot([root]) == before
    assert microgpt.arena_stats()["nodes"] == nodes
    del root, before
    assert microgpt.arena_stats()["nodes"] < nodes - 5000
    del drawn


# ---- the object, and images ------------------------------------------------------------------------------------------


def expression() -> Any:
    a = microgpt.Value(2.0)
    return (a * 3.0).tanh()


def test_the_object_says_what_it_is():
    drawn = draw_dot(expression())
    assert str(drawn) == drawn.source
    assert repr(drawn) == "<Dot of 4 nodes and 3 edges>"
    assert repr(draw_dot(expression(), max_nodes=2)) == "<Dot of 4 nodes and 3 edges, a summary>"
    assert drawn.operations == {"leaf": 2, "*": 1, "tanh": 1}


@needs_dot
def test_images_are_made_by_graphviz(tmp_path):
    drawn = draw_dot(expression())
    assert drawn.render(tmp_path / "a.svg") == tmp_path / "a.svg"
    assert "tanh" in texts(ElementTree.parse(tmp_path / "a.svg").getroot())
    assert drawn.render(str(tmp_path / "a.png")).read_bytes().startswith(b"\x89PNG")
    assert drawn.render(tmp_path / "b", format="PDF").read_bytes().startswith(b"%PDF")
    assert "tanh" in texts(ElementTree.fromstring(drawn._repr_svg_()))
    assert drawn._repr_mimebundle_() == {"image/svg+xml": drawn._repr_svg_(), "text/plain": repr(drawn)}


@needs_dot
def test_a_format_that_graphviz_does_not_know_is_one_line_and_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.jpgg"
    path.write_text("precious")
    with pytest.raises(DrawingError, match=r'^graphviz could not draw: .*"jpgg".*$') as error:
        draw_dot(expression()).render(path)
    assert "\n" not in str(error.value)
    assert path.read_text() == "precious"
    assert [*tmp_path.iterdir()] == [path]


@needs_dot
@pytest.mark.parametrize("max_nodes", [1, 5, 1000])
@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_graphviz_draws_summaries(max_nodes, rankdir):
    x = [microgpt.Value(0.3 * i - 0.7) for i in range(4)]
    drawn = draw_dot(microgpt.cross_entropy(microgpt.softmax(x), 1), max_nodes=max_nodes, rankdir=rankdir)
    shown = texts(svg(drawn.source))
    assert any(text.endswith(" leaves") for text in shown) == drawn.is_summary


@pytest.fixture
def without_graphviz(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_graphviz_the_error_says_what_to_install(without_graphviz, tmp_path):
    drawn = draw_dot(expression())
    with pytest.raises(DrawingError, match=r"^the program `dot` is not there: install graphviz .*$"):
        drawn.render(tmp_path / "a.svg")
    assert not [*tmp_path.iterdir()]


def test_without_graphviz_a_notebook_shows_the_source(without_graphviz):
    drawn = draw_dot(expression())
    assert drawn._repr_svg_() is None
    assert drawn._repr_mimebundle_(include=None, exclude=None) == {"text/plain": drawn.source}


def test_without_graphviz_the_source_can_be_written(without_graphviz, tmp_path):
    drawn = draw_dot(Plain(1.0, label="Ψ"))
    assert drawn.render(tmp_path / "a.gv").read_text("utf-8") == drawn.source
    assert drawn.render(tmp_path / "b", format="dot").read_text("utf-8") == drawn.source


def test_a_file_without_a_format_is_refused(tmp_path):
    with pytest.raises(DrawingError, match=r"'picture' does not end with a format such as .svg, and none was given"):
        draw_dot(expression()).render(tmp_path / "picture")
    with pytest.raises(OSError, match="missing"):
        draw_dot(expression()).render(tmp_path / "missing" / "a.gv")


def test_drawing_is_imported_when_first_asked_for():
    code = "import sys, microgpt; assert not {m for m in sys.modules if m in ('microgpt.drawing', 'subprocess')}; "
    printed(code + "microgpt.draw_dot(microgpt.Value(1.0))")
