"""Methods: elementary functions against their formulas in Python floats, to the bit, errors included."""

from __future__ import annotations

import math
import random
import re

import pytest
from bits import all_bits, bits
from operations import METHODS

INF, NAN = math.inf, math.nan
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 5e-324, -5e-324, 1e-310, 1e-8, 1e8, -1e8, 709.0, 709.78, 709.79]
SPECIAL += [710.0, -709.0, -745.2, -746.0, -710.0, 1e103, -1e103, 1e308, -1e308, INF, -INF, NAN, 0, 1, -1, 2, -3]
SPECIAL += [40, 1000, -1000, 10**6, True, False]
RANDOM = [random.Random(f"methods{i}").uniform(-6, 6) for i in range(300)] + [
    random.Random(f"small{i}").gauss(0, 0.08) for i in range(300)
]
INPUTS = SPECIAL + RANDOM


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def phi(x):
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def gelu_tanh_slope(x):
    t = gelu_tanh(x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


FUNCTIONS = {
    "log": (lambda v: v.log(), math.log, lambda x: 1 / x),
    "exp": (lambda v: v.exp(), math.exp, math.exp),
    "relu": (lambda v: v.relu(), lambda x: max(0, x), lambda x: float(x > 0)),
    "tanh": (lambda v: v.tanh(), math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "sigmoid": (lambda v: v.sigmoid(), sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "sqrt": (lambda v: v.sqrt(), math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "sin": (lambda v: v.sin(), math.sin, math.cos),
    "cos": (lambda v: v.cos(), math.cos, lambda x: -math.sin(x)),
    "abs": (lambda v: v.abs(), abs, lambda x: 1.0 if x > 0 else -1.0 if x < 0 else 0.0),
    "silu": (lambda v: v.silu(), lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "gelu": (
        lambda v: v.gelu(),
        lambda x: x * phi(x),
        lambda x: phi(x) + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    ),
    "gelu none": (
        lambda v: v.gelu("none"),
        lambda x: x * phi(x),
        lambda x: phi(x) + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    ),
    "gelu tanh": (lambda v: v.gelu(approximate="tanh"), lambda x: 0.5 * x * (1 + gelu_tanh(x)), gelu_tanh_slope),
}
SCRIPTS_OWN = ("log", "exp", "relu")


def expected(data, slope, x):
    try:
        return [bits(data(x)), bits(slope(x))]
    except (ArithmeticError, ValueError) as error:
        return error


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_method_follows_its_formula_to_the_bit_in_value_slope_and_errors(engine, name):
    if not engine.extras and name not in SCRIPTS_OWN:
        pytest.skip("the script's class has no such method")
    method, data, slope = FUNCTIONS[name]
    for x in INPUTS:
        a = engine.Value(x)
        want = expected(data, slope, x)
        if isinstance(want, Exception):
            own_words = not re.match("math|expected", str(want))  # not of Python's math, but of what stands for it
            with pytest.raises(type(want), match=r"\w" if own_words else re.escape(str(want))):
                method(a)
        else:
            node = method(a)
            assert [bits(node.data), *all_bits(node._local_grads)] == want, x
            assert node._children == (a,)
            assert node._children[0] is a
            assert bits(node.grad) == "0"


@pytest.mark.extras
@pytest.mark.parametrize("approximate", ["erf", "", "TANH", None, 0, True])
def test_gelu_refuses_an_unknown_approximation(engine, approximate):
    with pytest.raises(ValueError, match="approximate"):
        engine.Value(1.0).gelu(approximate)


def test_methods_take_no_further_arguments(engine):
    for method in ("log", "exp", "relu", "backward"):
        with pytest.raises(TypeError):
            getattr(engine.Value(1.0), method)(1)


def test_unbound_methods_can_be_kept_in_a_table_and_called(engine):
    table = {"relu": engine.Value.relu, "exp": engine.Value.exp, "log": engine.Value.log}
    a = engine.Value(0.5)
    assert bits(table["relu"](a).data) == bits(0.5)
    assert bits(table["exp"](a).data) == bits(math.exp(0.5))
    assert bits(table["log"](a).data) == bits(math.log(0.5))
    assert [bits(v.data) for v in map(engine.Value.exp, [a, a])] == [bits(math.exp(0.5))] * 2
    engine.Value.backward(table["relu"](a))
    assert bits(a.grad) == bits(1.0)


def test_unbound_methods_refuse_what_is_not_a_value(engine):
    for wrong in (1.0, "x", None, object()):
        with pytest.raises((TypeError, AttributeError)):
            engine.Value.relu(wrong)
        with pytest.raises((TypeError, AttributeError)):
            engine.Value.backward(wrong)


def test_bound_methods_keep_their_value_alive(engine):
    method = engine.Value(0.5).exp
    assert bits(method().data) == bits(math.exp(0.5))
    backward = (engine.Value(0.5) * 2).backward
    assert backward() is None


@pytest.mark.extras
def test_the_repr_shows_both_numbers_and_does_not_follow_the_graph(engine):
    a = engine.Value(3.0)
    assert repr(a) == "Value(data=3.0, grad=0)"
    b = a * 2
    b.backward()
    assert repr(a) == "Value(data=3.0, grad=2)"
    assert repr(b) == "Value(data=6.0, grad=1)"
    assert repr(engine.Value(-7)) == "Value(data=-7, grad=0)"
    assert repr(engine.Value(NAN)) == "Value(data=nan, grad=0)"
    assert repr(engine.Value(1e-07)) == "Value(data=1e-07, grad=0)"
    assert str([a]) == "[Value(data=3.0, grad=2)]"


def test_every_method_has_a_docstring_that_gives_its_formula(compiled):
    for name in METHODS:
        assert re.search(r"[=(]", getattr(compiled.Value, name).__doc__), name
