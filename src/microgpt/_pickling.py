"""Pickle and deepcopy for graphs of Values, at any depth.

Both walk objects by recursion, and a graph may be a million deep. So the first Value of a graph hands over everything
below it beforehand, as a list in which children come before parents: when the pickler comes to a node, its memo knows
the children already, and the recursion stays flat. Nodes that are in such a list hand over nothing more.

How does a node know that it is in a list? A `Session` remembers what was handed over; it is alive as long as the memo
of the pickler (or of deepcopy) holds a `Below` of it. If it is mistaken, since pickles are nested, take turns or were
broken off, the result is still right, only the recursion is deeper: each node names its children itself, and the memo
keeps identities.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from ._engine import Value, get_attributes, new_value, set_attributes
from ._functional import dot_state, new_dot

_current = threading.local()


class Session:
    """What one pickle has handed over so far."""

    __slots__ = ("__weakref__", "handed_over", "late")

    def __init__(self) -> None:
        self.handed_over: dict[int, Value] = {}  # by id; the Values themselves keep the ids from being used again
        self.late: set[int] = set()  # nodes in a cycle that get their children when they exist already

    def below(self, root: Value) -> list[Value]:
        """Inner nodes below `root` that were not handed over before, children first."""
        found: list[Value] = []
        self.handed_over[id(root)] = root
        on_the_way = {id(root)}
        stack = [(root, iter(root._children))]
        while stack:
            value, ahead = stack[-1]
            for child in ahead:
                if id(child) in on_the_way:
                    self.late.add(id(value))
                elif id(child) not in self.handed_over and not is_leaf(child):
                    self.handed_over[id(child)] = child
                    on_the_way.add(id(child))
                    stack.append((child, iter(child._children)))
                    break
            else:
                stack.pop()
                on_the_way.discard(id(value))
                found.append(value)
        found.pop()
        return found


class Below:
    """A list of nodes in a pickle, and what keeps its Session alive."""

    __slots__ = ("session", "values")

    def __init__(self, session: Session, values: list[Value]) -> None:
        self.session, self.values = session, values

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.values,)


def is_leaf(value: Value) -> bool:
    return not value._children and not value._local_grads


def build(
    below: object, kind: type, data: float, grad: float, children: Any, local_grads: Any, dot: Any = None
) -> Value:
    """A Value of the class `kind`; `below` has done its work by standing before `children`.

    dot: what a dot product has besides, which hands on gradients in another order than other nodes of many children.
    """
    if dot is None or not children:
        return new_value(kind, data, grad, children, local_grads)
    value = new_dot(children, local_grads, dot)
    value.data, value.grad = data, grad
    return value


def copy_value(value: Value) -> Value:
    """What Value.__copy__ returns."""
    made = build(None, type(value), value.data, value.grad, value._children, value._local_grads, dot_state(value))
    set_attributes(made, get_attributes(value))
    return made


def reduce_value(value: Value) -> tuple[Any, ...]:
    """What Value.__reduce_ex__ returns."""
    below = None
    children, local_grads, extra = value._children, value._local_grads, None
    own, slots = (None, None) if type(value) is Value else get_attributes(value)
    if children:
        session = getattr(_current, "session", lambda: None)()
        if session is None:
            session = Session()
            _current.session = weakref.ref(session)
        if id(value) not in session.handed_over:
            below = Below(session, session.below(value))
        if id(value) in session.late:
            slots = {"_children": children, "_local_grads": local_grads, **(slots or {})}
            children = local_grads = ()
    if (own, slots) != (None, None):
        extra = [value], {0: (own, slots)}
    return build, (below, type(value), value.data, value.grad, children, local_grads, dot_state(value)), extra
