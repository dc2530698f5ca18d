"""Pickle and deepcopy for graphs of Values, at any depth.

Both walk objects by recursion, and a graph may be a million deep. So a Value hands its whole graph over at once, as a
flat table in which children are named by their place. Leaves stay objects of their own. Several Values of one list share
one `Graph`: what the first has handed over, the next only points at, so that shared nodes stay shared.

How do Values know that they are in the same pickle? The first one makes a Graph and keeps only a weak reference to it;
the pickler's (or deepcopy's) memo keeps it alive until the whole object is done.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from ._engine import Value, get_attributes, new_value

_current = threading.local()


class Graph:
    """The inner nodes of one pickle, in the order they were handed over; while loading, the same of the copy."""

    __slots__ = ("__weakref__", "places", "values")

    def __init__(self) -> None:
        self.values: list[Value] = []  # keeps them alive, so that no other object gets the id of one of them
        self.places: dict[int, int] = {}  # id(value) -> index in values

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, ()

    def take(self, root: Value) -> list[Any]:
        """Hand over what lies at and below `root` and was not handed over before: children first, six entries a node."""
        table: list[Any] = []
        stack = [(root, False)]
        while stack:
            value, below_is_done = stack.pop()
            if id(value) in self.places:
                continue
            children = value._children
            if not below_is_done:
                stack.append((value, True))
                stack.extend((child, False) for child in reversed(children) if not is_leaf(child))
                continue
            known = [child if is_leaf(child) else self.places[id(child)] for child in children]
            table += (type(value), value.data, value.grad, len(known), *known, value._local_grads)
            self.places[id(value)] = len(self.values)
            self.values.append(value)
        return table

    def put(self, table: list[Any]) -> None:
        """Make the nodes of a table that `take` gave."""
        entries = iter(table)
        for kind in entries:
            data, grad, n = next(entries), next(entries), next(entries)
            known = [next(entries) for _ in range(n)]
            children = [self.values[child] if isinstance(child, int) else child for child in known]
            self.values.append(new_value(kind, data, grad, children, next(entries)))


def is_leaf(value: Value) -> bool:
    return not value._children and not value._local_grads


def attributes_of(values: list[Value]) -> dict[int, Any] | None:
    """The instance attributes of those that have any, by index: only subclasses do."""
    found = {k: get_attributes(value) for k, value in enumerate(values) if type(value) is not Value}
    return {k: attributes for k, attributes in found.items() if attributes != (None, None)} or None


def reduce_value(value: Value) -> tuple[Any, ...]:
    """What Value.__reduce_ex__ returns."""
    if is_leaf(value):
        attributes = attributes_of([value])
        return new_value, (type(value), value.data, value.grad, (), ()), attributes and ([value], attributes)
    graph = getattr(_current, "graph", lambda: None)()
    if graph is None:
        graph = Graph()
        _current.graph = weakref.ref(graph)
    start = len(graph.values)
    table = graph.take(value)
    # Attributes may hold Values of their own, so they travel as state: it is restored when the table already is.
    fresh = graph.values[start:] or [value]
    attributes = attributes_of(fresh)
    state = None if attributes is None else (fresh, attributes)
    return restore, (graph, table, graph.places[id(value)]), state


def restore(graph: Graph, table: list[Any], place: int) -> Value:
    graph.put(table)
    return graph.values[place]
