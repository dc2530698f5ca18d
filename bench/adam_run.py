"""The compiled Adam alone: `adam_run.py ROUNDS` prints the seconds of steps, then those of steps without gradients.

The first 300 are not timed, in which a bias correction is on its way to 1. All gradients stay 0 from there on. The
moments decay, the first ones into the subnormals after some 4,000 steps, on which CPUs may be slow; `zero` has the last
ROUNDS steps before 100, 1,000 and 10,000 of them.

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
rounds = int(sys.argv[1])


def seconds_of_a_step():
    start = time.perf_counter()
    optimizer.step(0.0099)
    return time.perf_counter() - start


seconds, zero, without = [], [], {}
for _ in range(300 + rounds):
    for p, grad in zip(params, grads, strict=True):
        p.grad = grad
    seconds.append(seconds_of_a_step())
for steps in (100, 1_000, 10_000):
    zero += [seconds_of_a_step() for _ in range(steps - len(zero))]
    without[steps] = zero[-rounds:]
print(json.dumps({"seconds": seconds[300:], "zero": without}))
