"""Pictures of graphs: `draw_dot`, as users of micrograd know it.

The picture is text in the language of graphviz, which takes nothing but Python. The program `dot` of graphviz makes an
image of it: in a notebook by itself, elsewhere by `render`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from ..files import replace_file
from .dot_language import every_node, summary
from .graphs import Graph, graph_of
from .operations import Operation, name_operation

RANKDIRS = ("LR", "TB", "RL", "BT")
SOURCES = ("dot", "gv")  # names of files that hold the source itself
MISSING = "the program `dot` is not there: install graphviz (apt install graphviz, brew install graphviz)"


class DrawingError(RuntimeError):
    """No image could be made: graphviz is not installed, or cannot do what was asked. One line says which."""


class Dot:
    """The picture of a graph.

    source      it, in the language of graphviz
    n_nodes     Values of the graph
    n_edges     links from a child to what is made of it; a Value that is added to itself has two
    operations  how many Values each kind of operation made, the commonest first; "leaf" for those that none made
    is_summary  whether nodes were gathered, since there were more than `max_nodes`

    A notebook shows the image, or the source where graphviz is not installed; `str` is the source.
    """

    def __init__(self, source: str, graph: Graph, operations: list[Operation], is_summary: bool) -> None:
        self.source = source
        self.n_nodes = len(graph.nodes)
        self.n_edges = graph.n_edges
        self.operations = dict(Counter(operation.kind for operation in operations).most_common())
        self.is_summary = is_summary

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<Dot of {self.n_nodes:,} nodes and {self.n_edges:,} edges{', a summary' if self.is_summary else ''}>"

    def render(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the picture to a file, which is replaced as a whole or not at all, and return its path.

        format: svg, png, pdf or another of graphviz; by default what the name ends with. "dot" and "gv" are the source,
        which takes no graphviz.

        Raises DrawingError without graphviz, or for a format that it does not know; OSError where nothing can be
        written.
        """
        path = Path(path)
        chosen = (format or path.suffix[1:]).lower()
        if not chosen:
            raise DrawingError(f"render: {path.name!r} does not end with a format such as .svg, and none was given")
        replace_file(str(path), self.source.encode() if chosen in SOURCES else run_dot(self.source, chosen))
        return path

    def _repr_svg_(self) -> str | None:
        """The image for a notebook, None without graphviz."""
        try:
            return run_dot(self.source, "svg").decode()
        except DrawingError:
            return None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        svg = self._repr_svg_()
        return {"text/plain": self.source} if svg is None else {"image/svg+xml": svg, "text/plain": repr(self)}


def run_dot(source: str, format: str) -> bytes:
    """What graphviz makes of it. DrawingError if it is not installed, or fails."""
    program = shutil.which("dot")
    if program is None:
        raise DrawingError(MISSING)
    done = subprocess.run([program, f"-T{format}"], input=source.encode(), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"it ended with status {done.returncode}"
        raise DrawingError(f"graphviz could not draw: {said.splitlines()[0]}")
    return done.stdout


def draw_dot(root: Any, *, max_nodes: int = 200, format: str = "%.4f", rankdir: str = "LR") -> Dot:
    """The graph below and at `root` as a picture: a box for every Value, with data and grad, and an ellipse for the
    operation that made it, to which its children point.

    root: a Value of any engine, or an object of another class with data, grad, _children and _local_grads. One that has
    a `label` shows it; one that has an `_op` has that as the name of its operation. Compiled Values know theirs; "f" is
    an operation without a name: of the script's class, or made by the constructor.
    max_nodes: a graph of more Values is drawn as a summary: its leaves, at most ten bands of depth with the number of
    nodes of each operation, and the root. Depth is the longest way down to a leaf, in operations.
    format: of the numbers. rankdir: where the arrows go, one of LR, TB, RL, BT.

    The graph is only read. Works at any depth, in time and memory in proportion to its size.

    Raises TypeError for what is not a Value, ValueError for a format or a direction that does not exist.
    """
    check_options(max_nodes, format, rankdir)
    graph = graph_of(root)
    operations = [name_operation(node, not children) for node, children in zip(graph.nodes, graph.children)]
    is_summary = len(graph.nodes) > max_nodes
    if is_summary:
        lines = [*summary(graph, operations, format, rankdir, max_nodes)]
    else:
        lines = [*every_node(graph, operations, format)]
    source = "\n".join(["digraph {", f"    rankdir={rankdir}", *lines, "}", ""])
    return Dot(source, graph, operations, is_summary)


def check_options(max_nodes: int, format: str, rankdir: str) -> None:
    if rankdir not in RANKDIRS:
        raise ValueError(f"draw_dot: rankdir must be one of {', '.join(RANKDIRS)}, not {rankdir!r}")
    if not isinstance(max_nodes, int) or max_nodes < 1:
        raise ValueError(f"draw_dot: max_nodes must be a positive int, not {max_nodes!r}")
    try:
        different = format % 0.25 != format % 100.5
    except (TypeError, ValueError):
        different = False
    if not different:
        raise ValueError(
            f'draw_dot: format must be one for numbers, such as "%.4f", not {format!r} (that of an image is for render)'
        )
