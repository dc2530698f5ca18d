"""Classes that say themselves what is equal, what is true, and what comes first."""

from __future__ import annotations

import re

import pytest
from running import assert_same, small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

SCRIPT = small_gpt()
CLASS = re.search(r"^class Value:.*?(?=^n_embd)", SCRIPT, re.S | re.M).group(0)
IS = "    def __eq__(self, other): return self is other\n"
BY_DATA = "    def __eq__(self, other): return self.data == (other.data if isinstance(other, Value) else other)\n"
HASH = "    def __hash__(self): return id(self)\n"
IDENTITY = [
    HASH,
    HASH + IS,
    HASH.replace("id(self)", "hash(id(self))") + IS.replace("self is other", "id(self) == id(other)"),
    HASH.replace("id(self)", "object.__hash__(self)") + IS,
    IS + "    __hash__ = object.__hash__\n",
]
USES = """
a, b = Value(2.0), Value(2.0)
c = a * b + a
c.backward()
print(a.grad, b.grad, c.grad, a == b, a == a, a != b, a == 2.0, a in [b], [b, a].index(a))
try:
    print(len({a, b, a}), {a: 1}.get(b))
except TypeError as error:
    print(error)
for truth in (a, Value(0.0)):
    print(bool(truth), 1 if truth else 0, not truth)
"""


def with_methods(methods: str, source: str = SCRIPT) -> str:
    return source.replace("    def backward(", methods + "\n    def backward(", 1)


@pytest.mark.parametrize("methods", IDENTITY)
def test_what_object_does_is_no_difference(methods, tmp_path):
    assert {"matrix product", "softmax"} <= swapped(with_methods(methods))
    assert_same("import math\n\n" + with_methods(methods, CLASS) + USES, tmp_path)


def swapped(source: str) -> set[str]:
    made = rewrite(source.encode(), "script.py", Options())
    assert made.swapped
    return {one.what for one in made.findings if one.swapped}


@pytest.mark.parametrize(
    "methods",
    [
        BY_DATA,
        BY_DATA + HASH,
        HASH.replace("id(self)", "hash(self.data)"),
        HASH + IS.replace("self is other", "self is not other"),
        IS,
        "    __hash__ = None\n",
        HASH.replace("id(self)", "7") + IS,
    ],
)
def test_another_equality_decides_what_backward_visits(methods, tmp_path):
    made = rewrite(with_methods(methods).encode(), "script.py", Options())
    assert made.swapped and "backward" in made.plan.kept
    assert_same("import math\n\n" + with_methods(methods, CLASS) + USES, tmp_path)


def test_it_does_not_where_backward_looks_at_ids(tmp_path):
    by_id = CLASS.replace("v not in visited", "id(v) not in visited").replace("visited.add(v)", "visited.add(id(v))")
    made = with_methods(BY_DATA + HASH, by_id)
    assert (
        "backward" in rewrite(with_methods(BY_DATA, SCRIPT.replace(CLASS, by_id)).encode(), "s.py", Options()).plan.ours
    )
    assert_same("import math\n\n" + made + USES, tmp_path)


def test_parameters_that_are_equal_are_told_apart(tmp_path):
    by_id = SCRIPT.replace("v not in visited", "id(v) not in visited").replace("visited.add(v)", "visited.add(id(v))")
    made = with_methods(BY_DATA, by_id).replace(
        "    for i, p in enumerate(params):",
        "    params[3] = Value(params[3].data)\n    for i, p in enumerate(params):",
    )
    assert made.count("params[3]") == 2
    assert_same(made + "print([(p.data, p.grad) for p in params])\n", tmp_path)


TRUTHS = ["return self.data > 0", "return False", "return True", "return self.data != 0"]


@pytest.mark.parametrize("truth", TRUTHS)
def test_values_may_be_false(truth, tmp_path):
    made = with_methods(f"    def __bool__(self):\n        {truth}\n")
    made = made.replace(
        "ms = sum(xi * xi for xi in x) / len(x)", "ms = sum(xi * xi for xi in x)\n    ms = ms / len(x) + 0.25"
    )
    assert {"sum of squares", "softmax"} <= swapped(made)
    assert_same(made + USES, tmp_path)


def test_an_order_that_is_made_total(tmp_path):
    made = with_methods("    def __lt__(self, other):\n        return self.data < other.data\n", CLASS)
    made = "import functools\nimport math\n\n@functools.total_ordering\n" + made
    uses = "x = [Value(0.3), Value(-1.0), Value(2)]\nprint([v.data for v in sorted(x)], max(x).data)\n"
    uses += "print(x[0] >= x[1], x[0] <= x[0], x[0] > x[1], x[2] <= x[1])\n"
    assert "class Value (line 5): swapped" in assert_same(made + USES + uses, tmp_path)
