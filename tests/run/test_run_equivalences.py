"""What `microgpt run` takes for the same as the script's, and what it does not, though only a little is different.

Each method, backward, function and loop below stands in the script's place. The decision is looked at; what the class
then computes is compared bit by bit and kind by kind in `test_a_class_does_the_same`.
"""

from __future__ import annotations

import re

import pytest
from effort import mostly_slow
from running import assert_same, small_gpt

from microgpt.accelerate.rewrite import Options, rewrite

SCRIPT = small_gpt()
CLASS = re.search(r"^class Value:.*?(?=^n_embd)", SCRIPT, re.S | re.M).group(0)


def with_method(name: str, source: str, text: str = SCRIPT) -> str:
    """The script with another method of this name."""
    body = "".join(f"    {line}\n" for line in source.strip().split("\n"))
    made, n = re.subn(
        rf"    def {name}\(.*?(?=\n\n    def |\n\n\n)", lambda _: body.rstrip("\n"), text, count=1, flags=re.S
    )
    assert n == 1
    return made


def plan_of(source: str):
    return rewrite(source.encode(), "script.py", Options()).plan


def value(data: str, children: str, grads: str) -> str:
    return f"return Value({data}, {children}, {grads})"


COERCED = "    other = other if isinstance(other, Value) else Value(other)\n    "
BINARY = "def {}(self, other):\n" + COERCED
SAME = [
    ("__add__", BINARY.format("__add__") + value("other.data + self.data", "(self, other)", "(1, 1)")),
    (
        "__add__",
        BINARY.format("__add__")
        + "out = "
        + value("self.data + other.data", "[self, other]", "[1, 1]")[7:]
        + "\n    return out",
    ),
    (
        "__mul__",
        BINARY.format("__mul__") + "a, b = self.data, other.data\n    " + value("a * b", "(self, other)", "(b, a)"),
    ),
    (
        "__mul__",
        "def __mul__(self, other):\n    if not isinstance(other, Value):\n        other = Value(other)\n    "
        + value("self.data * other.data", "(self, other)", "(other.data, self.data)"),
    ),
    ("__sub__", BINARY.format("__sub__") + value("self.data - other.data", "(self, other)", "(1, -1)")),
    ("__neg__", "def __neg__(self):\n    " + value("-self.data", "(self,)", "(-1,)")),
    ("__neg__", "def __neg__(self):\n    return -1 * self"),
    ("__rsub__", "def __rsub__(self, other):\n    return (-self) + other"),
    ("__rsub__", "def __rsub__(self, other):\n    return Value(other) + (-self)"),
    ("__truediv__", "def __truediv__(self, other):\n    return self * (other**-1)"),
    ("__pow__", "def __pow__(self, n):\n    " + value("self.data**n", "(self,)", "(n * self.data ** (n - 1),)")),
    (
        "__pow__",
        "def __pow__(self, n):\n    g = n * self.data ** (n - 1)\n    " + value("self.data**n", "(self,)", "(g,)"),
    ),
    ("exp", "def exp(self):\n    e = math.exp(self.data)\n    " + value("e", "(self,)", "(e,)")),
    ("log", "def log(self):\n    x = self.data\n    " + value("math.log(x)", "(self,)", "(1.0 / x,)")),
    (
        "relu",
        "def relu(self):\n    on = self.data > 0\n    "
        + value("self.data if on else 0", "(self,)", "(1.0 if on else 0.0,)"),
    ),
    ("relu", "def relu(self):\n    " + value("max(0.0, self.data)", "(self,)", "(float(self.data > 0),)")),
    ("relu", "def relu(self):\n    " + value("max(0, self.data)", "(self,)", "(self.data > 0,)")),
]
NEARLY = [
    ("exp", "def exp(self, scale=1):\n    " + value("math.exp(self.data)", "(self,)", "(math.exp(self.data),)")),
    ("__add__", BINARY.format("__add__") + value("self.data + other.data", "(other, self)", "(1, 1)")),
    ("__add__", BINARY.format("__add__") + value("self.data + other.data", "(self, other)", "(1, 2)")),
    ("__add__", BINARY.format("__add__") + value("self.data + other.data + 0.0", "(self, other)", "(1, 1)")),
    ("__mul__", BINARY.format("__mul__") + value("self.data * other.data", "(self, other)", "(self.data, other.data)")),
    ("__mul__", BINARY.format("__mul__") + value("self.data * other.data", "(other, self)", "(self.data, other.data)")),
    ("__sub__", BINARY.format("__sub__") + value("other.data - self.data", "(self, other)", "(1, -1)")),
    ("__sub__", BINARY.format("__sub__") + value("self.data - other.data", "(other, self)", "(-1, 1)")),
    ("__neg__", "def __neg__(self):\n    " + value("0 - self.data", "(self,)", "(-1,)")),
    ("__neg__", "def __neg__(self):\n    " + value("-self.data", "(self,)", "(1,)")),
    ("__rsub__", "def __rsub__(self, other):\n    return self + (-other)"),
    (
        "__truediv__",
        BINARY.format("__truediv__")
        + value("self.data / other.data", "(self, other)", "(1 / other.data, -self.data / other.data**2)"),
    ),
    ("__pow__", "def __pow__(self, n):\n    " + value("self.data**n", "(self,)", "(n * self.data**n / self.data,)")),
    (
        "__pow__",
        "def __pow__(self, n):\n    "
        + value("self.data * self.data if n == 2 else self.data**n", "(self,)", "(n * self.data ** (n - 1),)"),
    ),
    ("exp", "def exp(self):\n    " + value("math.e ** self.data", "(self,)", "(math.exp(self.data),)")),
    ("log", "def log(self):\n    " + value("math.log(self.data)", "(self,)", "(self.data**-1,)")),
    ("log", "def log(self):\n    " + value("math.log(self.data + 1e-10)", "(self,)", "(1 / self.data,)")),
    ("log", "def log(self):\n    g = 1 / self.data\n    " + value("math.log(self.data)", "(self,)", "(g,)")),
    (
        "relu",
        "def relu(self):\n    " + value("self.data if self.data >= 0 else 0", "(self,)", "(float(self.data > 0),)"),
    ),
    (
        "relu",
        "def relu(self):\n    " + value("0 if self.data < 0 else self.data", "(self,)", "(float(self.data > 0),)"),
    ),
    ("relu", "def relu(self):\n    " + value("max(0, self.data)", "(self,)", "(float(self.data > 1e-9),)")),
    ("relu", "def relu(self):\n    " + value("max(self.data, 0)", "(self,)", "(float(self.data > 0),)")),
]


