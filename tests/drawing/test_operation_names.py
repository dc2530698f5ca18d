"""The names of operations in pictures: known to the compiled engine, told by the numbers elsewhere, never wrong."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial
from operator import methodcaller
from typing import Any

import pytest
from drawn import Bare, Labelled, Plain, note, operation
from hypothesis import given
from hypothesis import strategies as st

import microgpt
from microgpt import draw_dot, reference
from microgpt._engine import operation_of

METHODS = ["exp", "log", "relu", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu"]
EXPONENTS = [-1, 2, 3, 0.5, -0.5, 1.5, 1, 4, -2, 7, 0.1, 1 / 3, -2.75]
FUNCTIONS = {
    **{name: methodcaller(name) for name in METHODS},
    "gelu tanh": methodcaller("gelu", "tanh"),
    **{f"**{n:.6g}": partial(lambda n, x: x**n, n) for n in EXPONENTS},
    **{f"{c:.6g}**": partial(lambda c, x: c**x, c) for c in [2, 0.5, 10, 1.1]},
}
numbers = st.one_of(
    st.floats(-4, 4), st.floats(allow_nan=False), st.integers(-5, 5), st.sampled_from([0.0, -0.0, 1.0, -1.0, math.inf])
)


class Cautious(microgpt.Value):
    """A subclass that makes of its operations what it likes."""

    def __init__(self, data: Any, children: Any = (), local_grads: Any = ()) -> None:
        super().__init__(data, children[:1], local_grads[:1])


@pytest.mark.parametrize("cls", [microgpt.Value, Labelled, Bare])
@pytest.mark.parametrize("name", FUNCTIONS)
@given(number=numbers)
def test_the_compiled_engine_knows_every_function(cls, name, number):
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


@pytest.mark.parametrize("name", FUNCTIONS)
@given(number=numbers)
def test_functions_of_the_interpreted_engine_are_never_named_wrongly(name, number):
    try:
        root = FUNCTIONS[name](reference.Value(number))
    except (ArithmeticError, ValueError):
        return
    if isinstance(root.data, complex):
        return
    found = operation(root)
    assert found == name or found == "f" or found.endswith("?")
    assert found != "f" or math.isnan(root.data) or name.endswith("**") or name.startswith("**")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("number", [0.7071, 1.2345, 2.5, 3, 0.0625])
def test_functions_are_named_with_their_numbers_where_these_can_be_told(engine, name, number):
    root = FUNCTIONS[name](engine.Value(number))
    found = operation(root)
    if engine.compiled or name not in ("relu", "abs", "**1", "sqrt", "**0.5"):
        assert found == name
    elif name in ("sqrt", "**0.5"):
        assert found in (name, "sqrt?")
    else:  # a positive number stays as it is, whichever it was
        assert found == "relu?"
        assert note(root) == "relu and abs and **1 do the same here, and others may"


@pytest.mark.parametrize("number", [-0.7071, -3])
def test_functions_of_negative_numbers_are_named(engine, number):
    x = engine.Value(number)
    assert operation(x.abs()) == ("abs" if engine.compiled else "abs?")
    assert operation(x.relu()) == ("relu" if engine.compiled else "relu?")
    assert operation(x**2) == "**2"
    assert operation(x**-3) == "**-3"


def test_exp_of_0_is_named(engine):  # the largest of every softmax
    assert operation(engine.Value(0.0).exp()) == "exp"


@pytest.mark.parametrize("cls", [microgpt.Value, Labelled, Bare])
@given(a=numbers, b=numbers)
def test_the_compiled_engine_knows_sums_and_products(cls, a, b):
    x, y = cls(a), cls(b)
    results = {"+": [x + y, x + b, a + y, x - y], "*": [x * y, x * b, a * y, -x, (x - y)._children[1]]}
    for name, made in results.items():
        for result in made:
            assert operation_of(result) == operation(result) == name
            result._children[0].data = 0.5
            assert operation_of(result) == name


@given(a=numbers, b=numbers)
def test_sums_and_products_of_the_interpreted_engine_are_never_named_wrongly(a, b):
    x, y = reference.Value(a), reference.Value(b)
    assert operation(x + y) == "+"
    assert operation(x * y) == ("*?" if {abs(a), abs(b)} <= {0, 1} else "*")
    total, product = x + y, x * y
    x.data = 1.2345
    assert operation(total) in ("+", "+?")
    assert operation(product) in ("*", "*?", "+?" if a == b == 1 else "*")


def test_products_of_ones_are_not_taken_for_sums(engine):
    one, other = engine.Value(1), engine.Value(1)
    assert operation(one * other) in ("*", "*?")
    assert operation(one + other) == "+"


def test_operations_of_ones_own_are_not_taken_for_those_of_the_engine(engine):
    a, b = engine.Value(2.0), engine.Value(3.0)
    Value = engine.Value
    assert operation(Value(5.5, (a, b), (0.5, 2.0))) == "f"
    assert operation(Value(5.5, (a, b), (1, 1))) == "+?"
    assert operation(Value(3.25, (a, b, a), (1, 1, 1))) == "f"
    assert operation(Value(3.25, (a,), (1.25,))) == "f"
    assert operation(Value(3.25, (a,), ())) == "f"
    assert operation(Value(2.0, (a,), (1.0,))) == "relu?"
    assert operation(Value(4.0, (a,), (4.0,))) == "**2"  # it is that
    assert operation(Value(math.sin(2.0), (a,), (math.cos(2.0),))) == "sin"
    low, high = Value(0.0), Value(1.0)
    assert operation(Value(0.0, (low, high), (1.0, 0.0))) == "*?"  # min(0, 1)


def test_the_name_that_an_operation_gives_itself_goes_first():
    class Named(microgpt.Value):
        _op = ""

    a = Named(2.0)
    own = Named(2.0, (a,), (1.0,))
    own._op = "swiglu"
    assert operation(own) == "swiglu"
    assert operation(a.exp()) == "exp"
    assert operation(Plain(1.0, (Plain(1.0),), (1.0,), _op=None)) == "relu?"


def test_rewired_and_copied_values_are_known_by_their_numbers_only():
    a, b = microgpt.Value(1.5), microgpt.Value(2.5)
    total, product = a + b, a * b
    total._local_grads = (2.0, 1.0)
    product._children = (b, a)
    assert operation_of(total) is operation_of(product) is None
    assert operation(total) == "f"
    for same in (copy.copy(a * b), pickle.loads(pickle.dumps(a * b))):
        assert operation_of(same) is None
        assert operation(same) == "*"


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
    assert kinds_below(microgpt.cross_entropy(x, 1)) == {"leaf", "+ c", "exp", "sum", "**", "*", "log", "* c"}
    assert kinds_below(*microgpt.attention(x, w, w, 2)) == {"leaf", "dot", "* c", "+ c", "exp", "sum", "**", "*"}
    assert kinds_below(*microgpt.relu(x)) == {"leaf", "relu"}
    assert kinds_below(*microgpt.add(x, x)) == {"leaf", "+"}
    assert kinds_below(microgpt.mean(x)) == {"leaf", "sum", "* c"}
    assert operation(microgpt.mean(x)) == "* 0.25"
