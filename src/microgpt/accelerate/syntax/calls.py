"""Pieces of code that call our helpers, for rewritten scripts."""

from __future__ import annotations

import ast
import copy

from .tree import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Node = TypeVar("Node", bound=ast.AST)

HELPER = "__microgpt__"  # the one name of all of them


def helper(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(HELPER, ast.Load()), name, ast.Load())


def helped(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(helper(function), [*arguments], [])


def call(function: str, arguments: list[ast.expr]) -> ast.Call:
    """A call of a helper that is given a function, which evaluates the user's expressions a second time: what they
    raise is then for the user's own code to raise, where it would."""
    return helped(function, later(arguments))


def later(arguments: list[ast.expr]) -> ast.Lambda:
    """lambda: (argument, ...)"""
    values = ast.Tuple([*map(copy.deepcopy, arguments)], ast.Load())
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), values)


def placed(made: Node, at: ast.AST) -> Node:
    """This, with a place in the source for what has none."""
    for part in walk(made):
        if "lineno" in part._attributes and not hasattr(part, "lineno"):
            ast.copy_location(part, at)
    return made
