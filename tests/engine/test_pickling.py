"""Pickle, copy and deepcopy: single Values, lists, whole state_dicts and graphs, at any depth."""

from __future__ import annotations

import copy
import gc
import io
import pickle

import pytest
from bits import all_bits, bits, snapshot
from effort import at_length
from memory import nodes
from processes import printed

from microgpt import Value


def python_pickler(thing, protocol):
    file = io.BytesIO()
    pickle._Pickler(file, protocol).dump(thing)
    return pickle._Unpickler(io.BytesIO(file.getvalue())).load()


WAYS = {f"pickle {p}": lambda thing, p=p: pickle.loads(pickle.dumps(thing, p)) for p in (2, 5)}
WAYS |= {"python pickle": lambda thing: python_pickler(thing, 5)}
WAYS |= {"deepcopy": copy.deepcopy}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def engine_or_compiled(engine):
    if engine.name == "script":
        pytest.skip("a class cut out of a script cannot be pickled")
    return engine


NUMBERS = [0.0, -0.0, 1.5, 5e-324, float("inf"), float("-inf"), float("nan"), 3, 0, -7, 2**53 - 1, 1 / 3]


def test_a_leaf_comes_back_with_its_bits(engine_or_compiled, way):
    for number in NUMBERS:
        a = engine_or_compiled.Value(number)
        a.grad = number
        b = way(a)
        assert b is not a and type(b) is type(a)
        assert (bits(b.data), bits(b.grad), b._children, b._local_grads) == (bits(number), bits(number), (), ())


def model(V):
    state = {"wte": [[V(0.1 * i * j - 0.3) for i in range(4)] for j in range(3)], "bias": [V(0.5), V(2)]}
    state["tied"] = state["wte"][0]
    return state


def graph(V):
    a, b = V(1.5), V(-2)
    c = a * b + 0.25
    d = c * c - a / 3
    e = (d**2).exp().relu() + V(1.0, (a, b, c, a), (0.1, 2, 0.3, True))
    return [a, b, c, d, e]


def test_a_state_dict_comes_back_with_numbers_and_tied_weights(engine_or_compiled, way):
    state = model(engine_or_compiled.Value)
    state["wte"][1][2].grad = 0.125
    again = way(state)
    flat = [v for row in state["wte"] for v in row] + state["bias"]
    flat_again = [v for row in again["wte"] for v in row] + again["bias"]
    assert [(bits(v.data), bits(v.grad)) for v in flat_again] == [(bits(v.data), bits(v.grad)) for v in flat]
    assert again["tied"] is again["wte"][0]
    assert all(x is y for x, y in zip(again["tied"], again["wte"][0]))
    assert not set(flat) & set(flat_again)


def test_a_graph_comes_back_node_for_node(engine_or_compiled, way):
    values = graph(engine_or_compiled.Value)
    values[-1].backward()
    assert snapshot(way(values)) == snapshot(values)
    assert snapshot([way(values[-1])]) == snapshot([values[-1]])


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0), (4, 0, 4, 2), (3, 1), (0, 4), (2, 2), (1, 3, 2, 4)]
)
def test_nodes_shared_between_items_of_a_list_are_shared_in_the_copy(engine_or_compiled, way, order):
    values = graph(engine_or_compiled.Value)
    items = [values[i] for i in order]
    assert snapshot(way(items)) == snapshot(items)
    nested = {"first": items[0], "rest": [tuple(items[1:]), {"again": items[-1]}]}
    again = way(nested)
    assert snapshot([again["first"], *again["rest"][0], again["rest"][1]["again"]]) == snapshot(
        [items[0], *items[1:], items[-1]]
    )


