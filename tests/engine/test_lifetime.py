"""Memory over long runs: flat where reference counting would keep it flat, growing where the user keeps things."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys

import pytest
from memory import nodes, stays_flat
from processes import printed

from microgpt import arena_stats


def small_model(V, rng):
    return [V(rng.gauss(0, 0.5)) for _ in range(24)]


def small_loss(w, xs):
    hidden = [sum(wi * xi for wi, xi in zip(w[4 * j : 4 * j + 4], xs)).relu() for j in range(5)]
    return (sum(h * wi for h, wi in zip(hidden, w[20:24])) - 1) ** 2 / 3


EXPRESSIONS = {
    "leaves": lambda V, a: V(0.5),
    "products": lambda V, a: a * a,
    "sums bound to one name": lambda V, a: (last := a * 2.0 + 1).data and last,
    "functions of results": lambda V, a: (a + a).exp().relu(),
}


@pytest.mark.parametrize("make", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expressions_made_and_dropped_for_ever(compiled, swept, make):
    a = compiled.Value(1.5)

    def step(k):
        for _ in range(100):
            made = make(compiled.Value, a)
        assert made is not a

    stays_flat(step, 2000)


def adam_steps(V, Adam, w, rng):
    adam, losses = Adam(w), []

    def step(k):
        loss = small_loss(w, [rng.gauss(0, 1) for _ in range(4)])
        loss.backward()
        adam.step()
        losses.append(loss.data)  # numbers keep no graph

    return step


def loops_of_the_script(V, Adam, w, rng):
    def step(k):
        sum(small_loss(w, [rng.gauss(0, 1) for _ in range(4)]) for _ in range(3)).backward()
        for p in w:
            p.data -= 0.01 * p.grad
            p.grad = 0

    return step


def a_window_of_recent_results(V, Adam, w, rng):
    window = []

    def step(k):
        window.append(small_loss(w, [0.1, 0.2, k % 5, 1]))
        del window[:-10]

    return step


def a_growing_cache_dropped_after_each_sample(V, Adam, w, rng):
    def step(k):
        keys, token = [], 0.5
        for _ in range(10):
            keys.append([wi * token for wi in w])
            scores = [sum(a * b for a, b in zip(keys[-1], old)) for old in keys]
            highest = max(score.data for score in scores)
            exps = [(score - highest).exp() for score in scores]
            token = (exps[0] / sum(exps)).data

    return step


def graphs_over_a_living_part(V, Adam, w, rng):
    shared = small_loss(w, [0.1, 0.2, 0.3, 1])

    def step(k):
        (shared * 2.0 + w[0]).backward()

    return step


@pytest.mark.parametrize(
    "usage",
    [
        adam_steps,
        loops_of_the_script,
        a_window_of_recent_results,
        a_growing_cache_dropped_after_each_sample,
        graphs_over_a_living_part,
    ],
)
def test_memory_stays_flat_over_thousands_of(compiled, swept, usage):
    rng = random.Random(1)
    step = usage(compiled.Value, compiled.Adam, small_model(compiled.Value, rng), rng)
    stays_flat(step, 1500, slack=1.3)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", [1, 10, 700, 3000])
def test_results_that_overlap_the_next_graph_do_not_chain_the_graphs_together(compiled, swept, size, backward):
    """The old loss is still bound while the next graph is made, for ever: the two share blocks, but nothing else."""
    x, loss = compiled.Value(0.5), [None]

    def step(k):
        y = x
        for _ in range(size):
            y = y * 0.9 + x
        loss[0] = y  # the previous loss dies here, after the new one was made
        if backward:
            y.backward()

    steps = 600_000 // (size + 150)
    stays_flat(step, steps, every=steps // 40, slack=1.3)


def test_keeping_every_loss_value_keeps_every_graph_until_they_are_dropped(compiled, swept):
    w = small_model(compiled.Value, random.Random(6))
    before = nodes()
    losses = [small_loss(w, [0.1, 0.2, 0.3, 1])]
    one = nodes() - before
    losses += [small_loss(w, [0.1, 0.2, 0.3, 1]) for _ in range(499)]
    assert nodes() == before + 500 * one
    for loss in losses:
        loss.backward()
    assert len({loss.data for loss in losses}) == 1
    del losses[1:250], loss
    assert nodes() == before + 251 * one
    losses.clear()
    assert nodes() == before


def test_one_kept_leaf_among_a_million_dropped_ones_keeps_no_memory(compiled, swept):
    before = arena_stats()
    kept = []
    for i in range(300_000):
        v = compiled.Value(float(i))
        if i == 150_000:
            kept.append(v)
    del v
    after = arena_stats()
    assert after["nodes"] == before["nodes"] + 1
    assert after["bytes"] <= before["bytes"] + 500_000
    assert kept[0].data == 150_000.0


def test_one_kept_leaf_made_in_the_middle_of_a_graph_does_not_keep_the_graph(compiled, swept):
    before = arena_stats()
    y = compiled.Value(0.5)
    kept = None
    for i in range(100_000):
        y = y * 0.9 + 0.1
        if i == 50_000:
            kept = compiled.Value(7.0)
            y = y + kept
    high = arena_stats()["bytes"]
    del y
    after = arena_stats()
    assert after["nodes"] == before["nodes"] + 1
    for _ in range(3):
        y = compiled.Value(0.5)
        for _ in range(100_000):
            y = y * 0.9 + 0.1
        del y
    assert arena_stats()["bytes"] <= high + 500_000
    assert kept.data == 7.0


def test_a_kept_constant_of_a_graph_does_not_keep_the_graph(compiled, swept):
    before = nodes()
    y = compiled.Value(0.5)
    for _ in range(50_000):
        y = y * 0.9 + 0.1
    constant = y._children[1]
    assert constant.data == 0.1
    del y
    assert nodes() == before + 1
    assert constant.data == 0.1 and constant._children == ()


def test_a_kept_inner_node_keeps_what_it_depends_on_and_nothing_else(compiled, swept):
    before = nodes()
    y = compiled.Value(0.5)
    for i in range(10_000):
        y = y * 0.9
        if i == 3999:
            inner = y
    del y
    assert nodes() == before + 1 + 2 * 4000
    inner.backward()
    x = inner
    for _ in range(4000):
        x = x._children[0]
    assert x.data == 0.5 and x._children == ()
    del x, inner
    assert nodes() == before


def test_dropping_in_any_order_gives_everything_back(compiled, swept):
    before = nodes()
    for order in ("first", "last", "random"):
        kept = [compiled.Value(1.0)]
        for i in range(5000):
            kept.append(kept[-1] * 0.5 + kept[i // 2])
        if order == "random":
            random.Random(9).shuffle(kept)
        while kept:
            kept.pop(0 if order == "first" else -1)
        assert nodes() == before


def test_memory_of_user_made_nodes_with_many_children_is_given_back(compiled, swept):
    xs = [compiled.Value(0.1) for _ in range(100)]
    grads = (0.5,) * 100

    def step(k):
        node = compiled.Value(1.0, xs, grads)
        node._children = xs[:50]
        node._local_grads = grads[:70]

    stays_flat(step, 6000, every=100, slack=1.3)


RESIDENT = """
import gc, sys
from microgpt import Adam, Value, arena_stats
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
"""
STEPS = """
def run(w, adam, steps):
    for _ in range(steps):
        loss = sum((a * b + 0.5).relu() * a for a, b in zip(w, w[1:])) ** 2 / len(w)
        loss.backward()
        adam.step()
        c = Value(1.0, (w[0], w[1], loss), (1.0, 2.0, 3.0))
        children = c._children
