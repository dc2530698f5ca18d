"""A graph of Values as plain lists, taken without recursion and without changing it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Graph(NamedTuple):
    """What is below and at a root, in three lists.

    nodes       every node once, children before parents as far as there are no cycles; the root is the last
    children    places of its children in that list, one for every link
    depths      operations between it and the leaf farthest below it; a link that closes a cycle does not count
    """

    nodes: list[Any]
    children: list[list[int]]
    depths: list[int]

    @property
    def n_edges(self) -> int:
        return sum(map(len, self.children))


def graph_of(root: Any) -> Graph:
    """The graph below and at `root`. TypeError for what is no node of a graph.

    Nodes are the same if they are the same object, whatever their class makes of ==. All that were met are held until
    the end: children of a compiled Value are objects made for the occasion, whose ids would be used again.
    """
    check_node(root)
    nodes, links = _ordered(root)
    places = {id(node): i for i, node in enumerate(nodes)}
    children = [[places[id(child)] for child in link] for link in links]
    return Graph(nodes, children, _depths(children))


def _depths(children: list[list[int]]) -> list[int]:
    depths: list[int] = []
    for i, below in enumerate(children):
        depth = 0
        for child in below:
            if child < i and depths[child] >= depth:
                depth = depths[child] + 1
        depths.append(depth)
    return depths


def _ordered(root: Any) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """The nodes in depth-first post-order, and the children of each."""
    nodes: list[Any] = []
    links: list[tuple[Any, ...]] = []
    seen = {id(root)}
    node, children = root, _children_of(root)
    ahead = iter(children)
    stack = []
    while True:
        for child in ahead:
            if id(child) not in seen:
                seen.add(id(child))
                stack.append((node, children, ahead))
                node, children = child, _children_of(child)
                ahead = iter(children)
                break
        else:
            nodes.append(node)
            links.append(children)
            if not stack:
                return nodes, links
            node, children, ahead = stack.pop()


def _children_of(node: Any) -> tuple[Any, ...]:
    try:
        return tuple(node._children)
    except AttributeError:
        check_node(node)
        raise


def check_node(node: Any) -> None:
    """TypeError for what is no node of a graph."""
    missing = [name for name in ("data", "grad", "_children", "_local_grads") if not hasattr(node, name)]
    if missing:
        raise TypeError(f"draw_dot: {type(node).__name__!r} is no node of a graph, it has no {', '.join(missing)}")
