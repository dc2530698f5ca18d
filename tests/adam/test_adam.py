"""Adam against the script's own loop over p.data and p.grad, to the bit; its state, its errors, its switches."""

from __future__ import annotations

import copy
import json
import math
import random

import pytest
from bits import all_bits, bits, grads_of
from hypothesis import given
from hypothesis import strategies as st

INF, NAN = math.inf, math.nan


class ScriptLoop:
    """The update of the script's training loop, for values with data and grad."""

    def __init__(self, params):
        self.params, self.m, self.v, self.steps = list(params), [0.0] * len(params), [0.0] * len(params), 0

    def step(self, lr, beta1=0.85, beta2=0.99, eps=1e-8, zero_grad=True):
        for i, p in enumerate(self.params):
            self.m[i] = beta1 * self.m[i] + (1 - beta1) * p.grad
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * p.grad**2
            m_hat = self.m[i] / (1 - beta1 ** (self.steps + 1))
            v_hat = self.v[i] / (1 - beta2 ** (self.steps + 1))
            p.data -= lr * m_hat / (v_hat**0.5 + eps)
            if zero_grad:
                p.grad = 0
        self.steps += 1


def values(engine, numbers):
    return [engine.Value(x) for x in numbers]


def data_of(params):
    return [bits(p.data) for p in params]


def state_bits(optimizer):
    state = optimizer.state_dict()
    return state["t"], all_bits(state["m"]), all_bits(state["v"])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1000])
def test_steps_equal_the_loop_of_the_script_for_every_number_of_parameters(engine, reference, n):
    rng = random.Random(f"n{n}")
    start = [rng.gauss(0, 0.08) for _ in range(n)]
    ours, theirs = values(engine, start), values(reference, start)
    adam, loop = engine.Adam(ours), ScriptLoop(theirs)
    for step in range(12):
        for p, q in zip(ours, theirs):
            p.grad = q.grad = rng.choice([rng.gauss(0, 1), rng.gauss(0, 1e-3), rng.gauss(0, 1e4), 0.0])
        lr = 0.01 * (1 - step / 12)
        adam.step(lr)
        loop.step(lr)
        assert data_of(ours) == data_of(theirs)
    assert state_bits(adam) == (12, all_bits(loop.m), all_bits(loop.v))
    assert grads_of(ours) == ["0"] * n


HARD = [0, 0.0, -0.0, 1, -1, 2, 0.5, -0.25, 2.0**-511, 2.0**-537, 2.0**511, 5e-324, -5e-324, 1e-310, 1e-200]
HARD += [-1e-160, 1.4916681462400413e-154, 1.5e-154, 1e150, -1e153, 1.3e154, 1.3407807929942596e154, INF]
HARD += [-INF, NAN, 1e-8, 1e-5, 3e-17, 1 + 2**-52, 1 - 2**-53, math.sqrt(2), 4.0, 2**53, True]
gradient = st.one_of(
    st.sampled_from(HARD),
    st.floats(-1.3407807929942596e154, 1.3407807929942596e154),
    st.floats(-1, 1),
    st.integers(-3, 3),
    st.integers(-1074, 511).map(lambda e: math.ldexp(1.0, e)),
)
rate = st.one_of(st.sampled_from([0.01, 0, 1, 0.0, -0.01, 1e-300, 1e300, 1e-5]), st.floats(0, 1), st.floats())
first_rate = st.one_of(st.sampled_from([0.01, 0, 1, 0.0, 1e-300, 1e300, 1e-5]), st.floats(0, 1))  # of the constructor
beta = st.one_of(st.sampled_from([0.85, 0.99, 0.9, 0.999, 0.0, 0, 0.5]), st.floats(0, 0.9999))
epsilon = st.one_of(st.sampled_from([1e-8, 1e-5, 1e-300, 1.0, 1]), st.floats(1e-12, 10))
datum = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1, 0, INF, NAN, 5e-324, 1e308]), st.floats(-2, 2), st.floats())


@given(
    start=st.lists(datum, min_size=1, max_size=20),
    betas=st.tuples(beta, beta),
    eps=epsilon,
    lr=first_rate,
    data=st.data(),
)
def test_steps_equal_the_reference_for_every_gradient_rate_and_beta(reference, rival, start, betas, eps, lr, data):
    ours, theirs = values(reference, start), values(rival, start)
    adams = [
        engine.Adam(params, lr=lr, betas=betas, eps=eps) for engine, params in ((reference, ours), (rival, theirs))
    ]
    for _ in range(data.draw(st.integers(1, 4))):
        for p, q in zip(ours, theirs):
            p.grad = q.grad = data.draw(gradient)
        zero_grad = data.draw(st.booleans())
        own_rate = data.draw(st.one_of(st.none(), rate))
        outcomes = []
        for adam in adams:
            try:
                outcomes.append(adam.step(own_rate, zero_grad=zero_grad))
            except ArithmeticError as error:
                outcomes.append(type(error))
        assert outcomes[0] is outcomes[1]
        if outcomes[0]:
            return
        assert data_of(ours) == data_of(theirs)
        assert grads_of(ours) == grads_of(theirs)
        assert state_bits(adams[0]) == state_bits(adams[1])


