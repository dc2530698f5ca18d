"""Which operation made a node of a graph: its name, as a picture shows it.

The compiled engine knows it. Where it does not, and for other classes, the node's numbers tell: a candidate is carried
out again, by the interpreted engine, and must give the same number and the same local gradient. Where that does not
settle it, the name ends with a question mark: relu and abs do the same to a positive number, and an operand that was
written to since no longer fits its sum. What no candidate explains is "f".
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .. import reference
from .._engine import Value, operation_of

FUNCTIONS = ("exp", "log", "relu", "tanh", "sigmoid", "abs", "sin", "cos", "silu", "gelu", "gelu tanh", "sqrt")
EXPONENTS = (-1, -0.5, 0.5, 2, 3, 0, 1, 1.5, -1.5, -2, 4)  # tried where the numbers don't lead to one
ROUNDED = (0, 1, 2, 3, 6, 9, 12)  # digits of an exponent or base, the likeliest first
ORDINARY = (0.01, 8)  # sizes of a number of which no two of the functions make nearly the same
NEIGHBOURS = 3  # units in the last place by which it may come out wrong


class Operation(NamedTuple):
    """kind: what a summary counts by, such as "+", "**", "leaf". label: what stands in the picture, such as "**2".
    note: what there is to say about a name that is not certain."""

    kind: str
    label: str
    note: str = ""


LEAF = Operation("leaf", "")
PLAIN = {name: Operation(name, name) for name in ("+", "*", "dot", "sum", "+ c", *FUNCTIONS)}
OTHER = Operation("f", "f", "not an operation of microgpt, or none that the numbers tell")


def name_operation(value: Any, is_leaf: bool) -> Operation:
    """The operation that made this node; `_op`, if it has such an attribute, as in micrograd, goes first."""
    if is_leaf:
        return LEAF
    known = operation_of(value) if isinstance(value, Value) else None
    if type(value) is not Value:
        own = getattr(value, "_op", None)
        if isinstance(own, str) and own:
            return Operation(own, own)
    if known in PLAIN:
        return PLAIN[known]
    try:
        return _told_by_numbers(value) if known is None else _with_number(known, value)
    except (TypeError, ValueError, ArithmeticError):  # objects other than real numbers
        return OTHER if known is None else Operation(known, known)


# ---- what the engine says --------------------------------------------------------------------------------------------


def _with_number(kind: str, value: Any) -> Operation:
    """The label of an operation of known kind, with the number in it where it can be told."""
    if kind == "* c":
        return Operation(kind, f"* {value._local_grads[0]:.4g}")
    x, data, slope = value._children[0].data, value.data, value._local_grads[0]
    names = set(_powers(x, data, slope) if kind == "**" else _powers_of_numbers(x, data, slope))
    return Operation(kind, names.pop() if len(names) == 1 else kind)


# ---- what the numbers say --------------------------------------------------------------------------------------------


def _told_by_numbers(value: Any) -> Operation:
    children, local_grads = tuple(value._children), tuple(value._local_grads)
    if len(children) == len(local_grads) == 2:
        return _of_two(value.data, children[0].data, children[1].data, *local_grads)
    if len(children) == len(local_grads) == 1:
        return _of_one(children[0].data, value.data, local_grads[0])
    return OTHER


def _of_two(data: float, a: float, b: float, a_slope: float, b_slope: float) -> Operation:
    """a + b has the local gradients (1, 1), a * b has (b, a)."""
    is_sum = a_slope == 1 and b_slope == 1
    if is_sum and _same(data, a + b):
        return PLAIN["+"]
    if _same(a_slope, b) and _same(b_slope, a) and _same(data, a * b):
        telling = {abs(a), abs(b)} - {0, 1}  # min(0, 1) has all that 0 * 1 has
        return PLAIN["*"] if telling else Operation("*?", "*?", "* or another operation that gives 0 or 1")
    changed = "an operand has changed since, or it is another operation"
    if is_sum:
        return Operation("+?", "+?", changed)
    return Operation("*?", "*?", changed) if _same(data, a_slope * b_slope) else OTHER


def _of_one(x: float, data: float, slope: float) -> Operation:
    """A function of one number, by its value and its derivative."""
    telling = _is_telling(x, data, slope)
    names: list[str] = []
    for name in _functions(x, data, slope):
        names.append(name)
        if telling and name != "sqrt" and ORDINARY[0] < abs(x) < ORDINARY[1]:
            break
    names = _merged(names)
    if not names or data != data:
        return OTHER
    kind = _kind(names[0])
    if telling and len(names) == 1:
        return Operation(kind, names[0])
    return Operation(f"{kind}?", f"{names[0]}?", f"{' and '.join(names)} do the same here, and others may")


def _is_telling(x: float, data: float, slope: float) -> bool:
    """Not where many functions look alike: constant, or a straight line through 0, or out of range."""
    return math.isfinite(data) and math.isfinite(slope) and slope != 0 and not (abs(slope) == 1 and data in (x, -x, 0))


def _kind(name: str) -> str:
    """A power without its number."""
    return "**" if name.startswith("**") else "c**" if name.endswith("**") else name


def _merged(names: list[str]) -> list[str]:
    """Without doubles; powers with several exponents are just a power."""
    powers = {name for name in names if _kind(name) == "**"}
    return list(dict.fromkeys("**" if name in powers and len(powers) > 1 else name for name in names))


def _functions(x: float, data: float, slope: float) -> Iterator[str]:
    """The names of all that make of x this number and this local gradient."""
    for name in FUNCTIONS:
        method, *arguments = name.split()
        if _gives(lambda of_x: getattr(of_x, method)(*arguments), x, data, slope):  # noqa: B023  called at once
            yield name
    yield from _powers(x, data, slope)
    yield from _powers_of_numbers(x, data, slope)


def _powers(x: float, data: float, slope: float) -> Iterator[str]:
    """**n: the slope is n * data / x."""
    if _is_normal(data) and _is_normal(slope):
        for n in dict.fromkeys([*_near(slope * x / data), *EXPONENTS]):
            if _gives(lambda of_x: of_x**n, x, data, slope):  # noqa: B023
                yield f"**{n:.6g}"


def _powers_of_numbers(x: float, data: float, slope: float) -> Iterator[str]:
    """c**: the slope is log(c) * data. Where c is e, that is exp."""
    if _is_normal(data) and _is_normal(slope) and slope / data < 700:
        for c in _near(math.exp(slope / data)):
            if abs(c - math.e) > 1e-14 and _gives(lambda of_x: c**of_x, x, data, slope):  # noqa: B023
                yield f"{c:.6g}**"


def _is_normal(number: float) -> bool:
    """Whether a number has all its digits; of others, an exponent cannot be found."""
    return sys.float_info.min <= abs(number) < math.inf


def _near(number: float) -> Iterator[float]:
    """What a number may be that comes from a computation: a rounder one, or one of its neighbours."""
    number = float(number)
    if not math.isfinite(number):
        return
    for digits in ROUNDED:
        rounded = round(number, digits)
        yield int(rounded) if rounded.is_integer() else rounded
    below = above = number
    yield number
    for _ in range(NEIGHBOURS):
        below, above = math.nextafter(below, -math.inf), math.nextafter(above, math.inf)
        yield below
        yield above


def _gives(function: Callable[[reference.Value], reference.Value], x: float, data: float, slope: float) -> bool:
    """Whether this function, in the interpreted engine, makes of x this number and this local gradient."""
    try:
        made = function(reference.Value(x))
        return _same(made.data, data) and _same(made._local_grads[0], slope)
    except (TypeError, ValueError, ArithmeticError):
        return False


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)
