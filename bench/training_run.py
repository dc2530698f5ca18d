"""A training run as the script does one, timed: `training_run.py VARIANT STEPS` prints one line of json.

VARIANT  reference      the pure-Python class and the script's Adam loop
         compiled       the compiled class and the script's Adam loop
         compiled-adam  the compiled class and the compiled Adam
         bulk-functions the same, and the script's three functions (linear, softmax, rmsnorm) replaced by the compiled
                        ones; its gpt() stays as it is, attention scalar by scalar
         bulk           train.py's way: every vector by a compiled function, and the compiled Adam
         floats         no graph at all: the forward on plain floats, the loop over bare slotted objects

Each run has a process to itself, for fairness. Most of the time of the pure-Python class goes to the cyclic garbage
collector, whose cost depends on everything else that is alive: the heap of a test runner would make the reference
slower and flatter the compiled class. Here it is a user's process: the collector on, with its default thresholds, and
nothing alive but the documents, the model and the graph.

The loop stands at the level of the module, as in the script, since names are slower to look up there than in a
function; and the names of one step live into the next, so the old graph is freed in the middle of the new forward, and
that is where its freeing is billed. Forward is timed from the choice of the document to the finished loss.

Losses and parameters are those of the first STEPS steps. So are the times of the reference, whose collector makes every
later step slower. The others, which take a thousandth of the time, go over the same documents again and again and give
the times of the last round: the first few steps of a process fetch their memory from the system, page by page.
"""

import hashlib
import json
import random
import struct
import sys
import time

import gpt as model

variant, steps = sys.argv[1], int(sys.argv[2])
rounds = 1 if variant == "reference" else 4
optimizer = None
if variant == "floats":
    how = model.on_floats()
elif variant == "reference":
    from microgpt.reference import Value as ReferenceValue

    how = model.on_values(ReferenceValue)
else:
    import microgpt
    from microgpt import Adam, Value

    how = model.on_values(Value)
if variant == "bulk-functions":
    model.linear, model.rmsnorm = microgpt.linear, microgpt.rmsnorm
    how = how._replace(softmax=microgpt.softmax)

docs, uchars, state_dict, params = model.setting(how)
if variant == "floats":
    params = [model.Cell(p) for p in params]
    for p in params:
        p.grad = random.gauss(0, 0.01)
elif variant in ("compiled-adam", "bulk", "bulk-functions"):
    optimizer = Adam(params)


def digest():
    return hashlib.sha256(struct.pack(f"<{len(params)}d", *[p.data for p in params])).hexdigest()


def surprise_at(logits, target_id):
    probs = how.softmax(logits)
    return how.surprise(probs[target_id])


def mean(losses):
    return (1 / len(losses)) * sum(losses)


gpt = model.gpt
if variant == "bulk":
    from microgpt.model import gpt as gpt_of_functions

    surprise_at, mean = microgpt.cross_entropy, microgpt.mean
    config = microgpt.GPTConfig(len(uchars) + 1, model.N_LAYER, model.N_EMBD, model.N_HEAD, model.BLOCK_SIZE)

    def gpt(state_dict, how, *rest):
        return gpt_of_functions(config, state_dict, *rest)


BOS, block_size, n_layer = len(uchars), model.BLOCK_SIZE, model.N_LAYER
learning_rate, beta1, beta2, eps_adam = 0.01, 0.85, 0.99, 1e-8
m, v = [0.0] * len(params), [0.0] * len(params)
num_steps = 1000
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
        params_sha256 = digest()
    if variant == "floats":
        for p in params:
            p.grad = random.gauss(0, 0.01)

found = {"times": times[-steps:], "losses": seen[:steps], "params_sha256": params_sha256}
print(json.dumps({"variant": variant, **found}))