@pytest.mark.parametrize("seed", range(5))
def test_many_steps_on_many_parameters_equal_the_reference(reference, rival, seed):
    """Magnitudes from subnormal to 1e150 side by side in every SIMD lane, many gradients exactly zero."""
    rng = random.Random(f"many{seed}")
    n = 997
    start = [rng.gauss(0, 1) for _ in range(n)]
    ours, theirs = values(reference, start), values(rival, start)
    betas = [(0.85, 0.99), (0.9, 0.999), (0.0, 0.5), (0.95, 0.9), (0.5, 0.0)][seed]
    adams = [engine.Adam(params, betas=betas) for engine, params in ((reference, ours), (rival, theirs))]
    for _ in range(20):
        for p, q in zip(ours, theirs):
            kind = rng.random()
            p.grad = q.grad = (
                rng.gauss(0, 1)
                if kind < 0.5
                else rng.choice(HARD)
                if kind < 0.55
                else 0
                if kind < 0.7
                else rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 150)
            )
        for adam in adams:
            adam.step()
        assert data_of(ours) == data_of(theirs)
    assert state_bits(adams[0]) == state_bits(adams[1])


def test_the_state_moves_as_documented(engine):
    p = engine.Value(1.0)
    adam = engine.Adam([p])
    assert adam.state_dict() == {"t": 0, "m": [0.0], "v": [0.0]}
    p.grad = 2.0
    assert adam.step() is None
    assert adam.t == 1
    assert state_bits(adam) == (
        1,
        all_bits([0.85 * 0.0 + (1 - 0.85) * 2.0]),
        all_bits([0.99 * 0.0 + (1 - 0.99) * 2.0**2]),
    )


def test_attributes_are_the_arguments(engine):
    params = values(engine, [1.0, 2.0])
    adam = engine.Adam(params)
    assert (adam.lr, adam.betas, adam.eps, adam.t) == (0.01, (0.85, 0.99), 1e-8, 0)
    assert type(adam.params) is list and adam.params == params
    assert adam.params[0] is params[0]
    adam = engine.Adam(params, 0.5, (0.1, 0.2), 0.25)
    assert (adam.lr, tuple(adam.betas), adam.eps) == (0.5, (0.1, 0.2), 0.25)
    adam = engine.Adam(params=params, lr=0.5, betas=(0.1, 0.2), eps=0.25)
    assert (adam.lr, tuple(adam.betas), adam.eps) == (0.5, (0.1, 0.2), 0.25)


def test_attributes_written_later_count_in_the_next_step(engine, reference):
    ours, theirs = values(engine, [1.0, -2.0]), values(reference, [1.0, -2.0])
    adam, loop = engine.Adam(ours), ScriptLoop(theirs)
    for lr, betas, eps in [(0.1, (0.85, 0.99), 1e-8), (0.2, (0.5, 0.6), 1e-3), (1, (0.0, 0.9), 1.0)]:
        adam.lr, adam.betas, adam.eps = lr, betas, eps
        for p, q in zip(ours, theirs):
            p.grad = q.grad = 0.3 * p.data
        adam.step()
        loop.step(lr, *betas, eps)
        assert data_of(ours) == data_of(theirs)


def test_a_rate_given_to_the_step_is_for_that_step_only(engine, reference):
    ours, theirs = values(engine, [1.0]), values(reference, [1.0])
    adam, loop = engine.Adam(ours, lr=0.25), ScriptLoop(theirs)
    for given_rate, used in [(None, 0.25), (0.5, 0.5), (0, 0), (0.0, 0.0), (None, 0.25)]:
        ours[0].grad = theirs[0].grad = 1.5
        adam.step(given_rate)
        loop.step(used)
        assert data_of(ours) == data_of(theirs)
    ours[0].grad = 1.0
    adam.step(lr=0.125)
    assert adam.lr == 0.25


