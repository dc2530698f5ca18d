"""Rung 4 as training_run.py has the others: `fused_run.py STEPS [N_EMBD N_LAYER BLOCK_SIZE]`, one line of json.

One call is the whole step; its parts cannot be told apart. The clock starts, as there, at the choice of the document,
so that finding its tokens in Python is part of the bill. A step is so short that the last twenty rounds over the
documents are kept, of several hundred.
"""

import hashlib
import json
import struct
import sys
import time

import gpt as model
from process_memory import most, now

from microgpt import GPT, GPTConfig

steps, sizes = int(sys.argv[1]), [int(size) for size in sys.argv[2:]]
if sizes:
    model.resize(*sizes)
rounds, kept = (1, 1) if sizes else (400, 20)
how = model.on_floats()
docs, uchars, state_dict, params = model.filled(how) if sizes else model.setting(how)
gpt = GPT(GPTConfig(len(uchars) + 1, model.N_LAYER, model.N_EMBD, model.N_HEAD, model.BLOCK_SIZE))
gpt.load_state_dict(state_dict)


def digest():
    numbers = [x for matrix in gpt.state_dict().values() for row in matrix.tolist() for x in row]
    return hashlib.sha256(struct.pack(f"<{len(numbers)}d", *numbers)).hexdigest()


BOS, learning_rate, num_steps = len(uchars), 0.01, 1000
before = now()
clock, times, seen = time.perf_counter, [], []

for step in range(rounds * steps):
    started = clock()
    doc = docs[step % steps % len(docs)]
    tokens = [BOS] + [uchars.index(ch) for ch in doc] + [BOS]
    loss = gpt.train_step(tokens, learning_rate * (1 - step % num_steps / num_steps))
    times.append((clock() - started,))
    if step < steps:
        seen.append(loss.hex())
    if step == steps - 1:
        peak_bytes, params_sha256 = most() - before, digest()

found = {"times": times[-kept * steps :], "losses": seen, "params_sha256": params_sha256, "bytes": peak_bytes}
print(json.dumps({"variant": "fused", **found}))
