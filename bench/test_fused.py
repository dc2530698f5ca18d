"""The fused GPT: the training step of the script's model on each instruction set, a sampled name, and larger models.

The step runs over the documents in groups, the fastest round of each group counts, and what is recorded is the mean
over the groups: a step is so short that anything else on the machine would drown it. The reference is the script's own
step, interpreted, on the first documents.

`flops_per_second` counts the multiplications and additions of the matrix products and of attention, forward and
backward; `peak_share` divides it by what the same tile of registers does on numbers that never leave the first-level
cache.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import gpt as model
import pytest
from measuring import Measured, Samples, worker

from microgpt import GPT, GPTConfig, _fused

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
DOCUMENTS, GROUP = 600, 20
SIZES = [  # n_embd, n_layer, block_size
    *((16, 1, block_size) for block_size in (8, 16, 64, 256)),
    *((n_embd, 1, 16) for n_embd in (32, 64, 128, 256)),
    *((64, n_layer, 64) for n_layer in (1, 2, 8)),
    (256, 2, 128),
]


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> Any:
    before = _fused.instruction_set()
    try:
        _fused._use_instruction_set(request.param)
    except ImportError as error:
        pytest.skip(str(error))
    yield request.param
    _fused._use_instruction_set(before)


def seconds_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def fastest_of_groups(runs: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Seconds of each run in its fastest round."""
    return [min(times) for times in zip(*([seconds_of(run) for run in runs] for _ in range(rounds)))]


def names() -> list[list[int]]:
    setting = model.setting(model.on_floats())
    return [model.tokens_of(doc, setting.uchars) for doc in setting.docs[:DOCUMENTS]]


def reference_steps(measured: Measured) -> list[float]:
    """Seconds of the script's own steps, interpreted, in a process of their own."""
    found = measured("script steps", lambda: worker("training_run.py", "reference", str(measured.rounds(12))))
    return [sum(parts) for parts in found["times"]]


def peak(measured: Measured) -> float:
    """Multiplications and additions a second."""

    def measure() -> float:
        depth = 1_000_000
        return max(_fused._spin(depth) / seconds_of(lambda: _fused._spin(depth)) for _ in range(measured.rounds(9)))

    return measured(("peak", _fused.instruction_set()), measure)


def test_step(instruction_set: str, measured: Measured, record: Callable[..., None]) -> None:
    documents = names()
    gpt = GPT(GPTConfig(27), random.Random(42))
    groups = [documents[i : i + GROUP] for i in range(0, len(documents), GROUP)]
    runs = [lambda group=group: gpt.train_steps(group, [0.001] * len(group)) for group in groups]
    seconds = sum(fastest_of_groups(runs, measured.rounds(41))) / len(documents)
    samples: Samples = {"compiled": [seconds], "reference": reference_steps(measured)}
    record(samples, "compiled", layer="fused", what=f"a training step, {instruction_set}", unit="step")


def test_generation(instruction_set: str, measured: Measured, record: Callable[..., None]) -> None:
    """Names of a trained model, Python's random numbers included."""
    documents = names()
    gpt = GPT(GPTConfig(27), random.Random(42))
    gpt.train_steps(documents, [0.01] * len(documents))

    def names_of(seed: int) -> None:
        rng.seed(seed)
        for _ in range(GROUP):
            gpt.generate(rng)

    rng = random.Random()
    runs = [lambda seed=seed: names_of(seed) for seed in range(30)]
    seconds = sum(fastest_of_groups(runs, measured.rounds(41))) / (30 * GROUP)
    record({"compiled": [seconds]}, "compiled", layer="fused", what=f"a sampled name, {instruction_set}", unit="name")


def operations(config: GPTConfig, n: int) -> float:
    """Multiplications and additions of the products of one step on n positions, forward and twice as many backward."""
    weights = 12 * config.n_embd**2 * config.n_layer + config.vocab_size * config.n_embd
    attention = config.n_layer * config.n_embd * n * (n + 1)
    return 2.0 * 3 * (n * weights + attention)


@pytest.mark.parametrize(("n_embd", "n_layer", "block_size"), SIZES)
def test_scaling(n_embd: int, n_layer: int, block_size: int, measured: Measured, record: Callable[..., None]) -> None:
    config = GPTConfig(27, n_embd=n_embd, n_layer=n_layer, block_size=block_size)
    gpt = GPT(config, random.Random(1))
    rng = random.Random(2)
    document = [rng.randrange(27) for _ in range(block_size + 1)]
    rounds = measured.rounds(max(5, min(200, int(2e9 / operations(config, block_size)))))
    step = [seconds_of(lambda: gpt.train_step(document, 1e-5)) for _ in range(rounds)]
    gradient = min(seconds_of(lambda: gpt.backward(document)) for _ in range(rounds))
    rate = operations(config, block_size) / gradient
    more = {"params": config.num_params, "flops_per_second": rate, "peak_share": rate / peak(measured)}
    what = f"n_embd {n_embd}, n_layer {n_layer}, {block_size} positions"
    record({"compiled": step}, "compiled", layer="fused scaling", what=what, unit="step", **more)
