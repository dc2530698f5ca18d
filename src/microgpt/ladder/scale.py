"""Logarithmic scales: where a value lies between the two ends, and which powers of ten lie between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

BELOW = 0.3  # the shortest bar has this much of a decade, so that it can be seen


@dataclass(frozen=True)
class LogScale:
    """low, high: the ends, as exponents of ten."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """0 at the low end, 1 at the high end; the middle of a scale without extent."""
        return self.at_power(math.log10(value))

    def at_power(self, exponent: float) -> float:
        """The same for a power of ten."""
        if self.high <= self.low:
            return 0.5
        return min(1.0, max(0.0, (exponent - self.low) / (self.high - self.low)))

    def decades(self, most: int = 99) -> list[int]:
        """The powers of ten on the scale, as exponents; every other, third ... where there are more than `most`."""
        inside = range(math.ceil(self.low), math.floor(self.high) + 1)
        return list(inside[:: max(1, math.ceil(len(inside) / most))])


def for_bars(values: Iterable[float]) -> LogScale:
    """From a power of ten a little below the smallest to the largest itself. Values have to be positive."""
    exponents = [math.log10(value) for value in values] or [0.0]
    return LogScale(math.floor(min(exponents) - BELOW), max(exponents) + 0.02)


def for_axis(values: Iterable[float]) -> LogScale:
    """From power of ten to power of ten, at least one apart."""
    exponents = [math.log10(value) for value in values] or [0.0]
    low = math.floor(min(exponents))
    return LogScale(low, max(low + 1, math.ceil(max(exponents))))


def exactly(values: Iterable[float]) -> LogScale:
    """From the smallest to the largest."""
    exponents = [math.log10(value) for value in values] or [0.0]
    return LogScale(min(exponents), max(exponents))
