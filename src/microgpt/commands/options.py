"""Kinds of option values: each turns what was typed into a number, or says what would have been one."""

import argparse
import math
from collections.abc import Callable

LARGEST = 10**12  # steps, bytes or parameters: nothing that can be asked for in earnest is larger


def whole(least: int | None = None) -> Callable[[str], int]:
    """A whole number, not below `least`."""

    def parse(text: str) -> int:
        try:
            number = int(text) if len(text) < 40 else None
        except ValueError:
            number = None
        if number is None:
            raise argparse.ArgumentTypeError(f"a whole number is expected, not {text[:40]!r}")
        if least is not None and not least <= number <= LARGEST:
            raise argparse.ArgumentTypeError(f"must be from {least} to {LARGEST}, not {number}")
        return number

    return parse


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number is expected, not {text[:40]!r}") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text[:40]}")
    return number
