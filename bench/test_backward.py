"""`backward()` a node: on a chain, a wide sum, one node with many children, and the script's own graph.

A graph is differentiated once and built anew for every round: a second backward over the same graph would add to what
is there, and the numbers would run away. Only `backward()` is timed. Nodes are counted as the script's `topo` would
hold them: leaves and constants too.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from graphs import chain
from measuring import Measured, Run, Samples, take_turns
from variants import SCRIPT, names

import microgpt
from microgpt import reference
from microgpt.ladder.memory import count_below
from microgpt.ladder.rungs import LADDER, fresh_parameters

ENGINES: dict[str, Any] = {"reference": reference.Value, "compiled": microgpt.Value}
Build = Callable[[Any], Any]  # a class of Values -> the root of a new graph


def wide_sum(cls: Any, width: int = 600) -> Any:
    return sum(cls(0.001 * i) * cls(0.5) for i in range(width))


def shared_leaves(cls: Any, width: int = 600) -> Any:
    few = [cls(0.001 * i) for i in range(16)]
    return sum(few[i % 16] * few[(7 * i) % 16] for i in range(width))


def many_children(cls: Any, width: int = 1_000) -> Any:
    xs = tuple(cls(0.001 * i) for i in range(width))
    return cls(sum(x.data for x in xs), xs, (1.0,) * width)


GRAPHS: dict[str, Build] = {
    "chain": lambda cls: chain(cls, 2_400).root,
    "wide sum of products": wide_sum,
    "wide sum over few leaves": shared_leaves,
    "one node of 1,000 children": many_children,
}


def timed(build: Callable[[], Any]) -> Run:
    def run() -> float:
        root = build()
        start = time.perf_counter()
        root.backward()
        return time.perf_counter() - start

    return run


@pytest.mark.parametrize("variant", ENGINES)
@pytest.mark.parametrize("what", GRAPHS)
def test_backward(what: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    build = GRAPHS[what]

    def measure() -> Samples:
        return take_turns({n: timed(partial(build, cls)) for n, cls in ENGINES.items()}, measured.rounds(51))

    nodes = count_below(build(reference.Value), set())
    samples = measured(("backward", what), measure)
    record(samples, variant, layer="backward", what=what, per=nodes, unit="node", nodes=nodes)


@pytest.mark.parametrize("variant", ENGINES)
def test_backward_of_the_scripts_graph(variant: str, measured: Measured, record: Callable[..., None]) -> None:
    """One document of six letters, which is the usual length of a name; seven positions."""

    tokens = next(tokens for tokens in names() if len(tokens) == 8)

    def measure() -> tuple[Samples, int]:
        rungs = {"reference": LADDER["interpreted"], "compiled": LADDER["typed"]}
        graphs: dict[str, Any] = {name: rung.make(SCRIPT, fresh_parameters(SCRIPT)) for name, rung in rungs.items()}
        builds = {name: partial(graph.loss, tokens) for name, graph in graphs.items()}
        samples = take_turns({name: timed(build) for name, build in builds.items()}, measured.rounds(9))
        return samples, count_below(builds["reference"](), set())

    samples, nodes = measured("backward of the script's graph", measure)
    record(samples, variant, layer="backward", what="the script's graph", per=nodes, unit="node", nodes=nodes)
