"""The shortcuts for pow in Adam's kernels against Python's own `**`, on every instruction set this machine has."""

from __future__ import annotations

import math
import random
import struct
from array import array
from pathlib import Path

import pytest
from effort import at_length
from processes import printed, python

from microgpt import _fused


def random_doubles(rng, n, low, high):
    """Random mantissas with exponents between 2**low and 2**high, both signs."""
    return array(
        "d",
        [
            math.ldexp(m, rng.randrange(low, high)) * sign
            for m, sign in zip((1 + rng.random() for _ in range(n)), rng.choices((1, -1), k=n))
        ],
    )


def roots_of_one_more(target, width):
    """Odd m with m * m = target modulo 2**width, for a target that is 1 modulo 8: lifted bit by bit."""
    roots = [1]
    for k in range(3, width):
        roots = [
            r for root in roots for r in (root, root + (1 << (k - 1))) if (r * r - target) % (1 << (k + 1)) == 0
        ] or roots
    return sorted(
        {
            r % (1 << width)
            for root in roots
            for r in (root, -root, root + (1 << (width - 1)), (1 << (width - 1)) - root)
            if (r * r - target) % (1 << width) == 0
        }
    )


def nearly_ties_of_the_square():
    """Doubles whose exact square lies within a few 2**-50 ULP of the midpoint between two doubles."""
    found = []
    for width in (52, 53):  # bits of the square below its last place
        for offset in range(-255, 258, 8):
            target = (1 << (width - 1)) + offset  # offset is 1 modulo 8, and so is the target
            for m in roots_of_one_more(target, width):
                for candidate in (m, m + (1 << 52), m + (1 << 53)):
                    square = candidate * candidate
                    if 1 << 52 <= candidate < 1 << 53 and square.bit_length() == 53 + width:
                        found.append(math.ldexp(candidate, -52))
    return sorted(set(found))


def nearly_ties_of_the_root():
    """Doubles x whose exact square root lies within a few 2**-50 ULP of a midpoint n / 2, n odd: x = n * n - offset."""
    found = []
    for shift in (54, 55):  # x = (n * n - offset) / 2**shift has 53 bits
        for offset in range(-255, 258, 8):
            for n in roots_of_one_more(offset, shift):
                for candidate in (n, n + (1 << 53)):
                    x, rest = divmod(candidate * candidate - offset, 1 << shift)
                    if candidate.bit_length() == 54 and x.bit_length() == 53 and not rest:
                        found.append(math.ldexp(x, shift - 106))
    return sorted(set(found))


def test_the_hard_cases_are_hard():
    squares, roots = nearly_ties_of_the_square(), nearly_ties_of_the_root()
    assert len(squares) > 30 and len(roots) > 30
    for x in squares:
        m = int(math.ldexp(x, 52))
        drop = (m * m).bit_length() - 53
        distance = abs((m * m) % (1 << drop) - (1 << (drop - 1)))
        assert distance < 300
    for x in roots:
        n = math.isqrt(int(math.ldexp(x, 106)) << 200)
        fraction_bits = n.bit_length() - 53
        distance = abs(n % (1 << fraction_bits) - (1 << (fraction_bits - 1)))
        assert distance < 1 << (fraction_bits - 40)


def compare(name, function, exponent, xs):
    """The first x, if any, where the kernel and `**` differ in a bit."""
    got = function(xs)
    assert isinstance(got, array) and got.typecode == "d" and len(got) == len(xs)
    expected = array("d", [x**exponent for x in xs])
    if got.tobytes() != expected.tobytes():
        wrong = [
            (x.hex(), a.hex(), b.hex())
            for x, a, b in zip(xs, got, expected)
            if struct.pack("d", a) != struct.pack("d", b)
        ]
        raise AssertionError(f"{name}: {len(wrong)} of {len(xs)} differ, first (x, kernel, **): {wrong[0]}")