@pytest.mark.parametrize(("name", "method"), SAME)
def test_a_method_that_does_the_same_is_recognised(name, method):
    plan = plan_of(with_method(name, method))
    assert name in plan.ours and not plan.kept


@pytest.mark.parametrize(("name", "method"), NEARLY)
def test_a_method_that_nearly_does_the_same_stays(name, method):
    assert name in plan_of(with_method(name, method)).kept


def test_where_the_graph_is_looked_at_its_nodes_have_to_be_the_same():
    source = with_method("__neg__", "def __neg__(self):\n    " + value("-self.data", "(self,)", "(-1,)"))
    assert "__neg__" in plan_of(source).ours
    assert "__neg__" in plan_of(source + "\nprint(len(loss._children))\n").kept
    assert "__neg__" in plan_of(source + "\nValue.__mul__ = Value.__mul__\n").kept


# ---- backward -------------------------------------------------------------------------------------------------------

WALK = """def backward(self):
    topo, seen = [], set()
    def visit(v):
        if v in seen:
            return
        seen.add(v)
        for c in v._children:
            visit(c)
        topo.append(v)
    visit(self)
    self.grad = 1
    for v in reversed(topo):
        for c, g in zip(v._children, v._local_grads):
            c.grad += g * v.grad"""
ITERATIVE = """def backward(self):
    topo, visited, stack = [], set(), [(self, False)]
    while stack:
        v, done = stack.pop()
        if done:
            topo.append(v)
        elif v not in visited:
            visited.add(v)
            stack.append((v, True))
            for child in reversed(v._children):
                stack.append((child, False))
    self.grad = 1.0
    for v in topo[::-1]:
        for child, local in zip(v._children, v._local_grads):
            child.grad = child.grad + v.grad * local"""
