"""What people's own variants of the script do with the class, one test each, written anew."""

from __future__ import annotations

import json
import math
import pickle
import random

import pytest
from bits import all_bits, bits, class_attributes, grads_of


def test_leaves_have_empty_tuples(engine):
    a = engine.Value(1.0)
    assert a._children == () and a._local_grads == ()


def test_integers_show_where_they_show_in_the_script(engine):
    a, b = engine.Value(0), engine.Value(2.0)
    assert f"{a.data} {a.grad} {engine.Value(-2.5).relu().data}" == "0 0 0"
    (a + b).backward()
    assert f"{a.grad} {b.grad}" == "1 1"
    assert f"{(a + 1).data}" == "1" and f"{(b * 1).data}" == "2.0"


def test_a_sum_with_a_value_as_start(engine):
    xs = [engine.Value(0.5 * i) for i in range(5)]
    total = sum(xs, engine.Value(0))
    total.backward()
    assert bits(total.data) == bits(5.0)
    assert grads_of(xs) == ["1"] * 5
    assert bits(sum([], engine.Value(0)).data) == "0"


def test_one_object_many_times_in_a_list(engine):
    cache = [engine.Value(0.0)] * 8
    total = sum(a * b for a, b in zip(cache, [1.0] * 8))
    total.backward()
    assert bits(cache[0].grad) == bits(8.0)


def test_zero_times_a_value_is_still_a_node(engine):
    a = engine.Value(3.0)
    b = 0 * a + 1
    b.backward()
    assert bits(b.data) == bits(1.0)
    assert bits(a.grad) == "0"


@pytest.mark.parametrize("n", [2, 3, 16, 32, 64, 128])
def test_a_dot_product_as_one_operation_with_many_children(engine, n):
    rng = random.Random(n)
    w, x = ([engine.Value(rng.gauss(0, 1)) for _ in range(n)] for _ in range(2))

    def dot(w, x):
        return engine.Value(
            sum(a.data * b.data for a, b in zip(w, x)),
            children=(*w, *x),
            local_grads=(*(b.data for b in x), *(a.data for a in w)),
        )

    y = dot(w, x).relu() * 2.0 + dot(x, w)
    y.backward()
    slope = 1 if w and sum(a.data * b.data for a, b in zip(w, x)) <= 0 else None
    for a, b in zip(w, x):
        if slope:
            assert math.isclose(a.grad, b.data, rel_tol=1e-15)
        else:
            assert math.isclose(a.grad, 3 * b.data, rel_tol=1e-15)
    assert len(y._children[1]._children) == 2 * n


def test_sums_and_means_as_one_operation_with_boolean_or_integer_slopes(engine):
    xs = [engine.Value(0.1 * i) for i in range(32)]
    total = engine.Value(sum(x.data for x in xs), tuple(xs), (1,) * 32)
    top = max(xs, key=lambda v: v.data)
    best = engine.Value(top.data, tuple(xs), tuple(x is top for x in xs))
    (total + best * 2.0).backward()
    assert grads_of(xs) == [bits(0 + 0.0 + 1)] * 31 + [bits(0 + 2.0 + 1)]


def test_a_clamped_logarithm_keeps_training_alive(engine):
    def safe_log(self):
        x = max(self.data, 1e-12)
        return engine.Value(math.log(x), (self,), (1 / x,))

    with class_attributes(engine.Value, log=safe_log):
        p = engine.Value(0.0)
        loss = -p.log()
        loss.backward()
        assert bits(p.grad) == bits(1 / 1e-12 * -1.0) or bits(p.grad) == bits((1 / 1e-12) * -1)


