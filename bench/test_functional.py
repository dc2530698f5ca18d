"""The functions over lists of Values: one call forward, and backward through what it made.

Forward: a number of calls whose results are kept until the last is made, freeing included, as in a graph. All of it is
done twice and the second time counts: in a model the weights are in the cache from the position before, while here it
was the reference's turn. The first time is about five times slower for the compiled engine. Backward: a mean over all
results, of which only `backward()` is timed. The inputs are leaves, so that nothing but the calls and the mean is on
its way; the mean's own share is a few nanoseconds a result. Inputs and weights, which all calls share, were made
before the clock runs, and in the reference too.

Times are divided by multiply-adds for `linear` (rows x columns) and `attention` (twice the keys x dimensions), else by
the elements of the input.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from measuring import Measured, Run, Samples, take_turns

import microgpt
from microgpt import reference

ENGINES: dict[str, Any] = {"reference": reference, "compiled": microgpt}
SHAPES = [(16, 16), (64, 16), (16, 64), (256, 256)]  # rows x columns
WORK = 16_000  # about so many multiply-adds or elements a round
N_KEYS = 8  # the middle of a usual document
Call = Callable[[list[Any]], Any]


def leaves(engine: Any, n: int) -> list[Any]:
    return [engine.Value(random.gauss(0, 0.5)) for _ in range(n)]


def linear(rows: int, columns: int, engine: Any) -> tuple[int, int, Call]:
    """Length of the input, what a call is divided by, and the call."""
    w = [leaves(engine, columns) for _ in range(rows)]
    return columns, rows * columns, lambda x: engine.linear(x, w)


def attention(engine: Any) -> tuple[int, int, Call]:
    keys, values = ([engine.rmsnorm(leaves(engine, 16)) for _ in range(N_KEYS)] for _ in range(2))
    return 16, 2 * N_KEYS * 16, lambda x: engine.attention(x, keys, values, 4)


def elements(name: str, n: int, engine: Any) -> tuple[int, int, Call]:
    return n, n, getattr(engine, name)


def cross_entropy(engine: Any) -> tuple[int, int, Call]:
    return 27, 27, lambda x: [engine.cross_entropy(x, 3)]


def add(engine: Any) -> tuple[int, int, Call]:
    other = engine.rmsnorm(leaves(engine, 16))
    return 16, 16, lambda x: engine.add(x, other)


FUNCTIONS: dict[str, Callable[[Any], tuple[int, int, Call]]] = {
    **{f"linear {rows}x{columns}": partial(linear, rows, columns) for rows, columns in SHAPES},
    "attention, 4 heads of 4, 8 keys": attention,
    "softmax of 27": partial(elements, "softmax", 27),
    "rmsnorm of 16": partial(elements, "rmsnorm", 16),
    "relu of 64": partial(elements, "relu", 64),
    "add of 16": add,
    "cross_entropy of 27": cross_entropy,
}


def inputs(engine: Any, n: int, calls: int) -> list[list[Any]]:
    random.seed(7)
    return [leaves(engine, n) for _ in range(calls)]


def forward(engine: Any, name: str) -> tuple[Run, int]:
    """One round of calls, and what its time is divided by."""
    n, units, call = FUNCTIONS[name](engine)
    calls = max(1, WORK // units)
    xs = inputs(engine, n, calls)

    def once() -> float:
        start = time.perf_counter()
        kept = [call(x) for x in xs]
        del kept
        return time.perf_counter() - start

    def run() -> float:
        once()
        return once()

    return run, calls * units


def backward(engine: Any, name: str) -> tuple[Run, int]:
    n, units, call = FUNCTIONS[name](engine)
    calls = max(1, WORK // units)

    def run() -> float:
        loss = engine.mean([y for x in inputs(engine, n, calls) for y in call(x)])
        start = time.perf_counter()
        loss.backward()
        return time.perf_counter() - start

    return run, calls * units


DIRECTIONS = {"forward": forward, "backward": backward}


@pytest.mark.parametrize("variant", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str, direction: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    rounds = measured.rounds(7 if "256" in name else 15)

    def measure() -> tuple[Samples, int]:
        runs = {engine: DIRECTIONS[direction](module, name) for engine, module in ENGINES.items()}
        return take_turns({engine: run for engine, (run, _) in runs.items()}, rounds), runs["compiled"][1]

    samples, per = measured((name, direction), measure)
    unit = "multiply-add" if name.startswith(("linear", "attention")) else "element"
    record(samples, variant, layer="functions", what=f"{name}, {direction}", rung=3, per=per, unit=unit)
