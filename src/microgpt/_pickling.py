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
        """Hand over what lies at and below `root` and was not handed over before, children first, as a flat table."""
        fresh: list[tuple[Value, tuple[Value, ...]]] = []
        met = {id(root): root}
        stack = [(root, iter(root._children), root._children)]
        while stack:
            value, ahead, children = stack[-1]
            for child in ahead:
                if id(child) not in met and id(child) not in self.places and not is_leaf(child):
                    met[id(child)] = child
                    stack.append((child, iter(child._children), child._children))
                    break
            else:
                stack.pop()
                self.places[id(value)] = len(self.values)
                self.values.append(value)
                fresh.append((value, children))
        table: list[Any] = []
        for value, children in fresh:
            known = [self.places.get(id(child), child) for child in children]
            table += (type(value), value.data, value.grad, len(known), *known, value._local_grads)
        return table

    def put(self, table: list[Any]) -> None:
        """Make the nodes of a table that `take` gave."""
        entries = iter(table)
        late = []
        for kind in entries:
            data, grad, n = next(entries), next(entries), next(entries)
            known = [next(entries) for _ in range(n)]
            local_grads = next(entries)
            if any(isinstance(child, int) and child >= len(self.values) for child in known):
                late.append((len(self.values), known, local_grads))  # a cycle: some children are still to come
                known, local_grads = [], ()
            self.values.append(new_value(kind, data, grad, self.named(known), local_grads))
        for place, known, local_grads in late:
            self.values[place]._children = self.named(known)
            self.values[place]._local_grads = local_grads

    def named(self, known: list[Any]) -> tuple[Value, ...]:
        """Children given as places in `values`, or as themselves."""
        return tuple(self.values[child] if isinstance(child, int) else child for child in known)


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
