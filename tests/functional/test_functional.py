"""The functions over lists of Values have the script's bits, whatever is shared with what."""

from __future__ import annotations

import math
import random

import pytest
from bulk import BLOCK, agree
from hypothesis import given
from hypothesis import strategies as st

NEAR_THE_END = [0, 1, 2, 3, 5, 9, 40]  # free places in the block in which a call begins
tame = st.floats(-3, 3)
numbers = st.one_of(
    tame, tame, st.sampled_from([0.0, -0.0, 1e-160, -1e160, 1e308, math.inf, -math.inf, math.nan, 5e-324])
)


def gauss(n, seed=0):
    rng = random.Random(seed)
    return [rng.gauss(0, 1) for _ in range(n)]


def vectors(elements=numbers, **sizes):
    return st.lists(elements, **sizes)


def total(e, values):
    """A scalar that depends on each of the values in its own way."""
    return sum(value * (0.5 + 0.25 * k) for k, value in enumerate(values)) if values else e.Value(1.0)


def both_ways(e, outputs, *others):
    """Show the outputs, then go backward from a sum of them twice, and from single ones in turn."""
    e.show(outputs)
    loss = e.show(total(e, outputs))
    e.backward(loss, times=2)
    for output in outputs[:1] + outputs[-1:]:
        e.backward(output)
    for value in others:
        value.grad = 0
    e.backward(loss)


# ---- every function over random shapes ------------------------------------------------------------------------------


@given(x=vectors(min_size=1, max_size=40), n_rows=st.integers(0, 40), seed=st.integers(0, 99))
def test_linear(x, n_rows, seed):
    def program(e):
        xs, w = e.leaves(x), e.matrix(gauss(len(x), f"{seed} {row}") for row in range(n_rows))
        both_ways(e, e.linear(xs, w), *xs)

    agree(program)


@given(rows=st.integers(1, 5).flatmap(lambda n: vectors(vectors(min_size=n, max_size=n), min_size=2, max_size=6)))
def test_linear_of_any_numbers(rows):
    agree(lambda e: both_ways(e, e.linear(e.leaves(rows[0]), e.matrix(rows[1:]))))


@pytest.mark.parametrize("name", ["softmax", "rmsnorm", "relu"])
@given(x=vectors(min_size=1, max_size=40))
def test_a_vector_of_a_vector(name, x):
    def program(e):
        xs = e.leaves(x)
        outputs = e.attempt(lambda: getattr(e, name)(xs))
        if outputs is not None:
            both_ways(e, outputs, *xs)

    agree(program)


@given(pairs=st.lists(st.tuples(numbers, numbers), max_size=40))
def test_add(pairs):
    agree(lambda e: both_ways(e, e.add(*e.matrix([[a for a, _ in pairs], [b for _, b in pairs]]))))


@given(x=vectors(min_size=1, max_size=40), target=st.integers(-40, 39), times=st.integers(1, 3))
def test_cross_entropy(x, target, times):
    def program(e):
        xs = e.leaves(x)
        loss = e.attempt(lambda: e.cross_entropy(xs, target % len(x) - (len(x) if target < 0 else 0)))
        if loss is not None:
            e.backward(e.show(loss), times)
            e.backward(e.show(loss * 3.0), times)

    agree(program)


@given(x=vectors(max_size=40), times=st.integers(1, 3))
def test_mean(x, times):
    def program(e):
        xs = e.leaves(x)
        average = e.attempt(lambda: e.mean(xs))
        if average is not None:
            e.backward(e.show(average), times)
            e.backward(e.show(average * 0.25), times)

    agree(program)


