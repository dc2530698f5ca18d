"""A training run as the script does one, timed: `training_run.py VARIANT STEPS [N_EMBD N_LAYER BLOCK_SIZE]`.

Prints one line of json. VARIANT is one of rungs.py. With sizes, all steps take one document, which fills the block.

Each run has a process to itself, for fairness. Most of the time of the pure-Python class goes to the cyclic garbage
collector, whose cost depends on everything else that is alive: the heap of a test runner would make the reference
slower and flatter the compiled class. Here it is a user's process: the collector on, with its default thresholds, and
nothing alive but the documents, the model and the graph.

The loop stands at the level of the module, as in the script, since names are slower to look up there than in a
function; and the names of one step live into the next, so the old graph is freed in the middle of the new forward, and
that is where its freeing is billed. Forward is timed from the choice of the document to the finished loss.

Losses and parameters are those of the first STEPS steps. So are the times of rungs 0 and 1, whose collector makes every
later step slower. The others, which take a fraction of the time, go over the same documents again and again and give
the times of the last round: the first few steps of a process fetch their memory from the system, page by page.

On floats there is no gradient: the Adam loop goes over bare slotted objects with made-up ones.
"""

import hashlib
import json
import random
import struct
import sys
import time

import gpt as model
import rungs
from process_memory import most, now

variant, steps, sizes = sys.argv[1], int(sys.argv[2]), [int(size) for size in sys.argv[3:]]
if sizes:
    model.resize(*sizes)
rounds = 1 if variant in ("reference", "untyped") or sizes else 4
rung = rungs.of(variant)
how, gpt, surprise_at, mean = rung.how, rung.gpt, rung.surprise_at, rung.mean
docs, uchars, state_dict, params = model.filled(how) if sizes else model.setting(how)
optimizer = rung.adam(params) if rung.adam else None
if variant == "floats":
    params = [model.Cell(p) for p in params]
    for p in params:
        p.grad = random.gauss(0, 0.01)


def digest():
    return hashlib.sha256(struct.pack(f"<{len(params)}d", *[p.data for p in params])).hexdigest()


BOS, block_size, n_layer = len(uchars), model.BLOCK_SIZE, model.N_LAYER
learning_rate, beta1, beta2, eps_adam = 0.01, 0.85, 0.99, 1e-8
m, v = [0.0] * len(params), [0.0] * len(params)
num_steps = 1000
before = now()
clock, times, seen = time.perf_counter, [], []

for step in range(rounds * steps):
    started = clock()
    doc = docs[step % steps % len(docs)]
    tokens = [BOS] + [uchars.index(ch) for ch in doc] + [BOS]
    n = min(block_size, len(tokens) - 1)
    keys, values = [[] for _ in range(n_layer)], [[] for _ in range(n_layer)]
    losses = []
    for pos_id in range(n):
        token_id, target_id = tokens[pos_id], tokens[pos_id + 1]
        logits = gpt(state_dict, how, token_id, pos_id, keys, values)
        losses.append(surprise_at(logits, target_id))
    loss = mean(losses)
    forward_done = clock()
    if variant != "floats":
        loss.backward()
    backward_done = clock()
    lr_t = learning_rate * (1 - step / num_steps)
    if optimizer is not None:
        optimizer.step(lr_t)
    else:
        for i, p in enumerate(params):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1 ** (step + 1))
            v_hat = v[i] / (1 - beta2 ** (step + 1))
            p.data -= lr_t * m_hat / (v_hat**0.5 + eps_adam)
            p.grad = 0
    done = clock()
    times.append((forward_done - started, backward_done - forward_done, done - backward_done))
    seen.append(float(getattr(loss, "data", loss)).hex())
    if step == steps - 1:
        peak_bytes, params_sha256 = most() - before, digest()
    if variant == "floats":
        for p in params:
            p.grad = random.gauss(0, 0.01)

found = {"times": times[-steps:], "losses": seen[:steps], "params_sha256": params_sha256, "bytes": peak_bytes}
print(json.dumps({"variant": variant, **found}))
