"""Making nodes: every operator and method, and what a node costs above the bytecode that asks for it.

An operation here is a statement whose result is dropped at once, unrolled sixteen times so that the loop itself hardly
counts. Where plain floats can do the same (by the same bytecode for an operator, by the function that the
script would call for a method), they are timed in the same rounds; the difference is the price of the node.

Results dropped at once are the kindest case for a class that frees by reference counting. The graphs below are
therefore kept until they are whole, in the shapes that the script has, and freeing them is part of the bill.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from measuring import Measured, Run, Samples, take_turns

import microgpt
from microgpt import reference
from microgpt.ladder.memory import count_below

ENGINES: dict[str, Any] = {"reference": reference.Value, "compiled": microgpt.Value}
VARIANTS = ("floats", *ENGINES)
UNROLLED, REPEATS, ROUNDS = 16, 64, 31
SAME = "the same statement"


class Operation(NamedTuple):
    """A statement over `operands`, and its counterpart on plain floats if there is one."""

    statement: str
    on_floats: str | None = None


class Graph(NamedTuple):
    what: str
    nodes: int
    statement: str
    on_floats: str = SAME


ON_FLOATS = {  # a statement -> the same on plain floats
    **dict.fromkeys(("a + b", "a - b", "a * b", "a / b", "a + 1.5", "a - 1.5", "a * 1.5", "a / 1.5"), SAME),
    **dict.fromkeys(("1.5 + a", "1.5 - a", "1.5 * a", "1.5 / a", "0 + a", "a ** 2", "a ** -0.5", "2.0 ** a"), SAME),
    **dict.fromkeys(("-a", "abs(a)"), SAME),
    **{f"a.{name}()": f"math.{name}(a)" for name in ("exp", "log", "tanh", "sqrt", "sin", "cos")},
    "a.relu()": "max(0, a)",
    "a.sigmoid()": "1 / (1 + math.exp(-a))",
    "a.abs()": "abs(a)",
    "Value(x)": "float(x)",
}
NOT_ON_FLOATS = (
    *("a.silu()", "a.gelu()", "a.gelu('tanh')", "Value(x, (a,), (y,))", "Value(x, (a, b), (y, x))"),
    *("Value(x, row, numbers)", "a.data", "a.data = x", "a.grad", "a.grad = 0"),
)
OPERATIONS = [*(Operation(*each) for each in ON_FLOATS.items()), *map(Operation, NOT_ON_FLOATS)]

GRAPHS = [
    Graph("x = x + y, 256 times", 256, "v = a\nfor y in flat: v = v + y"),
    Graph("x = x * y, 256 times", 256, "v = a\nfor y in flat: v = v * y"),
    Graph("256 products in a list", 256, "v = [w * x for w, x in zip(flat, flat)]"),
    Graph("256 x.exp() in a list", 256, "v = [x.exp() for x in flat]", "v = [math.exp(x) for x in flat]"),
    Graph("linear(x, w), 16 by 16", 16 * 33, "v = [sum(wi * xi for wi, xi in zip(wo, row)) for wo in matrix]"),
]


def operands(number: Callable[[float], Any]) -> dict[str, Any]:
    flat = [number(1 + 0.001 * i) for i in range(256)]
    matrix = [flat[i : i + 16] for i in range(0, 256, 16)]
    return {
        "Value": number,
        "a": number(0.75),
        "b": number(1.25),
        "x": 0.5,
        "y": 2.0,
        "flat": flat,
        "matrix": matrix,
        "row": tuple(matrix[1]),
        "numbers": (1.0,) * 16,
    }


def timed(statement: str, number: Callable[[float], Any], repeats: int, unrolled: int = 1) -> Run:
    """A new function for every statement and class, since bytecode adapts to the types that it meets."""
    given = operands(number)
    body = "\n".join(f"        {line}" for line in statement.splitlines() * unrolled)
    source = (
        f"def run({', '.join(given)}):\n    start = clock()\n    for _ in repeats:\n{body}\n"
        "    v = None\n    return clock() - start\n"
    )
    space: dict[str, Any] = {"math": math, "clock": time.perf_counter, "repeats": range(repeats)}
    exec(source, space)
    run = space["run"]
    return lambda: float(run(**given))


def in_turns(statement: str, on_floats: str | None, rounds: int, repeats: int, unrolled: int = 1) -> Samples:
    runs = {name: timed(statement, cls, repeats, unrolled) for name, cls in ENGINES.items()}
    if on_floats:
        runs["floats"] = timed(statement if on_floats == SAME else on_floats, float, repeats, unrolled)
    return take_turns(runs, rounds)


def nodes_made(statement: str) -> int:
    """How many Values the script's class makes for it: a constant becomes one, `a - b` is `a + b * -1`."""
    if statement.startswith(("a.data", "a.grad")):
        return 0
    given = operands(reference.Value)
    old = {id(v) for v in (given["a"], given["b"], *given["flat"])}
    result = eval(statement, {"math": math}, given)
    return count_below(result, old)


OPERATION_TESTS = [
    pytest.param(operation, variant, id=f"{operation.statement}-{variant}")
    for operation in OPERATIONS
    for variant in VARIANTS
    if variant != "floats" or operation.on_floats
]


@pytest.mark.parametrize(("operation", "variant"), OPERATION_TESTS)
def test_operation(operation: Operation, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    repeats = 1 if measured.quick else REPEATS
    samples = measured(
        ("operation", operation.statement),
        lambda: in_turns(*operation, measured.rounds(ROUNDS), repeats, UNROLLED),
    )
    nodes = nodes_made(operation.statement)
    record(samples, variant, layer="operation", what=operation.statement, per=UNROLLED * repeats, nodes=nodes)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.what)
def test_graph_kept_until_whole(graph: Graph, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    repeats = 1 if measured.quick else 4
    samples = measured(
        ("graph", graph.what),
        lambda: in_turns(graph.statement, graph.on_floats, measured.rounds(ROUNDS), repeats),
    )
    record(samples, variant, layer="graph", what=graph.what, per=graph.nodes * repeats, unit="node", nodes=graph.nodes)
