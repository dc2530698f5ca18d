"""backward(): what is added to which gradient, in which order, and what stays as it is."""

from __future__ import annotations

import pytest
from bits import all_bits, bits, grads_of, reachable, script_backward, snapshot


def test_the_gradient_of_the_root_is_the_integer_one(engine):
    a = engine.Value(2.5)
    a.grad = 7.25
    a.backward()
    assert bits(a.grad) == "1"
    b = a * 2.0
    b.backward()
    assert bits(b.grad) == "1"


def test_a_gradient_is_summed_over_all_paths(engine):
    a, b = engine.Value(2.0), engine.Value(-3.0)
    c = a * b
    d = c + a
    e = d * c
    e.backward()
    assert bits(c.grad) == bits(d.data + c.data)
    assert bits(d.grad) == bits(c.data)
    assert bits(a.grad) == bits(-6.0 + -10.0 * -3.0)
    assert bits(b.grad) == bits(-10.0 * 2.0)


def test_a_node_as_its_own_partner_gets_both_contributions(engine):
    a = engine.Value(0.1)
    (a + a).backward()
    assert bits(a.grad) == "2"
    a.grad = 0
    ((a + a) * 0.3).backward()
    assert bits(a.grad) == bits((0 + 1 * 0.3) + 1 * 0.3)


def test_contributions_arrive_in_reverse_depth_first_order_not_in_reverse_creation_order(engine):
    """a * 1.0 is made first, but reached last: its contribution comes before that of a * -1e16."""
    a = engine.Value(1.0)
    one, big, minus_big = a * 1.0, a * 1e16, a * -1e16
    ((big + minus_big) + one).backward()
    assert bits(a.grad) == bits((1.0 + -1e16) + 1e16)
    a.grad = 0
    one, big, minus_big = a * 1.0, a * 1e16, a * -1e16
    (one + (big + minus_big)).backward()
    assert bits(a.grad) == bits((-1e16 + 1e16) + 1.0)


def test_a_subgraph_met_early_moves_its_contributions_late(engine):
    a = engine.Value(3.0)
    shared = a * 1e-17
    left = shared * 1.0
    middle = a * 1.0
    ((left + middle) + shared).backward()
    by_hand = (0 + 1.0 * 1) + 1e-17 * ((0 + 1) + 1.0 * 1)
    assert bits(a.grad) == bits(by_hand)


def test_deep_first_order_holds_for_nodes_with_many_children(engine):
    xs = [engine.Value(0.1 * i) for i in range(12)]
    inner = [engine.Value(1.0, tuple(xs[i : i + 6]), tuple(1e8 ** (j % 3 - 1) for j in range(6))) for i in range(7)]
    root = engine.Value(2.0, (inner[3], *inner, inner[0], inner[5]), tuple(1.0 / (i + 3) for i in range(10)))
    root.backward()
    got = grads_of(xs)
    for v in reachable([root]):
        v.grad = 0
    script_backward(root)
    assert grads_of(xs) == got


