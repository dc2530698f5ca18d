"""The forms that are recognised: the interface of the 200-line script, as patterns for match.py.

Each says what the arithmetic is, and in which order; the compiled functions do exactly that.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..syntax.match import Pattern, is_arithmetic, is_simple

# ---- the class: what each method has to be, so that ours stands for it ----

CONSTRUCTOR = """
def __init__(self, data, children=(), local_grads=()):
    self.data = data
    self.grad = 0
    self._children = children
    self._local_grads = local_grads
"""
METHOD_SOURCES = {
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
    self.grad = START
    for v in reversed(topo):
        for child, local_grad in zip(v._children, v._local_grads):
            child.grad += local_grad * v.grad
""",
}


def is_one(node: ast.AST) -> bool:
    """1 or 1.0: with the float, no gradient shows as an int any more."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 1


METHODS = {name: Pattern(source, {"START": is_one}) for name, source in METHOD_SOURCES.items()}

# ---- expressions over vectors; capitals stand for any simple expression ----

VECTOR = {"X": is_simple, "Y": is_simple, "W": is_simple, "M": is_simple, "J": is_simple, "N": is_simple}


def expressions(*sources: str) -> list[Pattern]:
    return [Pattern(source, VECTOR) for source in sources]


def both_kinds(inner: str) -> list[str]:
    """sum() over a generator and over a list: the operations and their order are the same."""
    return [f"sum({inner})", f"sum([{inner}])"]


LINEAR = expressions(
    *(f"[{dot} for row in W]" for dot in both_kinds("w * x for w, x in zip(row, X)")),
    *(f"[{dot} for row in W]" for dot in both_kinds("row[j] * X[j] for j in range(len(X))")),
)
DOT = expressions(*both_kinds("x * y for x, y in zip(X, Y)"))
DOT_RANGE = expressions(*both_kinds("X[j] * Y[j] for j in range(N)"))
DOT_LENGTH = expressions(*both_kinds("X[j] * Y[j] for j in range(len(N))"))
DOT_COLUMN = expressions(*both_kinds("X[t] * M[t][J] for t in range(len(N))"))
SQUARES = expressions(*both_kinds("x * x for x in X"))
ADD = expressions("[a + b for a, b in zip(X, Y)]")
RELU = expressions("[x.relu() for x in X]")

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
SOFTMAX = Pattern(FUNCTION_SOURCES["softmax"])
RMSNORM = Pattern(FUNCTION_SOURCES["rmsnorm"])

# ---- one query over the cached keys and values, head by head ----

ATTENTION = Pattern(
    """
x_attn = []
for h in range(HEADS):
    hs = h * DIM
    q_h = Q[hs:hs+DIM]
    k_h = [ki[hs:hs+DIM] for ki in KEYS]
    v_h = [vi[hs:hs+DIM] for vi in VALUES]
    attn_logits = [sum(q_h[j] * k_h[t][j] for j in range(DIM)) / DIM**0.5 for t in range(len(k_h))]
    attn_weights = SOFTMAX(attn_logits)
    head_out = [sum(attn_weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(DIM)]
    x_attn.extend(head_out)
""",
    dict.fromkeys(("HEADS", "DIM", "Q", "KEYS", "VALUES", "SOFTMAX"), is_simple),
)

# ---- Adam ----

ADAM_HOLES: dict[str, Callable[[ast.AST], bool]] = {
    **dict.fromkeys(("PARAMS", "M", "V", "BETA1", "BETA2", "EPS"), is_simple),
    "T": is_arithmetic,
    "LR": is_arithmetic,
}
ADAM_BODY = """
    M[i] = BETA1 * M[i] + (1 - BETA1) * {grad}
    V[i] = BETA2 * V[i] + (1 - BETA2) * {grad} ** 2
    m_hat = M[i] / (1 - BETA1 ** T)
    v_hat = V[i] / (1 - BETA2 ** T)
    p.data -= LR * m_hat / (v_hat ** 0.5 + EPS)
"""


def adam_sources() -> dict[str, str]:
    """Every accepted way of writing the loop -> what it does to the gradients: "int", "float" or "keep"."""
    heads = {
        "for i, p in enumerate(PARAMS):\n": "p.grad",
        "for i, p in enumerate(PARAMS):\n    g = p.grad\n": "g",
    }
    tails = {"    p.grad = 0\n": "int", "    p.grad = 0.0\n": "float", "": "keep"}
    return {
        head + ADAM_BODY.lstrip("\n").format(grad=grad) + tail: zero
        for head, grad in heads.items()
        for tail, zero in tails.items()
    }


ADAM = [(Pattern(source, ADAM_HOLES), zero) for source, zero in adam_sources().items()]
