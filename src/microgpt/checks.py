"""The ranges of all settings and options, and the sentences that refuse what is outside: the one place that has them.

A check takes the name that the message is to use (`lr` for an argument, `--lr` for an option) and the value, and
returns the value as Python's own int or float. An integer is what has `__index__`, a number what has `__float__` or
`__index__`, so NumPy's scalars, Fraction and Decimal are welcome and text is not.

Raises TypeError, which names the type, for what is no such number; ValueError for one out of range.
"""

from __future__ import annotations

import math
import operator

MAX_INTEGER = 10**12  # steps, bytes or parameters: more than anybody can ask for in earnest
SHOWN = 40  # characters of a refused value


def shown(value: object) -> str:
    """A value as a message has it: not too long, and with its type where that says more."""
    try:
        text = str(value)
    except ValueError:  # an int of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def any_integer(name: str, value: object) -> int:
    """An integer of any size. A bool is refused: it is a mistake wherever an integer is asked for."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, not {type(value).__name__}")


def integer(name: str, value: object, minimum: int = 0) -> int:
    """An integer from `minimum` to MAX_INTEGER."""
    number = any_integer(name, value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, not {shown(number)}")
    if number > MAX_INTEGER:
        raise ValueError(f"{name} must be at most {MAX_INTEGER}, not {shown(number)}")
    return number


def at_least_one(name: str, value: object) -> int:
    return integer(name, value, 1)


def number(name: str, value: object) -> float:
    """Any float, infinite where the value is beyond the range of floats."""
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}") from None


def positive(name: str, value: object) -> float:
    """A finite number above 0."""
    result = number(name, value)
    if not 0 < result < math.inf:
        raise ValueError(f"{name} must be a number above 0, not {shown(value)}")
    return result


def not_negative(name: str, value: object) -> float:
    """A finite number of at least 0."""
    result = number(name, value)
    if not 0 <= result < math.inf:
        raise ValueError(f"{name} must be a number of at least 0, not {shown(value)}")
    return result


def temperature(name: str, value: object) -> float:
    """A finite number of at least 0 whose reciprocal is finite; 0 stands for the likeliest token."""
    result = not_negative(name, value)
    if result > 0 and math.isinf(1 / result):
        raise ValueError(f"{name} must be 0 or at least 6e-309, not {shown(value)}: nothing can be divided by it")
    return result


def optional_positive(name: str, value: object) -> float | None:
    return None if value is None else positive(name, value)


def one_of(name: str, value: object, names: object) -> str:
    """One of some names."""
    known = list(names)  # type: ignore[call-overload]
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    return value


def betas(value: object) -> tuple[float, float]:
    """Adam's decay of the first and the second moment, each at least 0 and below 1."""
    try:
        pair: tuple[object, ...] = tuple(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"betas must be two numbers, not {type(value).__name__}") from None
    if len(pair) != 2:
        raise ValueError(f"betas must be two numbers, not {len(pair)}")
    first, second = (number("a beta", each) for each in pair)
    if not (0 <= first < 1 and 0 <= second < 1):
        raise ValueError(f"betas must be at least 0 and below 1, not {shown(value)}")
    return first, second
