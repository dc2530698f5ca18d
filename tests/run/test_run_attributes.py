"""Attributes that a script gives to some of its Values, for which the compiled class has no room: kept beside them."""

from __future__ import annotations

import pytest
from running import assert_same, small_gpt

SLOTS = '    __slots__ = ("data", "grad", "_children", "_local_grads")\n'
FREE = small_gpt().replace(SLOTS, "")
ROOM = (
    small_gpt()
    .replace('"_local_grads")', '"_local_grads", "place")')
    .replace(
        "children=(), local_grads=()):\n", "children=(), local_grads=(), place=None):\n        self.place = place\n"
    )
)
NUMBERED = "for k, p in enumerate(params):\n    p.place = k\nprint(params[7].place, sum(p.place for p in params))\n"
ABSENT = "for x in (params[0], loss, Value(1.0)): print(getattr(x, 'place', 'none'), hasattr(x, 'place'))\n"
FAILS = "try: print(loss.place)\nexcept AttributeError as error: print(error)\n"
BESIDE = {
    "on parameters": FREE + NUMBERED + ABSENT + FAILS,
    "on one": FREE + "loss.place = 'end'\nprint(loss.place)\n" + ABSENT,
    "row by row": FREE
    + "for row in state_dict['wte']:\n    for p in row:\n        p.place = p.data > 0\nprint(params[0].place)\n"
    + FAILS,
    "in the constructor": ROOM + NUMBERED + ABSENT + FAILS,
    "in a function": FREE
    + "def number(params):\n    for k, p in enumerate(params):\n        p.place = k\n"
    + "number(params)\nprint(params[3].place)\n",
    "step by step": ROOM
    + "for k in range(3):\n    for p in params: p.place = (p.place or 0.5) * k + p.data\nprint(params[9].place)\n"
    + ABSENT,
    "in place": FREE + NUMBERED + "for p in params: p.place += 1\nprint(params[7].place)\n",
    "on another object": FREE + "class Config: pass\nconfig = Config()\nconfig.place = 3\nprint(config.place)\n",
}
OTHERWISE = {
    "on every node": FREE + "for k in range(9):\n    x = loss * k\n    x.place = k\n    print(x.place)\n",
    "on a deque": "from collections import deque\n"
    + FREE
    + "kept = deque()\nfor k in range(9):\n    kept.append(loss * k)\n    for p in kept: p.place = k\nprint(p.place)\n",
    "on a list that is filled meanwhile": FREE
    + "kept = []\nfor k in range(9):\n    kept.append(loss * k)\n    for p in kept: p.place = k\nprint(p.place)\n",
    "in a function that is called often": FREE
    + "def name(p, k): p.place = k\nfor k in range(9): name(params[0] + k, k)\nprint('named')\n",
    "in a function under another name": FREE
    + "def name(p): p.place = 1\nlater = name\nlater(loss)\nprint(loss.place)\n",
    "copied": FREE + "import copy\n" + NUMBERED + "print(copy.copy(params[7]).place)\n",
    "deleted": FREE + NUMBERED + "del params[7].place\n" + ABSENT + "print(hasattr(params[7], 'place'))\n",
    "of the class": FREE + NUMBERED + "print(hasattr(Value, 'place'))\nValue.place = 5\nprint(loss.place)\n",
    "given to the constructor": ROOM + NUMBERED + "print(Value(1.0, place=3).place)\n",
    "made anew": ROOM + NUMBERED + "params[7].__init__(1.0)\nprint(params[7].place)\n",
    "what it holds": FREE + NUMBERED + "print(sorted(vars(params[7])))\n",
}


@pytest.mark.parametrize("name", BESIDE)
def test_attributes_of_some_values_cost_nothing(name, tmp_path):
    said = assert_same(BESIDE[name], tmp_path)
    assert "softmax" in said and "run: vectors" not in said


@pytest.mark.parametrize("name", OTHERWISE)
def test_attributes_that_show_more_are_left_to_python(name, tmp_path):
    said = assert_same(OTHERWISE[name], tmp_path)
    assert "nothing was swapped" in said or "run: vectors" in said