w = [Value(0.01 * i) for i in range(20)]
adam = Adam(w)
run(w, adam, 2000)
before = resident()
run(w, adam, int(sys.argv[1]))
print(resident() - before)
"""


CHAIN = """
before = resident()
y = x = Value(1.0)
for _ in range(2_000_000):
    y = y * x
y.backward()
large = resident() - before
y = None
print(large, resident() - before, arena_stats()["bytes"])
"""


def numbers_printed(code, *arguments):
    return [int(word) for word in printed(RESIDENT + code, *arguments).split()]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident memory from /proc")
def test_the_memory_of_a_large_graph_goes_back_to_the_system(compiled):
    large, left, kept = numbers_printed(CHAIN)
    assert large > 100_000_000
    assert left < 80_000_000 and kept < 80_000_000


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident memory from /proc")
@pytest.mark.parametrize("steps", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_the_resident_memory_of_the_process_is_flat_over_training_steps(compiled, steps):
    assert numbers_printed(STEPS, steps)[0] < 2_000_000


def test_no_python_object_is_leaked_by_operations(compiled, swept):
    """Allocated blocks of the interpreter, before and after many rounds of everything, errors included."""
    V = compiled.Value

    def everything():
        a, b = V(1.5), V(2)
        c = (a * b + 1 - a / b) ** 2 + a.exp().log() + (-b).relu() + 2**a + abs(b) + a.gelu("tanh")
        c.backward()
        d = V(1.0, [a, b, c], [1, 2.0, True])
        d.backward()
        d._children, d._local_grads = (a, b), (1.0, 2)
        repr(d), hash(d), d._children, d._local_grads, d.grad, d.data
        for wrong in (
            lambda: a + "x",
            lambda: V(None),
            lambda: a / 0,
            lambda: V(1.0, ("x",)),
            lambda: a**b,
            lambda: setattr(a, "grad", "x"),
        ):
            with contextlib.suppress(TypeError, ZeroDivisionError):
                wrong()

    for _ in range(50):
        everything()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        everything()
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
