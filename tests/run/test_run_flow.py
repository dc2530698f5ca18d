"""Numbers of other packages beside the model are no matter; where one may meet a Value, the class stays."""

from __future__ import annotations

import pytest
from alike import REFUSED, assert_alike
from running import assert_same, small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

PACKAGE = "from fractions import Fraction\n"
BESIDE = {
    "in a function of its own": "def mean(params):\n    x = [Fraction(p.data) for p in params]\n"
    "    total = sum(x) / len(x)\n    return total * total\nprint(float(mean(params)))",
    "under a name that others use": "def norm(x):\n    x = Fraction(x)\n    logits = Fraction(2)\n"
    "    return x * logits\nprint(float(norm(loss.data)))",
    "in a module of Python's": "big = Fraction(7, 2)\nprint(math.floor(big), math.isnan(big), math.exp(big))",
    "in a method of a builtin": "print(str.count('a', str(Fraction(1, 2))), float.hex(Fraction(1, 2) * 1.0))",
    "as an index": "at = Fraction(2)\nprint(loss.data * [1.0, 2.0, 3.0][int(at)])",
}
MEETS = {
    "a Value": "third = Fraction(1, 3)\nprint((loss * third).data)",
    "a Value in a function": "def scaled(x, by): return x * by\nprint(scaled(loss, Fraction(1, 3)).data)",
    "a Value in another function": "def by(): return Fraction(1, 3)\nprint((loss * by()).data)",
    "a new Value": "print(Value(Fraction(1, 2)).data)",
    "a parameter's data": "for p in params: p.data -= Fraction(1, 3) * 2",
    "a Value, from a list": "halves = [Fraction(1, 2)]\nprint((loss + halves[0]).data)",
    "a Value, from a loop": "for k, half in enumerate([Fraction(1, 2)]): print((loss + half).data)",
    "a Value, from a dictionary": "for name, half in {'a': Fraction(1, 2)}.items(): print((loss + half).data)",
    "a Value, from an object": "class Box:\n    def __init__(self, x): self.x = x\nbox = Box(Fraction(1, 2))\n"
    "print((loss * box.x).data)",
    "a Value, by a keyword": "def scaled(x, by=2): return x * by\nprint(scaled(by=Fraction(1, 3), x=loss).data)",
    "a Value, by a lambda": "scaled = lambda x, by: x * by\nprint(scaled(loss, Fraction(1, 3)).data)",
    "a Value, in place": "loss *= Fraction(1, 3)\nprint(loss.data)",
}


def script(more: str) -> str:
    return f"{PACKAGE}{small_gpt()}\n{more}\n"


@pytest.mark.parametrize("name", BESIDE)
def test_a_number_beside_the_model_is_no_matter(name, tmp_path):
    assert "class Value" in (said := assert_same(script(BESIDE[name]), tmp_path)) and "nothing was swapped" not in said


@pytest.mark.parametrize("name", MEETS)
def test_a_number_that_may_meet_a_value_keeps_the_class(name):
    assert not rewrite(script(MEETS[name]).encode(), "script.py", Options()).swapped


def test_a_number_that_meets_one_by_roundabout_ways_ends_the_run(tmp_path):
    roundabout = "halves = []\nadd = halves.append\nadd(Fraction(1, 2))\nprint((loss + halves[0]).data)"
    assert REFUSED in assert_alike(script(roundabout), tmp_path).stderr
