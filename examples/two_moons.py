"""micrograd's classic, recorded: a small network learns to tell two moons apart, scalar code and nothing else.

    python examples/two_moons.py            the loss is recorded in the first step and replayed from then on
    python examples/two_moons.py --typed    the same in Python over the compiled Value
    python examples/two_moons.py --python   the same over the interpreted class

All three print the same numbers, but for the time.
"""

import math
import random
import sys
import time

from microgpt import Value, recorded, reference

if "--python" in sys.argv:
    Value = reference.Value  # type: ignore[misc, assignment]

random.seed(1)


def moons(n, noise=0.1):
    """n points of two half circles that reach into each other, and on which of them each lies: 1 or -1."""
    found = []
    for k in range(n):
        upper = k % 2 == 0
        angle = math.pi * random.random()
        x, y = (math.cos(angle), math.sin(angle)) if upper else (1 - math.cos(angle), 0.5 - math.sin(angle))
        found.append(((x + random.gauss(0, noise), y + random.gauss(0, noise)), 1.0 if upper else -1.0))
    return found


class Layer:
    def __init__(self, n_in, n_out, is_last=False):
        self.weights = [[Value(random.uniform(-1, 1)) for _ in range(n_in)] for _ in range(n_out)]
        self.biases = [Value(0.0) for _ in range(n_out)]
        self.is_last = is_last

    def __call__(self, x):
        # a neuron is a sum that begins with its bias
        out = [sum((wi * xi for wi, xi in zip(row, x)), bias) for row, bias in zip(self.weights, self.biases)]
        return out if self.is_last else [each.relu() for each in out]

    def parameters(self):
        return [each for row in self.weights for each in row] + self.biases


layers = [Layer(2, 16), Layer(16, 16), Layer(16, 1, is_last=True)]
params = [p for layer in layers for p in layer.parameters()]
points = moons(100)


def loss_of():
    """The hinge loss over all points, and a penalty on large parameters."""
    losses = []
    for x, side in points:
        for layer in layers:
            x = layer(x)
        losses.append((1 - side * x[0]).relu())
    return sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in params)


if not {"--python", "--typed"} & set(sys.argv):
    loss_of = recorded(loss_of)

steps = 100
times = []
for step in range(steps):
    start = time.perf_counter()
    loss = loss_of()
    loss.backward()
    times.append(time.perf_counter() - start)
    for p in params:
        p.data -= (1.0 - 0.9 * step / steps) * p.grad
        p.grad = 0
    if step % 20 == 19:
        print(f"step {step + 1:3d} | loss {loss.data:.6f}")
times.sort()
print(f"{1e3 * times[len(times) // 2]:.3f} ms a step, forward and backward (median)", file=sys.stderr)