def test_gelu_and_tanh_assigned_from_outside_with_the_user_s_own_formulas(engine):
    def gelu(self):
        c = math.sqrt(2.0 / math.pi)
        t = math.tanh(c * (self.data + 0.044715 * self.data**3))
        return engine.Value(0.5 * self.data * (1 + t), (self,), (0.123,))

    def tanh(self):
        t = math.tanh(self.data)
        return engine.Value(t, (self,), (1 - t * t,))

    with class_attributes(engine.Value, gelu=gelu, tanh=tanh):
        a = engine.Value(0.5)
        a.gelu().backward()
        assert bits(a.grad) == bits(0.123)
        a.tanh().backward()
        assert bits(a.grad) == bits(0.123 + (1 - math.tanh(0.5) * math.tanh(0.5)))


def test_activations_chosen_from_a_table_of_unbound_methods(engine):
    table = {"relu": engine.Value.relu, "exp": engine.Value.exp, "square": lambda v: v * v}
    for name, expected in [("relu", 2.0), ("exp", math.exp(2.0)), ("square", 4.0)]:
        assert bits(table[name](engine.Value(2.0)).data) == bits(expected)


def test_squared_relu(engine):
    for x in (-1.5, 0.0, 1.5):
        a = engine.Value(x)
        (a.relu() ** 2 if x > 0 else a.relu() * a.relu()).backward()
        assert bits(a.grad) in (bits(2 * x), bits(0.0), "0")


def test_clipping_by_norm_and_averaging_write_gradients(engine):
    ps = [engine.Value(x) for x in (1.0, -2.0, 3.0)]
    sum(p * p for p in ps).backward()
    norm = sum(p.grad**2 for p in ps) ** 0.5
    for p in ps:
        p.grad *= 1.0 / norm
        p.grad /= 4
        p.grad += 0.1 * p.data
    assert grads_of(ps) == all_bits([(2 * x) * (1.0 / norm) / 4 + 0.1 * x for x in (1.0, -2.0, 3.0)])
    for p in ps:
        p.grad = max(-0.01, min(0.01, p.grad))
    assert all(abs(p.grad) <= 0.01 for p in ps)


def test_exact_tests_for_zero_gradients(engine):
    used, unused = engine.Value(1.0), engine.Value(1.0)
    (used * 2.0).backward()
    assert unused.grad == 0 and used.grad != 0
    assert [p.grad == 0 for p in (used, unused)] == [False, True]


def test_weight_decay_and_sgd_write_data(engine):
    p = engine.Value(2.0)
    (p**2).backward()
    p.data -= 0.1 * (p.grad + 0.01 * p.data)
    p.data *= 1 - 0.001
    expected = (2.0 - 0.1 * (4.0 + 0.01 * 2.0)) * (1 - 0.001)
    assert bits(p.data) == bits(expected)


def test_momentum_in_a_dict_keyed_by_parameter(engine):
    ps = [engine.Value(1.0), engine.Value(2.0)]
    velocity = dict.fromkeys(ps, 0.0)
    for _ in range(3):
        sum(p * p for p in ps).backward()
        for p in ps:
            velocity[p] = 0.9 * velocity[p] + p.grad
            p.data -= 0.1 * velocity[p]
            p.grad = 0
    v, x = 0.0, 1.0
    for _ in range(3):
        v = 0.9 * v + (x + x)
        x -= 0.1 * v
    assert bits(ps[0].data) == bits(x)


def test_backward_in_mid_forward_with_an_update_of_leaves_that_are_used_again(engine):
    w = engine.Value(3.0)
    early = w * w
    late = early * w
    early.backward()
    w.data -= 0.5 * w.grad
    later = late + w * 10.0
    later.backward()
    assert bits(w.data) == bits(0.0)
    assert bits(later.data) == bits(27.0)
    assert bits(w.grad) == bits((((6.0 + 10.0) + 9.0) + (1 + 3.0) * 3.0) + (1 + 3.0) * 3.0)


def test_leaves_left_out_of_the_parameters_accumulate_for_ever(engine):
    w, forgotten = engine.Value(1.0), engine.Value(2.0)
    for step in range(1, 200):
        (w * forgotten).backward()
        w.grad = 0
        assert bits(forgotten.grad) == bits(float(step))


