"""Checks your rung: python check.py. Says what has the script's bits, what a step takes, and what is still missing."""

import importlib
import itertools
import random
import statistics
import subprocess
import sys
import time

from microgpt import model, reference

MODULE = sys.argv[1] if len(sys.argv) > 1 else "value"
DEEP = f"""
from {MODULE} import Value
x = y = Value(1.0)
for _ in range(200_000):
    y = y + x
y.backward()
"""


def bits(number):
    return float(number).hex()


def training(value, steps=6):
    """The bits of losses and gradients of a tiny GPT, and the processor time of its fastest step."""
    rng = random.Random(1)
    config = model.GPTConfig(vocab_size=8, n_embd=8, n_head=2, block_size=8)
    numbers = model.init_state_dict(config, rng)
    weights = {name: [[value(p.data) for p in row] for row in matrix] for name, matrix in numbers.items()}
    params = [p for matrix in weights.values() for row in matrix for p in row]
    seen, seconds = [], []
    for _ in range(steps):
        tokens = [7, *(rng.randrange(7) for _ in range(5)), 7]
        started = time.process_time()
        keys, values = [[]], [[]]
        losses = []
        for position, (token, target) in enumerate(itertools.pairwise(tokens)):
            logits = forward(config, weights, token, position, keys, values)
            losses.append(-reference.softmax(logits)[target].log())
        loss = (1 / len(losses)) * sum(losses)
        loss.backward()
        seen += [bits(loss.data), *(bits(p.grad) for p in params)]
        for p in params:
            p.data -= 0.1 * p.grad
            p.grad = 0
        seconds.append(time.process_time() - started)
    return seen, statistics.median(seconds)


def forward(config, weights, token, position, keys, values):
    """The script's GPT with one layer, on any class of scalars."""
    x = [t + p for t, p in zip(weights["wte"][token], weights["wpe"][position])]
    x = reference.rmsnorm(x)
    residual, x = x, reference.rmsnorm(x)
    q, k, v = (reference.linear(x, weights[f"layer0.attn_{name}"]) for name in ("wq", "wk", "wv"))
    keys[0].append(k)
    values[0].append(v)
    x = reference.linear(reference.attention(q, keys[0], values[0], config.n_head), weights["layer0.attn_wo"])
    x = residual = [a + b for a, b in zip(x, residual)]
    x = reference.linear(reference.rmsnorm(x), weights["layer0.mlp_fc1"])
    x = reference.linear([xi.relu() for xi in x], weights["layer0.mlp_fc2"])
    return reference.linear([a + b for a, b in zip(x, residual)], weights["lm_head"])


def survives_a_deep_graph():
    return subprocess.run([sys.executable, "-c", DEEP], capture_output=True, check=False).returncode == 0


def main():
    value = importlib.import_module(MODULE).Value
    expected, slow = training(reference.Value)
    found, fast = training(value)
    if found != expected:
        first = next(k for k, (a, b) in enumerate(zip(expected, found)) if a != b)
        sys.exit(f"number {first} of {len(expected)} differs: {found[first]} instead of {expected[first]}")
    print(f"all {len(expected)} losses and gradients have the script's bits")
    print(f"a step takes {1000 * fast:.1f} ms, the script's class {1000 * slow:.1f} ms: {slow / fast:.1f} times faster")
    if isinstance(value.__dict__["data"], type(reference.Value.__dict__["data"])):
        print("step 1 is missing: Value is a Python class. Make it a cdef class, with its attributes declared")
    elif not refuses_text(value):
        print("step 2 is missing: data is any object. Declare data and grad as double")
    elif not survives_a_deep_graph():
        print("step 3 is missing: a chain of 200,000 nodes is too deep. Write backward as a loop")
    else:
        print("all three steps are done")


def refuses_text(value):
    try:
        value("text")
    except TypeError:
        return True
    return False


if __name__ == "__main__":
    main()
