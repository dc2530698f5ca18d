"""What a script pickles: numbers and strings are no matter; what may be or come to hold a Value keeps the class."""

from __future__ import annotations

import pytest
from running import small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

MODEL = "import pickle\nmodel = {k: [[p.data for p in row] for row in mat] for k, mat in state_dict.items()}\n"
PLAIN = {
    "a dictionary of numbers": "pickle.dumps(model)",
    "numbers beside names": "chars = sorted(set(''.join(docs)))\nsize = len(chars) + 1\n"
    "pickle.dumps({'model': model, 'chars': chars, 'size': size, 'note': f'{size} letters'})",
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
}


def is_swapped(body: str) -> bool:
    return rewrite((small_gpt() + "\n" + MODEL + body + "\n").encode(), "script.py", Options()).swapped


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_may_be_pickled(name):
    assert is_swapped(PLAIN[name])


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_may_hold_values_keeps_the_class(name):
    assert not is_swapped(NEAR_MISSES[name])
