"""A physics fit, recorded: how long is a pendulum, and how strong its friction, by noisy angles of a few swings?

    python examples/pendulum.py             the simulation is recorded in the first step and replayed from then on
    python examples/pendulum.py --typed     the same in Python over the compiled Value
    python examples/pendulum.py --python    the same over the interpreted class

The motion is simulated from guessed parameters, and the squared distance to the measured angles differentiated by them,
through every step of time. All three print the same numbers, to the last digit.
"""

import argparse
import random
import statistics
import sys
import time
from math import sin

import microgpt
from microgpt import recorded, reference

parser = argparse.ArgumentParser()
parser.add_argument("--typed", action="store_true")
parser.add_argument("--python", action="store_true")
parser.add_argument("--steps", type=int, default=300)
options = parser.parse_args()
Value, Adam = [getattr(reference if options.python else microgpt, name) for name in ("Value", "Adam")]
sys.setrecursionlimit(20_000)  # the interpreted backward is recursive, and this graph deep

GRAVITY, DT, N_TIMES = 9.81, 0.02, 250  # m/s^2, seconds, measurements
random.seed(1)


def measured(length=1.3, friction=0.25, angle=0.9, noise=0.02):
    """Angles in radians at every DT, as a sensor would give them."""
    speed, found = 0.0, []
    for _ in range(N_TIMES):
        speed -= (GRAVITY / length * sin(angle) + friction * speed) * DT
        angle += speed * DT
        found.append(angle + random.gauss(0, noise))
    return found


angles = measured()
length, friction, start_angle = Value(1.0), Value(0.0), Value(angles[0])  # metres, 1/s, radians


def distance():
    """The mean squared distance, in square radians, of the simulated angles to those measured."""
    speed, angle, squares = 0.0, start_angle, []
    stiffness = GRAVITY / length
    for found in angles:
        speed = speed - (stiffness * angle.sin() + friction * speed) * DT
        angle = angle + speed * DT
        squares.append((angle - found) ** 2)
    return sum(squares) * (1 / N_TIMES)


step_distance = distance if options.typed or options.python else recorded(distance)
optimizer = Adam([length, friction, start_angle], betas=(0.9, 0.99))
times = []
for step in range(options.steps):
    start = time.process_time()
    loss = step_distance()
    loss.backward()
    optimizer.step(0.01)
    times.append(time.process_time() - start)
    if step % 50 == 0 or step == options.steps - 1:
        print(f"step {step + 1:3d} | length {length.data!r} m, friction {friction.data!r} / s | loss {loss.data!r}")
print(f"{1e3 * statistics.median(times):.3f} ms of processor time a step (median)", file=sys.stderr)
