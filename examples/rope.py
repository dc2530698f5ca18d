"""A GPT of your own, recorded: the script's scalar code with rotary positions and GELU in place of wpe and ReLU.

    python examples/rope.py             the loss is recorded once for each length of names, and replayed from then on
    python examples/rope.py --typed     the same in Python over the compiled Value
    python examples/rope.py --python    the same over the interpreted class

All three print the same losses, to the last digit. What comes from the package: the class, softmax (the script's own
looks at `.data`, which ends a recording), Adam, and `table`, of which tokens choose rows.
"""

import argparse
import math
import random
import statistics
import sys
import time

import microgpt
from microgpt import recorded, reference, table
from microgpt.data import load_documents

parser = argparse.ArgumentParser()
parser.add_argument("--typed", action="store_true")
parser.add_argument("--python", action="store_true")
parser.add_argument("--steps", type=int, default=40)
options = parser.parse_args()
Value, softmax, Adam = [
    getattr(reference if options.python else microgpt, name) for name in ("Value", "softmax", "Adam")
]

random.seed(42)
docs = load_documents()
random.shuffle(docs)
uchars = sorted(set("".join(docs)))
BOS = len(uchars)
n_embd, n_head, block_size = 16, 4, 16
head_dim = n_embd // n_head


def matrix(nout, nin, std=0.08):
    return [[Value(random.gauss(0, std)) for _ in range(nin)] for _ in range(nout)]


shapes = {"wq": (n_embd, n_embd), "wk": (n_embd, n_embd), "wv": (n_embd, n_embd), "wo": (n_embd, n_embd)}
shapes |= {"fc1": (4 * n_embd, n_embd), "fc2": (n_embd, 4 * n_embd), "lm_head": (BOS + 1, n_embd)}
weights = {name: matrix(*shape) for name, shape in shapes.items()}
weights["wte"] = table(matrix(BOS + 1, n_embd))
params = [p for rows in weights.values() for row in rows for p in row]


def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(row, x)) for row in w]


def rmsnorm(x):
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def gelu(x):
    return 0.5 * x * (1 + (0.7978845608028654 * (x + 0.044715 * x**3)).tanh())


def rotated(x, pos):
    """Each head's pairs of numbers, turned by an angle that grows with the position (Su et al. 2021, RoFormer)."""
    out = []
    for k in range(0, n_embd, 2):
        angle = pos * 10000 ** (-(k % head_dim) / head_dim)
        a, b = x[k], x[k + 1]
        out += [a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)]
    return out


def attention(q, keys, values):
    out = []
    for h in range(0, n_embd, head_dim):
        heads = slice(h, h + head_dim)
        logits = [sum(a * b for a, b in zip(q[heads], key[heads])) / head_dim**0.5 for key in keys]
        mixed = softmax(logits)
        out += [sum(m * value[j] for m, value in zip(mixed, values)) for j in range(h, h + head_dim)]
    return out


def loss_of(tokens):
    keys, values, losses = [], [], []
    for pos in range(min(block_size, len(tokens) - 1)):
        x = weights["wte"][tokens[pos]]
        normed = rmsnorm(x)
        keys.append(rotated(linear(normed, weights["wk"]), pos))
        values.append(linear(normed, weights["wv"]))
        mixed = attention(rotated(linear(normed, weights["wq"]), pos), keys, values)
        x = [a + b for a, b in zip(linear(mixed, weights["wo"]), x)]
        hidden = [gelu(xi) for xi in linear(rmsnorm(x), weights["fc1"])]
        x = [a + b for a, b in zip(linear(hidden, weights["fc2"]), x)]
        losses.append(-softmax(linear(x, weights["lm_head"]))[tokens[pos + 1]].log())
    return (1 / len(losses)) * sum(losses)


step_loss = loss_of if options.typed or options.python else recorded(loss_of)
optimizer = Adam(params)
times = []
for step in range(options.steps):
    tokens = [BOS, *map(uchars.index, docs[step]), BOS]
    start = time.process_time()
    loss = step_loss(tokens)
    loss.backward()
    optimizer.step(0.01)
    times.append(time.process_time() - start)
    if step % 10 == 0 or step == options.steps - 1:
        print(f"step {step + 1:3d} | loss {loss.data!r}")
print(f"{1e3 * statistics.median(times):.3f} ms of processor time a step (median)", file=sys.stderr)
