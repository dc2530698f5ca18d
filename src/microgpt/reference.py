"""The interpreted engine: `Value` and `Adam` in plain Python, the oracle and the baseline of the compiled one.

Nothing here is clever. Every operation is written as Karpathy's 200-line `microgpt.py` performs it, so each `data`,
each local gradient and each `grad` comes out as the same IEEE double (or the same int) to the last bit. The compiled
engine is tested against this file and timed against it; for both it must stay as slow and as simple as the script:

- a node is a Python object with four slots, kept alive by reference counting;
- `backward` sorts the graph by a recursive closure and is therefore bounded by the recursion limit;
- operators return plain `Value`s, whatever subclass they were called on;
- nothing is checked that the script does not check (one exception: a `Value` as exponent, see `Value.__pow__`).

Numbers are `float` or `int`, and stay what they were: `Value(3).data` is an int, so is the `grad` of a fresh node.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["Adam", "Value"]


class Value:
    """A number that remembers how it was computed, so that derivatives can be read off by the chain rule.

    data            the number
    grad            d(root)/d(this), summed up by `root.backward()`; int 0 until then
    _children       the Values this one was computed from, in the order of the operation
    _local_grads    d(this)/d(child) for each of them, taken when this node was made; later writes to `data` do not
                    change them

    An operation of one's own is `Value(result, (a, b), (d_result_d_a, d_result_d_b))`. Any number of children is
    allowed. If the two tuples differ in length, the surplus takes no part in the sums.

    Thread-safety: as any Python object; building graphs over shared leaves is safe, differentiating them is not.
    """

    __slots__ = ("data", "grad", "_children", "_local_grads")

    data: float
    grad: float
    _children: Sequence[Value]
    _local_grads: Sequence[float]

    def __init__(self, data: float, children: Sequence[Value] = (), local_grads: Sequence[float] = ()) -> None:
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads

    def __repr__(self) -> str:
        return f"Value(data={self.data!r}, grad={self.grad!r})"

    # ---- the four operations that make nodes, and those expressed by them ----

    def __add__(self, other: Value | float) -> Value:
        """a + b, local gradients (1, 1)."""
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other: Value | float) -> Value:
        """a * b, local gradients (b, a)."""
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, other: Value | float) -> Value:
        """a ** n for a number n, local gradient n * a**(n - 1).

        For a Value b, which the script's class does not take: a ** b, local gradients b * a**(b - 1) and log(a) * a**b.
        """
        if isinstance(other, Value):
            a, b, data = self.data, other.data, self.data**other.data
            return Value(data, (self, other), (b * a ** (b - 1), math.log(a) * data))
        return Value(self.data**other, (self,), (other * self.data ** (other - 1),))

    def __rpow__(self, other: float) -> Value:
        """c ** a for a number c, local gradient log(c) * c**a."""
        return Value(other**self.data, (self,), (math.log(other) * other**self.data,))

    def __neg__(self) -> Value:
        return self * -1

    def __radd__(self, other: float) -> Value:
        return self + other

    def __sub__(self, other: Value | float) -> Value:
        return self + (-other)

    def __rsub__(self, other: float) -> Value:
        return other + (-self)

    def __rmul__(self, other: float) -> Value:
        return self * other

    def __truediv__(self, other: Value | float) -> Value:
        return self * other**-1

    def __rtruediv__(self, other: float) -> Value:
        return other * self**-1

    def __abs__(self) -> Value:
        return self.abs()

    # ---- elementary functions; x = self.data ----

    def log(self) -> Value:
        """Natural logarithm, local gradient 1 / x."""
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def exp(self) -> Value:
        """e ** x, local gradient e ** x."""
        return Value(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self) -> Value:
        """max(0, x), local gradient 1 where x > 0, else 0. The result is the int 0 for x <= 0 and for nan."""
        return Value(max(0, self.data), (self,), (float(self.data > 0),))

    def tanh(self) -> Value:
        """t = tanh(x), local gradient 1 - t**2."""
        t = math.tanh(self.data)
        return Value(t, (self,), (1 - t**2,))

    def sigmoid(self) -> Value:
        """The logistic function s = 1 / (1 + e**-x), local gradient s * (1 - s)."""
        s = 1 / (1 + math.exp(-self.data))
        return Value(s, (self,), (s * (1 - s),))

    def sqrt(self) -> Value:
        """s = sqrt(x), local gradient 0.5 / s."""
        s = math.sqrt(self.data)
        return Value(s, (self,), (0.5 / s,))

    def sin(self) -> Value:
        """sin(x), local gradient cos(x)."""
        return Value(math.sin(self.data), (self,), (math.cos(self.data),))

    def cos(self) -> Value:
        """cos(x), local gradient -sin(x)."""
        return Value(math.cos(self.data), (self,), (-math.sin(self.data),))

    def abs(self) -> Value:
        """|x|, local gradient the sign of x: 1.0, -1.0, and 0.0 where x is zero or nan."""
        x = self.data
        return Value(abs(x), (self,), (1.0 if x > 0 else -1.0 if x < 0 else 0.0,))

    def silu(self) -> Value:
        """x * s with s = sigmoid(x), local gradient s * (1 + x * (1 - s)) (Elfwing, Uchibe, Doya 2017)."""
        x = self.data
        s = 1 / (1 + math.exp(-x))
        return Value(x * s, (self,), (s * (1 + x * (1 - s)),))

    def gelu(self, approximate: str = "none") -> Value:
        """Gaussian error linear unit (Hendrycks, Gimpel 2016).

        "none": x * phi with phi = (1 + erf(x / sqrt 2)) / 2, local gradient phi + x * exp(-x**2 / 2) / sqrt(2 pi).
        "tanh": x * (1 + t) / 2 with t = tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)), and the derivative of that.
        ValueError for any other `approximate`.
        """
        x = self.data
        if approximate == "none":
            phi = 0.5 * (1 + math.erf(x / math.sqrt(2)))
            return Value(x * phi, (self,), (phi + x * math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),))
        if approximate == "tanh":
            u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            t = math.tanh(u)
            slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
            return Value(0.5 * x * (1 + t), (self,), (slope,))
        raise ValueError(f'approximate must be "none" or "tanh", not {approximate!r}')

    # ---- the chain rule ----

    def backward(self) -> None:
        """Add d(self)/d(v) to the grad of every v that self was computed from; self.grad becomes 1.

        The order of the additions is part of the result: nodes in reverse depth-first post-order from here (children
        left to right, each node once), and in each node its children left to right. Nothing is cleared beforehand.
        RecursionError when the graph is deeper than the recursion limit.
        """
        topo = []
        visited = set()

        def build_topo(v: Value) -> None:
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


class Adam:
    """Adam (Kingma, Ba 2014), parameter by parameter as the script's training loop does it.

    params      the Values to train, in order; any iterable, kept as a list
    lr          learning rate of a step that is not given one of its own
    betas       how much of the moments' past is kept a step: (first, second)
    eps         added to the square root of the second moment
    t           number of steps taken so far

    Thread-safety: none; one thread steps at a time.
    """

    params: list[Value]
    lr: float
    betas: tuple[float, float]
    eps: float
    t: int

    def __init__(
        self, params: Iterable[Value], lr: float = 0.01, betas: tuple[float, float] = (0.85, 0.99), eps: float = 1e-8
    ) -> None:
        self.params = list(params)
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.t = 0
        self._m = [0.0] * len(self.params)
        self._v = [0.0] * len(self.params)

    def step(self, lr: float | None = None, zero_grad: bool = True) -> None:
        """Move every parameter by one step, with `lr` in place of `self.lr` if given.

        Gradients are set to the int 0 afterwards, each as soon as it is used up, unless `zero_grad` is false.
        OverflowError when the square of a gradient leaves the range; the parameters before that one have moved then.
        """
        lr_t = self.lr if lr is None else lr
        beta1, beta2 = self.betas
        eps, m, v, step = self.eps, self._m, self._v, self.t
        for i, p in enumerate(self.params):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1 ** (step + 1))
            v_hat = v[i] / (1 - beta2 ** (step + 1))
            p.data -= lr_t * m_hat / (v_hat**0.5 + eps)
            if zero_grad:
                p.grad = 0
        self.t = step + 1

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to the int 0."""
        for p in self.params:
            p.grad = 0

    def state_dict(self) -> dict[str, int | list[float]]:
        """The steps taken "t" and the moments "m" and "v", as copies: what `load_state_dict` resumes from."""
        return {"t": self.t, "m": list(self._m), "v": list(self._v)}

    def load_state_dict(self, state: dict[str, int | list[float]]) -> None:
        """Resume from what `state_dict` gave. ValueError if it was taken over another number of parameters."""
        t, m, v = state["t"], state["m"], state["v"]
        assert isinstance(t, int) and not isinstance(m, int) and not isinstance(v, int)
        if not len(m) == len(v) == len(self.params):
            raise ValueError(f"state of {len(m)} and {len(v)} moments for {len(self.params)} parameters")
        self.t, self._m, self._v = t, list(m), list(v)