def square_inputs(rng, n):
    yield random_doubles(rng, n, -3, 3)
    yield random_doubles(rng, n, -30, 30)
    yield random_doubles(rng, n, -537, 511)
    yield random_doubles(rng, n // 4, -545, -505)
    yield random_doubles(rng, n // 8, -1074, -1000)
    hard = nearly_ties_of_the_square()
    yield array("d", [math.ldexp(x, e) for x in hard for e in (0, -1, 1, 7, -40, 43, -44, -200, 300, -500)])
    yield array("d", [math.ldexp(1.0, e) for e in range(-1074, 512)])
    yield array(
        "d",
        [
            s * math.ldexp(m, e)
            for e in (-600, -538, -537, -512, -511, -45, -1, 0, 1, 44, 45, 500)
            for s in (1, -1)
            for m in (1 + 2**-52, 2 - 2**-52, math.sqrt(2), math.sqrt(0.5), 1.5, 1.25)
        ],
    )
    yield array(
        "d",
        [0.0, -0.0, math.inf, -math.inf, 5e-324, -5e-324, 1.0, -1.0, 1.3407807929942596e154, -1.3407807929942596e154],
    )


def root_inputs(rng, n):
    yield array("d", map(abs, random_doubles(rng, n, -3, 3)))
    yield array("d", map(abs, random_doubles(rng, n, -60, 30)))
    yield array("d", map(abs, random_doubles(rng, n, -1022, 1023)))
    yield array("d", map(abs, random_doubles(rng, n // 8, -1074, -1000)))
    hard = nearly_ties_of_the_root()
    yield array("d", [math.ldexp(x, e) for x in hard for e in (0, -2, 2, 8, -40, 42, -88, 88, -400, 600, -1000)])
    yield array("d", [math.ldexp(1.0, e) for e in range(-1074, 1024)])
    yield array(
        "d", [math.ldexp(m, e) for e in range(-1022, 1023, 31) for m in (1 + 2**-52, 2 - 2**-52, 1 + 2**-51, 1.5, 1.25)]
    )
    yield array("d", [0.0, -0.0, math.inf, 5e-324, 1e-323, 1.0, 1.7976931348623157e308, 2.2250738585072014e-308])


def check_shortcuts(n, seed):
    from microgpt import _adam

    rng = random.Random(seed)
    for xs in square_inputs(rng, n):
        compare("_pow2", _adam._pow2, 2, xs)
        compare("_pow2", _adam._pow2, 2, xs[1:])
    for xs in root_inputs(rng, n):
        compare("_pow_half", _adam._pow_half, 0.5, xs)
        compare("_pow_half", _adam._pow_half, 0.5, xs[3:])
    for k in range(20):
        xs = random_doubles(rng, k, -2, 2)
        compare("_pow2", _adam._pow2, 2, xs)
    nan = _adam._pow2(array("d", [math.nan, 1.5])), _adam._pow_half(array("d", [math.nan, 2.25]))
    assert all(math.isnan(pair[0]) for pair in nan)
    assert [pair[1] for pair in nan] == [1.5**2, 2.25**0.5]


def test_square_and_root_of_the_kernel_are_those_of_pow_on_millions_of_inputs():
    check_shortcuts(at_length(100_000, 700_000), "millions")


CHECK_ONE_SET = """
import random
from types import SimpleNamespace
import microgpt
from microgpt import _fused, reference
import test_adam, test_adam_extremes, test_adam_kernels
compiled = SimpleNamespace(compiled=True, Value=microgpt.Value, Adam=microgpt.Adam)
print(_fused.instruction_set())
test_adam_kernels.check_shortcuts(20_000, "each")
for seed in range(5):
    test_adam.test_many_steps_on_many_parameters_equal_the_reference(reference, microgpt, seed)
for n in (0, 1, 2, 3, 5, 8, 9, 16, 17, 33, 65):
    test_adam.test_steps_equal_the_loop_of_the_script_for_every_number_of_parameters(microgpt, reference, n)
for place in (0, 7, 99):
    test_adam.test_an_overflow_error_changes_nothing_at_all(microgpt, place)
test_adam.test_a_zero_denominator_is_a_zero_division_error_and_changes_nothing(compiled)
for settings in test_adam_extremes.SETTINGS:
    test_adam_extremes.test_steps_from_extreme_states_equal_the_reference(microgpt, reference, *settings)
test_adam_extremes.test_weights_without_gradients_decay_as_in_the_reference(microgpt, reference)
test_adam.test_a_long_run_keeps_the_bits_when_the_bias_corrections_reach_one(reference, microgpt)
"""


@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_every_instruction_set_of_this_machine_gives_the_same_bits(isa):
    assert printed(CHECK_ONE_SET, cwd=Path(__file__).parent, MICROGPT_ISA=isa) == isa


def test_an_unknown_instruction_set_is_a_clear_error_at_import():
    for wrong in ("sse9", "AVX2 ", "none"):
        done = python("import microgpt._adam", MICROGPT_ISA=wrong)
        assert done.returncode != 0
        last = done.stderr.strip().splitlines()[-1]
        assert "MICROGPT_ISA" in last and wrong.strip() in last


def test_without_the_variable_the_best_set_of_the_machine_runs(monkeypatch):
    monkeypatch.delenv("MICROGPT_ISA", raising=False)
    assert printed("from microgpt import _fused; print(_fused.instruction_set())") == _fused._instruction_sets()[-1]