def test_gradients_can_be_kept_and_cleared_on_demand(engine):
    params = values(engine, [1.0, 2.0])
    adam = engine.Adam(params)
    params[0].grad, params[1].grad = 1.5, 2
    adam.step(zero_grad=False)
    assert grads_of(params) == [bits(1.5), "2"]
    adam.step(None, False)
    assert grads_of(params) == [bits(1.5), "2"]
    assert adam.zero_grad() is None
    assert grads_of(params) == ["0", "0"]


def test_a_parameter_given_twice_is_stepped_twice_the_second_time_with_a_zero_gradient(engine, reference):
    for zero_grad in (True, False):
        ours, theirs = engine.Value(1.0), reference.Value(1.0)
        others = [engine.Value(2.0), reference.Value(2.0)]
        adam = engine.Adam([ours, others[0], ours])
        loop = ScriptLoop([theirs, others[1], theirs])
        for _ in range(3):
            for p in (ours, theirs, *others):
                p.grad = 0.7
            adam.step(zero_grad=zero_grad)
            loop.step(0.01, zero_grad=zero_grad)
            assert data_of([ours, others[0]]) == data_of([theirs, others[1]])
        assert state_bits(adam) == (3, all_bits(loop.m), all_bits(loop.v))


def test_parameters_may_come_from_a_generator(engine):
    params = values(engine, [1.0, 2.0])
    adam = engine.Adam(p for p in params)
    assert adam.params == params
    params[1].grad = 1.0
    adam.step()
    assert bits(params[0].data) == bits(1.0)
    assert params[1].data < 2.0
    adam = engine.Adam(dict.fromkeys(params))
    assert adam.params == params


def test_parameters_stay_alive_in_the_optimizer(engine):
    adam = engine.Adam([engine.Value(float(i)) for i in range(100)])
    for _ in range(5000):
        engine.Value(1.0) * 2.0
    adam.params[7].grad = 1.0
    adam.step()
    assert [float(p.data) for p in adam.params[8:]] == [float(i) for i in range(8, 100)]
    assert adam.params[7].data < 7.0


def test_the_list_given_may_change_afterwards_without_effect(engine):
    params = values(engine, [1.0, 2.0])
    adam = engine.Adam(params)
    kept = list(params)
    params.append(engine.Value(3.0))
    params.pop(0)
    assert adam.params == kept
    adam.step()


