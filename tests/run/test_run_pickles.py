"""What a script pickles: numbers and strings are no matter; what may be or come to hold a Value keeps the class."""

from __future__ import annotations

import pytest
from alike import REFUSED, assert_alike
from running import assert_same, small_gpt

from microgpt import Value
from microgpt.accelerate.rewrite import Options, rewrite
from microgpt.accelerate.runtime.refusal import Refused, refusals
from microgpt.accelerate.runtime.support import install

MODEL = "import pickle\nmodel = {k: [[p.data for p in row] for row in mat] for k, mat in state_dict.items()}\n"
PLAIN = {
    "a dictionary of numbers": "pickle.dumps(model)",
    "numbers beside names": "chars = sorted(set(''.join(docs)))\nsize = len(chars) + 1\n"
    "pickle.dumps({'model': model, 'chars': chars, 'size': size, 'note': f'{size} letters'})",
    "moments and the state of the generator": "pickle.dumps({'m': m, 'v': v, 'state': random.getstate(), 'n': n_embd})",
    "by functions": "def floats(mats): return {k: [[p.data for p in row] for row in mat] for k, mat in mats.items()}\n"
    "def save(mats, config): return pickle.dumps({'config': config, 'model': floats(mats)})\n"
    "save(state_dict, {'n': n_embd, 'chars': sorted(set(''.join(docs)))})",
    "an object of numbers": "class Box:\n    def __init__(self, more): self.params = more\n"
    "box = Box([p.data for p in params])\npickle.dumps(box)",
    "in pairs": "pickle.dumps([[i, p.data, a] for i, (p, a) in enumerate(zip(params, m))])",
    "read and printed too": "pickle.dumps(model)\nprint(len(model), model['wte'][0][0] > 0)",
}
NEAR_MISSES = {
    "stored into": "model['more'] = params\npickle.dumps(model)",
    "stored into what it holds": "model['wte'][0] = params\npickle.dumps(model)",
    "appended to what it holds": "model['wte'].append(params)\npickle.dumps(model)",
    "another name": "other = model\nother['more'] = params\npickle.dumps(model)",
    "given to a function": "def add(d): d['more'] = params\nadd(model)\npickle.dumps(model)",
    "walked through": "for rows in model.values(): rows.append(params)\npickle.dumps(model)",
    "bound again": "if len(docs) > 0: model = state_dict\npickle.dumps(model)",
    "a loop's": "for model in [state_dict]: pickle.dumps(model)",
    "unpacked": "pickle.dumps({**state_dict})",
    "the parameters": "pickle.dumps(params)",
    "by functions": "def save(mats): return pickle.dumps(mats)\nsave(state_dict)",
    "what a function returns": "def first(mats): return mats['wte']\npickle.dumps(first(state_dict))",
    "in pairs": "pickle.dumps([p for i, (p, a) in enumerate(zip(params, m))])",
    "an attribute": "class Box: pass\nbox = Box()\nbox.params = params\npickle.dumps(box)",
    "a constructor": "class Box:\n    def __init__(self, more): self.params = more\npickle.dumps(Box(params))",
    "a method": "class Box:\n    def fill(self, more): self.params = more\n"
    "box = Box()\nbox.fill(params)\npickle.dumps(box)",
    "filled after it was handed on": "rows = model['wte']\nfor k in range(2):\n    last = rows\n    rows = last\n"
    "last.append(params)\npickle.dumps(model)",
    "added in place": "rows = model['wte']\nrows += params\npickle.dumps(model)",
    "a later name": "rows = model['wte']\nrows.append(params)\npickle.dumps(model)",
    "a function of the function": "dump = pickle.dump\ndump(params, open('x', 'wb'))",
    "a pickler": "pickle.Pickler(open('x', 'wb')).dump(model)",
}


def is_swapped(body: str) -> bool:
    return rewrite((small_gpt() + "\n" + MODEL + body + "\n").encode(), "script.py", Options()).swapped


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_may_be_pickled(name):
    assert is_swapped(PLAIN[name])


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_may_hold_values_keeps_the_class(name):
    assert not is_swapped(NEAR_MISSES[name])


ROUNDABOUT = {
    "a method as a function": "add = box.append\nadd(Value(2.0))\n",
    "in an object": "class Kept: pass\nkept = Kept()\nbox.append(kept)\n"
    "put = setattr\nput(kept, 'value', Value(2.0))\n",
    "as a key": "box.append({Value(2.0): 1.0})\n",
}


@pytest.mark.parametrize("name", ROUNDABOUT)
def test_what_is_found_only_at_run_time_ends_the_run(name, tmp_path):
    source = small_gpt().split("n_embd = 4")[0] + "import pickle\nbox = [1.0]\n" + ROUNDABOUT[name]
    run = assert_alike(source + "print(len(pickle.dumps(box)))\n", tmp_path)
    assert REFUSED in run.stderr or "nothing was swapped" in run.stderr
    assert REFUSED in run.stderr or name == "in an object"


def test_what_is_pickled_is_the_same_to_the_byte(tmp_path):
    ends = "\n".join(f"print({PLAIN[name].splitlines()[-1]})" for name in ("a dictionary of numbers", "in pairs"))
    assert "class Value" in assert_same(small_gpt() + "\n" + MODEL + ends + "\n", tmp_path)


def test_objects_are_looked_through_without_running_their_code():
    class Loud:
        __slots__ = ("inner", "missing")

        def __getattr__(self, name):
            raise RuntimeError(name)

    loud = Loud()
    loud.inner = [1.0, {"a": (2, "b")}]
    loud.inner.append(loud)
    support = install()
    assert support.no_value(loud, "pickle") is loud
    loud.inner.append(Value(1.0))
    with pytest.raises(Refused):
        support.no_value([loud], "pickle")
    refusals.words = ""
