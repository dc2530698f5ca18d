"""Whether exponents are numbers for sure, so that nobody asks for `number ** Value`."""

from __future__ import annotations

import ast

from .match import is_arithmetic
from .program import Program


def number_powers(program: Program, but: set[ast.AST]) -> bool:
    """Whether the exponent of every ** is a number for sure, not counting those in `but`."""
    if any(True for _ in program.mentions("pow", "__pow__", "__rpow__", "ipow")):
        return False
    return all(
        is_number(program, node.right if isinstance(node, ast.BinOp) else node.value)
        for node in program.of(ast.BinOp, ast.AugAssign)
        if isinstance(node.op, ast.Pow) and node not in but
    )


def is_number(program: Program, node: ast.expr, depth: int = 0) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.UnaryOp):
        return is_number(program, node.operand, depth)
    if isinstance(node, ast.BinOp):
        return is_number(program, node.left, depth) and is_number(program, node.right, depth)
    if not isinstance(node, ast.Name) or node not in program.scopes.scope_of or depth > 5 or not is_arithmetic(node):
        return False
    scope = program.scopes.meaning(node)
    if scope is None:
        return False
    stores = [name for name in program.scopes.occurrences(node.id, scope) if not isinstance(name.ctx, ast.Load)]
    return bool(stores) and all(stores_number(program, store, depth + 1) for store in stores)


def stores_number(program: Program, store: ast.Name, depth: int) -> bool:
    """Whether this binding of a name is `name = number` or `for name in range(...)`."""
    for node in program.of(ast.Assign, ast.For, ast.comprehension, ast.AugAssign):
        if isinstance(node, ast.Assign) and store in node.targets:
            return is_number(program, node.value, depth)
        if isinstance(node, (ast.For, ast.comprehension)) and node.target is store:
            return isinstance(node.iter, ast.Call) and program.meaning(node.iter.func) == "range"
        if isinstance(node, ast.AugAssign) and node.target is store:
            return is_number(program, node.value, depth)
    return False