def test_a_copy_goes_its_own_way_and_is_given_back(engine_or_compiled, way):
    values = graph(engine_or_compiled.Value)
    before, count = snapshot(values), nodes()
    again = way(values)
    assert snapshot(way(again)) == before
    again[0].data = 99.0
    again[4].backward()
    again[2]._children = ()
    assert snapshot(values) == before
    del again
    gc.collect()
    assert nodes() == count
    again = way(values)
    del values
    for _ in range(3000):
        engine_or_compiled.Value(1.0) * 2
    assert snapshot(again) == before


def test_unequal_lengths_and_leaves_with_local_gradients_come_back(engine_or_compiled, way):
    V = engine_or_compiled.Value
    a = V(1.0)
    values = [
        V(1.0, (a, a, a), (1.0,)),
        V(2.0, (a,), (1.0, 2, 3.0)),
        V(3.0, (), (1.0, 2.0)),
        V(4.0, (a, a), ()),
        V(5.0, (a,) * 50, (0.5,) * 40),
    ]
    assert snapshot(way(values)) == snapshot(values)
    assert snapshot(way(values[::-1])) == snapshot(values[::-1])


def test_a_cycle_of_children_comes_back(engine_or_compiled, way):
    a = engine_or_compiled.Value(1.0)
    c = a * 2.0 + 1.0
    a._children, a._local_grads = (c,), (0.5,)
    again = way([c, a])
    assert bits(again[0].data) == bits(3.0) and bits(again[1]._children[0].data) == bits(3.0)
    a._children = again[1]._children = ()


def test_a_shallow_copy_shares_the_children(engine_or_compiled):
    a, b = engine_or_compiled.Value(1.5), engine_or_compiled.Value(2.5)
    c = a * b
    c.backward()
    d = copy.copy(c)
    assert d is not c and type(d) is type(c)
    assert d._children[0] is a and d._children[1] is b
    assert (bits(d.data), bits(d.grad), all_bits(d._local_grads)) == (bits(c.data), "1", all_bits(c._local_grads))
    d.data = 9.0
    assert bits(c.data) == bits(3.75)
    d.backward()
    assert bits(a.grad) == bits(2.5 + 2.5)
    leaf = copy.copy(a)
    assert leaf._children == () and bits(leaf.data) == bits(1.5) and bits(leaf.grad) == bits(5.0)


def test_deepcopy_honours_the_memo(engine_or_compiled):
    a = engine_or_compiled.Value(1.5)
    memo = {}
    first = copy.deepcopy(a, memo)
    assert copy.deepcopy(a, memo) is first


def test_picklers_used_several_times_in_turn_keep_identities_and_do_not_mix_their_graphs(engine_or_compiled):
    values = graph(engine_or_compiled.Value)
    files = [io.BytesIO(), io.BytesIO()]
    picklers = [pickle.Pickler(file) for file in files]
    for value in values:
        for pickler in picklers:
            pickler.dump(value)
    for file in files:
        unpickler = pickle.Unpickler(io.BytesIO(file.getvalue()))
        assert snapshot([unpickler.load() for _ in values]) == snapshot(values)


def test_a_pickle_that_fails_half_way_does_not_disturb_the_next(engine_or_compiled):
    values = graph(engine_or_compiled.Value)
    for wrong in ([values[4], lambda: 0], [values[2], lambda: 0, values[4]]):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(wrong)
        assert snapshot(pickle.loads(pickle.dumps(values))) == snapshot(values)
        assert snapshot(copy.deepcopy(values[::-1])) == snapshot(values[::-1])


def test_a_pickle_inside_a_pickle_does_not_mix_their_graphs(engine_or_compiled):
    values = graph(engine_or_compiled.Value)

    class Outer:
        def __reduce__(self):
            return bytes, (pickle.dumps(values[4]),)

    inner, again = pickle.loads(pickle.dumps([values[4], Outer(), values[2]])), None
    again = pickle.loads(inner[1])
    assert snapshot([again]) == snapshot([values[4]])
    assert snapshot([inner[0], inner[2]]) == snapshot([values[4], values[2]])