def test_inner_nodes_can_be_parameters_too(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c = b * b
    c.backward()
    engine.Adam([b]).step()
    assert b.data < 6.0
    assert bits(c.data) == bits(36.0)
    assert all_bits(c._local_grads) == all_bits([6.0, 6.0])


def test_a_restored_optimizer_goes_on_with_the_same_bits(engine):
    rng = random.Random("resume")
    start = [rng.gauss(0, 1) for _ in range(37)]
    gradients = [[rng.gauss(0, 1) for _ in start] for _ in range(10)]

    def run(adam, params, part):
        for row in part:
            for p, g in zip(params, row):
                p.grad = g
            adam.step()

    whole = values(engine, start)
    run(engine.Adam(whole), whole, gradients)
    first = values(engine, start)
    adam = engine.Adam(first)
    run(adam, first, gradients[:4])
    for restore in (lambda s: s, copy.deepcopy, lambda s: json.loads(json.dumps(s))):
        second = values(engine, [p.data for p in first])
        again = engine.Adam(second)
        again.load_state_dict(restore(adam.state_dict()))
        assert state_bits(again) == state_bits(adam)
        run(again, second, gradients[4:])
        assert data_of(second) == data_of(whole)


def test_the_state_is_a_copy(engine):
    p = engine.Value(1.0)
    adam = engine.Adam([p])
    p.grad = 1.0
    adam.step()
    state = adam.state_dict()
    before = copy.deepcopy(state)
    state["m"][0] = 99.0
    assert adam.state_dict() == before
    adam.load_state_dict(before)
    before["v"][0] = 99.0
    assert adam.state_dict()["v"] != before["v"]
    assert type(state["t"]) is int and type(state["m"]) is list and type(state["v"]) is list
    assert type(before["m"][0]) is float


NO_STATES = [
    *({"t": 5, "m": m, "v": v} for m, v in [([], []), ([0.0], [0.0]), ([0.0] * 3, [0.0] * 3)]),
    *({"t": 5, "m": m, "v": v} for m, v in [([0.0] * 2, [0.0]), ([0.0], [0.0] * 2)]),
    *({}, {"t": 1}, {"t": 1, "m": [0.0] * 2}, None, 5, {"t": 1, "m": None, "v": [0.0] * 2}),
]
NO_NUMBERS = [  # which the script's lists would take
    *({"t": 1, "m": [0.0, "x"], "v": [0.0, 0.0]}, {"t": 1, "m": [0.0, 0.0], "v": [0.0, None]}),
    {"t": "x", "m": [0.0, 0.0], "v": [0.0, 0.0]},
]


def test_a_state_that_is_none_is_refused_and_changes_nothing(engine):
    params = values(engine, [1.0, 2.0])
    adam = engine.Adam(params)
    params[0].grad = 1.0
    adam.step()
    before = state_bits(adam)
    for state in [*NO_STATES, *(NO_NUMBERS if engine.compiled else [])]:
        with pytest.raises((KeyError, TypeError, ValueError), match=r"\w"):
            adam.load_state_dict(state)
        assert state_bits(adam) == before


@pytest.mark.parametrize("g", [1.3407807929942597e154, 1e200, -1.7e308])
def test_a_gradient_whose_square_is_out_of_range_is_an_overflow_error(engine, g):
    params = values(engine, [1.0] * 10)
    adam = engine.Adam(params)
    params[9].grad = g
    with pytest.raises(OverflowError):
        adam.step()
    assert adam.t == 0


@pytest.mark.parametrize("place", [0, 1, 7, 8, 9, 99])
def test_an_overflow_error_changes_nothing_at_all(compiled, place):
    params = values(compiled, [0.5 + i for i in range(100)])
    adam = compiled.Adam(params)
    for p in params:
        p.grad = 0.3
    adam.step(zero_grad=False)
    params[place].grad = 1e155
    before = data_of(params), grads_of(params), state_bits(adam)
    with pytest.raises(OverflowError):
        adam.step()
    assert (data_of(params), grads_of(params), state_bits(adam)) == before
    params[place].grad = 1.0
    adam.step()
    assert adam.t == 2


def test_a_zero_denominator_is_a_zero_division_error_and_changes_nothing(engine):
    params = values(engine, [1.0, 2.0, 3.0])
    adam = engine.Adam(params, eps=0.0)
    params[0].grad = 1.0
    before = data_of(params), grads_of(params), state_bits(adam)
    with pytest.raises(ZeroDivisionError):
        adam.step()
    assert not engine.compiled or (data_of(params), grads_of(params), state_bits(adam)) == before


@pytest.mark.parametrize("betas", [(1.0, 0.99), (0.85, 1.0), (1, 1)])
def test_a_beta_of_one_is_refused_at_once_or_divides_by_zero_in_the_step(engine, betas):
    p = engine.Value(1.0)
    p.grad = 1.0
    with pytest.raises(ValueError if engine.compiled else ZeroDivisionError):
        engine.Adam([p], betas=betas).step()
    assert (bits(p.data), bits(p.grad)) == (bits(1.0), bits(1.0))


def test_no_parameters_are_no_error(engine):
    adam = engine.Adam([])
    adam.step()
    adam.zero_grad()
    assert adam.state_dict() == {"t": 1, "m": [], "v": []}


def test_wrong_arguments_are_refused(engine):
    p = engine.Value(1.0)
    p.grad = 1.0
    for make in (
        lambda: engine.Adam(None),
        lambda: engine.Adam(5),
        lambda: engine.Adam(p),
        lambda: engine.Adam([1.0]),
        lambda: engine.Adam(["x"]),
        lambda: engine.Adam([p], lr="fast"),
        lambda: engine.Adam([p], betas=0.9),
        lambda: engine.Adam([p], betas=(0.9,)),
        lambda: engine.Adam([p], betas=(0.1, 0.2, 0.3)),
        lambda: engine.Adam([p], betas=("a", "b")),
        lambda: engine.Adam([p], eps="x"),
        lambda: engine.Adam(),
    ):
        with pytest.raises((TypeError, ValueError, AttributeError), match=r"\w+ \w+ \w+"):
            make() if engine.compiled else make().step()
    with pytest.raises(TypeError):
        engine.Adam([p]).step("fast")
    with pytest.raises(TypeError):
        engine.Adam([p]).step(0.1, True, 3)


def test_a_long_run_keeps_the_bits_when_the_bias_corrections_reach_one(reference, rival):
    """From step 215 on 1 - 0.85**t is 1.0 in doubles, from about 3,600 on 1 - 0.99**t too."""
    ours, theirs = values(reference, [0.5, -0.25, 0.125]), values(rival, [0.5, -0.25, 0.125])
    adams = [reference.Adam(ours), rival.Adam(theirs)]
    rng = random.Random("long")
    for step in range(4500):
        for p, q in zip(ours, theirs):
            p.grad = q.grad = rng.gauss(0, 1)
        for adam in adams:
            adam.step()
        if step % 100 == 99:
            assert data_of(ours) == data_of(theirs)
    assert state_bits(adams[0]) == state_bits(adams[1])
