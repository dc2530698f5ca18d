"""Random programs: whatever is done to a graph, the engines agree with the reference to the last bit."""

from __future__ import annotations

import gc
import random

import pytest
from effort import at_length
from hypothesis import given
from random_programs import LONG_MIX, Pair, programs, random_instruction


@given(program=programs)
def test_a_random_program_leaves_the_same_bits_errors_and_wiring(reference_namespace, rival_namespace, program):
    Pair(reference_namespace, rival_namespace).run(program)


@pytest.mark.parametrize("seed", range(at_length(2, 6)))
def test_a_long_random_program_across_many_blocks_leaves_the_same_bits(reference, rival, deep_recursion, seed):
    """Thousands of nodes born, dropped and differentiated in all orders, hundreds of handles alive at a time."""
    rng = random.Random(f"long{seed}")
    names = list(LONG_MIX)
    weights = [LONG_MIX[name] for name in names]
    if not rival.extras:
        weights = [
            weight if name not in ("tanh", "sigmoid", "sin", "gelu") else 0 for name, weight in zip(names, weights)
        ]
    reach = rng.choice([20, 200, 2000])
    pair = Pair(reference, rival)
    for i in range(12_000):
        pair.step(random_instruction(rng, names, weights, reach))
        if i % 500 == 499:
            pair.check_slots()
        if i % 4000 == 3999:
            pair.check_all()
    pair.check_all()


@pytest.mark.parametrize("seed", range(at_length(2, 4)))
def test_many_short_random_programs_in_a_row_reuse_memory_without_mixing_it_up(reference, rival, seed):
    rng = random.Random(f"short{seed}")
    names = list(LONG_MIX)
    weights = [
        LONG_MIX[name] if rival.extras or name not in ("tanh", "sigmoid", "sin", "gelu") else 0 for name in names
    ]
    kept = []
    for _ in range(150):
        pair = Pair(reference, rival)
        for _ in range(rng.randint(5, 150)):
            pair.step(random_instruction(rng, names, weights, 15))
        pair.check_all()
        if rng.random() < 0.2:
            kept.append(pair)
        if len(kept) > 8:
            kept.pop(rng.randrange(len(kept))).check_all()
    for pair in kept:
        pair.check_all()
    gc.collect()
