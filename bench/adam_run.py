"""The compiled Adam alone: `adam_run.py ROUNDS` prints the seconds of every step.

A process of its own, because the instruction set (MICROGPT_ISA) is chosen when the package is imported.
"""

import json
import random
import sys
import time

from microgpt import Adam, Value

rng = random.Random(1)
params = [Value(rng.gauss(0, 0.08)) for _ in range(4192)]
grads = [rng.gauss(0, 0.01) if rng.random() < 0.88 else 0 for _ in params]
optimizer = Adam(params)
seconds = []
for _ in range(int(sys.argv[1])):
    for p, grad in zip(params, grads, strict=True):
        p.grad = grad
    start = time.perf_counter()
    optimizer.step(0.0099)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds}))