BACKWARDS = {
    "early return": WALK,
    "ids": WALK.replace("v in seen", "id(v) in seen").replace("seen.add(v)", "seen.add(id(v))"),
    "a set display": WALK.replace("topo, seen = [], set()", "topo = []\n    seen = {None}"),
    "by index": WALK.replace(
        "for c, g in zip(v._children, v._local_grads):\n            c.grad += g * v.grad",
        "for k in range(len(v._children)):\n            v._children[k].grad += v._local_grads[k] * v.grad",
    ),
    "reversed in place": WALK.replace("for v in reversed(topo)", "topo.reverse()\n    for v in topo"),
    "iterative": ITERATIVE,
}
OTHER_BACKWARDS = {
    "children from the right": WALK.replace(
        "in v._children:\n            visit", "in reversed(v._children):\n            visit"
    ),
    "iterative, from the right": ITERATIVE.replace("reversed(v._children)", "v._children"),
    "marked when pushed": ITERATIVE.replace(
        "stack.append((child, False))", "if child not in visited:\n                    stack.append((child, True))"
    ),
    "the root twice": WALK.replace("self.grad = 1", "self.grad = 2 - 1 + 1"),
    "gradients start anew": WALK.replace("self.grad = 1", "for v in topo: v.grad = 0\n    self.grad = 1"),
    "contributions from the right": WALK.replace(
        "zip(v._children, v._local_grads)", "zip(v._children[::-1], v._local_grads[::-1])"
    ),
    "forwards": WALK.replace("reversed(topo)", "topo"),
    "the root's children twice": WALK.replace("visit(self)\n", "visit(self)\n    topo.append(self)\n"),
    "a clip": WALK.replace("c.grad += g * v.grad", "c.grad += max(-1, g * v.grad)"),
    "over a set": WALK.replace("reversed(topo)", "seen"),
    "at most so many": WALK.replace("if v in seen", "if v in seen or len(topo) > 900"),
    "returns": WALK + "\n    return self",
}


@pytest.mark.parametrize("name", BACKWARDS)
def test_a_backward_in_the_script_s_order_is_recognised(name):
    assert "backward" in plan_of(with_method("backward", BACKWARDS[name])).ours


@pytest.mark.parametrize("name", OTHER_BACKWARDS)
def test_a_backward_of_another_order_stays(name):
    assert "backward" in plan_of(with_method("backward", OTHER_BACKWARDS[name])).kept


# ---- constructors, and the kinds of numbers -------------------------------------------------------------------------

STORES = re.search(r"        self\.data = data\n.*?local_grads\n", CLASS, re.S).group(0)
SLOTS = re.search(r"    __slots__[^\n]*\n", CLASS).group(0)
CONSTRUCTORS = {
    "a float gradient": STORES.replace("grad = 0", "grad = 0.0"),
    "float data": STORES.replace("= data", "= float(data)"),
    "both": STORES.replace("grad = 0", "grad = 0.0").replace("= data", "= float(data)"),
    "in one line": "        self.data, self.grad, self._children, self._local_grads = data, 0, children, local_grads\n",
    "tuples": STORES.replace("= children", "= tuple(children)"),
    "a condition": STORES.replace("= children", "= children if children else ()"),
    "annotated": STORES.replace("self.grad =", "self.grad: float ="),
    "another attribute": STORES + "        self.label = ''\n",
}
OTHER_CONSTRUCTORS = {
    "another start": STORES.replace("grad = 0", "grad = 1"),
    "rounded": STORES.replace("= data", "= round(data, 9)"),
    "a number for each": STORES + "        self.label = len(children)\n",
    "no second child": STORES.replace("= children", "= children[:1]"),
    "the other way round": STORES.replace("= children", "= children[::-1]"),
    "clipped": STORES.replace("= data", "= min(data, 1e6)"),
}
SHOW = """
def show(*values): print([(v.data, v.grad) for v in values])
for x, y in ((2, 3.0), (2, 3), (2.5, -1.5), (0.0, -0.0)):
    a, b = Value(x), Value(y)
    for f in (lambda: a + b, lambda: a * b, lambda: a - b, lambda: a + 3, lambda: 3 * a, lambda: 1 - b,
              lambda: b.relu(), lambda: -a, lambda: a**2, lambda: (a + a) * a, lambda: a.exp(),
              lambda: (a * b).relu() + b):
        c = f()
        c.backward()
        show(a, b, c)
    a.data, a.grad, b.grad = 5, 0, 0.0
    c = a * 2 + a
    c.backward()
    show(a, b, c)
p = [Value(0.5 * k) for k in range(20)]
loss = sum(x * x for x in p)
loss.backward()
for x in p:
    x.data -= 0.1 * x.grad
    x.grad = 0
show(*p, loss)
loss = sum(x * x for x in p)
loss.backward()
for x in p: x.grad *= 0.5
show(*p, loss)
for x in p: x.grad = 0.0
show(*p)
"""


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_a_constructor_that_stores_the_same_is_recognised(name, tmp_path):
    made = CLASS.replace(STORES, CONSTRUCTORS[name]).replace(SLOTS, "")
    assert "class Value (line 3): swapped" in assert_same("import math\n\n" + made + SHOW, tmp_path)