def test_parameters_restored_from_json_and_from_pickled_floats(engine):
    ps = [engine.Value(random.Random(5).gauss(0, 1)) for _ in range(20)] + [engine.Value(3)]
    for text in (json.loads(json.dumps([p.data for p in ps])), pickle.loads(pickle.dumps([p.data for p in ps]))):
        qs = [engine.Value(0.0) for _ in ps]
        for q, number in zip(qs, text):
            q.data = number
        assert [bits(q.data) for q in qs] == [bits(p.data) for p in ps]


def test_data_summed_sorted_and_formatted_as_numbers(engine):
    ps = [engine.Value(x) for x in (0.5, -1.25, 3)]
    assert f"{ps[0].data:.4f} {ps[2].data:d}" == "0.5000 3"
    assert sum(p.data for p in ps) == 2.25
    assert sorted(p.data for p in ps) == [-1.25, 0.5, 3]
    assert max(ps, key=lambda p: p.data) is ps[2]
    assert random.Random(1).choices(range(3), weights=[abs(p.data) for p in ps])[0] in (0, 1, 2)


def test_numpy_floats_written_into_data(engine):
    np = pytest.importorskip("numpy")
    p = engine.Value(1.0)
    p.data = np.float64(0.1)
    q = p * 3.0
    q.backward()
    assert bits(float(q.data)) == bits(0.1 * 3.0)
    p.data -= np.float64(0.01) * p.grad
    assert bits(float(p.data)) == bits(0.1 - 0.01 * 3.0)
    p.grad = np.float64(0.5)
    assert bits(float(p.grad)) == bits(0.5)


def test_training_and_validation_in_turn_with_early_stopping(engine):
    w = engine.Value(0.1)
    best, patience, losses = float("inf"), 0, []
    for _ in range(60):
        loss = (w * 2.0 - 1.0) ** 2
        loss.backward()
        w.data -= 0.05 * w.grad
        w.grad = 0
        held_out = ((w * 3.0 - 1.5) ** 2).data
        losses.append(held_out)
        if held_out < best - 1e-12:
            best, patience = held_out, 0
        else:
            patience += 1
            if patience > 3:
                break
    assert losses[-1] < losses[0]


def test_dropout_and_masks_with_python_numbers(engine):
    rng = random.Random(7)
    xs = [engine.Value(1.0 + i) for i in range(10)]
    masks = [0 if rng.random() < 0.5 else 2.0 for _ in xs]
    total = sum(x * m for x, m in zip(xs, masks))
    total.backward()
    assert grads_of(xs) == ["0" if m == 0 else bits(2.0) for m in masks]


def test_layer_norm_softmax_and_cross_entropy_together(engine, reference):
    def loss_of(V):
        xs = [V(0.3 * i - 0.5) for i in range(6)]
        mean = sum(xs) / len(xs)
        var = sum((x - mean) ** 2 for x in xs) / len(xs)
        ys = [(x - mean) / (var + 1e-5) ** 0.5 for x in xs]
        top = max(y.data for y in ys)
        exps = [(y - top).exp() for y in ys]
        total = sum(exps)
        loss = -(exps[2] / total).log()
        loss.backward()
        return bits(loss.data), grads_of(xs)

    assert loss_of(engine.Value) == loss_of(reference.Value)


def test_rotary_embedding_with_sines_of_plain_numbers(engine, reference):
    def turned(V):
        q = [V(0.1 * i) for i in range(8)]
        out = []
        for i in range(0, 8, 2):
            c, s = math.cos(3 / 100 ** (i / 8)), math.sin(3 / 100 ** (i / 8))
            out += [q[i] * c - q[i + 1] * s, q[i] * s + q[i + 1] * c]
        sum(o * o for o in out).backward()
        return grads_of(q)

    assert turned(engine.Value) == turned(reference.Value)


