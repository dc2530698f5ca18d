"""Random programs: whatever is done to a graph, the engines agree with the reference to the last bit."""

from __future__ import annotations

import gc
import random

import pytest
from effort import at_length
from hypothesis import given
from processes import printed
from random_programs import EXTRA_METHODS, LONG_MIX, Pair, programs, random_instruction


@given(program=programs)
def test_a_random_program_leaves_the_same_bits_errors_and_wiring(reference, rival, program):
    Pair(reference, rival).run(program)


def long_program(reference, rival, seed, without=()):
    """Thousands of nodes born, dropped and differentiated in all orders, hundreds of handles alive at a time."""
    rng = random.Random(f"long{seed}")
    names = [name for name in LONG_MIX if name not in without and (rival.extras or name not in EXTRA_METHODS)]
    weights = [LONG_MIX[name] for name in names]
    reach = rng.choice([20, 200, 2000])
    pair = Pair(reference, rival)
    for i in range(12_000):
        pair.step(random_instruction(rng, names, weights, reach))
        if i % 500 == 499:
            pair.check_slots()
        if i % 4000 == 3999:
            pair.check_all()
    pair.check_all()


@pytest.mark.parametrize("seed", range(at_length(2, 6)))
def test_a_long_random_program_across_many_blocks_leaves_the_same_bits(reference, rival, deep_recursion, seed):
    long_program(reference, rival, seed)


FRESH = """
import inspect
import test_backward
from engines import compiled_engine, reference_engine
from recursion import room_for_recursion
from test_programs import long_program

for name, test in vars(test_backward).items():
    if name.startswith("test_") and len(inspect.signature(test).parameters) == 1:
        test(compiled_engine())
with room_for_recursion():
    for seed in range(2):
        long_program(reference_engine(), compiled_engine(), seed, without=("set_children", "initialise"))
"""


def test_the_same_where_no_children_were_ever_assigned():
    """Once some were, the engine walks with more care for as long as the process lives: in this one, most likely."""
    assert printed(FRESH) == ""


@pytest.mark.parametrize("seed", range(at_length(2, 4)))
def test_many_short_random_programs_in_a_row_reuse_memory_without_mixing_it_up(reference, rival, seed):
    rng = random.Random(f"short{seed}")
    names = [name for name in LONG_MIX if rival.extras or name not in EXTRA_METHODS]
    weights = [LONG_MIX[name] for name in names]
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
