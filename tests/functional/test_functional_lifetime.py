"""Memory of graphs made by functions over lists: what is dropped is freed, what is kept keeps what it needs."""

from __future__ import annotations

import gc
import random
import re
import sys
import weakref

import pytest
from bits import all_bits, bits
from bulk import BLOCK, agree, seal
from memory import nodes, stays_flat
from processes import in_threads
from test_functional import gauss

import microgpt
from microgpt import (
    Adam,
    Value,
    add,
    arena_stats,
    attention,
    cross_entropy,
    linear,
    mean,
    relu,
    rmsnorm,
    softmax,
)


def matrix(n_rows, n, seed=0):
    return [[Value(number) for number in gauss(n, f"{seed} {row}")] for row in range(n_rows)]


class Model:
    """A small model with every function in it."""

    def __init__(self, n=8, n_hidden=16):
        self.w1, self.w2, self.w3 = matrix(n_hidden, n, 1), matrix(n, n_hidden, 2), matrix(n, n, 3)
        self.params = [p for w in (self.w1, self.w2, self.w3) for row in w for p in row]

    def loss(self, numbers, positions=2):
        keys, losses = [], []
        for t in range(positions):
            x = rmsnorm([Value(number) for number in numbers])
            keys.append(linear(x, self.w3))
            x = add(attention(x, keys, keys, 2), x)
            x = add(linear(relu(linear(x, self.w1)), self.w2), x)
            losses.append(cross_entropy(x, t))
        return mean(losses)


# ---- flat over long runs --------------------------------------------------------------------------------------------


def test_ten_thousand_training_steps(swept):
    model, rng = Model(), random.Random(1)
    adam = Adam(model.params)

    def step(k):
        loss = model.loss([rng.gauss(0, 1) for _ in range(8)])
        loss.backward()
        adam.step()

    stays_flat(step, 10_000, every=250)


def test_training_steps_whose_last_graph_lives_into_the_next(swept):
    model, rng, last = Model(), random.Random(1), []

    def step(k):
        last.append(model.loss([rng.gauss(0, 1) for _ in range(8)], positions=1 + k % 3))
        last[-1].backward()
        if len(last) > 3:
            del last[0]

    stays_flat(step, 1_500)


@pytest.mark.parametrize("name", ["linear", "softmax", "rmsnorm", "attention", "add", "relu", "cross_entropy", "mean"])
def test_one_function_called_for_ever(name, swept):
    x, w = [Value(number) for number in gauss(10)], matrix(7, 10)
    more = {"linear": [w], "attention": [w, w, 2], "add": [w[0]], "cross_entropy": [3]}
    stays_flat(lambda k: getattr(microgpt, name)(x, *more.get(name, [])), 20_000, every=1000)


def test_one_output_of_an_old_layer_kept(swept):
    """It keeps its own graph, and no later one."""
    model = Model()
    x = rmsnorm([Value(number) for number in gauss(8)])
    kept = linear(x, model.w1)[5]
    del x
    stays_flat(lambda k: model.loss([0.1 * (k - i) for i in range(8)]).backward(), 1_000)
    for p in model.params:
        p.grad = 0
    kept.backward()
    assert [p.grad != 0 for row in model.w1 for p in row] == [row == 5 for row in range(16) for _ in range(8)]


# ---- what lives, and what it keeps alive ----------------------------------------------------------------------------


def test_leaves_that_only_a_dot_product_uses_live_as_long_as_it(swept):
    before = nodes()
    x, w = [Value(number) for number in gauss(5)], matrix(2, 5)
    y, other = linear(x, w)
    expected = all_bits(v.data for pair in zip(w[0], x) for v in pair)
    del x, w, other
    junk = [Value(0.0) for _ in range(3000)]
    assert nodes() - before == 3000 + 1 + 10  # the other row is gone
    del junk
    more = [Value(9.0) for _ in range(3000)]
    assert all_bits(child.data for child in y._children) == expected
    y.backward()
    assert all_bits(child.grad for child in y._children[1::2]) == all_bits(y._local_grads[1::2])
    del more, y
    assert nodes() == before


@pytest.mark.parametrize("keep", [0, 3, 6])
def test_any_output_alone_keeps_what_it_needs(keep, swept):
    def program(e):
        x = e.leaves(gauss(6))
        h = e.linear(e.rmsnorm(x), e.matrix(gauss(6, row) for row in range(7)))
        outputs = [e.softmax(h), e.relu(h), e.linear(h, [h])[:1] * 7, e.attention(h, [h, h], [h, h], 7)]
        kept = [output[keep] for output in outputs]
        del h, outputs
        churn(e)
        for value in e.show(kept):
            e.backward(value)

    agree(program, places=[None, 4])


def churn(e):
    """Use up whatever memory was freed."""
    if e.compiled:
        gc.collect()
        arena_stats()
        one = e.Value(0.5)
        e.churned = [one * one for _ in range(20 * BLOCK)], [e.Value(7.0) for _ in range(5 * BLOCK)]


