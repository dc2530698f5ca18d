"""Comparing numbers and graphs to the last bit: what "equal" means in this test suite.

Two numbers are the same if `bits` gives the same text for both: ints as decimal digits, floats in hexadecimal, so that
3 and 3.0 differ, and -0.0 and 0.0 too. Every nan is the same "nan". What the package documents as different between the
engines is levelled here, once: bools count as ints, ints of 2**53 and more and other real numbers as floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

EXACT_INTS = 2**53  # below this, ints are kept exactly and read back as ints


def bits(number: Any) -> str:
    """A text that is equal for equal numbers: same bits, same int or float type."""
    if isinstance(number, int) and abs(number) < EXACT_INTS:
        return str(int(number))
    number = float(number)
    return "nan" if math.isnan(number) else number.hex()


def all_bits(numbers: Iterable[Any]) -> list[str]:
    return [bits(number) for number in numbers]


def outcome(function: Callable[..., Any], *arguments: Any) -> str | type[Exception]:
    """What a call on plain numbers gives: bits, or the type of the exception."""
    try:
        return bits(function(*arguments))
    except (ArithmeticError, ValueError) as error:
        return type(error)


def node_bits(value: Any) -> tuple[str, str, list[str]]:
    """data, grad and local gradients of one node."""
    return bits(value.data), bits(value.grad), all_bits(value._local_grads)


def reachable(roots: Iterable[Any]) -> list[Any]:
    """Every node the roots depend on, each once, in depth-first pre-order, without recursion."""
    order: list[Any] = []
    seen: set[Any] = set()
    stack = list(roots)[::-1]
    while stack:
        value = stack.pop()
        if value not in seen:
            seen.add(value)
            order.append(value)
            stack.extend(reversed(list(value._children)))
    return order


def snapshot(roots: Iterable[Any]) -> list[Any]:
    """The graph under the roots, as plain data: numbers, wiring and identities."""
    roots = list(roots)
    nodes = reachable(roots)
    number = {value: i for i, value in enumerate(nodes)}
    wiring = [(*node_bits(value), [number[child] for child in value._children]) for value in nodes]
    return [[number[root] for root in roots], wiring]


def grads_of(values: Iterable[Any]) -> list[str]:
    return [bits(value.grad) for value in values]


def script_backward(root: Any) -> None:
    """backward in the order of the script, by an explicit stack over `_children` and `_local_grads`."""
    order, seen, stack = [], {root}, [(root, 0)]
    while stack:
        value, i = stack.pop()
        children = value._children
        if i == len(children):
            order.append(value)
            continue
        stack.append((value, i + 1))
        if children[i] not in seen:
            seen.add(children[i])
            stack.append((children[i], 0))
    root.grad = 1
    for value in reversed(order):
        for child, local_grad in zip(value._children, value._local_grads):
            child.grad += local_grad * value.grad


@contextmanager
def class_attributes(cls: type, **attributes: Any) -> Iterator[None]:
    """Assign attributes to a class, and put the class back as it was afterwards."""
    missing = object()
    before = {name: cls.__dict__.get(name, missing) for name in attributes}
    try:
        for name, attribute in attributes.items():
            setattr(cls, name, attribute)
        yield
    finally:
        for name, attribute in before.items():
            if attribute is not missing:
                setattr(cls, name, attribute)
            elif name in cls.__dict__:
                delattr(cls, name)