def test_low_rank_adapters_beside_frozen_weights(engine):
    frozen = [[engine.Value(0.1 * (i + j)) for j in range(3)] for i in range(3)]
    a, b = [engine.Value(0.01 * i + 0.02) for i in range(3)], [engine.Value(0.0) for _ in range(3)]
    x = [engine.Value(1.0), engine.Value(-0.3), engine.Value(0.5)]
    low = sum(ai * xi for ai, xi in zip(a, x))
    out = [sum(w * xi for w, xi in zip(row, x)) + bi * low for row, bi in zip(frozen, b)]
    sum(o * o for o in out).backward()
    assert all(bits(ai.grad) in (bits(0.0), bits(-0.0)) for ai in a)
    assert all(bi.grad != 0 for bi in b)


def test_a_mixture_of_experts_with_a_hard_choice(engine):
    gates = [engine.Value(g) for g in (0.1, 0.7, 0.2)]
    experts = [engine.Value(e) for e in (1.0, 2.0, 3.0)]
    best = max(range(3), key=lambda i: gates[i].data)
    (gates[best] * experts[best]).backward()
    assert grads_of(experts) == ["0", bits(0.7), "0"]


def test_labels_and_indices_on_instances_of_a_subclass(engine):
    class Param(engine.Value):
        def __init__(self, data, param_idx=None, label=""):
            super().__init__(data)
            self.param_idx, self.label, self.velocity = param_idx, label, 0.0

    ps = [Param(0.5 * i, param_idx=i, label=f"w{i}") for i in range(5)]
    loss = sum(p * p for p in ps)
    loss.backward()
    for p in ps:
        p.velocity = 0.9 * p.velocity + p.grad
        p.data -= 0.1 * p.velocity
    assert [p.param_idx for p in ps] == list(range(5))
    assert [p.label for p in ps] == [f"w{i}" for i in range(5)]


def test_the_graph_is_printed_by_a_walk_over_children(engine):
    a, b = engine.Value(2.0), engine.Value(-3.0)
    c = (a * b).relu() + a

    def lines(v, depth=0):
        yield f"{'  ' * depth}{v.data}"
        for child in v._children:
            yield from lines(child, depth + 1)

    assert list(lines(c)) == ["2.0", "  0", "    -6.0", "      2.0", "      -3.0", "  2.0"]


def test_nodes_and_edges_are_counted_with_sets(engine):
    a = engine.Value(2.0)
    c = (a * a + a) ** 2
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._children:
                edges.add((child, v))
                build(child)

    build(c)
    assert (len(nodes), len(edges)) == (4, 4)


def test_gradient_checks_by_nudging_data(engine):
    a, b = engine.Value(1.5), engine.Value(-0.5)

    def f():
        return (a * b + a**2).exp()

    out = f()
    out.backward()
    a.data += 1e-6
    up = f().data
    a.data -= 2e-6
    down = f().data
    assert math.isclose(a.grad, (up - down) / 2e-6, rel_tol=1e-6)


def test_a_global_counter_in_a_wrapped_constructor(engine):
    plain, count = engine.Value.__init__, [0]

    def init(self, data, children=(), local_grads=()):
        count[0] += 1
        plain(self, data, children, local_grads)

    with class_attributes(engine.Value, __init__=init):
        engine.Value(1.0)
        engine.Value(2.0)
        assert count[0] == 2


def test_isinstance_and_type_checks(engine):
    a = engine.Value(1.0)
    assert isinstance(a, engine.Value) and type(a * 2) is engine.Value
    assert not isinstance(1.0, engine.Value)
    assert engine.Value.__name__ == "Value"
    mixed = [x if isinstance(x, engine.Value) else engine.Value(x) for x in (a, 2.0, 3)]
    assert mixed[0] is a and bits(mixed[2].data) == "3"


def test_half_a_loop_over_documents_in_one_graph(engine, reference, deep_recursion):
    def train(V):
        w = [V(0.1 * i) for i in range(10)]
        losses = []
        for doc in range(20):
            h = [a * (doc + 1) for a in w]
            losses.append((sum(h) * 0.01 - 1) ** 2)
        loss = (1 / 20) * sum(losses)
        loss.backward()
        return bits(loss.data), grads_of(w)

    assert train(engine.Value) == train(reference.Value)
