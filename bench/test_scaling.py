"""How time and memory grow: with the number of nodes, and with the size of the model.

**Nodes.** Graphs of 1e3 to 1e7 nodes in three shapes (graphs.py), built, freed and differentiated in processes of their
own (scaling_run.py), a node. The reference goes up to 1e5, in the chain to 1e3: it ends at Python's recursion limit.
Where it cannot follow, it is its largest graph of that shape that the compiled engine is held against, a node for a
node (`reference_nodes`); that is to the reference's advantage, whose collector makes larger graphs dearer.

**Model size.** A training step on a document that fills the block, for rungs 0 and 2 to 5, each as far as its time and
its memory go, divided by the multiply-adds of the matrix products, forward and backward. Where the interpreter takes
too long, the ratio is again to its largest model (`reference_size`). `step_ns` is the step itself. Of the fused rung,
`flops_per_second` counts multiplications and additions of forward and backward, and `peak_share` divides it by what
the same tile of registers does on numbers that never leave the first-level cache; `two_threads_step_ns` is a step that
two threads share (they do from 100,000 parameters on). All rungs must have the same loss.
"""

import random
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import graphs
import pytest
from measuring import Measured, Samples, worker
from peak import operations, peak, seconds_of

from microgpt import GPT, GPTConfig, memory, reference
from microgpt.ladder.measure import frozen_heap
from microgpt.ladder.memory import count_below
from microgpt.ladder.rungs import LADDER, fresh_parameters

# ---- nodes ----------------------------------------------------------------------------------------------------------

NODES = {"1e3": 1_000, "1e4": 10_000, "1e5": 100_000, "1e6": 1_000_000, "1e7": 10_000_000}
REFERENCE_NODES = {
    "a chain": ("1e3",),
    "a wide tree": ("1e3", "1e4", "1e5"),
    "layers of the script": ("1e3", "1e4", "1e5"),
}
BYTES_A_NODE = 150  # the node, its handle, the list of backward, and some more: what must be free
NODE_TESTS = [
    pytest.param(shape, direction, size, variant, id=f"{shape}-{direction}-{size}-{variant}")
    for shape in graphs.SHAPES
    for direction in ("build", "backward")
    for size in NODES
    for variant in ("reference", "compiled")
    if variant == "compiled" or size in REFERENCE_NODES[shape]
]


