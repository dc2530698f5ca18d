"""Several threads building, differentiating and dropping graphs at once: the same bits as one after the other."""

from __future__ import annotations

import gc
import random
import sys
import threading

import pytest
from bits import bits, grads_of
from memory import nodes
from processes import in_threads

THREADS = 6


@pytest.fixture(autouse=True)
def quick_switches():
    """Let the interpreter change threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def train(engine, seed, shared=(), steps=25):
    """A small training run; losses and final parameters as bits."""
    rng = random.Random(seed)
    w = [engine.Value(rng.gauss(0, 0.5)) for _ in range(12)]
    adam = engine.Adam(w)
    losses = []
    for _ in range(steps):
        xs = [rng.gauss(0, 1) for _ in range(4)] + [s.data for s in shared]
        hidden = [sum(wi * xi for wi, xi in zip(w[4 * j : 4 * j + 4], xs)).relu() for j in range(3)]
        loss = (sum(hidden) - 1) ** 2 / 3 + engine.Value(0.5, tuple(w), (0.01,) * 12)
        loss.backward()
        adam.step()
        losses.append(bits(loss.data))
    return losses, [bits(p.data) for p in w]


def test_training_runs_in_threads_give_the_bits_of_serial_runs(engine):
    serial = [train(engine, seed) for seed in range(THREADS)]
    assert in_threads([lambda seed=seed: train(engine, seed) for seed in range(THREADS)]) == serial


def test_graphs_over_shared_leaves_can_be_built_in_threads(engine):
    shared = [engine.Value(0.1 * i) for i in range(8)]

    def forward(k):
        out = []
        for i in range(150):
            y = sum(s * (k + i) for s in shared) / 3
            out.append(bits((y * y + y).relu().data))
        return out

    serial = [forward(k) for k in range(THREADS)]
    assert in_threads([lambda k=k: forward(k) for k in range(THREADS)]) == serial
    assert grads_of(shared) == ["0"] * 8


def test_graphs_built_in_one_thread_can_be_dropped_in_another(compiled, swept):
    before = nodes()
    box, lock, done = [], threading.Lock(), threading.Event()

    def produce(k):
        for _ in range(400):
            y = compiled.Value(float(k))
            for _ in range(30):
                y = y * 0.9 + 1
            with lock:
                box.append(y)

    def consume():
        while not done.is_set() or box:
            with lock:
                taken = box[:]
                box.clear()
            for y in taken:
                y.backward()
            taken = y = None

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert in_threads([lambda k=k: produce(k) for k in range(4)]) == [None] * 4
    done.set()
    consumer.join()
    gc.collect()
    assert nodes() == before


def test_reading_children_in_threads_keeps_identities(compiled):
    x = compiled.Value(0.5)
    root = sum(x * float(i) for i in range(100))

    def read():
        for _ in range(100):
            v = root
            while len(v._children) == 2 and v._children[0]._children:
                assert v._children[0] is v._children[0]
                v = v._children[0]
        return True

    assert in_threads([read] * THREADS) == [True] * THREADS


def test_subclasses_with_attributes_in_threads(compiled):
    class Named(compiled.Value):
        pass

    def work(k):
        for i in range(200):
            a = Named(float(i))
            a.name = (k, i)
            b = a * 2 + 1
            del a
            assert b._children[0]._children[0].name == (k, i)
        return True

    assert in_threads([lambda k=k: work(k) for k in range(THREADS)]) == [True] * THREADS


def test_pickling_in_threads_keeps_graphs_apart(compiled):
    import copy
    import pickle

    def work(k):
        x = compiled.Value(float(k))
        graph = [x, x * 2.0, x * x + 1]
        for _ in range(60):
            again = copy.deepcopy(pickle.loads(pickle.dumps(graph)))
            assert again[1]._children[0] is again[0] and again[2]._children[0]._children[1] is again[0]
            assert again[0].data == float(k)
        return True

    assert in_threads([lambda k=k: work(k) for k in range(THREADS)]) == [True] * THREADS
