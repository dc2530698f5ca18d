"""Names that show what an object is: harmless beside the model; where a Value turns up unseen, the end of the run."""

from __future__ import annotations

import pytest
from alike import REFUSED, assert_alike
from running import assert_same, small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

BESIDE = {
    "id of lists": "print(id(params) == id(params), id(docs) == id(state_dict))",
    "id of one of two": "a, b = loss, params\nprint(id(a) == id(b))",
    "id of two Values": "def same(a, b): return id(a) == id(b)\nprint(same(loss, params[0]), same(loss, loss))",
    "id in a function": "def same(a, b): return id(a) == id(b)\nprint(same(docs, docs))",
    "type of a list": "print(type(docs), type(params[0].data), type(len(docs)))",
    "getattr of options": "import argparse\noptions = argparse.Namespace(lr=0.1)\n"
    "for name in ('lr', 'wd'): print(getattr(options, name, None))",
    "setattr of options": "class Config: pass\nconfig = Config()\n"
    "for name, value in {'lr': 0.1}.items(): setattr(config, name, value)\nprint(config.lr)",
    "vars of options": "import argparse\noptions = argparse.Namespace(lr=0.1)\nprint(vars(options), options.__dict__)",
    "vars of an object": "class Config:\n    def __init__(self): self.lr = 0.1\n"
    "print(vars(Config()), Config().__dict__)",
    "an unused __repr__ of another class": "class Row:\n    def __repr__(self): return str(id(self) > 0)\nprint(Row())",
}
MEETS = {
    "id": "print(len({id(p) for p in params}))",
    "id in a method": "Value.me = lambda self: id(self)\nprint(loss.me() > 0)",
    "getattr of the class": "for name in ('relu', 'exp'): print(getattr(Value, name)(Value(1.0)).data)",
    "getattr of a Value": "for name in ('data', 'grad'): print(getattr(loss, name))",
    "setattr of the class": "for name in ('relu', 'exp'): setattr(Value, name, lambda self: self)\n"
    "print(loss.relu() is loss)",
    "id by map": "print(len(list(map(lambda p: id(p), params))))",
    "id by map of a function": "def of(p): return id(p)\nprint(len(list(map(of, params))))",
    "id by map of a named lambda": "of = lambda p: id(p)\nprint(len(list(map(of, params))))",
    "id by map of a method": "class Box:\n    def of(self, p): return id(p)\nprint(len(list(map(Box().of, params))))",
    "id of a sum": "total = 0\nfor p in params: total += p\nprint(id(total) > 0)",
    "id of what is gone": "print(id(loss * 1) == id(loss * 2) or True)",
    "type": "print(type(loss))",
}
FREE = {
    "vars": "print(sorted(vars(params[0])))",
    "__dict__": "print(sorted(params[0].__dict__))",
    "vars in a function": "def held(x): return sorted(vars(x))\nprint(held(params[0]))",
}
ROUNDABOUT = {
    "id": "print(id(box[0]) > 0)",
    "type": "print(type(box[0]) is type(None), str(type(box[0])))",
    "getattr": "for name in ('data',): print(getattr(box[0], name))",
    "vars": "try: print(vars(box[0]))\nexcept TypeError: print('none')",
    "__dict__": "try: print(box[0].__dict__)\nexcept AttributeError: print('none')",
    "setattr": "for name in ('data',): setattr(box[0], name, 1.0)\nprint(box[0].data)",
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_name_beside_the_model_costs_nothing(name, tmp_path):
    said = assert_same(f"{small_gpt()}\n{BESIDE[name]}\n", tmp_path)
    assert "softmax" in said and "run: vectors" not in said and "derived" not in said


@pytest.mark.parametrize("name", MEETS)
def test_a_name_that_meets_a_value_keeps_what_it_shows(name, tmp_path):
    source = f"{small_gpt()}\n{MEETS[name]}\n"
    plan = rewrite(source.encode(), "script.py", Options()).plan
    assert plan is not None
    said = assert_same(source, tmp_path)
    assert "nothing was swapped" in said or "run: vectors" in said or "replaces later" in said


def without_slots() -> str:
    return small_gpt().replace('    __slots__ = ("data", "grad", "_children", "_local_grads")\n', "")


@pytest.mark.parametrize("name", FREE)
def test_what_an_instance_without_slots_holds_keeps_the_class(name, tmp_path):
    assert "nothing was swapped" in assert_same(f"{without_slots()}\n{FREE[name]}\n", tmp_path)


@pytest.mark.parametrize("name", ROUNDABOUT)
def test_a_value_that_turns_up_unseen_ends_the_run(name, tmp_path):
    source = f"{without_slots()}\nbox = []\nadd = box.append\nadd(loss)\n{ROUNDABOUT[name]}\n"
    assert REFUSED in assert_alike(source, tmp_path).stderr


NAMES_AGAIN = {
    "in a loop of its own": "for h in range(2):\n    hs = h * 4\n    print(h, hs)",
    "after a new store": "h = 5\nhs = h\nprint(h, hs)",
}
NAMES_LATER = {
    "after the loop": "print(h)",
    "in place": "h += 1\nhs = 0\nprint(h)",
    "after a store that may not happen": "if len(docs) > 9:\n    h = 1\nprint(h)",
    "in another loop's head": "for k in range(h):\n    h = k",
    "deleted": "del h",
}


def with_heads(more: str) -> str:
    """The script with more after its loop over the heads, in the same function."""
    text = small_gpt()
    at = text.index("        x = linear(x_attn")
    inner = "".join(f"        {line}\n" for line in more.split("\n"))
    return text[:at] + inner + text[at:]


@pytest.mark.parametrize("name", NAMES_AGAIN)
def test_names_of_the_attention_may_be_bound_anew(name, tmp_path):
    assert "attention" in assert_same(with_heads(NAMES_AGAIN[name]), tmp_path)


@pytest.mark.parametrize("name", NAMES_LATER)
def test_names_of_the_attention_that_are_read_later_keep_it(name, tmp_path):
    assert "names of its loop are used elsewhere" in assert_same(with_heads(NAMES_LATER[name]), tmp_path)


def test_the_names_of_a_function_keep_their_order(tmp_path):
    source = small_gpt().replace("    ms = sum(", "    print(list(locals().keys()))\n    ms = sum(")
    assert "nothing was swapped" in assert_same(source, tmp_path)
