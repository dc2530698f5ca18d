"""Flags that switch the graph off, as `no_grad` does: what is made meanwhile has no children, here as in the script."""

from __future__ import annotations

import re

import pytest
from running import assert_same, small_gpt

SCRIPT = small_gpt()
CLASS = re.search(r"^class Value:.*?(?=^n_embd)", SCRIPT, re.S | re.M).group(0)
CLASS = re.sub(r"    __slots__[^\n]*\n", "", CLASS)
LINKS = re.search(r"        self\._children = children\n.*?local_grads\n", CLASS, re.S).group(0)


def stored_if(condition: str, otherwise: str = "()") -> str:
    return re.sub(r"= (\w+)\n", rf"= \1 if {condition} else {otherwise}\n", LINKS)


def of_class(condition: str, first: str = "True") -> str:
    made = CLASS.replace(LINKS, stored_if(condition))
    return made.replace("class Value:\n", f"class Value:\n    tracked = {first}\n")


GLOBAL = "TRACKED = True\n\n" + CLASS.replace(LINKS, stored_if("TRACKED"))
IN_OPERATORS = "TRACKED = True\n\n" + re.sub(
    r"return Value\((.*?), (\(self.*\))\)\n",
    r"return Value(\1, \2) if TRACKED else Value(\1)\n",
    CLASS.replace("data + other.data, ", "data + other.data, "),
)
MANAGER = """
class no_grad:
    def __enter__(self):
        self.before = Value.tracked
        Value.tracked = False
    def __exit__(self, *error):
        Value.tracked = self.before
"""
GENERATOR = """
import contextlib

@contextlib.contextmanager
def no_grad():
    global TRACKED
    before, = [TRACKED]
    TRACKED = False
    try:
        yield
    finally:
        TRACKED = before
"""
SWITCHES = "def off():\n    {0} = False\ndef on():\n    {0} = True\n"
GLOBALS = "def off():\n    global TRACKED\n    TRACKED = False\ndef on():\n    global TRACKED\n    TRACKED = True\n"
UNDER = (
    "def off(): (stack.append(no_grad()), stack[-1].__enter__())\ndef on(): stack.pop().__exit__(None, None, None)\n"
)
FLAGS = {  # the class, and how it is switched
    "of the class": (of_class("Value.tracked"), SWITCHES.format("Value.tracked")),
    "of the instance": (of_class("self.tracked"), SWITCHES.format("Value.tracked")),
    "annotated": (of_class("Value.tracked").replace("tracked =", "tracked: bool ="), SWITCHES.format("Value.tracked")),
    "the other way round": (
        of_class("not Value.inference").replace("tracked = True", "inference = False"),
        "def off():\n    Value.inference = True\ndef on():\n    Value.inference = False\n",
    ),
    "a global": (GLOBAL, GLOBALS),
    "a context": (of_class("Value.tracked") + MANAGER, "stack = []\n" + UNDER),
    "a generator": (GLOBAL + GENERATOR, "stack = []\n" + UNDER),
    "in the operators": (IN_OPERATORS, GLOBALS),
    "with 1.0 as the root": (
        of_class("Value.tracked").replace("grad = 1\n", "grad = 1.0\n"),
        SWITCHES.format("Value.tracked"),
    ),
}
USES = """
def show(*values): print([(v.data, v.grad) for v in values])
a, b = Value(2.0), Value(3)
c = a * b + 2
off()
d = a * b + c.exp()
d.backward()
show(a, b, c, d)
e = sum([x * x for x in [a, b, c]]) / 3
e.backward()
c.backward()
show(a, b, c, e)
zero = Value(0.0)
try:
    print((zero ** 0.5).data)
except ZeroDivisionError as error:
    print(error)
on()
f = (d * a + e) * a.relu() - c
f.backward()
show(a, b, c, d, e, f)
weights = [[Value(0.1 * i * k - 0.3) for k in range(8)] for i in range(8)]
def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]
x = linear(weights[3], weights)
off()
y = linear(x, weights)
y[2].backward()
z = linear([p.relu() for p in y], weights)
on()
out = sum(linear(z, weights), Value(0)) + sum(x)
out.backward()
show(out, *x, *y, *z, *(p for row in weights for p in row))
off()
for k in range(3000):
    a = a * 1.0001
on()
a.backward()
show(a)
"""


@pytest.mark.parametrize("name", FLAGS)
def test_the_engine_switches_with_the_script(name, tmp_path):
    kind, switches = FLAGS[name]
    said = assert_same("import math\n\n" + kind + "\n\n" + switches + USES, tmp_path)
    assert "class Value" in said and ": swapped" in said.split("\n")[0]


def test_children_are_read_as_the_script_reads_them(tmp_path):
    kind, switches = FLAGS["of the class"]
    reads = "\noff()\ng = a * b\nprint(len(g._children), g._local_grads, len(c._children))\ng._children = (a,)\n"
    reads += "g._local_grads = (2.0,)\ng.backward()\non()\nh = g * a\nh.backward()\nshow(a, b, g, h)\n"
    assert_same("import math\n\n" + kind + "\n\n" + switches + USES + reads, tmp_path)


OTHERS = {  # what is not switched so: these stay as they are
    "an operator that does not look at it": (
        IN_OPERATORS.replace("(1 / self.data,)) if TRACKED", "(1 / self.data,)) if 1"),
        GLOBALS,
    ),
    "None instead of no children": (CLASS.replace(LINKS, stored_if("TRACKED", "None")), "TRACKED = True\n" + GLOBALS),
    "children alone": (
        "TRACKED = True\n\n" + CLASS.replace(LINKS, stored_if("TRACKED").replace("grads if TRACKED else ()", "grads")),
        GLOBALS,
    ),
    "set by name": (
        of_class("Value.tracked"),
        "def off(): setattr(Value, 'tracked', False)\ndef on(): setattr(Value, 'tracked', True)\n",
    ),
    "set in a tuple": (GLOBAL, GLOBALS.replace("TRACKED = False", "TRACKED, _ = False, 0")),
    "set on an instance": (
        of_class("self.tracked"),
        "def off():\n    a.tracked = False\ndef on():\n    a.tracked = True\n",
    ),
    "off at first": (of_class("not Value.tracked"), SWITCHES.format("Value.tracked")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_switch_leaves_the_class(name, tmp_path):
    kind, switches = OTHERS[name]
    said = assert_same("import math\n\n" + kind + "\n\n" + switches + USES, tmp_path)
    assert "nothing was swapped" in said


def test_a_flag_that_is_no_boolean_ends_the_run(tmp_path):
    from running import in_both_ways

    kind, _ = FLAGS["of the class"]
    _, ran = in_both_ways("import math\n\n" + kind + "\n\n\nlevel = 2\nValue.tracked = level\n", tmp_path)
    assert ran.status == 1 and "a flag that switches the graph is an int" in ran.stderr


def test_a_loop_under_the_flag_needs_no_more_memory(tmp_path):
    kind, switches = FLAGS["of the class"]
    grows = "from microgpt import _engine\na = Value(1.0)\noff()\nfor _ in range(200_000):\n    a = a * 1.5 + a\n"
    ends = "import sys\nsys.stderr.write(f\"blocks {_engine.arena_stats()['blocks']}\")\n"
    script = tmp_path / "script.py"
    script.write_text("import math\n\n" + kind + "\n\n" + switches + grows + ends, "utf-8")
    from running import accelerated

    said = accelerated(script).stderr
    assert int(said.split("blocks ")[1].split()[0]) < 70
