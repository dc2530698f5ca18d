"""Graphs too deep or too wide for recursion: a million nodes in a row, a hundred thousand children, small stacks."""

from __future__ import annotations

import gc
import threading

import pytest
from bits import bits


def nodes():
    from microgpt import arena_stats

    return arena_stats()["nodes"]


def chain(V, n, step):
    x = V(1.0)
    y = x
    for _ in range(n):
        y = step(y, x)
    return x, y


@pytest.mark.parametrize(
    "step",
    [lambda y, x: y.relu(), lambda y, x: y + x, lambda y, x: x + y, lambda y, x: y * 1.0],
    ids=["one child", "left", "right", "constant"],
)
def test_a_chain_of_a_million_builds_goes_backward_and_is_freed(compiled, swept, step):
    before = nodes()
    x, y = chain(compiled.Value, 1_000_000, step)
    y.backward()
    assert float(x.grad) in (1.0, 1_000_001.0)
    del y
    assert nodes() == before + 1
    del x
    assert nodes() == before


@pytest.mark.slow
def test_a_chain_of_ten_million_builds_goes_backward_and_is_freed(compiled, swept):
    before = nodes()
    relu = compiled.Value.relu
    x = compiled.Value(1.0)
    y = x
    for _ in range(10_000_000):
        y = relu(y)
    y.backward()
    assert bits(x.grad) == bits(1.0)
    del x, y
    assert nodes() == before


def test_a_deep_chain_works_on_a_small_stack(compiled, swept):
    outcome = []

    def work():
        x, y = chain(compiled.Value, 500_000, lambda y, x: y * 1.0 + x)
        y.backward()
        outcome.append(float(x.grad))
        del x, y
        gc.collect()

    before = nodes()
    old = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old)
    assert outcome == [500_001.0]
    assert nodes() == before


def test_deep_chains_of_user_made_nodes_and_subclasses_are_freed_without_recursion(compiled, swept):
    class Mine(compiled.Value):
        __slots__ = ()

    before = nodes()
    for make in (
        lambda y: compiled.Value(1.0, (y, y, y), (0.5, 0.25, 0.25)),
        lambda y: Mine(1.0, (y,), (1.0,)),
        lambda y: Mine.relu(y),
    ):
        x = Mine(1.0)
        y = x
        for _ in range(200_000):
            y = make(y)
        y.backward()
        assert bits(x.grad) == bits(1.0)
        del x, y
        assert nodes() == before


def test_deep_chains_of_a_subclass_with_attributes_are_freed_without_recursion(compiled, swept):
    class Labelled(compiled.Value):
        pass

    before = nodes()
    y = Labelled(1.0)
    for i in range(100_000):
        y = y.relu()
        y.label = i
    assert y._children[0].label == 99_998
    y.backward()
    del y
    gc.collect()
    assert nodes() == before


def test_a_deep_graph_is_freed_where_its_last_handle_goes_even_inside_a_container(compiled, swept):
    before = nodes()
    _, y = chain(compiled.Value, 200_000, lambda y, x: y + x)
    holder = {"loss": [y]}
    holder["self"] = holder
    del y
    del holder
    gc.collect()
    assert nodes() <= before + 1


def test_a_graph_dropped_from_its_middle_outward_is_freed(compiled, swept):
    before = nodes()
    handles = []
    y = compiled.Value(1.0)
    for i in range(300_000):
        y = y * 1.0
        if i % 1000 == 0:
            handles.append(y)
    del y
    for k in sorted(range(len(handles)), key=lambda k: abs(k - 150)):
        handles[k] = None
    assert nodes() == before


def test_a_node_with_a_hundred_thousand_children(compiled, swept):
    n = 100_000
    before = nodes()
    xs = [compiled.Value(0.5) for _ in range(n)]
    node = compiled.Value(1.0, xs, [float(i) for i in range(n)])
    assert len(node._children) == n and node._children[n - 1] is xs[-1]
    (node * 2.0).backward()
    assert all(x.grad == 2.0 * i for i, x in enumerate(xs))
    del xs, node
    assert nodes() == before


def test_a_node_with_a_hundred_thousand_deep_children(compiled, swept):
    x = compiled.Value(0.5)
    ys = []
    y = x
    for _ in range(100_000):
        y = y + x
        ys.append(y)
    node = compiled.Value(1.0, ys[::-1], [1.0] * len(ys))
    del ys, y
    node.backward()
    assert float(x.grad) == sum(range(2, 100_002))


def test_a_sum_of_a_hundred_thousand_terms(compiled, swept):
    before = nodes()
    xs = [compiled.Value(1.0) for _ in range(100_000)]
    total = sum(x * 2.0 for x in xs)
    assert bits(total.data) == bits(200_000.0)
    total.backward()
    assert all(x.grad == 2.0 for x in xs)
    del xs, total
    assert nodes() == before


def test_a_graph_of_half_a_million_nodes_over_several_documents(compiled, swept):
    w = [compiled.Value(0.01 * i) for i in range(50)]
    before = nodes()
    losses = []
    for _ in range(100):
        h = w
        for _ in range(20):
            h = [a * b + 0.1 for a, b in zip(h, h[1:] + h[:1])]
        losses.append(sum(h))
    loss = sum(losses) / len(losses)
    assert nodes() - before > 300_000
    loss.backward()
    assert w[0].grad != 0
    del h, losses, loss
    assert nodes() == before


def test_a_regularisation_chain_thousands_deep_works_on_the_reference_too(engine, deep_recursion):
    params = [engine.Value(0.001 * i) for i in range(4000)]
    reg = engine.Value(0.0)
    for p in params:
        reg = reg + p * p
    reg.backward()
    assert [bits(p.grad) for p in params] == [bits(p.data + p.data) for p in params]


def test_the_reference_dies_of_recursion_where_the_script_does(reference):
    _, y = chain(reference.Value, 20_000, lambda y, x: y + x)
    with pytest.raises(RecursionError):
        y.backward()
    nodes_left = [y]  # taken apart by hand: freeing recurses too, in C
    while nodes_left[-1]._children:
        nodes_left.append(nodes_left[-1]._children[0])
    del y
    while nodes_left:
        nodes_left.pop(0)


def test_a_wide_and_deep_lattice_is_walked_in_linear_time(compiled, swept):
    layer = [compiled.Value(0.1) for _ in range(30)]
    first = layer
    for _ in range(300):
        layer = [(a + b) * 0.5 for a, b in zip(layer, layer[1:] + layer[:1])]
    total = sum(layer)
    total.backward()
    assert abs(sum(v.grad for v in first) - 30.0) < 1e-9
