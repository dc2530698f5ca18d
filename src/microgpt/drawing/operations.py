"""Which operation made a node of a graph: its name, as a picture shows it.

Values of the compiled engine know it, and a class may give it as `_op`, as micrograd's does. The script's class keeps
children and local gradients but no name: its operations are "f", a function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from .._engine import Value, operation_of

UNKNOWN = "f"


class Operation(NamedTuple):
    """kind: what a summary counts by, such as "+", "**", "leaf". label: what stands in the picture, such as "**2"."""

    kind: str
    label: str


LEAF = Operation("leaf", "")


def name_operation(value: Any, is_leaf: bool) -> Operation:
    """The operation that made this node; `_op`, if the node has such an attribute, goes first."""
    if is_leaf:
        return LEAF
    own = getattr(value, "_op", None) if type(value) is not Value else None
    if isinstance(own, str) and own:
        return Operation(own, own)
    kind = (operation_of(value) if isinstance(value, Value) else None) or UNKNOWN
    return Operation(kind, next(_with_number(kind, value), kind))


def _with_number(kind: str, value: Any) -> Iterator[str]:
    """A label with the number of "* c", "**" or "c**" in it, where the node's numbers still tell which it was."""
    if kind == "* c":
        yield f"* {value._local_grads[0]:.4g}"
    if kind not in ("**", "c**") or len(value._children) > 1:
        return
    x, data, slope = value._children[0].data, value.data, value._local_grads[0]
    try:
        if kind == "**":  # the local gradient is n * x ** (n - 1)
            yield from (
                f"**{n:.6g}" for n in _candidates(slope * x / data) if x**n == data and n * x ** (n - 1) == slope
            )
        else:  # it is log(c) * c ** x
            yield from (f"{c:.6g}**" for c in _candidates(math.exp(slope / data)) if c**x == data)
    except (TypeError, ValueError, ArithmeticError):  # objects other than real numbers, or out of range
        return


def _candidates(number: float) -> tuple[float, float]:
    """A number that comes from a computation, without its last digits and with them."""
    return round(number, 9), number