def test_a_second_backward_adds_to_what_is_there(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c = b * b
    c.backward()
    c.backward()
    assert bits(c.grad) == "1"
    assert bits(b.grad) == bits(12.0 + 12.0)
    assert bits(a.grad) == bits(12.0 * 3.0 + 24.0 * 3.0)


def test_backward_from_several_roots_over_one_graph(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c, d = b + 1.0, b * b
    c.backward()
    d.backward()
    assert bits(b.grad) == bits(1 + 6.0 + 6.0)
    assert bits(a.grad) == bits(3.0 + 13.0 * 3.0)
    b.backward()
    assert bits(b.grad) == "1"
    assert bits(a.grad) == bits(3.0 + 39.0 + 3.0)


def test_backward_from_an_inner_node_leaves_the_nodes_above_alone(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c = b * 5.0
    b.backward()
    assert bits(c.grad) == "0"
    assert bits(a.grad) == bits(3.0)
    c.backward()
    assert bits(b.grad) == bits(1 + 5.0)
    assert bits(a.grad) == bits(3.0 + 6.0 * 3.0)


def test_gradients_written_between_runs_are_the_starting_point(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    a.grad = 10
    b.grad = 100.0
    c = b * 1.5
    c.grad = 7
    c.backward()
    assert [bits(v.grad) for v in (c, b, a)] == ["1", bits(101.5), bits(10 + 3.0 * 101.5)]


def test_gradients_of_inner_nodes_are_not_cleared(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    c = b + 1
    c.backward()
    a.grad = 0
    c.backward()
    assert bits(b.grad) == "2"
    assert bits(a.grad) == bits(6.0)


def test_backward_on_a_leaf_does_nothing_else(engine):
    a, b = engine.Value(2.0), engine.Value(1.0)
    a.backward()
    assert (bits(a.grad), bits(b.grad)) == ("1", "0")


def test_backward_returns_none_and_changes_no_data(engine):
    a, b = engine.Value(2.0), engine.Value(3)
    c = (a * b).exp().log() ** 2 / 3
    nodes = reachable([c])
    before = [(bits(v.data), all_bits(v._local_grads), v._children) for v in nodes]
    assert c.backward() is None
    assert [(bits(v.data), all_bits(v._local_grads), v._children) for v in nodes] == before


def test_zero_contributions_are_added_like_all_others(engine):
    """0.0 * inf is nan and -0.0 + 0.0 is 0.0: skipping zeros would show."""
    a, b = engine.Value(float("inf")), engine.Value(0.0)
    c = a * b
    d = c * 0.0
    d.backward()
    assert bits(b.grad) == "nan"
    a = engine.Value(1.0)
    a.grad = -0.0
    (a * 0.0).backward()
    assert bits(a.grad) == bits(0.0)
    a.grad = -0.0
    (a * -0.0).backward()
    assert bits(a.grad) == bits(-0.0)


def test_integer_zeros_have_no_sign_in_gradients(engine):
    """0 * -1 is 0 among ints, so what is added to -0.0 makes it 0.0."""
    a = engine.Value(2.0)
    a.grad = -0.0
    minus = -a
    (minus * 0).backward()
    assert bits(minus.grad) == "0"
    assert bits(a.grad) == bits(0.0)
    b = engine.Value(1.5)
    (-b * 0).backward()
    assert bits(b.grad) == "0"


def test_infinite_and_nan_gradients_flow_as_in_python(engine):
    a = engine.Value(1e200)
    b = a * 1e200
    c = b * 1e200
    c.backward()
    assert bits(b.grad) == bits(1e200)
    assert bits(a.grad) == bits(float("inf"))
    d = engine.Value(float("nan")) * a
    d.backward()
    assert bits(a.grad) == "nan"


def test_underflowing_gradients_stay_subnormal(engine):
    a = engine.Value(1.0)
    (a * 1e-300 * 1e-20 * 3.0).backward()
    assert bits(a.grad) == bits(1e-300 * (1e-20 * 3.0))


def test_mid_forward_backward_and_update_leave_recorded_slopes_alone(engine):
    p = engine.Value(2.0)
    first = p * p
    second = first * p
    first.backward()
    assert bits(p.grad) == bits(4.0)
    p.data -= 0.25 * p.grad
    p.grad = 0
    second.backward()
    assert bits(first.grad) == bits(1 + 2.0)
    assert bits(p.grad) == bits((0 + 4.0) + 3.0 * 2.0 + 3.0 * 2.0)
    assert bits((p * 1.0).data) == bits(1.0)


def test_backward_runs_after_every_inner_handle_is_dropped(engine):
    a = engine.Value(1.5)
    b = a
    for _ in range(100):
        b = b * 1.01 + a
    b.backward()
    grad = a.grad
    for v in reachable([b]):
        v.grad = 0
    script_backward(b)
    assert bits(a.grad) == bits(grad)


@pytest.mark.parametrize("size", [1, 2, 50, 400])
def test_chains_of_every_length_agree_with_the_explicit_walk(engine, size):
    def build():
        x = engine.Value(0.5)
        y = x
        for i in range(size):
            y = (y + x * (0.01 * i)) if i % 3 else y * x
        return x, y

    x, y = build()
    y.backward()
    u, v = build()
    script_backward(v)
    assert snapshot([y, x]) == snapshot([v, u])


def test_diamonds_stacked_on_each_other_are_walked_once_a_node(engine):
    """2**200 paths: only feasible if each node is visited once."""
    x = engine.Value(1.0)
    y = x
    for _ in range(200):
        y = y + y
    y.backward()
    assert float(x.grad) == 2.0**200


def test_a_wide_sum_gives_each_term_its_gradient(engine):
    xs = [engine.Value(0.1 * i) for i in range(300)]
    total = sum(xs)
    total.backward()
    assert grads_of(xs) == ["1"] * 300
    (total * 0.5).backward()
    assert grads_of(xs)[-1] == bits(1 + (1 + 0.5))


def test_attention_like_sharing_agrees_with_the_explicit_walk(engine):
    """Softmax over scores: one total with many parents, each score used twice."""

    def build():
        qs = [engine.Value(0.1 * i - 0.2) for i in range(5)]
        ks = [[engine.Value(0.03 * i * j - 0.1) for i in range(5)] for j in range(4)]
        scores = [sum(q * k for q, k in zip(qs, row)) / 5**0.5 for row in ks]
        highest = max(s.data for s in scores)
        exps = [(s - highest).exp() for s in scores]
        total = sum(exps)
        weights = [e / total for e in exps]
        out = -(weights[2] * 0.7 + weights[0]).log()
        return out, qs + [k for row in ks for k in row]

    out, leaves = build()
    out.backward()
    again, other_leaves = build()
    script_backward(again)
    assert snapshot([out, *leaves]) == snapshot([again, *other_leaves])