# ---- functions over lists of Values, as the script has them or, where it writes a loop, the loop ----


def linear(x: Sequence[Value], w: Sequence[Sequence[Value]]) -> list[Value]:
    """For each row of w the sum of w[o][i] * x[i]."""
    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]  # type: ignore[misc]


def softmax(logits: Sequence[Value]) -> list[Value]:
    """exp(logits) / sum(exp(logits)); the maximum is taken off first, as a plain number."""
    max_val = max(val.data for val in logits)
    exps = [(val - max_val).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x: Sequence[Value]) -> list[Value]:
    """x over the root of its mean square."""
    ms = sum(xi * xi for xi in x) / len(x)
    scale = (ms + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def attention(
    q: Sequence[Value], keys: Sequence[Sequence[Value]], values: Sequence[Sequence[Value]], n_head: int
) -> list[Value]:
    """One position against all so far, head by head."""
    head_dim = len(q) // n_head
    x_attn: list[Value] = []
    for h in range(n_head):
        hs = h * head_dim
        q_h = q[hs : hs + head_dim]
        k_h = [ki[hs : hs + head_dim] for ki in keys]
        v_h = [vi[hs : hs + head_dim] for vi in values]
        attn_logits = [sum(q_h[j] * k_h[t][j] for j in range(head_dim)) / head_dim**0.5 for t in range(len(k_h))]
        attn_weights = softmax(attn_logits)
        x_attn.extend(sum(attn_weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(head_dim))  # type: ignore[misc]
    return x_attn


def add(a: Sequence[Value], b: Sequence[Value]) -> list[Value]:
    """a + b, element by element."""
    return [ai + bi for ai, bi in zip(a, b)]


def relu(x: Sequence[Value]) -> list[Value]:
    """max(0, x), element by element."""
    return [xi.relu() for xi in x]


def cross_entropy(logits: Sequence[Value], target: int) -> Value:
    """How much the token `target` surprises the model."""
    return -softmax(logits)[target].log()


def mean(losses: Sequence[Value]) -> Value:
    """The average of the losses of a document."""
    return (1 / len(losses)) * sum(losses)  # type: ignore[return-value]