@given(
    head_dim=st.integers(1, 6),
    n_head=st.integers(1, 5),
    n_keys=st.integers(1, 12),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_attention(head_dim, n_head, n_keys, seed, data):
    q = data.draw(vectors(min_size=head_dim * n_head, max_size=head_dim * n_head))

    def program(e):
        n = head_dim * n_head
        keys, values = (e.matrix(gauss(n, f"{seed} {what} {t}") for t in range(n_keys)) for what in "kv")
        outputs = e.attempt(lambda: e.attention(e.leaves(q), keys, values, n_head))
        if outputs is not None:
            both_ways(e, outputs, *keys[0])

    agree(program)


# ---- where the arena's blocks end -----------------------------------------------------------------------------------


def layer(e, n=12, n_rows=7, seed=0):
    """Everything in one: n numbers to a loss."""
    x = e.rmsnorm(e.leaves(gauss(n, seed)))
    w1 = e.matrix(gauss(n, f"{seed} {row}") for row in range(n_rows))
    w2 = e.matrix(gauss(n_rows, f"{seed} {row}") for row in range(n))
    q = e.linear(x, w1 + w1[: n - n_rows])
    hidden = e.relu(e.linear(e.attention(q, [x, q], [q, x], 3), w1))
    logits = e.add(e.linear(hidden, w2), x)
    e.show(e.softmax(logits))
    e.backward(e.show(e.mean([e.cross_entropy(logits, k) for k in range(3)])), times=2)


def test_calls_that_begin_anywhere_in_a_block():
    agree(layer, places=[*range(160), 500, 1000, BLOCK])


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 2500])
def test_vectors_longer_than_a_block(n):
    def program(e):
        x = e.leaves(gauss(n))
        for name in ("softmax", "rmsnorm", "relu"):
            outputs = e.show(getattr(e, name)(x))
            e.backward(e.show(e.mean(outputs)))
            e.backward(e.show(e.linear(outputs, [x, outputs])[1]))
        e.backward(e.show(e.cross_entropy(e.add(x, e.rmsnorm(x)), n - 2)), times=2)

    agree(program, places=[None, 1, 7])


@pytest.mark.parametrize("n_rows", [BLOCK - 1, BLOCK, BLOCK + 1, 2100])
def test_more_rows_than_a_block_has_places(n_rows):
    def program(e):
        x = e.rmsnorm(e.leaves(gauss(3)))
        w = e.matrix(gauss(3, row) for row in range(n_rows))
        outputs = e.show(e.linear(x, w))
        e.backward(e.show(e.cross_entropy(outputs, n_rows - 1)), times=2)

    agree(program, places=[None, 1, 500])


def test_attention_over_more_keys_than_a_block_has_places():
    def program(e):
        keys, values = (e.matrix(gauss(2, f"{what} {t}") for t in range(BLOCK + 60)) for what in "kv")
        outputs = e.show(e.attention(e.leaves(gauss(2)), keys, values, 2))
        e.backward(e.show(outputs[0] * outputs[1]), times=2)

    agree(program, places=[None, 1])


def test_attention_over_more_dimensions_than_a_block_has_places():
    def program(e):
        n = 2 * BLOCK + 6
        q, *rows = e.matrix(gauss(n, row) for row in range(5))
        for n_head in (1, 2):
            outputs = e.show(e.attention(q, rows[:2], rows[2:], n_head))
            e.backward(e.show(e.linear(outputs, [q])[0]))

    agree(program, places=[None, 1])


def test_ninety_thousand_operands_that_the_walk_leaves_a_dot_for():
    """An event for each: more than there are nodes in blocks that hold dot products."""

    def program(e):
        x = e.leaves(gauss(10))
        e.backward(e.show(e.mean([x[k % 10] * x[k % 7] for k in range(90_000)])))
        e.backward(e.show(e.linear([x[k % 10] * x[k % 7] for k in range(3_000)], [x * 300])[0]), times=2)

    agree(program)


# ---- operands shared in every way -----------------------------------------------------------------------------------


def shared_between_layers(e):
    x = e.rmsnorm(e.leaves(gauss(6)))
    first, second = (e.linear(x, e.matrix(gauss(6, f"{k} {row}") for row in range(4))) for k in range(2))
    return e.add(first, second) + first


def x_among_the_rows(e):
    x, w = e.leaves(gauss(5)), e.matrix(gauss(5, row) for row in range(2))
    return e.linear(x, [w[0], x, w[1], x])


def results_that_are_x_and_rows(e):
    x = e.rmsnorm(e.leaves(gauss(5)))
    return e.linear(x, [x, e.relu(x), x[::-1], list(x)])


def one_value_many_times(e):
    a, b = e.leaves(gauss(2))
    x = [a, a, b, a]
    return e.linear(x, [x, [b, a, b, b], [a] * 4]) + e.softmax(x) + e.rmsnorm(x) + e.add(x, x) + e.relu([a, a])


def rows_listed_twice(e):
    x, w = e.leaves(gauss(4)), e.matrix(gauss(4, row) for row in range(2))
    return e.linear(x, [*w, *w, w[0]])


