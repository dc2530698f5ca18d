"""The arena as arena_stats shows it: nodes counted, blocks filled to the last place and over it, memory given back."""

from __future__ import annotations

import gc
import random

import pytest
from bits import bits, grads_of, reachable
from memory import nodes
from operations import every_operation
from processes import printed

from microgpt import arena_stats


def blocks_jump(make, limit=70_000):
    """Numbers of nodes made, at which one more block was in use, three times in a row."""
    kept, jumps, before = [], [], arena_stats()["blocks"]
    while len(jumps) < 3:
        assert len(kept) < limit, "no block boundary in sight"
        kept.append(make(kept))
        now = arena_stats()["blocks"]
        if now != before:
            jumps.append(len(kept))
            before = now
    return jumps


@pytest.fixture
def capacity(compiled, swept):
    """Nodes a block of results."""
    a = compiled.Value(1.0)
    jumps = blocks_jump(lambda kept: a.exp())
    assert jumps[2] - jumps[1] == jumps[1] - jumps[0]
    return jumps[1] - jumps[0]


@pytest.fixture
def leaf_capacity(compiled, swept):
    """Nodes a block of the user's leaves."""
    jumps = blocks_jump(lambda kept: compiled.Value(1.0))
    return jumps[2] - jumps[1]


def test_the_figures_are_there_and_are_ints(compiled):
    figures = arena_stats()
    assert {"nodes", "blocks", "bytes", "bytes_per_node"} <= set(figures)
    for name in ("nodes", "blocks", "bytes"):
        assert type(figures[name]) is int and figures[name] >= 0
    assert figures["bytes_per_node"] >= 0


def test_nodes_are_counted_one_by_one(compiled, swept):
    before = nodes()
    a = compiled.Value(1.0)
    b = compiled.Value(2.0)
    assert nodes() == before + 2
    c = a * b
    assert nodes() == before + 3
    d = c + 1
    assert nodes() == before + 5
    e = a - b
    assert nodes() == before + 8
    del c
    assert nodes() == before + 8
    del d
    assert nodes() == before + 5
    del e
    assert nodes() == before + 2
    del a, b
    assert nodes() == before


def every_kind(V):
    """Results of all operations and constructions, differentiated."""
    a, b = V(1.5), V(2.5)
    made = [*every_operation(a, b), V(1.0, (a, b), (1.0,))]
    made += [V(1.0, (), (1.0,)), V(1.0, (a,) * 40, (1.0,) * 40), V(1.0, (a, b, V(3.0)), (1, 2, 3))]
    for v in made:
        v.backward()
    return a, b, made


def every_error(V, a, b):
    """Operations that fail at their beginning, in their middle and at their end."""
    return [
        lambda: V("x"),
        lambda: a / 0,
        lambda: V(-1.0) ** a,
        lambda: a + "x",
        lambda: V(1.0, (a, "x"), (1.0,)),
        lambda: V(1.0, (a,), ("x",)),
        lambda: (a - a).log(),
        lambda: (a - a) ** -1,
        lambda: V(-1.0) ** 0.5,
        lambda: 1 / (a - a),
        lambda: a / (b - b),
        lambda: (a * 1e3).exp(),
    ]


def test_nodes_of_every_kind_are_gone_from_the_count(compiled, swept):
    before = nodes()
    for _ in range(3):
        a, b, made = every_kind(compiled.Value)
        for wrong in every_error(compiled.Value, a, b):
            with pytest.raises((TypeError, ArithmeticError, ValueError)):
                wrong()
        kept = (a / b)._children[1]._children[0]
        assert kept is b
        made[0]._children = (made[1], made[2], made[3])
        made[0]._local_grads = (1.0, 2.0, 3.0)
        del kept, made, a, b, wrong
        gc.collect()
        assert nodes() == before


def test_reading_and_dropping_children_does_not_change_the_count(compiled, swept):
    a = compiled.Value(1.5)
    c = sum(a * float(i) for i in range(50))
    before = nodes()
    for _ in range(10):
        assert len(reachable([c])) == 3 * 50 + 2
    assert nodes() == before


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("n_blocks", [1, 3])
def test_a_graph_that_ends_near_a_block_boundary_is_right_and_goes_away(compiled, capacity, over, n_blocks):
    gc.collect()
    before = nodes()
    x = compiled.Value(1.0)
    y = x
    for _ in range(n_blocks * capacity + over):
        y = y.relu()
    y.backward()
    assert bits(x.grad) == bits(1.0)
    assert nodes() == before + 1 + n_blocks * capacity + over
    z = y * x  # the chain below holds ones from the first run, and each node adds its own
    z.backward()
    assert bits(x.grad) == bits(1.0 + 1.0 + (n_blocks * capacity + over + 1.0))
    del y, z
    assert nodes() == before + 1


