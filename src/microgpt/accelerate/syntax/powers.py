"""Whether exponents are numbers for sure, so that nobody asks for `number ** Value`."""

from __future__ import annotations

import ast

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


def is_number(program: Program, node: ast.AST, depth: int = 0) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.UnaryOp):
        return is_number(program, node.operand, depth)
    if isinstance(node, ast.BinOp):
        return is_number(program, node.left, depth) and is_number(program, node.right, depth)
    binders = program.binders(node) if isinstance(node, ast.Name) and depth <= 5 else []
    return bool(binders) and all(binds_number(program, binder, depth + 1) for binder in binders)


def binds_number(program: Program, binder: ast.AST, depth: int) -> bool:
    """Whether this binds a name by `name = number` or `for name in range(...)`."""
    around = program.parents.get(binder)
    if isinstance(around, (ast.Assign, ast.AugAssign)):
        return is_number(program, around.value, depth)
    ranged = isinstance(around, (ast.For, ast.comprehension)) and isinstance(around.iter, ast.Call)
    return ranged and program.meaning(around.iter.func) == "range"  # type: ignore[union-attr]