def rounds_of(nodes: int) -> int:
    return max(3, min(41, 4_000_000 // nodes))


def measure_nodes(shape: str, size: str, variant: str, measured: Measured) -> Any:
    nodes, rounds = (1_000, 1) if measured.quick else (NODES[size], rounds_of(NODES[size]))
    rounds = rounds if variant == "compiled" else min(rounds, 5)
    return measured(
        ("nodes", shape, size, variant),
        lambda: worker("scaling_run.py", variant, shape, str(nodes), str(rounds)),
    )


def seconds_a_node(found: Any, direction: str) -> list[float]:
    return [seconds / found["nodes"] for seconds in found[direction]]


def too_large(size: str) -> str | None:
    need, free = BYTES_A_NODE * NODES[size], memory.available()
    if NODES[size] < 1_000_000 or (free is not None and free >= need):
        return None
    return f"needs {memory.readable(need)} of memory, {'unknown' if free is None else memory.readable(free)} is free"


@pytest.mark.parametrize(("shape", "direction", "size", "variant"), NODE_TESTS)
def test_nodes(
    shape: str, direction: str, size: str, variant: str, measured: Measured, record: Callable[..., None]
) -> None:
    if not measured.quick and (reason := too_large(size)):
        pytest.skip(reason)
    beside = size if size in REFERENCE_NODES[shape] else REFERENCE_NODES[shape][-1]
    other = measure_nodes(shape, beside, "reference", measured)
    here = other if variant == "reference" else measure_nodes(shape, size, variant, measured)
    assert beside != size or here["result"] == other["result"]
    samples: Samples = {"reference": seconds_a_node(other, direction), variant: seconds_a_node(here, direction)}
    nodes = here["nodes"]
    held = here["arena_bytes"] if variant == "compiled" else here["resident_bytes"]
    more = {"nodes": nodes, "reference_nodes": other["nodes"], "first_ns": here["first"][direction] / nodes * 1e9}
    if held and (variant == "compiled" or nodes >= 100_000):  # the kernel counts in pages
        more |= {"bytes": held, "bytes_per_node": held / nodes}
        if direction == "build" and other["nodes"] >= 100_000:
            more["reference_bytes_per_node"] = other["resident_bytes"] / other["nodes"]
    what = f"{shape}, {size}, {'building' if direction == 'build' else 'backward'}"
    group = f"{shape}, {direction}"
    record(samples, variant, layer="scaling in nodes", what=what, unit="node", group=group, **more)


@pytest.mark.parametrize("shape", graphs.SHAPES)
def test_the_graphs_have_as_many_nodes_as_they_say(shape: str) -> None:
    for wanted in (1_000, 2_345):
        graph = graphs.SHAPES[shape](reference.Value, wanted)
        assert graph.nodes == count_below(graph.root, set())
        assert 0.5 < graph.nodes / wanted <= 1.01


# ---- model size -----------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    n_embd: int
    n_layer: int
    block_size: int

    def __str__(self) -> str:
        return f"n_embd {self.n_embd}, n_layer {self.n_layer}, {self.block_size} positions"

    def config(self) -> GPTConfig:
        return GPTConfig(27, n_embd=self.n_embd, n_layer=self.n_layer, block_size=self.block_size)

    def operations(self) -> float:
        return operations(self.config(), self.block_size)


SIZES = [
    *(Size(16, 1, block_size) for block_size in (8, 16, 64, 256)),
    *(Size(n_embd, 1, 16) for n_embd in (32, 64, 128, 256)),
    *(Size(64, n_layer, 64) for n_layer in (1, 2, 8)),
    Size(256, 2, 128),
]


# Operations of a step up to which a rung is measured: beyond, it takes too long, or too much memory.
MAX_OPERATIONS = {"interpreted": 4e5, "typed": 5e6, "bulk": 3e7, "recorded": 3e7, "fused": 1e12}
NUMBERS = {name: number for number, name in enumerate(LADDER)}
SIZE_TESTS = [
    pytest.param(size, rung, id=f"{size}-{NUMBERS[rung]} {rung}")
    for size in SIZES
    for rung in MAX_OPERATIONS
    if size.operations() <= MAX_OPERATIONS[rung]
]
LARGEST_INTERPRETED = max(
    (size for size in SIZES if size.operations() <= MAX_OPERATIONS["interpreted"]), key=Size.operations
)


def document(size: Size) -> list[int]:
    """Random letters that fill the block, between the two tokens that mark the ends."""
    rng = random.Random(2)
    return [26, *(rng.randrange(26) for _ in range(size.block_size - 1)), 26]


def with_values(size: Size, rung: str, measured: Measured) -> tuple[list[float], str]:
    """Seconds of some steps on the same document, of which the first fetches memory and does not count; the loss."""
    steps = 1 if measured.quick else 4 if rung == "interpreted" else 12

    def measure() -> tuple[list[float], str]:
        model = LADDER[rung].make(size.config(), fresh_parameters(size.config()))
        with frozen_heap():
            done = [model.run([document(size)], [0.01]) for _ in range(steps)]
        return [each.seconds["step"] for each in done[1:] or done], done[0].losses[0].hex()

    found: tuple[list[float], str] = measured(("size", size, rung), measure)
    return found


def fused(size: Size, measured: Measured) -> tuple[list[float], list[float], float, str]:
    """Seconds of each step, alone and shared by two threads, the fastest of forward and backward, the first loss."""
    gpt, tokens = GPT(size.config()), document(size)
    gpt.load_state_dict(fresh_parameters(size.config()))
    rounds = measured.rounds(max(5, min(200, int(2e9 / size.operations()))))
    loss = gpt.loss(tokens)
    alone, shared = [], []
    for _ in range(rounds):
        alone.append(seconds_of(lambda: gpt.train_step(tokens, 1e-5)))
        shared.append(seconds_of(lambda: gpt.train_step(tokens, 1e-5, threads=2)))
    gradient = min(seconds_of(lambda: gpt.backward(tokens)) for _ in range(rounds))
    return alone, shared, gradient, loss.hex()


@pytest.mark.parametrize(("size", "rung"), SIZE_TESTS)
def test_model_size(size: Size, rung: str, measured: Measured, record: Callable[..., None]) -> None:
    beside = size if size.operations() <= MAX_OPERATIONS["interpreted"] else LARGEST_INTERPRETED
    other, expected = with_values(beside, "interpreted", measured)
    more: dict[str, Any] = {"params": size.config().num_params, "reference_size": str(beside)}
    samples: Samples = {"reference": [s * size.operations() / beside.operations() for s in other]}
    variant = "reference" if rung == "interpreted" else "compiled"
    if rung == "fused":
        samples[variant], shared, gradient, loss = fused(size, measured)
        more["two_threads_step_ns"] = statistics.median(shared) * 1e9
        samples["peak"] = [size.operations() / peak(measured)]
        rate = size.operations() / gradient
        more |= {"flops_per_second": rate, "peak_share": rate / peak(measured)}
    else:
        samples[variant], loss = with_values(size, rung, measured)
    assert loss == measured(("loss", size), lambda: expected if beside == size else loss), "the rungs disagree"
    more["step_ns"] = statistics.median(samples[variant]) * 1e9
    what = f"{size}: {NUMBERS[rung]} {rung}"
    where = {"layer": "scaling in model size", "what": what, "rung": NUMBERS[rung], "group": str(size)}
    record(samples, variant, **where, per=size.operations() / 2, unit="multiply-add", **more)
