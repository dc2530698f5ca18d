"""The model that the benchmarks measure: the script's GPT, on any class of Values or on plain floats.

The names, the shapes and the order of every operation are the script's, so a graph built here has the same nodes,
in the same order, as one that the script builds. What the two kinds of number need differently (a Value has methods
where a float needs a function) is gathered in `Arithmetic`; everything else is one text for both.

CPython specialises bytecode for the types it meets. Whoever measures floats and Values in one process must therefore
give each its own copy of this code: see `fresh_module` in measuring.py.
"""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

N_EMBD, N_HEAD, N_LAYER, BLOCK_SIZE = 16, 4, 1, 16
HEAD_DIM = N_EMBD // N_HEAD
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCAB_SIZE = len(LETTERS) + 1

# Used only where the package's own list of names cannot be found.
FEW_NAMES = """
    ada alba amelie anton aurelia ben bo camille christopher clara dmitri elizabeth emil eve felix greta hugo ida
    jo jonathan konstantin lea leo liv maximilian mia noor olga otto pia quentin rosalie sam theodora uma vincent
    wilhelmina xenia yara zoe
"""


# ---- the two kinds of number ----------------------------------------------------------------------------------------


class Arithmetic(NamedTuple):
    """What a Value does by a method and a float by a function; each takes and gives whole lists, to call it rarely."""

    number: Callable[[float], Any]
    softmax: Callable[[Sequence[Any]], list[Any]]
    relu: Callable[[Sequence[Any]], list[Any]]
    surprise: Callable[[Any], Any]


