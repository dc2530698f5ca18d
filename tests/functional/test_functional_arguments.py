"""What may be given to the functions over lists (numbers, other sequences, subclasses), and what is refused and how."""

from __future__ import annotations

import collections
import fractions
import math
import pickle

import pytest
from bits import all_bits, bits, class_attributes, node_bits, script_backward
from bulk import agree, run

import microgpt
from microgpt import Value, add, attention, cross_entropy, linear, mean, reference, relu, rmsnorm, softmax

DATA = [0.5, -1.25, 2.0, 0.0]
FUNCTIONS = {
    "linear": lambda e, x: e.linear(x, [x, x]),
    "linear's rows": lambda e, x: e.linear([e.Value(0.25)] * len(DATA), [x, x]),
    "softmax": lambda e, x: e.softmax(x),
    "rmsnorm": lambda e, x: e.rmsnorm(x),
    "attention": lambda e, x: e.attention(x, [x, x], [x, x], 2),
    "attention's keys": lambda e, x: e.attention([e.Value(0.25)] * len(DATA), [x, x], [x, x], 2),
    "add": lambda e, x: e.add(x, x),
    "add's first": lambda e, x: e.add(x, [e.Value(0.25)] * len(DATA)),
    "relu": lambda e, x: e.relu(x),
    "cross_entropy": lambda e, x: [e.cross_entropy(x, 2)],
    "mean": lambda e, x: [e.mean(x)],
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


def after_backward(e, function, x, leaves):
    """What a call gives and what a backward through it leaves."""
    outputs = e.show(function(e, x))
    e.show(leaves)
    loss = sum(outputs) * 1.0
    e.backward(loss, times=2)
    for output in outputs:
        e.backward(output)


# ---- numbers and ints -----------------------------------------------------------------------------------------------


@every_function
@pytest.mark.parametrize("where", [0, 2, 3])
def test_an_int_among_the_data_stays_one_wherever_python_keeps_it_one(function, where):
    for ints in ([3], [0], [-2, 0], [1, 2, 3, 4]):

        def program(e, ints=ints):
            x = e.leaves([*DATA[:where], *ints, *DATA[where:]][: len(DATA)])
            after_backward(e, function, x, x)
            for value in x:
                value.grad = 0
            e.backward(function(e, x)[0])

        agree(program, places=[None, 3])


@every_function
def test_numbers_are_taken_as_values(function):
    given = [fractions.Fraction(1, 2), True, 3, -0.0]

    def program(e):
        other = e.Value(0.5)
        x = given if e.compiled else [e.Value(float(given[0])), *(e.Value(number) for number in given[1:])]
        outputs = e.show([output * other for output in function(e, x)])
        e.show(other)
        e.backward(sum(outputs))

    agree(program)


def test_int_gradients_end_where_a_hidden_one_became_a_float():
    """The hidden products received a float from the first root, so the second root's int 1 makes no int of them."""

    def program(e):
        x, w = e.leaves([3, -2]), e.matrix([[0.25, 0.5]])
        outputs = e.show([*e.linear(x, w), e.mean(x), e.mean(w[0])])
        for first in (lambda y: y, lambda y: y * 0.5):
            for output in outputs:
                e.backward(first(output))
                for leaf in x + w[0]:
                    leaf.grad = 0
                e.backward(output)

    agree(program)


def test_a_hidden_sum_may_be_reached_and_written_to():
    def program(e):
        x = e.leaves([0.5, 0.25, 3.0])
        average = e.show(e.mean(x))
        total = e.show(average._children[0])
        e.backward(average)
        total.grad = -0.0
        for leaf in x:
            leaf.grad = -0.0
        e.backward(average * -0.0)
        e.backward(total)
        total.grad = 7
        e.backward(average)

    agree(program)


def test_a_mean_and_a_cross_entropy_are_products_of_two_values():
    x = [Value(0.5), Value(0.25), Value(-1.0)]
    for e in (microgpt, reference):
        values = x if e is microgpt else [reference.Value(value.data) for value in x]
        average, loss = e.mean(values), e.cross_entropy(values, 1)
        total, share = average._children
        assert bits(share.data) == bits(1 / 3) and bits(total.data) == bits(-0.25)
        assert all_bits(average._local_grads) == all_bits([1 / 3, -0.25])
        log, minus = loss._children
        assert bits(minus.data) == "-1" and all_bits(loss._local_grads) == ["-1", bits(log.data)]
        loss.backward()
        assert bits(minus.grad) == bits(log.data)


# ---- sequences ------------------------------------------------------------------------------------------------------

SEQUENCES = {
    "tuple": tuple,
    "generator": lambda x: (value for value in x),
    "deque": collections.deque,
    "dict's values": lambda x: dict(enumerate(x)).values(),
    "UserList": collections.UserList,
}


@every_function
@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_any_sequence_will_do(function, sequence):
    def program(e):
        x = e.leaves(DATA)
        if not e.compiled:
            after_backward(e, function, x, x)
        else:
            again = Again(e, sequence)
            after_backward(again, function, x, x)

    agree(program)


class Again:
    """A bench whose functions receive their lists as other sequences."""

    def __init__(self, bench, sequence):
        self.bench, self.sequence = bench, sequence

    def __getattr__(self, name):
        found = getattr(self.bench, name)
        if not callable(found) or not hasattr(reference, name) or name == "Value":
            return found
        return lambda *arguments: found(*(self.change(argument) for argument in arguments))

    def change(self, argument):
        if isinstance(argument, list):
            return self.sequence([self.change(each) for each in argument])
        return argument


def test_sizes_of_nothing():
    def program(e):
        e.seen.append([e.linear([], []), e.linear([], [[], []]), e.linear(e.leaves(DATA), [])])
        e.seen.append([e.add([], []), e.relu([])])

    agree(program)


# ---- what is refused ------------------------------------------------------------------------------------------------

x4, x3 = [Value(number) for number in DATA], [Value(number) for number in DATA[:3]]
REFUSED = {
    "a short row": (lambda: linear(x4, [x4, x3]), ValueError, "linear: x has 4 elements, but row 1 has 3 elements"),
    "a long row": (lambda: linear(x3, [x4]), ValueError, "linear: x has 3 elements, but row 0 has 4 elements"),
    "a row for nothing": (lambda: linear([], [x3]), ValueError, "linear: x has 0 elements, but row 0 has 3 elements"),
    "add": (lambda: add(x3, x4), ValueError, "add: a has 3 elements, but b has 4"),
    "heads": (lambda: attention(x4, [x4], [x4], 3), ValueError, "attention: q has 4 elements, .* into 3 heads"),
    "no heads": (lambda: attention(x4, [x4], [x4], 0), ValueError, "attention: q has 4 elements, .* into 0 heads"),
    "empty q": (lambda: attention([], [[]], [[]], 1), ValueError, "attention: q has 0 elements"),
    "a short key": (lambda: attention(x4, [x4, x3], [x4] * 2, 2), ValueError, "q has 4 elements, but key 1 has 3"),
    "a long value": (lambda: attention(x3, [x3], [x4], 1), ValueError, "q has 3 elements, but value 0 has 4"),
    "keys and values": (lambda: attention(x4, [x4], [x4] * 2, 2), ValueError, "there are 1 keys, but 2 values"),
    "no keys": (lambda: attention(x4, [], [], 2), ValueError, "attention: keys is empty"),
    "heads of a float": (lambda: attention(x4, [x4], [x4], 2.0), TypeError, "interpreted as an integer"),
    "softmax of nothing": (lambda: softmax([]), ValueError, "softmax: logits is empty"),
    "rmsnorm of nothing": (lambda: rmsnorm([]), ValueError, "rmsnorm: x is empty"),
    "cross_entropy of nothing": (lambda: cross_entropy([], 0), ValueError, "cross_entropy: logits is empty"),
    "a target beyond": (lambda: cross_entropy(x4, 4), IndexError, "target 4 is out of range for 4 logits"),
    "a target before": (lambda: cross_entropy(x4, -5), IndexError, "target -5 is out of range for 4 logits"),
    "a huge target": (lambda: cross_entropy(x4, 10**30), IndexError, "index-sized integer"),
    "a target of text": (lambda: cross_entropy(x4, "a"), TypeError, "interpreted as an integer"),
    "mean of nothing": (lambda: mean([]), ZeroDivisionError, "division by zero"),
    "text": (lambda: relu("ab"), TypeError, "must be a real number, not 'str'"),
    "no sequence": (lambda: linear(1.0, [x3]), TypeError, "'float' object is not iterable"),
    "rows of numbers": (lambda: linear(x3, x3), TypeError, "is not iterable"),
    "complex": (lambda: softmax([1j, *x3]), TypeError, "must be a real number, not 'complex'"),
    "None": (lambda: add([None], [None]), TypeError, "must be a real number, not 'NoneType'"),
    "a probability of 0": (lambda: cross_entropy([Value(0.0), Value(-1e4)], 1), ValueError, "math domain error"),
}


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_said_in_one_line_and_leaves_nothing(call, kind, text):
    before = microgpt.arena_stats()["nodes"]
    with pytest.raises(kind, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)
    del caught
    assert microgpt.arena_stats()["nodes"] == before


@pytest.mark.parametrize(
    "logits", [[0.0, -1e4], [math.inf, 0.0], [math.nan, 0.0], [-math.inf, -math.inf], [1e308, -1e308]], ids=repr
)
def test_errors_and_odd_numbers_are_those_of_python(logits):
    def program(e):
        x = e.leaves(logits)
        for target in (0, 1):
            loss = e.attempt(lambda target=target: e.cross_entropy(x, target))
            if loss is not None:
                e.backward(e.show(loss))
        for function in (e.softmax, e.rmsnorm):
            outputs = e.attempt(lambda function=function: function(x))
            if outputs is not None:
                e.backward(e.show(outputs)[1])

    agree(program)


# ---- subclasses, and a class with changed methods -------------------------------------------------------------------


class Named(Value):
    pass


@every_function
def test_results_of_a_subclass_are_of_the_subclass_and_have_the_same_bits(function):
    plain = [Value(number) for number in DATA]
    named = [Named(number) for number in DATA]
    outputs = [function(microgpt, x) for x in (plain, named)]
    assert {type(value) for value in outputs[1]} == {Named}
    for values in outputs:
        sum(values).backward()
    assert all_bits(v.data for v in outputs[0]) == all_bits(v.data for v in outputs[1])
    assert all_bits(v.grad for v in plain) == all_bits(v.grad for v in named)


@every_function
def test_one_subclass_instance_among_plain_values_will_do(function):
    plain = [Value(number) for number in DATA]
    mixed = [Value(DATA[0]), Named(DATA[1]), *(Value(number) for number in DATA[2:])]
    for x in (plain, mixed):
        sum(function(microgpt, x)).backward()
    assert all_bits(v.grad for v in plain) == all_bits(v.grad for v in mixed)


CHANGES = {
    "__mul__": lambda old: lambda a, b: old(a, b) + 0.125,
    "__add__": lambda old: lambda a, b: old(a, b) * 1.5,
    "__pow__": lambda old: lambda a, n: old(a, n) * 2.0,
    "exp": lambda old: lambda a: old(a) + 1.0,
    "relu": lambda old: lambda a: old(a) - 0.5,
    "log": lambda old: lambda a: old(a + 1e-3),
    "__truediv__": lambda old: lambda a, b: old(a, b) * 3.0,
}


@every_function
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_method_counts_as_it_does_in_the_script(function, name):
    def program(e):
        x = e.leaves(DATA)
        inside = e.show(function(e, x))
        old = getattr(e.Value, name)
        with class_attributes(e.Value, **{name: CHANGES[name](old)}):
            outputs = e.show(function(e, x))
        after = e.show(function(e, x))
        e.backward(sum(inside + outputs + after))

    agree(program)


# ---- the graph as one reads it --------------------------------------------------------------------------------------


def test_the_children_of_a_dot_product_are_its_operands():
    x, w = [Value(number) for number in DATA], [[Value(k + number) for number in DATA] for k in range(2)]
    for y, row in zip(linear(x, w), w):
        assert all(a is b for a, b in zip(y._children, [v for pair in zip(row, x) for v in pair], strict=True))
        assert y._local_grads == tuple(g for a, b in zip(row, x) for g in (b.data, a.data))
    x[0].data = 9.0
    assert linear(x, w)[0]._local_grads[0] == 9.0 and y._local_grads[0] == DATA[0]


def test_the_children_of_a_logit_of_attention_are_q_first():
    q, k, v = ([Value(k + number) for number in DATA] for k in range(3))
    out = attention(q, [k, v], [v, k], 2)
    weights = out[0]._children[::2]
    assert [child.data for child in out[0]._children[1::2]] == [v[0].data, k[0].data]
    assert out[0]._children[1] is v[0] and out[1]._children[0] is weights[0]
    products = []
    node = weights[0]
    while len(node._children) < 4:
        node = node._children[0]
        products.append(node)
    assert all(a is b for a, b in zip(node._children, [q[0], k[0], q[1], k[1]], strict=True))
    assert node._local_grads == (k[0].data, q[0].data, k[1].data, q[1].data)


def test_ints_among_the_operands_are_seen_as_ints():
    x = [Value(3), Value(0.5)]
    y = linear(x, [[Value(2.0), Value(4.0)]])[0]
    assert all_bits(y._local_grads) == all_bits([3, 2.0, 0.5, 4.0])


def test_a_graph_can_be_walked_by_hand():
    x = [Value(number) for number in DATA]
    logits = add(linear(rmsnorm(x), [x, x[::-1]]), attention(x, [x], [x], 2)[:2])
    loss = mean([cross_entropy(logits, 0), cross_entropy(softmax(relu(logits)), 1)])
    by_hand = pickle.loads(pickle.dumps([loss, *x]))
    script_backward(by_hand[0])
    loss.backward()
    for leaf, walked in zip(x, by_hand[1:]):
        assert math.isclose(walked.grad, leaf.grad, rel_tol=1e-12)


def test_children_assigned_to_a_dot_product_make_it_an_ordinary_node():
    x, w = [Value(number) for number in DATA], [Value(number) for number in DATA]
    y, other = linear(x, [w, w[::-1]])
    y._children = (x[0], x[0], w[3])
    y._local_grads = (2.0, 3.0, 4)
    other._local_grads = (1.0,) * 8
    (y * other).backward()
    assert [bits(v.grad) for v in (x[0], w[3])] == all_bits([5.0 * other.data + y.data, 4.0 * other.data + y.data])
    y.__init__(0.5)
    assert node_bits(y) == (bits(0.5), "0", []) and y._children == ()


def test_a_leaf_below_a_dot_product_may_be_given_children():
    def program(e):
        x, w, more = e.leaves(DATA), e.leaves(DATA[::-1]), e.leaves(DATA)
        y = e.show(e.linear(x, [w, x]))
        w[2]._children, w[2]._local_grads = (more[0], x[3]), (2.0, 0.5)
        x[1]._children, x[1]._local_grads = (more[1],), (3.0,)
        e.backward(y[1] * y[0])
        e.backward(y[0])

    agree(program)


def test_a_dot_product_in_a_cycle_neither_hangs_nor_crashes():
    x, w = [Value(number) for number in DATA], [Value(number) for number in DATA]
    y = linear(x, [w])[0]
    w[1]._children, w[1]._local_grads = (y,), (0.5,)
    y.backward()
    w[1].backward()
    w[1]._children, w[1]._local_grads = (), ()


def test_the_figures_of_run_are_those_of_the_functions():
    """The comparison itself notices a single bit."""
    found = run(microgpt, lambda e: e.show(e.linear(e.leaves([0.1]), e.matrix([[0.3]]))))
    assert found != run(reference, lambda e: e.show(e.linear(e.leaves([math.nextafter(0.1, 1)]), e.matrix([[0.3]]))))
