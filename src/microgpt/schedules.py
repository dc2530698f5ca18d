"""Learning rate schedules: what a training step's rate is, given how far the run has come."""

from __future__ import annotations

import math
from collections.abc import Callable


def linear(lr: float, step: int, num_steps: int) -> float:
    """The script's: from `lr` in a straight line towards 0. `step` counts from 0."""
    return lr * (1 - step / num_steps)


def cosine(lr: float, step: int, num_steps: int) -> float:
    """From `lr` along half a cosine towards 0 (Loshchilov, Hutter 2016, without restarts)."""
    return lr * (0.5 * (1 + math.cos(math.pi * (step / num_steps))))


def constant(lr: float, step: int, num_steps: int) -> float:
    """`lr` all the way."""
    return lr


SCHEDULES: dict[str, Callable[[float, int, int], float]] = {"linear": linear, "cosine": cosine, "constant": constant}
