"""Classes of the form of micrograd, with closures, over children in order: that is defined, so they are swapped.

Closures read data when backward runs; where that could make a difference, the run ends and says so.
"""

from __future__ import annotations

import pytest
from running import VARIANTS, accelerated, assert_same, interpreted

SET = (VARIANTS / "older_form.py").read_text("utf-8")
TUPLE = SET.replace("set(_children)", "_children")
SHOWN = "\nprint([(p.data.hex(), float(p.grad).hex()) for p in params])\n"
SWAPPED = "class Value (line 7): swapped"


def test_the_sample_is_of_a_set():
    assert SET != TUPLE and "params" in SET


SPELLINGS = {
    "a tuple": [],
    "made a tuple": [("self._prev = _children", "self._prev = tuple(_children)")],
    "made a list": [("self._prev = _children", "self._prev = list(_children)")],
    "by names": [('(self, other), "+")', '_children=(self, other), _op="+")')],
    "the gradient first": [("other.data * out.grad", "out.grad * other.data")],
    "a difference": [("self.grad += (1 - t**2) * out.grad", "self.grad -= (t**2 - 1) * out.grad")],
    "another name": [("_backward", "_pull"), ("_prev", "inputs")],
    "slots": [
        (
            "class Value:\n",
            'class Value:\n    __slots__ = ("data", "grad", "_backward", "_prev", "_op")\n',
        )
    ],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_closures_over_children_in_order_are_swapped(name, tmp_path):
    source = TUPLE
    for old, new in SPELLINGS[name]:
        assert old in source
        source = source.replace(old, new)
    assert SWAPPED in assert_same(source + SHOWN, tmp_path)


NEAR_MISSES = {
    "something added": ("self.grad += (1 - t**2) * out.grad", "self.grad += (1 - t**2) * out.grad + 0"),
    "stored": ("self.grad += (1 - t**2) * out.grad", "self.grad = (1 - t**2) * out.grad"),
    "squared": ("other.grad += out.grad", "other.grad += out.grad * out.grad"),
    "associated otherwise": (
        "(other * self.data ** (other - 1)) * out.grad",
        "out.grad * other * self.data ** (other - 1)",
    ),
    "children the other way round": ('other.data, (self, other), "+")', 'other.data, (other, self), "+")'),
    "a child forgotten": ('other.data, (self, other), "*")', 'other.data, (self,), "*")'),
    "its own gradient": ("self.grad += out.data * out.grad", "self.grad += (out.data + self.grad) * out.grad"),
    "a name of the module": ("self.grad += (1 - t**2) * out.grad", "self.grad += (scale - t**2) * out.grad"),
    "a function of the module": ("self.grad += (1 - t**2) * out.grad", "self.grad += one(t) * out.grad"),
    "the closure is looked at": ("    loss.backward()\n", "    loss.backward()\n    loss._backward\n"),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_closures_that_do_anything_else_stay(name, tmp_path):
    old, new = NEAR_MISSES[name]
    assert old in TUPLE
    made = "scale = 1\ndef one(t): return 1 - t**2\n" + TUPLE.replace(old, new)
    assert "nothing was swapped" in assert_same(made + SHOWN, tmp_path)


def test_what_to_write_instead_of_a_set_is_said(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SET, "utf-8")
    assert "write self._prev = _children, or --any-order" in accelerated(path).stderr


CLASS = TUPLE[: TUPLE.index("\n\n\n", TUPLE.index("class Value"))]
DATA_BETWEEN = {
    "of an operand": "a = Value(2.0); b = Value(3.0)\nc = a * b\na.data = 5.0\nc.backward()\nprint(a.grad, b.grad)\n",
    "of a result": "a = Value(0.5)\nc = a.exp()\nc.data = 7.0\nc.backward()\nprint(a.grad)\n",
    "in a loop over parameters": "ps = [Value(0.1 * k) for k in range(20)]\nc = sum(p * p for p in ps)\nc.backward()\n"
    "for p in ps: p.data -= 0.1 * p.grad\nc.backward()\nprint([p.grad for p in ps])\n",
    "in an older part": "a = Value(2.0)\nold = a * a\na.data = 3.0\nnew = old + a\nnew.backward()\nprint(a.grad)\n",
}


@pytest.mark.parametrize("name", DATA_BETWEEN)
def test_data_that_change_between_an_operation_and_backward_end_the_run(name, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(CLASS + "\n\n\ntry:\n    pass\nfinally:\n    pass\n" + DATA_BETWEEN[name], "utf-8")
    run = accelerated(path)
    assert (run.status, run.stdout) == (1, b"")
    assert "its .data changed between an operation and backward(); run this script with --rung 0" in run.stderr
    assert interpreted(path).status == 0


def test_data_that_change_between_graphs_are_no_matter(tmp_path):
    body = "a = Value(2.0); b = Value(3.0)\nfor _ in range(5):\n    c = a * b + a.exp() ** 2\n    c.backward()\n"
    body += "    a.data -= 0.1 * a.grad; b.data -= 0.1; a.grad = 0\nprint(a.data.hex(), b.grad.hex())\n"
    assert "class Value" in assert_same(CLASS + "\n\n\n" + body, tmp_path)


@pytest.mark.parametrize("power", ["Value(0.0) ** 0.5", "Value(1e-300) ** -1", "Value(0) ** 0", "1.0 / Value(1e-200)"])
def test_a_local_gradient_that_raises_in_backward_alone_ends_the_run(power, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(CLASS + f"\n\n\ntry:\n    print(({power}).data)\nexcept Exception:\n    print('caught')\n", "utf-8")
    run = accelerated(path)
    assert (run.status, run.stdout) == (1, b"")
    assert "in yours only when backward() runs; run this script with --rung 0" in run.stderr
    assert interpreted(path).status == 0
