"""The kernels' own exp and powers against Python's, on every instruction set this machine has: to the bit."""

from __future__ import annotations

import math
import random
from array import array

import pytest
from bits import all_bits
from effort import at_length

from microgpt import _fused

TRIES = at_length(1000, 5000)
EXPONENTS = {"-0.5": -0.5, "-1": -1, "-1.5": -1.5, "-2": -2, "-0.5 alone": -0.5, "-1 alone": -1}
EDGES = [0.0, -0.0, 1.0, 2.0, 4.0, 0.25, 1 + 2**-52, 1 - 2**-53, 1e-5, 16.0, 27.0, 3.0, 7.0, math.pi]


def spread(rng, n, low, high):
    """Random mantissas, exponents evenly between 2**low and 2**high."""
    return [math.ldexp(1 + rng.random(), rng.randrange(low, high)) for _ in range(n)]


def near_ties_of_powers(rng, exponent, n):
    """Doubles whose power comes close to the middle of two doubles, found by going back from such middles."""
    found = []
    while len(found) < n:
        result = 1 + rng.randrange(2**52) / 2**52
        middle = result + 2**-53 if rng.random() < 0.5 else result
        x = middle ** (1 / exponent)
        found += [math.nextafter(x, 0), x, math.nextafter(x, 9)] if hasattr(math, "nextafter") else [x]
    return found


def power_or_none(x, exponent):
    try:
        return x**exponent
    except (ZeroDivisionError, OverflowError):
        return None


@pytest.mark.parametrize("isa", _fused._instruction_sets())
@pytest.mark.parametrize("name", EXPONENTS)
def test_powers_are_those_of_python(isa, name):
    rng, exponent = random.Random(name), EXPONENTS[name]
    xs = [*EDGES, math.inf, math.nan, 5e-324, 1e308, *range(1, 300), *spread(rng, 30 * TRIES, -20, 20)]
    xs += [
        *spread(rng, 20 * TRIES, 0, 8),
        *spread(rng, 4 * TRIES, -1074, 1023),
        *near_ties_of_powers(rng, exponent, 4 * TRIES),
    ]
    pairs = [(x, y) for x in map(float, xs) if (y := power_or_none(x, exponent)) is not None]
    with _fused._use_instruction_set(isa):
        got = _fused._apply(name, array("d", [x for x, _ in pairs]))
    wrong = [(x.hex(), a, b) for (x, b), a in zip(pairs, got) if all_bits([a]) != all_bits([b])]
    assert not wrong, f"{len(wrong)} of {len(pairs)}, first: {wrong[0]}"


@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_exp_is_that_of_python(isa):
    rng = random.Random("exp")
    xs = [*EDGES, -math.inf, math.nan, -5e-324, 5e-324, -708.0, -745.2, -746.0, 709.0, -700.0, 700.0, -1e308]
    xs += [-rng.expovariate(0.3) for _ in range(50 * TRIES)]
    xs += [rng.uniform(-760, 709) for _ in range(12 * TRIES)]
    xs += [sign * x for sign in (1, -1) for x in spread(rng, 4 * TRIES, -60, 5)]
    xs += [k * math.log(2) / 32 + d for k in range(-2000, 0) for d in (0.0, 1e-17 * k, 1e-13)]  # where tables meet
    with _fused._use_instruction_set(isa):
        got = _fused._apply("exp", array("d", xs))
    wrong = [(x.hex(), a, math.exp(x)) for x, a in zip(xs, got) if all_bits([a]) != all_bits([math.exp(x)])]
    assert not wrong, f"{len(wrong)} of {len(xs)}, first: {wrong[0]}"


def test_any_number_of_them():
    for n in range(20):
        xs = array("d", [0.5 + i for i in range(n)])
        assert _fused._apply("exp", xs) == [math.exp(x) for x in xs]
        assert _fused._apply("-2", xs) == [x**-2 for x in xs]