class Named(Value):
    """A subclass with attributes, importable for pickle."""

    def __init__(self, data, children=(), local_grads=(), name="?"):
        super().__init__(data, children, local_grads)
        self.name = name
        self.history = [name]


class Slotted(Value):
    """A subclass with slots."""

    __slots__ = ("label", "unset")

    def __init__(self, data, children=(), local_grads=(), label="none"):
        super().__init__(data, children, local_grads)
        self.label = label


class Odd(Value):
    """A subclass whose constructor takes something else."""

    def __init__(self, text):
        super().__init__(float(text))
        self.text = text


def test_subclasses_come_back_with_attributes_and_slots(way):
    a, b, c = Named(1.5, name="a"), Slotted(2.5, label="b"), Odd("3.5")
    a.more = {"k": [1, 2]}
    again = way([a, b, c])
    assert [type(v) for v in again] == [Named, Slotted, Odd]
    assert (again[0].name, again[0].history, again[0].more) == ("a", ["a"], {"k": [1, 2]})
    assert again[0].history is not a.history
    assert again[1].label == "b" and not hasattr(again[1], "unset")
    assert again[2].text == "3.5" and bits(again[2].data) == bits(3.5)


def test_attributes_of_children_whose_handles_are_gone_come_back(way):
    c = Named(1.5, name="a") * Named(2.5, name="b")
    again = way(c)
    assert [child.name for child in again._children] == ["a", "b"]
    assert type(again) is Named
    assert bits(again.data) == bits(3.75)


def test_attributes_that_hold_other_values_come_back_with_their_identity(way):
    a, b = Named(1.0, name="a"), Named(2.0, name="b")
    a.partner, b.partner = b, a
    a.me = a
    c = a * b
    a.parent = c
    again = way([a, c])
    x, y = again
    assert x.me is x and x.partner.partner is x
    assert y._children[0] is x and y._children[1] is x.partner
    assert x.parent is y


def test_a_shallow_copy_of_a_subclass_keeps_its_attributes():
    a = Named(1.5, name="a")
    b = copy.copy(a)
    assert type(b) is Named and b.name == "a" and b.history is a.history
    s = copy.copy(Slotted(1.5, label="s"))
    assert type(s) is Slotted and s.label == "s"


@pytest.mark.parametrize("how", ["pickle", "python pickle", "deepcopy"])
def test_a_graph_of_any_depth_is_copied_without_recursion(compiled, how):
    x = compiled.Value(1.0)
    y = x
    for i in range(at_length(20_000, 100_000)):
        y = y * 0.5 if i % 1000 == 0 else y + x
    mid = y
    for _ in range(1000):
        mid = mid._children[0]
    work = {
        "pickle": lambda t: pickle.loads(pickle.dumps(t)),
        "python pickle": lambda t: python_pickler(t, 4),
        "deepcopy": copy.deepcopy,
    }[how]
    items = [mid, y, x]
    again = work(items)
    again[1].backward()
    y.backward()
    assert snapshot(again) == snapshot(items)


def test_a_deep_chain_of_attributes_and_children_mixed_is_copied(way):
    y = Named(1.0, name="0")
    for i in range(300):
        y = y * 1.5
        y.name = str(i)
    again = way(y)
    names, v = [], again
    while v._children:
        names.append(v.name)
        v = v._children[0]
    assert names == [str(i) for i in reversed(range(300))]


def test_a_pickle_can_be_read_in_a_fresh_process(compiled, tmp_path):
    values = graph(compiled.Value)
    path = tmp_path / "values.pkl"
    path.write_bytes(pickle.dumps(values))
    code = f"""
import pathlib, pickle
values = pickle.loads(pathlib.Path({str(path)!r}).read_bytes())
values[4].backward()
print(values[0].grad.hex(), type(values[0]).__name__)
"""
    said = printed(code)
    values[4].backward()
    assert said.split() == [values[0].grad.hex(), "Value"]