def softmax_of_values(logits: Sequence[Any]) -> list[Any]:
    max_val = max(val.data for val in logits)
    exps = [(val - max_val).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def softmax_of_floats(logits: Sequence[float]) -> list[float]:
    max_val = max(val for val in logits)
    exps = [math.exp(val - max_val) for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def on_values(cls: type) -> Arithmetic:
    return Arithmetic(cls, softmax_of_values, lambda x: [xi.relu() for xi in x], lambda prob: -prob.log())


def on_floats() -> Arithmetic:
    return Arithmetic(float, softmax_of_floats, lambda x: [max(0, xi) for xi in x], lambda prob: -math.log(prob))


# ---- the forward pass -----------------------------------------------------------------------------------------------


def linear(x: Sequence[Any], w: Sequence[Sequence[Any]]) -> list[Any]:
    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]


def rmsnorm(x: Sequence[Any]) -> list[Any]:
    ms = sum(xi * xi for xi in x) / len(x)
    scale = (ms + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def attention(q: list[Any], keys: list[list[Any]], values: list[list[Any]], softmax: Callable[..., Any]) -> list[Any]:
    """One position against all positions so far, every head by itself; the heads' outputs side by side."""
    out: list[Any] = []
    for h in range(N_HEAD):
        hs = h * HEAD_DIM
        q_h = q[hs : hs + HEAD_DIM]
        k_h = [ki[hs : hs + HEAD_DIM] for ki in keys]
        v_h = [vi[hs : hs + HEAD_DIM] for vi in values]
        logits = [sum(q_h[j] * k_h[t][j] for j in range(HEAD_DIM)) / HEAD_DIM**0.5 for t in range(len(k_h))]
        weights = softmax(logits)
        out.extend([sum(weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(HEAD_DIM)])
    return out


def gpt(
    state_dict: dict[str, Any],
    how: Arithmetic,
    token_id: int,
    pos_id: int,
    keys: list[list[Any]],
    values: list[list[Any]],
) -> list[Any]:
    """Logits over the token that follows `token_id` at `pos_id`; appends this position to `keys` and `values`."""
    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]
    x = rmsnorm(x)
    for li in range(N_LAYER):
        x_residual = x
        x = rmsnorm(x)
        q = linear(x, state_dict[f"layer{li}.attn_wq"])
        keys[li].append(linear(x, state_dict[f"layer{li}.attn_wk"]))
        values[li].append(linear(x, state_dict[f"layer{li}.attn_wv"]))
        x = linear(attention(q, keys[li], values[li], how.softmax), state_dict[f"layer{li}.attn_wo"])
        x = [a + b for a, b in zip(x, x_residual)]
        x_residual = x
        x = rmsnorm(x)
        x = how.relu(linear(x, state_dict[f"layer{li}.mlp_fc1"]))
        x = linear(x, state_dict[f"layer{li}.mlp_fc2"])
        x = [a + b for a, b in zip(x, x_residual)]
    return linear(x, state_dict["lm_head"])


def loss_of(state_dict: dict[str, Any], how: Arithmetic, tokens: Sequence[int]) -> Any:
    """The mean surprise over one document."""
    n = min(BLOCK_SIZE, len(tokens) - 1)
    keys: list[Any] = [[] for _ in range(N_LAYER)]
    values: list[Any] = [[] for _ in range(N_LAYER)]
    losses = []
    for pos_id in range(n):
        logits = gpt(state_dict, how, tokens[pos_id], pos_id, keys, values)
        probs = how.softmax(logits)
        losses.append(how.surprise(probs[tokens[pos_id + 1]]))
    return (1 / n) * sum(losses)


# ---- data and parameters --------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """What a run of the script has in hand when its training loop begins."""

    docs: list[str]
    uchars: list[str]
    state_dict: dict[str, Any]
    params: list[Any]


def names() -> list[str]:
    """The names that the package brings along (found beside the package, so that only the file need be there)."""
    import microgpt

    path = Path(str(microgpt.__file__)).parent / "data" / "names.txt"
    return path.read_text(encoding="utf-8").split() if path.exists() else FEW_NAMES.split()


def setting(how: Arithmetic, seed: int = 42) -> Setting:
    """Shuffled documents and fresh parameters, taking from `random` what the script takes, in its order."""
    random.seed(seed)
    docs = names()
    random.shuffle(docs)
    uchars = sorted(set("".join(docs)))
    state_dict = parameters(how, len(uchars) + 1)
    return Setting(docs, uchars, state_dict, flat(state_dict))


def parameters(how: Arithmetic, vocab_size: int) -> dict[str, Any]:
    """Fresh matrices under the script's names, drawn from `random` in the script's order."""

    def matrix(rows: int, columns: int, std: float = 0.08) -> list[list[Any]]:
        return [[how.number(random.gauss(0, std)) for _ in range(columns)] for _ in range(rows)]

    state_dict = {
        "wte": matrix(vocab_size, N_EMBD),
        "wpe": matrix(BLOCK_SIZE, N_EMBD),
        "lm_head": matrix(vocab_size, N_EMBD),
    }
    for i in range(N_LAYER):
        for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo"):
            state_dict[f"layer{i}.{name}"] = matrix(N_EMBD, N_EMBD)
        state_dict[f"layer{i}.mlp_fc1"] = matrix(4 * N_EMBD, N_EMBD)
        state_dict[f"layer{i}.mlp_fc2"] = matrix(N_EMBD, 4 * N_EMBD)
    return state_dict


def flat(state_dict: dict[str, Any]) -> list[Any]:
    """Every number of every matrix, in the order in which they were drawn."""
    return [p for mat in state_dict.values() for row in mat for p in row]


def resize(n_embd: int, n_layer: int, block_size: int) -> None:
    """From now on everything here is of that size."""
    global N_EMBD, HEAD_DIM, N_LAYER, BLOCK_SIZE
    N_EMBD, HEAD_DIM, N_LAYER, BLOCK_SIZE = n_embd, n_embd // N_HEAD, n_layer, block_size


def filled(how: Arithmetic) -> Setting:
    """A model of the present size, and one document of random letters that fills its block."""
    random.seed(1)
    state_dict = parameters(how, VOCAB_SIZE)
    return Setting([letters(BLOCK_SIZE - 1)], list(LETTERS), state_dict, flat(state_dict))


def letters(n: int) -> str:
    """`n` letters that are the same in every process; with a token at both ends they fill n + 1 positions."""
    rng = random.Random(2)
    return "".join(rng.choice(LETTERS) for _ in range(n))


def tokens_of(doc: str, uchars: list[str]) -> list[int]:
    """The document's characters as numbers, between two tokens that mark its ends."""
    bos = len(uchars)
    return [bos, *(uchars.index(ch) for ch in doc), bos]


def nodes_under(root: Any) -> list[Any]:
    """Distinct Values in the graph of `root`, leaves and constants too: as many as the script's `topo` would hold."""
    found = {id(root): root}
    waiting = [root]
    while waiting:
        for child in waiting.pop()._children:
            if id(child) not in found:
                found[id(child)] = child
                waiting.append(child)
    return list(found.values())


def adam_loop(
    params: list[Any],
    m: list[float],
    v: list[float],
    step: int,
    lr_t: float,
    beta1: float = 0.85,
    beta2: float = 0.99,
    eps: float = 1e-8,
) -> None:
    """One step of the script's own loop over `p.data` and `p.grad`."""
    for i, p in enumerate(params):
        m[i] = beta1 * m[i] + (1 - beta1) * p.grad
        v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
        m_hat = m[i] / (1 - beta1 ** (step + 1))
        v_hat = v[i] / (1 - beta2 ** (step + 1))
        p.data -= lr_t * m_hat / (v_hat**0.5 + eps)
        p.grad = 0


class Cell:
    """A number with the two attributes that Adam touches and nothing else: the cheapest Value that could be."""

    __slots__ = ("data", "grad")

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad: float = 0
