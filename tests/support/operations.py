"""Every operation that two Values can be put through."""

from __future__ import annotations

from typing import Any

METHODS = ["log", "exp", "relu", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu"]


def every_operation(a: Any, b: Any) -> list[Any]:
    """What each of them gives for positive numbers."""
    of_two = [a + b, a - b, a * b, a / b, a**b, sum([a, b])]
    with_numbers = [a + 1, 1 + a, a - 1, 1 - a, a * 2, 2 * a, a / 2, 2 / a, a**2, 2**a, -a, abs(a)]
    return [*of_two, *with_numbers, a.gelu("tanh"), *(getattr(a, name)() for name in METHODS)]
