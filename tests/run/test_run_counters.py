"""A class that counts its nodes: the engine counts them, where nothing in the class depends on the number."""

from __future__ import annotations

import pytest
from running import assert_same, small_gpt

STEPS = (
    small_gpt()
    .replace("    __slots__", "    made = 0\n    __slots__")
    .replace("        self.data = data\n", "        self.data = data\n        Value.made += 1\n", 1)
)
CLASS = "import math\n\n" + STEPS[STEPS.index("class Value:") : STEPS.index("n_embd")]
EXPRESSIONS = (
    *(
        "a + b",
        "a + 2",
        "2 + a",
        "a * b",
        "a * 2.5",
        "3 * a",
        "a - b",
        "a - 1",
        "1 - a",
        "-a",
        "a / b",
        "a / 3",
        "2 / a",
    ),
    *(
        "a ** 2",
        "a ** -0.5",
        "a.exp()",
        "a.log()",
        "a.relu()",
        "sum([a, b, a])",
        "Value(1)",
        "Value(2, (a, b), (1, 1))",
    ),
    *("(a + b).backward()", "a + a", "sum(x * x for x in [a, b])", "[Value(0) for _ in range(3000)]"),
)


def test_the_class_counts():
    assert STEPS.count("made") == 2


def test_every_operation_counts_as_in_the_script(tmp_path):
    lines = ["a, b = Value(1.5), Value(-0.25)", "a = a * 1.0"]
    lines += [f"{each}\nprint({each!r}, Value.made)" for each in EXPRESSIONS]
    lines += ["for _ in range(4000): a * b", "print(Value.made)"]
    assert "class Value (line 3): swapped" in assert_same(CLASS + "\n\n\n" + "\n".join(lines) + "\n", tmp_path)


def test_a_training_run_counts_as_in_the_script(tmp_path):
    made = assert_same(STEPS + "\nprint(Value.made)\n", tmp_path)
    assert "swapped" in made and "every node is counted in made" in made


def test_the_script_may_set_the_counter(tmp_path):
    body = "x = Value(1) + 2\nprint(Value.made)\nValue.made = 0\ny = x * 3\nprint(Value.made)\n"
    body += "Value.made += 10\nprint(Value.made)\n"
    assert "swapped" in assert_same(CLASS + "\n\n\n" + body, tmp_path)


NEAR_MISSES = {
    "read by the constructor": (
        "Value.made += 1\n",
        "Value.made += 1\n        self.grad = 0 if Value.made < 9 else 0.0\n",
    ),
    "read by a method": (
        "def __neg__(self):\n        return self * -1",
        "def __neg__(self):\n        return self * (Value.made and -1)",
    ),
    "counted twice": ("Value.made += 1\n", "Value.made += 1\n        Value.made += 1\n"),
    "only sometimes": ("Value.made += 1\n", "Value.made += 1 if data else 0\n"),
    "of an instance": ("Value.made += 1\n", "self.made = Value.made + 1\n"),
    "a product": ("Value.made += 1\n", "Value.made *= 2\n"),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_another_use_of_the_counter_leaves_the_class(name, tmp_path):
    old, new = NEAR_MISSES[name]
    assert old in CLASS
    made = CLASS.replace(old, new) + "\n\n\nprint((-(Value(1) + 2)).data, Value.made)\n"
    assert "nothing was swapped" in assert_same(made, tmp_path)


@pytest.mark.parametrize(
    "use",
    [
        "print(Value(1).made)",
        "print(getattr(Value, 'made'))",
        "import copy\nprint(copy.copy(Value(1)).data, Value.made)",
    ],
)
def test_a_look_that_cannot_be_served_leaves_the_class(use, tmp_path):
    assert "nothing was swapped" in assert_same(CLASS + f"\n\n\n{use}\n", tmp_path)
