"""Pieces of code that call our helpers, for rewritten scripts."""

from __future__ import annotations

import ast
import copy

from .tree import walk

HELPER = "__microgpt__"  # the one name of all of them


def helper(name: str) -> ast.expr:
    return ast.Attribute(ast.Name(HELPER, ast.Load()), name, ast.Load())


def call(function: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(helper(function), arguments, [])


def reload(node: ast.expr) -> ast.expr:
    """The expression of a hole, to be evaluated a second time, at its own place in the source."""
    return copy.deepcopy(node)


def later(arguments: list[ast.expr]) -> ast.Lambda:
    """A function that evaluates them: what they raise is then for the user's own code to raise, where it would."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), ast.Tuple(arguments, ast.Load()))


def attempt(made: ast.stmt, otherwise: ast.stmt) -> ast.Try:
    """A statement, and another one for when it raises an exception."""
    return ast.Try([made], [ast.ExceptHandler(helper("Exception"), None, [otherwise])], [], [])


def placed(made: ast.AST, at: ast.AST) -> None:
    """Give a place in the source to what has none."""
    for part in walk(made):
        if "lineno" in part._attributes and not hasattr(part, "lineno"):
            ast.copy_location(part, at)
