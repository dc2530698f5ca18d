"""Graphs of any size, from a class of Values: each function gives the root, one of the leaves, and the nodes in all.

The nodes are those that the script's class makes, constants too; test_scaling.py counts them to be sure.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from microgpt.reference import linear, rmsnorm

WIDTH = 16  # of a layer, as in the script


class Graph(NamedTuple):
    root: Any
    leaf: Any
    nodes: int


def chain(cls: type, nodes: int) -> Graph:
    """As deep as can be: half as many levels as nodes."""
    links = max(1, nodes // 4)
    leaf = x = cls(0.5)
    for _ in range(links):
        x = x * 1.0001 + 0.0001
    return Graph(x, leaf, 4 * links + 1)


def wide(cls: type, nodes: int) -> Graph:
    """As shallow as can be: products of leaves, added up in pairs, and pairs of pairs."""
    products = max(1, nodes // 4)
    leaf = cls(0.5)
    terms = [leaf * cls(0.25)] + [cls(0.001 * (i % 997)) * cls(0.5) for i in range(1, products)]
    return Graph(added(terms), leaf, 4 * products - 1)


def layers(cls: type, nodes: int) -> Graph:
    """What the script is made of: linear, relu, a residual and rmsnorm, 16 wide, over as many positions as it takes.

    A position: 16 leaves, 16 rows of 33 nodes, 16 of relu and 16 sums, 54 of rmsnorm, and 17 of the sum at its end.
    """
    of_position, of_weights = WIDTH + WIDTH * (2 * WIDTH + 1) + 2 * WIDTH + 3 * WIDTH + 6 + WIDTH + 1, WIDTH * WIDTH
    positions = max(1, (nodes - of_weights) // (of_position + 1))
    weights = [[cls(0.01 * ((5 * i + 3 * j) % 17 - 8)) for j in range(WIDTH)] for i in range(WIDTH)]
    sums = []
    for position in range(positions):
        x = [cls(0.1 * ((position + i) % 7)) for i in range(WIDTH)]
        h = [xi.relu() for xi in linear(x, weights)]
        sums.append(sum(rmsnorm([a + b for a, b in zip(h, x)])))
    return Graph(added(sums), weights[0][0], of_weights + positions * (of_position + 1) - 1)


def added(terms: list[Any]) -> Any:
    """Their sum, in pairs."""
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2])]
        terms = pairs + terms[2 * len(pairs) :]
    return terms[0]


SHAPES: dict[str, Callable[[type, int], Graph]] = {
    "a chain": chain,
    "a wide tree": wide,
    "layers of the script": layers,
}
