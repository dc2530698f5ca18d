"""Gradients against central differences: the only tests with a tolerance.

A difference quotient is wrong by about h**2 / 6 times the third derivative plus rounding of size 1e-16 / h, relative to
the values involved; with h = 1e-5 both stay below 1e-7 for the tame functions and inputs used here.
"""

from __future__ import annotations

import math
import random

import pytest

H = 1e-5
TOLERANCE = 1e-6

UNARY = {
    "exp": lambda v: v.exp(),
    "log of square": lambda v: (v * v + 0.5).log(),
    "relu": lambda v: v.relu(),
    "square": lambda v: v**2,
    "inverse": lambda v: (v * v + 1) ** -1,
    "root": lambda v: (v * v + 1) ** 0.5,
    "minus": lambda v: -v,
    "half": lambda v: v / 2,
    "from one": lambda v: 1 - v,
    "over": lambda v: 2 / (v * v + 1.5),
}
EXTRAS = {
    "tanh": lambda v: v.tanh(),
    "sigmoid": lambda v: v.sigmoid(),
    "sqrt": lambda v: (v * v + 0.3).sqrt(),
    "sin": lambda v: v.sin(),
    "cos": lambda v: v.cos(),
    "abs": lambda v: v.abs(),
    "silu": lambda v: v.silu(),
    "gelu": lambda v: v.gelu(),
    "gelu tanh": lambda v: v.gelu("tanh"),
    "power of two": lambda v: 2**v,
}
BINARY = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (b * b + 1)]


def difference(function, xs, i):
    up, down = list(xs), list(xs)
    up[i] += H
    down[i] -= H
    return (function(up) - function(down)) / (2 * H)


def close(got, expected):
    return math.isclose(got, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


@pytest.mark.parametrize("name", [*UNARY, *EXTRAS])
def test_a_single_operation_has_the_slope_of_its_curve(engine, name):
    if name in EXTRAS and not engine.extras:
        pytest.skip("the script's class has no such method")
    function = {**UNARY, **EXTRAS}[name]
    for x in (-1.7, -0.6, -0.1, 0.2, 0.9, 1.3, 2.1):
        a = engine.Value(x)
        function(a).backward()
        assert close(a.grad, difference(lambda xs: function(engine.Value(xs[0])).data, [x], 0)), x


@pytest.mark.parametrize("seed", range(40))
def test_a_random_expression_has_the_slopes_of_its_surface(engine, seed):
    functions = list(UNARY.values()) + (list(EXTRAS.values()) if engine.extras else [])
    rng = random.Random(seed)
    xs = [rng.uniform(-1.5, 1.5) for _ in range(4)]
    program = [(rng.random(), rng.randrange(10**6), rng.randrange(10**6), rng.randrange(10**6)) for _ in range(12)]

    def evaluate(leaves):
        values = list(leaves)
        for kind, f, i, j in program:
            a, b = values[i % len(values)], values[j % len(values)]
            made = BINARY[f % len(BINARY)](a, b) if kind < 0.5 else functions[f % len(functions)](a)
            if abs(made.data) < 20:
                values.append(made)
        return sum(values[-4:], engine.Value(0.0))

    leaves = [engine.Value(x) for x in xs]
    root = evaluate(leaves)
    root.backward()
    for i, leaf in enumerate(leaves):
        quotients = [
            difference(lambda p: evaluate([engine.Value(x) for x in p]).data, [*xs[:i], xs[i] + shift, *xs[i + 1 :]], i)
            for shift in (-2 * H, 0.0, 2 * H)
        ]
        if max(quotients) - min(quotients) > 1e-3 * (1 + abs(quotients[1])):
            continue  # a kink of relu or abs, or curvature beyond what a quotient resolves
        assert math.isclose(leaf.grad, quotients[1], rel_tol=1e-4, abs_tol=1e-4)
