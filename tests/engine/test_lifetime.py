"""Memory over long runs: flat where reference counting would keep it flat, growing where the user keeps things."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import subprocess
import sys

import pytest


def stats():
    from microgpt import arena_stats

    return arena_stats()


class Flat:
    """Memory of the arena after warming up, against which later figures are held."""

    def __init__(self):
        self.figures = []

    def note(self):
        figures = stats()
        self.figures.append((figures["nodes"], figures["bytes"]))

    def check(self, slack=1.3, extra=400_000):
        third = max(1, len(self.figures) // 3)
        warm, late = self.figures[:third], self.figures[third:]
        for i in (0, 1):
            assert max(f[i] for f in late) <= max(f[i] for f in warm) * slack + (extra if i else 100), self.figures[
                :: max(1, len(self.figures) // 20)
            ]


def small_model(V, rng):
    return [V(rng.gauss(0, 0.5)) for _ in range(24)]


def small_loss(w, xs):
    hidden = [sum(wi * xi for wi, xi in zip(w[4 * j : 4 * j + 4], xs)).relu() for j in range(5)]
    return (sum(h * wi for h, wi in zip(hidden, w[20:24])) - 1) ** 2 / 3


def test_a_million_expressions_made_and_dropped(compiled, swept):
    a, b = compiled.Value(1.5), compiled.Value(2.5)
    flat = Flat()
    for i in range(1_000_000):
        a * b
        if i % 20_000 == 0:
            flat.note()
    flat.check(slack=1.0)


def test_a_million_expressions_bound_to_one_name(compiled, swept):
    a = compiled.Value(1.5)
    flat = Flat()
    for i in range(500_000):
        c = a * 2.0 + 1
        if i % 10_000 == 0:
            flat.note()
    assert c.data == 4.0
    flat.check(slack=1.0)


def test_a_million_leaves_made_and_dropped(compiled, swept):
    flat = Flat()
    for i in range(1_000_000):
        compiled.Value(0.5)
        if i % 20_000 == 0:
            flat.note()
    flat.check(slack=1.0)


def test_thousands_of_training_steps_keep_memory_flat(compiled, swept):
    rng = random.Random(1)
    w = small_model(compiled.Value, rng)
    adam = compiled.Adam(w)
    flat = Flat()
    for step in range(3000):
        loss = small_loss(w, [rng.gauss(0, 1) for _ in range(4)])
        loss.backward()
        adam.step()
        if step % 50 == 0:
            flat.note()
    flat.check()


def test_training_steps_with_the_loop_of_the_script_keep_memory_flat(compiled, swept):
    rng = random.Random(2)
    w = small_model(compiled.Value, rng)
    flat = Flat()
    for step in range(1500):
        loss = sum(small_loss(w, [rng.gauss(0, 1) for _ in range(4)]) for _ in range(3))
        loss.backward()
        for p in w:
            p.data -= 0.01 * p.grad
            p.grad = 0
        if step % 25 == 0:
            flat.note()
    flat.check()


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", [1, 10, 700, 3000])
def test_results_that_overlap_the_next_graph_do_not_chain_the_graphs_together(compiled, swept, size, backward):
    """The old loss is still bound while the next graph is made, for ever: the two share blocks, but nothing else."""
    x = compiled.Value(0.5)
    flat = Flat()
    loss = None
    for i in range(600_000 // (size + 150)):
        y = x
        for _ in range(size):
            y = y * 0.9 + x
        loss = y  # the previous loss dies here, after the new one was made
        if backward:
            loss.backward()
        if i % max(1, 600_000 // (size + 150) // 40) == 0:
            flat.note()
    assert loss is y
    flat.check()


def test_a_window_of_recent_results_keeps_only_their_graphs(compiled, swept):
    x = compiled.Value(0.5)
    flat, window = Flat(), []
    for i in range(4000):
        y = x
        for _ in range(50):
            y = y * 0.9 + x
        window.append(y)
        if len(window) > 10:
            window.pop(0)
        if i % 50 == 0:
            flat.note()
    flat.check()


def test_sampling_with_a_growing_cache_dropped_at_the_end_of_each_sample(compiled, swept):
    rng = random.Random(3)
    w = [compiled.Value(rng.gauss(0, 0.3)) for _ in range(16)]
    flat = Flat()
    for sample in range(120):
        keys, token = [], 0.5
        for _ in range(25):
            k = [wi * token for wi in w]
            keys.append(k)
            scores = [sum(a * b for a, b in zip(k, old)) for old in keys]
            highest = max(s.data for s in scores)
            exps = [(s - highest).exp() for s in scores]
            total = sum(exps)
            token = next(e / total for e in exps).data
        if sample % 3 == 0:
            flat.note()
    flat.check()


def test_forward_only_graphs_never_differentiated_are_dropped_too(compiled, swept):
    w = small_model(compiled.Value, random.Random(4))
    flat, total = Flat(), 0.0
    for i in range(3000):
        total += small_loss(w, [0.1, 0.2, i % 5, 1]).data
        if i % 50 == 0:
            flat.note()
    flat.check()


def test_keeping_every_number_of_the_loss_keeps_no_graph(compiled, swept):
    w = small_model(compiled.Value, random.Random(5))
    before = stats()["nodes"]
    losses = [small_loss(w, [0.1, 0.2, 0.3, 1]).data for _ in range(1000)]
    assert len(losses) == 1000
    assert stats()["nodes"] == before


def test_keeping_every_loss_value_keeps_every_graph_until_they_are_dropped(compiled, swept):
    w = small_model(compiled.Value, random.Random(6))
    before = stats()["nodes"]
    losses = [small_loss(w, [0.1, 0.2, 0.3, 1])]
    one = stats()["nodes"] - before
    losses += [small_loss(w, [0.1, 0.2, 0.3, 1]) for _ in range(499)]
    assert stats()["nodes"] == before + 500 * one
    for loss in losses:
        loss.backward()
    assert len({loss.data for loss in losses}) == 1
    del losses[1:250], loss
    assert stats()["nodes"] == before + 251 * one
    losses.clear()
    assert stats()["nodes"] == before


def test_one_kept_leaf_among_a_million_dropped_ones_keeps_no_memory(compiled, swept):
    before = stats()
    kept = []
    for i in range(300_000):
        v = compiled.Value(float(i))
        if i == 150_000:
            kept.append(v)
    del v
    after = stats()
    assert after["nodes"] == before["nodes"] + 1
    assert after["bytes"] <= before["bytes"] + 500_000
    assert kept[0].data == 150_000.0


def test_one_kept_leaf_made_in_the_middle_of_a_graph_does_not_keep_the_graph(compiled, swept):
    before = stats()
    y = compiled.Value(0.5)
    kept = None
    for i in range(100_000):
        y = y * 0.9 + 0.1
        if i == 50_000:
            kept = compiled.Value(7.0)
            y = y + kept
    high = stats()["bytes"]
    del y
    after = stats()
    assert after["nodes"] == before["nodes"] + 1
    for _ in range(3):
        y = compiled.Value(0.5)
        for _ in range(100_000):
            y = y * 0.9 + 0.1
        del y
    assert stats()["bytes"] <= high + 500_000
    assert kept.data == 7.0


def test_a_kept_constant_of_a_graph_does_not_keep_the_graph(compiled, swept):
    before = stats()["nodes"]
    y = compiled.Value(0.5)
    for _ in range(50_000):
        y = y * 0.9 + 0.1
    constant = y._children[1]
    assert constant.data == 0.1
    del y
    assert stats()["nodes"] == before + 1
    assert constant.data == 0.1 and constant._children == ()


def test_a_kept_inner_node_keeps_what_it_depends_on_and_nothing_else(compiled, swept):
    before = stats()["nodes"]
    y = compiled.Value(0.5)
    for i in range(10_000):
        y = y * 0.9
        if i == 3999:
            inner = y
    del y
    assert stats()["nodes"] == before + 1 + 2 * 4000
    inner.backward()
    x = inner
    for _ in range(4000):
        x = x._children[0]
    assert x.data == 0.5 and x._children == ()
    del x, inner
    assert stats()["nodes"] == before


def test_dropped_graphs_that_share_a_living_part_leave_only_that_part(compiled, swept):
    x = compiled.Value(0.5)
    shared = x
    for _ in range(1000):
        shared = shared * 0.99
    before = stats()["nodes"]
    for _ in range(300):
        y = shared
        for _ in range(100):
            y = y + x
        y.backward()
    del y
    assert stats()["nodes"] == before


def test_gradients_held_by_parameters_keep_no_graph(compiled, swept):
    w = small_model(compiled.Value, random.Random(8))
    before = stats()["nodes"]
    for _ in range(100):
        small_loss(w, [0.1, 0.2, 0.3, 1]).backward()
    assert stats()["nodes"] == before


def test_dropping_in_any_order_gives_everything_back(compiled, swept):
    before = stats()["nodes"]
    for order in ("first", "last", "random"):
        kept = [compiled.Value(1.0)]
        for i in range(5000):
            kept.append(kept[-1] * 0.5 + kept[i // 2])
        if order == "random":
            random.Random(9).shuffle(kept)
        while kept:
            kept.pop(0 if order == "first" else -1)
        assert stats()["nodes"] == before


def test_memory_of_user_made_nodes_with_many_children_is_given_back(compiled, swept):
    xs = [compiled.Value(0.1) for _ in range(100)]
    grads = (0.5,) * 100
    flat = Flat()
    for i in range(6000):
        node = compiled.Value(1.0, xs, grads)
        node._children = xs[:50]
        node._local_grads = grads[:70]
        if i % 100 == 0:
            flat.note()
    flat.check()


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
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT + code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


def resident_growth(steps):
    return numbers_printed(STEPS, str(steps))[0]


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident memory from /proc")
def test_the_memory_of_a_large_graph_goes_back_to_the_system(compiled):
    large, left, kept = numbers_printed(CHAIN)
    assert large > 100_000_000
    assert left < 80_000_000 and kept < 80_000_000


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident memory from /proc")
def test_the_resident_memory_of_the_process_is_flat_over_training_steps(compiled):
    assert resident_growth(10_000) < 2_000_000


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads the resident memory from /proc")
def test_the_resident_memory_is_flat_over_a_hundred_thousand_training_steps(compiled):
    assert resident_growth(100_000) < 2_000_000


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