@pytest.mark.parametrize("name", OTHER_CONSTRUCTORS)
def test_a_constructor_that_does_more_is_not(name):
    source = SCRIPT.replace(STORES, OTHER_CONSTRUCTORS[name]).replace(SLOTS, "")
    found = rewrite(source.encode(), "script.py", Options())
    assert not found.swapped


IF_TRACED = STORES.replace("= children", "= children if TRACED else ()").replace(
    "= local_", "= () if not TRACED else local_"
)
TRACED = {
    "a constant": ("TRACED = True\n", ""),
    "switched in between": ("TRACED = True\n", "TRACED = False\n"),
    "switched by a function": ("TRACED = True\n", "def off():\n    global TRACED\n    TRACED = False\n\noff()\n"),
    "computed": ("import sys\nTRACED = len(sys.argv) > 1\n", ""),
    "bound nowhere": ("", ""),
}


@pytest.mark.parametrize("name", TRACED)
def test_what_a_name_of_the_outside_stands_for_is_not_guessed(name, tmp_path):
    before, after = TRACED[name]
    made = f"import math\n{before}\n{CLASS.replace(STORES, IF_TRACED)}\n\n\na, b = Value(2.0), Value(3.0)\n{after}"
    said = assert_same(made + "c = a * b\nc.backward()\nprint(c.data, a.grad, b.grad)\n", tmp_path)
    assert ("nothing was swapped" in said) is (name in ("computed", "bound nowhere"))


@pytest.mark.parametrize("case", mostly_slow(SAME))
def test_a_class_does_the_same(case, tmp_path):
    name, method = case
    made = with_method(name, method, "import math\n\n" + CLASS + "\n\n\n" + SHOW)
    assert "class Value (line 3): swapped" in assert_same(made, tmp_path)


# ---- functions and loops --------------------------------------------------------------------------------------------


def finds(source: str, what: str) -> bool:
    found = rewrite(source.encode(), "script.py", Options()).findings
    return any(one.swapped and what in f"{one.what} {one.note}" for one in found)


def with_function(name: str, source: str) -> str:
    made, n = re.subn(
        rf"^def {name}\(.*?(?=^\S)", lambda _: source.strip() + "\n\n\n", SCRIPT, count=1, flags=re.S | re.M
    )
    assert n == 1
    return made


