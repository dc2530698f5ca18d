"""The forms that are recognised: the interface of the 200-line script, as sources for match.py.

Each says what the arithmetic is, and in which order; the compiled functions do exactly that.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from ..syntax.match import words_of

# ---- the class: what each method has to be, so that ours stands for it ----

METHOD_SOURCES = {
    "__init__": """
def __init__(self, data, children=(), local_grads=()):
    self.data = data
    self.grad = 0
    self._children = children
    self._local_grads = local_grads
""",
    "__add__": """
def __add__(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return Value(self.data + other.data, (self, other), (1, 1))
""",
    "__mul__": """
def __mul__(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return Value(self.data * other.data, (self, other), (other.data, self.data))
""",
    "__pow__": """
def __pow__(self, other):
    return Value(self.data**other, (self,), (other * self.data**(other - 1),))
""",
    "log": "def log(self): return Value(math.log(self.data), (self,), (1 / self.data,))",
    "exp": "def exp(self): return Value(math.exp(self.data), (self,), (math.exp(self.data),))",
    "relu": "def relu(self): return Value(max(0, self.data), (self,), (float(self.data > 0),))",
    "__neg__": "def __neg__(self): return self * -1",
    "__radd__": "def __radd__(self, other): return self + other",
    "__sub__": "def __sub__(self, other): return self + (-other)",
    "__rsub__": "def __rsub__(self, other): return other + (-self)",
    "__rmul__": "def __rmul__(self, other): return self * other",
    "__truediv__": "def __truediv__(self, other): return self * other**-1",
    "__rtruediv__": "def __rtruediv__(self, other): return other * self**-1",
    "backward": """
def backward(self):
    topo = []
    visited = set()
    def build_topo(v):
        if v not in visited:
            visited.add(v)
            for child in v._children:
                build_topo(child)
            topo.append(v)
    build_topo(self)
    self.grad = 1
    for v in reversed(topo):
        for child, local_grad in zip(v._children, v._local_grads):
            child.grad += local_grad * v.grad
""",
}


METHODS = frozenset(METHOD_SOURCES)
IDENTITY = [  # what object does
    *("def __hash__(self): return id(self)", "def __hash__(self): return hash(id(self))"),
    "def __hash__(self): return object.__hash__(self)",
    *("def __eq__(self, other): return self is other", "def __eq__(self, other): return id(self) == id(other)"),
]
KINDS = {
    "float_data": "data are made floats",
    "float_grad": "a gradient begins as 0.0",
    "float_ones": "the local gradients of a sum are 1.0",
    "float_zero": "relu of a negative number is 0.0",
    "int_slope": "the local gradient of relu is 0 or 1",
}


def method_forms() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Methods that may differ in the kinds of their numbers: sources, and the kinds that they stand for."""
    add, relu = METHOD_SOURCES["__add__"], METHOD_SOURCES["relu"]
    floats = relu.replace("max(0,", "max(0.0,")
    return {
        "__add__": [(add, ()), (add.replace("(1, 1)", "(1.0, 1.0)"), ("float_ones",))],
        "relu": [
            (relu, ()),
            (floats, ("float_zero",)),
            (relu.replace("float(", "int("), ("int_slope",)),
            (floats.replace("float(", "int("), ("float_zero", "int_slope")),
        ],
    }


METHOD_FORMS = method_forms()


def reference_class(kinds: set[str]) -> str:
    """The script's class, with these kinds of numbers."""
    methods = "\n".join(METHOD_SOURCES.values())
    if "float_data" in kinds:
        methods = methods.replace("self.data = data", "self.data = float(data)")
    if "float_grad" in kinds:
        methods = methods.replace("self.grad = 0", "self.grad = 0.0")
    return "class Value:\n" + methods.replace("\n", "\n    ")


def without_links(source: str, constructor: bool) -> str:
    """The same where nodes have no children: those that the constructor drops, or the other methods do not hand on."""
    if constructor:
        return source.replace("= children", "= ()").replace("= local_grads", "= ()")
    lines = (line.partition(", (self") if "Value(" in line else (line, "", "") for line in source.split("\n"))
    return "\n".join(before + ")" * bool(cut) for before, cut, _ in lines)


# ---- expressions over vectors; capitals stand for any simple expression ----

# source, helper that does the same, compiled function behind it, what it is called, the order of the holes
EXPRESSIONS = [
    ("[sum(w * x for w, x in zip(row, X)) for row in W]", "linear", "linear", "matrix product", "XW"),
    ("[sum(row[j] * X[j] for j in range(len(X))) for row in W]", "linear", "linear", "matrix product", "XW"),
    ("sum(x * y for x, y in zip(X, Y))", "dot", "linear", "dot product", "XY"),
    ("sum(x * x for x in X)", "squares", "linear", "sum of squares", "X"),
    ("sum(X[j] * Y[j] for j in range(N))", "dot_range", "linear", "dot product", "XYN"),
    ("sum(X[j] * Y[j] for j in range(len(N)))", "dot_length", "linear", "dot product", "XYN"),
    ("sum(X[t] * M[t][J] for t in range(len(N)))", "dot_column", "linear", "weighted sum", "XMJN"),
    ("[a + b for a, b in zip(X, Y)]", "add", "add", "sum of vectors", "XY"),
    ("[x.relu() for x in X]", "relu", "relu", "relu of a vector", "X"),
]


@lru_cache(1)
def expressions() -> dict[tuple[object, ...], tuple[list[str], tuple[str, str, str, str]]]:
    """By the words of these: their holes in the order in which they are met, and all that stands beside the source."""
    read = [(words_of(source), others) for source, *others in EXPRESSIONS]
    return {tuple(form.words): ([ast.unparse(hole) for hole in form.holes], others) for form, others in read}  # type: ignore[misc]


# ---- functions ----

FUNCTION_SOURCES = {
    "linear": """
def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]
""",
    "softmax": """
def softmax(logits):
    max_val = max(val.data for val in logits)
    exps = [(val - max_val).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]
""",
    "rmsnorm": """
def rmsnorm(x):
    ms = sum(xi * xi for xi in x) / len(x)
    scale = (ms + 1e-5) ** -0.5
    return [xi * scale for xi in x]
""",
}


@lru_cache(None)
def words(name: str) -> list[object]:
    """Those of one of the script's methods or functions."""
    return words_of(METHOD_SOURCES.get(name) or FUNCTION_SOURCES[name]).words


# ---- one query over the cached keys and values, head by head ----

ATTENTION = """
x_attn = []
for h in range(HEADS):
    hs = h * DIM
    q_h = Q[hs:hs+DIM]
    k_h = [ki[hs:hs+DIM] for ki in KEYS]
    v_h = [vi[hs:hs+DIM] for vi in VALUES]
    attn_logits = [sum(q_h[j] * k_h[t][j] for j in range(DIM)) * SCALE for t in range(len(k_h))]
    attn_weights = SOFTMAX(attn_logits)
    head_out = [sum(attn_weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(DIM)]
    x_attn.extend(head_out)
"""