@pytest.mark.parametrize("name", ["softmax", "rmsnorm", "attention", "cross_entropy", "mean"])
def test_a_collection_that_falls_due_inside_a_call_does_not_see_half_of_it(name, swept):
    """A call needs a new block just when so many are alive that the arena looks for what nobody reaches."""

    def program(e, free=None):
        leaves = e.leaves(gauss(40))
        q, k, v = ([a * (b + 0.5) for a, b in zip(leaves, leaves[shift:] + leaves[:shift])] for shift in (1, 2, 3))
        if free is not None:
            e.padding = until_a_collection_is_due(leaves[0], free)
        if name == "attention":
            outputs = e.attention(q, [k, v], [v, k], 4)
        elif name in ("cross_entropy", "mean"):
            outputs = [getattr(e, name)(q, *[3] * (name == "cross_entropy"))]
        else:
            outputs = getattr(e, name)(q)
        del q, k, v
        churn(e)
        e.backward(e.show(sum(outputs)))

    for free in (0, 3, 70, 130):
        agree(lambda e, free=free: program(e, free if e.compiled else None))


def until_a_collection_is_due(x, free):
    """Nodes that fill the arena up to `free` places before the next collection."""
    gc.collect()
    spacer = [x * x for _ in range(2 * BLOCK)]
    seal(Value)
    blocks = arena_stats()["blocks"]  # which collects, and sets when the next collection is due
    due = max(256, 2 * blocks)
    return spacer[:1], [x * x for _ in range((due - blocks + 1) * BLOCK - free)]


def test_a_chain_of_a_hundred_thousand_layers():
    depth = 100_000
    w = [[Value(0.5), Value(0.5)], [Value(-0.5), Value(0.25)]]
    y = x = [Value(1.0), Value(-1.0)]
    count = nodes()
    for _ in range(depth):
        y = add(linear(y, w), x)
    loss = mean(y)
    loss.backward()
    assert nodes() == count + depth * 4 + 3
    assert all(bits(value.grad) != "0" for value in (*x, *w[0], *w[1]))
    del y, loss
    assert nodes() == count


def test_a_chain_of_a_thousand_layers_has_the_bits_of_the_reference():
    def program(e):
        w, x = e.matrix([[0.5, 0.5], [-0.5, 0.25]]), e.leaves([1.0, -1.0])
        y = x
        for _ in range(1000):
            y = e.add(e.linear(y, w), x)
        e.backward(e.show(e.mean(y)), times=2)

    agree(program)


# ---- other code in the middle of a call -----------------------------------------------------------------------------


@pytest.fixture
def busy_collector():
    """Collect at every chance."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


def test_a_destructor_that_calls_the_functions_itself(busy_collector):
    x, w = [Value(number) for number in gauss(6)], matrix(50, 6)
    expected = [all_bits(v.data for v in values) for values in (linear(x, w), softmax(x), rmsnorm(x))]
    found, kept = [], []

    class Busy:
        def __del__(self):
            kept.append((linear(x, w), attention(x, [x, x], [x, x], 2), [Value(1.0) for _ in range(5000)]))
            del kept[:-2]

    for _ in range(60):
        cycle = Busy()
        cycle.itself = cycle
        del cycle
        found = [all_bits(v.data for v in values) for values in (linear(x, w), softmax(x), rmsnorm(x))]
        assert found == expected
    assert kept


def test_a_destructor_that_changes_the_operands(busy_collector):
    """Whenever it runs, the call sees them before or after."""

    class Meddler:
        def __init__(self, *victims):
            self.victims, self.itself = victims, self

        def __del__(self):
            for victim in self.victims:
                victim.clear()

    calls = [
        lambda x, w: linear(x, w),
        lambda x, w: add(x, x),
        lambda x, w: attention(x, w, w, 2),
        lambda x, w: relu(x),
    ]
    refusal = "q has 0 elements|linear: x has 0 elements|add: a has [04] elements|keys is empty"
    for k in range(120):
        x, w = [Value(number) for number in gauss(4)], matrix(3, 4)
        Meddler(x, w) if k % 2 else Meddler(x)
        try:
            assert len(calls[k % 4](x, w)) in (0, 3, 4)
        except ValueError as error:
            refused = str(error)
        else:
            continue
        assert re.search(refusal, refused)


def test_generators_that_drop_and_make_values_while_they_are_read(swept):
    def hostile(numbers):
        for number in numbers:
            linear([Value(1.0)], [[Value(2.0)]])
            gc.collect()
            yield Value(number)

    numbers = gauss(5)
    plain = [Value(number) for number in numbers]
    assert all_bits(v.data for v in linear(hostile(numbers), (hostile(numbers) for _ in range(2)))) == all_bits(
        v.data for v in linear(plain, [plain, plain])
    )


def test_functions_in_several_threads_at_once():
    """Every thread its own model; the bits of a run alone."""

    def train():
        model, rng = Model(), random.Random(3)
        adam = Adam(model.params)
        for _ in range(40):
            model.loss([rng.gauss(0, 1) for _ in range(8)]).backward()
            adam.step()
        return all_bits(p.data for p in model.params)

    alone, before = train(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert in_threads([train] * 4) == [alone] * 4
    finally:
        sys.setswitchinterval(before)


def test_results_can_be_collected_in_cycles():
    class Holder:
        pass

    holder = Holder()
    holder.outputs, holder.itself = linear([Value(1.0)], [[Value(2.0)]]), holder
    gone = weakref.ref(holder)
    del holder
    count = nodes()
    gc.collect()
    assert gone() is None and nodes() == count - 3
