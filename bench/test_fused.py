"""The fused GPT: the training step of the script's model on each instruction set, in a run of many steps.

The step runs over the documents in groups, the fastest round of each group counts, and what is recorded is the mean
over the groups, several times over: a step is so short that anything else on the machine distorts it. So these rows
are compared with the processor (`peak_ns`: the matrix products of such a step from registers alone) and not with the
script; test_step.py compares the fused step with the script, on the same documents and by the same clock.
"""

import random
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

import pytest
from measuring import Measured
from peak import operations, peak, seconds_of
from variants import SCRIPT, names

from microgpt import GPT, GPTConfig, _fused

DOCUMENTS, GROUP, REPEATS = 600, 20, 4


def fastest_of_groups(runs: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Seconds of each run in its fastest round."""
    return [min(times) for times in zip(*([seconds_of(run) for run in runs] for _ in range(rounds)))]


def operations_of(config: GPTConfig, documents: list[list[int]]) -> float:
    """Of a step, on average."""
    return mean(operations(config, min(len(tokens) - 1, config.block_size)) for tokens in documents)


@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_step(isa: str, measured: Measured, record: Callable[..., None]) -> None:
    documents, config = names()[:DOCUMENTS], SCRIPT
    gpt = GPT(config, random.Random(42))
    groups = [documents[i : i + GROUP] for i in range(0, len(documents), GROUP)]
    runs = [lambda group=group: gpt.train_steps(group, [0.001] * len(group)) for group in groups]
    with _fused._use_instruction_set(isa):
        sums = [sum(fastest_of_groups(runs, measured.rounds(10))) for _ in range(measured.rounds(REPEATS))]
        at_peak = operations_of(config, documents) / peak(measured)
    samples = {"compiled": [seconds / len(documents) for seconds in sums], "peak": [at_peak]}
    what = f"a training step, {isa}"
    record(samples, "compiled", layer="fused", what=what, rung=4, isa=isa, unit="step")