def test_children_before_and_behind_every_boundary_are_wired_right(compiled, capacity):
    """A ladder across three blocks: every node depends on the one before and on the one a whole block back."""
    kept = [compiled.Value(1.0)]
    for i in range(3 * capacity + 10):
        kept.append(compiled.Value(float(i % 5), (kept[-1], kept[max(0, len(kept) - capacity)]), (1.0, 0.5)))
    children = [kept[i]._children for i in range(1, len(kept))]
    assert all(pair[0] is kept[i] and pair[1] is kept[max(0, i + 1 - capacity)] for i, pair in enumerate(children))
    kept[-1].backward()
    grads = [0.0] * len(kept)
    grads[-1] = 1
    for i in range(len(kept) - 1, 0, -1):
        grads[i - 1] += 1.0 * grads[i]
        grads[max(0, i - capacity)] += 0.5 * grads[i]
    assert grads_of(kept[-50:]) == [bits(g) for g in grads[-50:]]
    assert all(abs(v.grad - g) <= 1e-9 * abs(g) for v, g in zip(kept, grads))


def test_leaves_near_a_block_boundary_keep_their_numbers(compiled, leaf_capacity):
    for n in (leaf_capacity - 1, leaf_capacity, leaf_capacity + 1, 3 * leaf_capacity + 1):
        leaves = [compiled.Value(float(i)) for i in range(n)]
        total = compiled.Value(0.0, tuple(leaves), tuple(float(i) for i in range(n)))
        total.backward()
        assert all(leaf.data == i and leaf.grad == i for i, leaf in enumerate(leaves))


def test_places_of_dropped_leaves_are_used_again(compiled, leaf_capacity):
    gc.collect()
    leaves = [compiled.Value(float(i)) for i in range(4 * leaf_capacity)]
    high = arena_stats()["bytes"]
    for round_ in range(10):
        del leaves[::2]
        leaves += [compiled.Value(float(round_)) for _ in range(2 * leaf_capacity)]
        assert all(leaf.grad == 0 and leaf._children == () for leaf in leaves)
    assert arena_stats()["bytes"] <= high * 1.25


def test_a_used_again_place_starts_as_a_fresh_leaf(compiled, leaf_capacity):
    for number, grad in [(1.5, 2.5), (3, 4)]:
        for _ in range(2 * leaf_capacity):
            a = compiled.Value(number)
            a.grad = grad
            a._local_grads = (1.0, 2, 3.0)
            a._children = ()
    fresh = [compiled.Value(0.25) for _ in range(2 * leaf_capacity)]
    assert all(bits(a.data) == bits(0.25) and bits(a.grad) == "0" and a._local_grads == () for a in fresh)


def test_a_used_again_result_block_starts_afresh(compiled, capacity):
    x = compiled.Value(2)
    for _ in range(4 * capacity):
        y = x * 3
        y.grad = 7.5
    results = [x + 0.5 for _ in range(4 * capacity)]
    assert all(bits(r.grad) == "0" and bits(r.data) == bits(2.5) for r in results)
    assert all(bits(r._local_grads[0]) == "1" for r in results)


def test_a_node_takes_at_most_sixty_four_bytes():
    """In a process of its own: the arena of this one keeps empty blocks of the tests before."""
    program = """
from microgpt import Value, arena_stats
x = y = Value(1.0)
for _ in range(150_000):
    y = y * 0.999 + x
y.backward()
stats = arena_stats()
assert stats["nodes"] >= 300_000
print(stats["bytes_per_node"])
"""
    assert float(printed(program)) <= 64


def test_an_exception_from_iterables_given_to_the_constructor_leaves_no_trace(compiled, swept):
    a = compiled.Value(1.0)
    before = nodes()

    def children(n):
        for _ in range(n):
            yield a * 2.0
        raise LookupError("enough")

    for n in (0, 1, 2, 3, 50):
        with pytest.raises(LookupError):
            compiled.Value(1.0, children(n), (1.0,) * n)
        with pytest.raises(LookupError):
            compiled.Value(1.0, (a,), (1.0 for _ in children(n)))
        node = a * 3.0
        with pytest.raises(LookupError):
            node._children = children(n)
        assert node._children[0] is a
        del node
    gc.collect()
    assert nodes() == before


@pytest.mark.parametrize("seed", range(3))
def test_random_keeping_and_dropping_ends_at_the_starting_count(compiled, swept, seed):
    rng = random.Random(seed)
    before = nodes()
    kept = [compiled.Value(1.0)]
    for _ in range(60_000):
        a, b = rng.choice(kept), kept[-1]
        kept.append(
            rng.choice(
                (
                    lambda a=a, b=b: a + b,
                    lambda a=a, b=b: a * b,
                    lambda a=a: a * 0.5,
                    lambda: compiled.Value(rng.random()),
                    lambda a=a, b=b: compiled.Value(1.0, (a, b, a), (1.0, 2.0, 3.0)),
                )
            )()
        )
        while len(kept) > 300 or (rng.random() < 0.3 and len(kept) > 1):
            kept.pop(rng.randrange(len(kept)))
    del kept, a, b
    gc.collect()
    assert nodes() == before