FUNCTIONS = {
    "softmax, named": (
        "softmax",
        "def softmax(z):\n    m = max(v.data for v in z)\n    e = [(v - m).exp() for v in z]\n"
        "    total = Value(0)\n    for each in e:\n        total = total + each\n"
        "    out = []\n    for each in e:\n        out.append(each / total)\n    return out",
    ),
    "rmsnorm, eps": (
        "rmsnorm",
        "def rmsnorm(x, eps=1e-5):\n    total = 0\n    for xi in x:\n        total += xi * xi\n"
        "    scale = (total / len(x) + eps) ** -0.5\n    return [v * scale for v in x]",
    ),
    "linear, loops": (
        "linear",
        "def linear(x, w):\n    out = []\n    for row in w:\n        acc = Value(0.0)\n"
        "        for i in range(len(x)):\n            acc += row[i] * x[i]\n        out.append(acc)\n    return out",
    ),
    "linear, a start": (
        "linear",
        "def linear(x, w):\n    return [sum((a * b for a, b in zip(row, x)), Value(0)) for row in w]",
    ),
}
OTHER_FUNCTIONS = {
    "softmax": [
        ("v - m", "v - 0.0"),
        ("each / total", "each * (1 / total)"),
        ("Value(0)", "Value(1e-9)"),
        ("max(v", "min(v"),
        ("each / total", "total / each"),
        ("for each in e:\n        total", "for each in e[::-1]:\n        total"),
    ],
    "rmsnorm": [
        ("1e-5", "1e-6"),
        ("xi * xi", "xi ** 2"),
        ("-0.5", "0.5"),
        ("v * scale", "scale * v"),
        ("len(x)", "16"),
        ("total / len(x) + eps", "eps + total / 3"),
    ],
    "linear": [
        ("row[i] * x[i]", "x[i] * row[i]"),
        ("acc += row[i] * x[i]", "acc = row[i] * x[i] + acc"),
        ("range(len(x))", "range(len(x) - 1)"),
        ("range(len(x))", "range(len(x))[::-1]"),
        ("Value(0.0)", "Value(0.5)"),
        ("for row in w", "for row in w[:64]"),
        ("out.append(acc)", "out.append(acc + 0.0)"),
    ],
    "linear, a start": [
        ("a * b", "b * a"),
        ("Value(0)", "Value(1e-9)"),
        ("zip(row, x)", "zip(row[1:], x)"),
        ("for row in w", "for row in w[::-1]"),
        ("Value(0)) for", "Value(0)) + 0.0 for"),
    ],
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_that_does_the_same_is_recognised(case):
    name, source = FUNCTIONS[case]
    assert finds(with_function(name, source), f"the script's {name}")


@pytest.mark.parametrize("case", mostly_slow(FUNCTIONS))
def test_a_function_does_the_same(case, tmp_path):
    assert_same(with_function(*FUNCTIONS[case]), tmp_path)


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_that_nearly_does_the_same_stays(case):
    name, source = FUNCTIONS[case]
    for old, new in OTHER_FUNCTIONS.get(case) or OTHER_FUNCTIONS[name]:
        assert old in source
        assert not finds(with_function(name, source.replace(old, new)), f"the script's {name}"), (old, new)


ADAM = re.search(r"    for i, p in enumerate\(params\):\n(?:        [^\n]*\n)+", SCRIPT).group(0)
BODY = ADAM.split("\n", 1)[1]
LOOPS = {
    "SGD": "    for p in params:\n        p.data -= lr_t * p.grad\n        p.grad = 0\n",
    "momentum": "    for k, p in enumerate(params):\n        m[k] = 0.9 * m[k] + p.grad\n"
    "        p.data -= lr_t * m[k]\n        p.grad = 0.0\n",
    "decay first": ADAM.replace("        m[i]", "        p.data *= 1 - lr_t * 0.1\n        m[i]", 1),
    "math.sqrt": ADAM.replace("v_hat**0.5", "math.sqrt(v_hat)"),
    "g * g": ADAM.replace("p.grad**2", "(p.grad * p.grad)"),
    "hoisted": "    c1 = 1 - beta1 ** (step + 1)\n" + ADAM.replace("(1 - beta1 ** (step + 1))", "c1"),
    "RMSprop": "    for i, p in enumerate(params):\n        v[i] = 0.9 * v[i] + 0.1 * p.grad**2\n"
    "        p.data -= lr_t * p.grad / (v[i] ** 0.5 + 1e-8)\n        p.grad = 0\n",
    "a clip": "    for p in params:\n        p.data -= lr_t * max(-0.001, min(0.001, p.grad))\n        p.grad = 0\n",
    "a clip to a name": "    for p in params:\n        g = min(most, max(p.grad, -most))\n"
    "        p.data -= lr_t * g\n        p.grad = 0\n",
    "by index": "    for i in range(len(params)):\n        p = params[i]\n"
    + BODY.replace("p.grad = 0", "p.grad = 0.0"),
    "looked up": "    for i in range(len(params)):\n" + BODY.replace("p.", "params[i]."),
    "zipped": "    for p, w in zip(params, m):\n        p.data -= lr_t * (p.grad + w)\n        p.grad = 0\n",
    "zipped, the parameters last": "    for w, p in zip(m, params):\n"
    "        p.data -= lr_t * (p.grad + w)\n        p.grad = 0\n",
    "zipped and counted": "    for i, (p, mi, vi) in enumerate(zip(params, m, v)):\n"
    + BODY.replace("beta1 * m[i]", "beta1 * mi").replace("beta2 * v[i]", "beta2 * vi"),
    "a change of sign": "    for p in params:\n        g = -p.grad\n"
    "        p.data = p.data + g * lr_t\n        p.grad = 0\n",
}
OTHER_LOOPS = {
    "a clip to ints": "    for p in params:\n        p.data -= lr_t * max(-1, min(1, p.grad))\n        p.grad = 0\n",
    "a clip of what is kept": "    for p in params:\n        p.grad = max(-1.0, min(1.0, p.grad))\n"
    "        p.data -= lr_t * p.grad\n",
    "another parameter": "    for i in range(len(params)):\n"
    "        params[i].data -= lr_t * params[i - 1].grad\n        params[i].grad = 0\n",
    "a parameter exchanged": "    for i in range(len(params)):\n        p = params[i]\n"
    "        p.data -= lr_t * p.grad\n        params[i] = Value(p.data)\n",
    "two of a kind": "    for p, q in zip(params, params):\n        p.data -= lr_t * q.grad\n        q.grad = 0\n",
    "a condition": "    for p in params:\n        if p.grad > 0: p.data -= lr_t * p.grad\n        p.grad = 0\n",
    "a sum": "    norm = 0.0\n    for p in params:\n        norm += p.grad\n        p.grad = 0\n",
    "by the index": "    for i, p in enumerate(params):\n        p.data -= lr_t * p.grad * i\n        p.grad = 0\n",
    "of its neighbour": "    for i, p in enumerate(params):\n"
    "        p.data -= lr_t * p.grad * m[i - 1]\n        p.grad = 0\n",
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_over_parameters_is_recognised(name):
    made = "most = 0.002\n" + SCRIPT.replace(ADAM, LOOPS[name])
    assert LOOPS[name] != ADAM and (finds(made, "loop over parameters") or finds(made, "Adam"))


@pytest.mark.parametrize("name", mostly_slow(LOOPS))
def test_a_loop_over_parameters_does_the_same(name, tmp_path):
    assert_same(
        "most = 0.002\n" + SCRIPT.replace(ADAM, LOOPS[name]) + "print(i if 'i' in globals() else p.data)\n", tmp_path
    )


@pytest.mark.parametrize("lists", ["params, m[:50]", "params[:50], m", "tuple(params), m", "params, [1] * len(params)"])
def test_lists_that_are_not_as_long_or_of_other_things_run_as_they_are(lists, tmp_path):
    loop = f"    for p, w in zip({lists}):\n        p.data -= lr_t * (p.grad + w)\n        p.grad = 0\n"
    assert_same(SCRIPT.replace(ADAM, loop) + "print(p.data, w)\n", tmp_path)


@pytest.mark.parametrize("most", ["0.002", "0", "1", "None"])
def test_a_bound_that_is_an_int_runs_as_it_is(most, tmp_path):
    assert_same(f"most = {most}\n" + SCRIPT.replace(ADAM, LOOPS["a clip to a name"]) + SHOW_PARAMS, tmp_path)


METHOD = "    def zero_grad(self):\n        self.grad = 0\n\n    def backward("
SHOW_PARAMS = "print([(p.data, p.grad) for p in params])\n"


def test_methods_of_the_class_are_followed_in_a_loop(tmp_path):
    made = SCRIPT.replace("    def backward(", METHOD).replace("        p.grad = 0\n", "        p.zero_grad()\n")
    assert finds(made, "Adam")
    assert_same(made + SHOW_PARAMS, tmp_path)


@pytest.mark.parametrize(
    "replaced", ["Value.zero_grad = lambda self: None\n", "setattr(Value, 'zero_grad', lambda self: print('no'))\n"]
)
def test_methods_that_are_replaced_are_not(replaced, tmp_path):
    made = SCRIPT.replace("    def backward(", METHOD).replace("        p.grad = 0\n", "        p.zero_grad()\n")
    made = made.replace("n_embd =", replaced + "n_embd =", 1)
    assert not finds(made, "Adam")
    assert_same(made + SHOW_PARAMS, tmp_path)


@pytest.mark.parametrize("name", OTHER_LOOPS)
def test_a_loop_that_does_something_else_stays(name):
    made = SCRIPT.replace(ADAM, OTHER_LOOPS[name])
    assert made != SCRIPT and not finds(made, "loop over") and not finds(made, "Adam")
