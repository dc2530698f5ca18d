"""Steps of Adam on subnormals, zeros, huge numbers, infinities and nan, against the reference: to the bit."""

from __future__ import annotations

import math
import random

import pytest
from bits import all_bits

EXTREMES = [
    *(0.0, -0.0, 5e-324, -1.5e-323, 1e-310, -(2.0**-1022), 2.0**-1021, 2.0**-970, 2.0**-400, -(2.0**-401)),
    *(1e-200, -1e-160, 2.0**-100, 1.0, -0.5, 2.0**100, 1e150, -1e200, 1e308, math.inf, -math.inf, math.nan),
]
SETTINGS = [  # betas, eps, learning rate, steps taken before
    ((0.85, 0.99), 1e-8, 0.01, 1),
    ((0.85, 0.99), 1e-8, 0.01, 300),
    ((0.85, 0.99), 1e-8, -0.003, 5_000),
    ((0.9, 0.999), 1e-13, 1e-5, 30),
    ((0.5, 0.5), 1e-5, 1e12, 100),
    ((0.0, 0.0), 1e-8, 0.0, 3),
    ((1 - 2**-53, 1 - 2**-53), 1.0, 1e-18, 7),
    ((1e-300, 0.3), 1e-30, 1e300, 2),
]


def magnitude(rng, low, high):
    return math.ldexp(1 + rng.random(), rng.randrange(low, high)) * rng.choice((1, -1))


def number(rng, kind):
    """Of one of the kinds that take different ways, and now and then an extreme."""
    if rng.random() < 0.15:
        return rng.choice(EXTREMES)
    return [
        0.0,
        magnitude(rng, -20, 2),
        magnitude(rng, -1074, -1000),
        magnitude(rng, -440, -360),
        magnitude(rng, -110, -90),
    ][kind]


def same_step(engine, reference, state, grads, betas, eps, lr):
    """One step of both, from the same state; an exception counts as an outcome."""
    outcomes = []
    for module in (engine, reference):
        params = [module.Value(x) for x in state["data"]]
        adam = module.Adam(params, betas=betas, eps=eps)
        adam.load_state_dict({name: state[name] for name in ("t", "m", "v")})
        for p, grad in zip(params, grads):
            p.grad = grad
        try:
            adam.step(lr)
        except ArithmeticError as error:
            outcomes.append(type(error))
        else:
            after = adam.state_dict()
            outcomes.append([all_bits(numbers) for numbers in ([p.data for p in params], after["m"], after["v"])])
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(("betas", "eps", "lr", "t"), SETTINGS)
def test_steps_from_extreme_states_equal_the_reference(compiled, reference, betas, eps, lr, t):
    rng = random.Random(f"{betas} {t}")
    for _ in range(60):
        n, kinds = rng.randrange(1, 40), [rng.randrange(5) for _ in range(4)]
        mixed = rng.random() < 0.5
        columns = [[number(rng, rng.randrange(5) if mixed else kind) for _ in range(n)] for kind in kinds]
        data, m, v, grads = columns
        if rng.random() < 0.6:
            grads = [g if abs(g) < 1e150 else 0.0 for g in grads]
        state = {"t": t, "data": data, "m": m, "v": list(map(abs, v))}
        same_step(compiled, reference, state, grads, betas, eps, lr)


def test_weights_without_gradients_decay_as_in_the_reference(compiled, reference):
    """Through the subnormals until nothing changes any more; some lanes of a register, or all of them."""
    rng = random.Random("dead")
    data = [rng.gauss(0, 0.1) for _ in range(40)]
    start = {"t": 4_000, "m": [magnitude(rng, -1020, -1000) for _ in data], "v": [1e-300 * rng.random() for _ in data]}
    results = []
    for module in (compiled, reference):
        params = [module.Value(x) for x in data]
        adam = module.Adam(params)
        adam.load_state_dict(start)
        for _ in range(400):
            for p in params[::9]:
                p.grad = 0.25
            adam.step()
        after = adam.state_dict()
        results.append([all_bits(numbers) for numbers in ([p.data for p in params], after["m"], after["v"])])
    assert results[0] == results[1]
    assert 0 < abs(after["m"][1]) < 2.0**-1070