def output_fed_back(e):
    w = e.matrix(gauss(4, row) for row in range(4))
    y = e.leaves(gauss(4))
    for _ in range(3):
        y = e.linear(y, [*w[:2], y, w[3]])
    return y


def rows_of_leaves_and_results(e):
    x, w = e.leaves(gauss(4)), e.leaves(gauss(4, 1))
    made = [a * b for a, b in zip(x, w)]
    return e.linear(x, [[w[0], made[1], w[2], made[3]], [made[0], w[1], *made[2:]], w])


def operands_in_no_range(e):
    x, w = e.leaves(gauss(9)), e.matrix(gauss(9, row) for row in range(3))
    mixed = e.relu(x[::-2]) + x[1::2]
    return e.linear(mixed, [row[::-1] for row in w]) + e.linear(x[::-1], w) + e.rmsnorm(mixed[::-1])


def later_operand_uses_an_earlier_one(e):
    """The walk leaves the dot for a result below which an operand of an earlier term lies, and so on."""
    x = e.leaves(gauss(6))
    w = e.leaves(gauss(6, 1))
    for k in range(1, 6):
        x[k] = e.show(x[k] * x[k - 1] + w[k - 1])
        w[k] = e.show(w[k].exp() * x[k - 1])
    return e.linear(x, [w, w[::-1]]) + e.linear(w[::-1], [x, w])


def later_operand_is_a_dot_over_earlier_ones(e):
    x, w = e.leaves(gauss(5)), e.matrix(gauss(5, row) for row in range(5))
    inner = e.linear(x, w)
    return e.linear([x[0], inner[1], x[2], inner[0], x[1]], [inner, x, [inner[4], x[0], inner[2], x[4], x[1]]])


def a_dot_between_the_terms_of_another(e):
    a, b = e.leaves(gauss(4)), e.leaves(gauss(4, 1))
    y = e.linear(a, [b])[0]
    z = e.linear([a[0], y, a[1], y], [[b[0], b[1], y, b[2]]])[0]
    return [z, e.mean([y, z, a[0], z, y]), e.linear([z, y], [[y, z]])[0]]


def keys_and_values_of_everything(e):
    x = e.rmsnorm(e.leaves(gauss(6)))
    w = e.matrix(gauss(6, row) for row in range(6))
    q, k = e.linear(x, w), e.linear(x, w[::-1])
    keys = [k, q, x, k, w[0]]
    return e.attention(q, keys, keys[::-1], 2) + e.attention(x, [x], [x], 3) + e.attention(q[::-1], keys, [x] * 5, 1)


def vectors_cut_and_mixed_with_scalars(e):
    x = e.softmax(e.leaves(gauss(6)))
    a, b, c, *rest = x
    mixed = [a * b + 1, c / a, b**2, -c, (a - b).exp(), *rest]
    more = [a * 2 - c, c]
    return e.linear(e.rmsnorm(mixed), [mixed, x + more]) + e.add(mixed, rest * 2 + more)


SHARINGS = [
    shared_between_layers,
    x_among_the_rows,
    results_that_are_x_and_rows,
    one_value_many_times,
    rows_listed_twice,
    output_fed_back,
    rows_of_leaves_and_results,
    operands_in_no_range,
    later_operand_uses_an_earlier_one,
    later_operand_is_a_dot_over_earlier_ones,
    a_dot_between_the_terms_of_another,
    keys_and_values_of_everything,
    vectors_cut_and_mixed_with_scalars,
]


@pytest.mark.parametrize("sharing", SHARINGS, ids=lambda sharing: sharing.__name__)
def test_shared_operands(sharing):
    agree(lambda e: both_ways(e, sharing(e)), places=[None, *NEAR_THE_END])


@pytest.mark.parametrize("sharing", SHARINGS, ids=lambda sharing: sharing.__name__)
@given(order=st.lists(st.integers(0, 99), min_size=1, max_size=8), number=numbers, seed=st.integers(0, 3))
def test_only_some_outputs_reach_the_loss_in_any_order_with_writes_between(sharing, order, number, seed):
    def program(e):
        outputs = e.show(sharing(e))
        losses = [outputs[k % len(outputs)] for k in order]
        e.backward(e.show(total(e, losses)))
        rng = random.Random(seed)
        rng.choice(e.shown).grad = number
        rng.choice(e.shown).data = number
        for loss in losses:
            e.backward(loss)
            rng.choice(e.shown).grad = 0

    agree(program)
