"""A sampled name on every rung: the same trained weights, the same random numbers, and so the same names.

A name is made a token at a time, so there is no backward and no Adam in it; what the rungs with Values build is a graph
that nobody asks for. The floor is again plain floats: the same forward and the same draws, without a graph.

For the fused rung `positions_ns` is the kernel's part: the same names given as prompts, with one draw at the end. What
is above it is the price of drawing: `random()` of Python, and an exp for each weight, in C.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from measuring import Measured, Run, Samples, take_turns
from variants import FUSED, SCRIPT, VARIANTS, names, of_functions, rung_of

from microgpt import GPT, _fused
from microgpt.ladder.rungs import LADDER, fresh_parameters

NAMES, ROUNDS, TEMPERATURE = 20, 5, 0.5
BOS = SCRIPT.vocab_size - 1
ROWS = [name for name in VARIANTS if (name in LADDER and name != "recorded") or name in FUSED or name == "floats"]
LAST = SimpleNamespace(random=itertools.repeat(1 - 2**-53).__next__)  # falls on the last token, the end


def trained() -> GPT:
    """A model that has seen some hundred names; the fused step gives the same bits on every instruction set."""
    gpt, documents = GPT(SCRIPT), names()[:600]
    gpt.load_state_dict(fresh_parameters(SCRIPT))
    gpt.train_steps(documents, [0.01] * len(documents))
    return gpt


def sampler(name: str, gpt: GPT) -> Callable[[], list[int]]:
    """Draws one name as the script does, from the module `random`."""
    if name in FUSED:
        return lambda: gpt.generate(random, TEMPERATURE)
    model = of_functions(name, SCRIPT, {key: matrix.tolist() for key, matrix in gpt.state_dict().items()})
    forward, softmax = model.functions["gpt"], model.functions["softmax"]

    def sample() -> list[int]:
        keys: list[list[Any]] = [[] for _ in range(SCRIPT.n_layer)]
        values: list[list[Any]] = [[] for _ in range(SCRIPT.n_layer)]
        token, found = BOS, []
        for position in range(SCRIPT.block_size):
            logits = forward(SCRIPT, model.state_dict, token, position, keys, values)
            probs = softmax([logit / TEMPERATURE for logit in logits])
            weights = probs if name == "floats" else [p.data for p in probs]
            token = random.choices(range(SCRIPT.vocab_size), weights=weights)[0]
            if token == BOS:
                break
            found.append(token)
        return found

    return sample


def timed(name: str, gpt: GPT, count: int, drawn: dict[str, list[list[int]]]) -> Run:
    """Seconds a name, of `count` names; they are kept in `drawn`."""
    sample, passes = sampler(name, gpt), 50 if name in FUSED and count > 1 else 1
    isa = name.partition(", ")[2] or _fused.instruction_set()

    def run() -> float:
        with _fused._use_instruction_set(isa):
            started = time.perf_counter()
            for _ in range(passes):
                random.seed(1)
                drawn[name] = [sample() for _ in range(count)]
            return (time.perf_counter() - started) / passes / count

    return run


def positions(gpt: GPT, samples: list[list[int]], rounds: int) -> float:
    """Seconds a name that is given instead of drawn, all but the end."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        for sample in samples:
            assert gpt.generate(LAST, TEMPERATURE, prompt=sample) == sample
        found.append((time.perf_counter() - started) / len(samples))
    return statistics.median(found)


def run_all(measured: Measured) -> tuple[Samples, dict[str, list[list[int]]], float]:
    def measure() -> tuple[Samples, dict[str, list[list[int]]], float]:
        gpt, drawn = trained(), {}
        count = 2 if measured.quick else NAMES
        samples = take_turns({name: timed(name, gpt, count, drawn) for name in ROWS}, measured.rounds(ROUNDS))
        return samples, drawn, positions(gpt, drawn["interpreted"], measured.rounds(200))

    found: tuple[Samples, dict[str, list[list[int]]], float] = measured("generation", measure)
    return found


@pytest.mark.parametrize("name", ROWS)
def test_generation(name: str, measured: Measured, record: Callable[..., None]) -> None:
    (everything, drawn, given), number = run_all(measured), rung_of(name)
    column = {"interpreted": "reference", "floats": "floats"}.get(name, "compiled")
    samples: Samples = {"reference": everything["interpreted"], column: everything[name]}
    if name == "typed":  # the floor of a class of Values; the rungs above it leave Python's numbers behind
        samples["floats"] = everything["floats"]
    more: dict[str, Any] = {"tokens": sum(len(each) + 1 for each in drawn[name])}
    more |= {"positions_ns": given * 1e9} if name in FUSED and name.endswith(_fused.instruction_set()) else {}
    what = "plain floats, without a graph" if number is None else f"{number} {name}"
    where = {"layer": "generation", "what": what, "rung": number, "group": "a sampled name"}
    record(samples, column, **where, isa=name.partition(", ")[2] or None, unit="name", **more)


@pytest.mark.parametrize("name", ROWS)
def test_the_names_are_those_of_the_reference(name: str, measured: Measured) -> None:
    """A name that differs would have another length, and be no comparison."""
    _, drawn, _ = run_all(measured)
    assert drawn[name] == drawn["interpreted"]
