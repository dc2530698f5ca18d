"""The names of operations in pictures: known to the compiled engine, "f" for the script's class, never wrong."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial
from operator import methodcaller
from typing import Any

import pytest
from drawn import Bare, Labelled, Plain, operation
from hypothesis import given
from hypothesis import strategies as st

import microgpt
from microgpt import draw_dot
from microgpt._engine import operation_of

METHODS = ["exp", "log", "relu", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu"]
FUNCTIONS = {
    **{name: methodcaller(name) for name in METHODS},
    "gelu tanh": methodcaller("gelu", "tanh"),
    **{f"**{n:.6g}": partial(lambda n, x: x**n, n) for n in [-1, 2, 3, 0.5, -0.5, 1.5, 1, 4, -2, 7, 0.1, -2.75]},
    **{f"{c:.6g}**": partial(lambda c, x: c**x, c) for c in [2, 0.5, 10, 1.1]},
}
numbers = st.one_of(
    st.floats(-4, 4), st.floats(allow_nan=False), st.integers(-5, 5), st.sampled_from([0.0, -0.0, 1.0, -1.0, math.inf])
)
classes = st.sampled_from([microgpt.Value, Labelled, Bare])


class Cautious(microgpt.Value):
    """A subclass that makes of its operations what it likes."""

    def __init__(self, data: Any, children: Any = (), local_grads: Any = ()) -> None:
        super().__init__(data, children[:1], local_grads[:1])


@given(st.sampled_from([*FUNCTIONS]), classes, numbers)
def test_the_compiled_engine_knows_every_function(name, cls, number):
    try:
        root = FUNCTIONS[name](cls(number))
    except (ArithmeticError, ValueError):
        return
    generic = "**" if name.startswith("**") else "c**" if name.endswith("**") else name
    assert operation_of(root) == generic
    assert operation(root) in (name, generic)
    root._children[0].data = 12.75  # what is written later makes no difference
    root.data = 7.0
    assert operation_of(root) == generic


@pytest.mark.parametrize("number", [0.7071, 1.2345, 2.5, 3, 0.0625])
def test_powers_are_named_with_their_numbers(number):
    names = [name for name in FUNCTIONS if "**" in name]
    assert [operation(FUNCTIONS[name](microgpt.Value(number))) for name in names] == names


@given(classes, numbers, numbers)
def test_the_compiled_engine_knows_sums_and_products(cls, a, b):
    x, y = cls(a), cls(b)
    results = {"+": [x + y, x + b, a + y, x - y], "*": [x * y, x * b, a * y, -x, (x - y)._children[1]]}
    for name, made in results.items():
        for result in made:
            assert operation_of(result) == operation(result) == name
            result._children[0].data = 0.5
            assert operation_of(result) == name


def test_operations_of_the_scripts_class_and_of_ones_own_have_no_name(engine):
    a, b = engine.Value(2.0), engine.Value(3.0)
    assert operation(engine.Value(5.5, (a, b), (0.5, 2.0))) == "f"
    assert operation(engine.Value(5.0, (a, b), (1, 1))) == "f"
    assert operation(engine.Value(3.25, (a, b, a), (1, 1, 1))) == "f"
    if not engine.compiled:
        assert draw_dot((a * b + a).exp()).operations == {"f": 3, "leaf": 2}


def test_the_name_that_an_operation_gives_itself_goes_first():
    class Named(microgpt.Value):
        _op = ""

    a = Named(2.0)
    own = Named(2.0, (a,), (1.0,))
    own._op = "swiglu"
    assert operation(own) == "swiglu"
    assert operation(a.exp()) == "exp"
    assert operation(Plain(1.0, (Plain(1.0),), (1.0,), _op=None)) == "f"


def test_rewired_and_copied_values_are_of_unknown_operations():
    a, b = microgpt.Value(1.5), microgpt.Value(2.5)
    total, product = a + b, a * b
    total._local_grads = (2.0, 1.0)
    product._children = (b, a)
    for made in (total, product, copy.copy(a * b), pickle.loads(pickle.dumps(a * b))):
        assert operation_of(made) is None
        assert operation(made) == "f"


def test_a_subclass_that_makes_something_else_of_its_operations_is_believed():
    a, b = Cautious(1.5), Cautious(2.5)
    assert operation_of(a + b) is None
    assert operation_of(a * b) is None
    assert operation(a * b) == "f"


def test_the_engine_tells_nothing_of_leaves_and_refuses_others():
    assert operation_of(microgpt.Value(1.0)) == ""
    with pytest.raises(TypeError):
        operation_of(1.0)
    with pytest.raises(TypeError):
        operation_of(None)


def test_places_used_again_do_not_remember_who_had_them():
    for _ in range(3):  # whole blocks by hand, then by operations
        x = microgpt.Value(1.5)
        own = [microgpt.Value(2.0, (x, x), (0.5, 0.25)) for _ in range(5000)]
        assert {operation_of(each) for each in own} == {None}
        del own
        made = [x * x for _ in range(5000)]
        assert {operation_of(each) for each in made} == {"*"}
        del made


def test_a_dot_product_is_one_operation_with_all_its_factors():
    x, w = [microgpt.Value(i + 0.5) for i in range(3)], [microgpt.Value(0.25) for _ in range(3)]
    (product,) = microgpt.linear(x, [w])
    assert operation(product) == "dot"
    assert draw_dot(product).n_edges == 6


def kinds_below(*roots: Any) -> set[str]:
    return set().union(*(draw_dot(root).operations for root in roots))


def test_functions_over_lists_are_drawn_as_what_they_are_made_of():
    x = [microgpt.Value(0.3 * i - 0.7) for i in range(4)]
    w = [[microgpt.Value(0.1 * i + j) for j in range(4)] for i in range(4)]
    assert kinds_below(*microgpt.softmax(x)) == {"leaf", "+ c", "exp", "sum", "**", "*"}
    assert kinds_below(*microgpt.rmsnorm(x)) == {"leaf", "dot", "* c", "+ c", "**", "*"}
    assert kinds_below(microgpt.cross_entropy(x, 1)) == {"leaf", "+ c", "exp", "sum", "**", "*", "log"}
    assert kinds_below(*microgpt.attention(x, w, w, 2)) == {"leaf", "dot", "* c", "+ c", "exp", "sum", "**", "*"}
    assert kinds_below(*microgpt.relu(x)) == {"leaf", "relu"}
    assert kinds_below(*microgpt.add(x, x)) == {"leaf", "+"}
    assert kinds_below(microgpt.mean(x)) == {"leaf", "sum", "*"}
    assert operation(microgpt.mean(x)) == "*"
