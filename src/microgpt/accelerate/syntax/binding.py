"""Whether an expression of names can be evaluated a little earlier than where it stands without anybody noticing."""

from __future__ import annotations

import ast

from .program import Program
from .scopes import COMPREHENSIONS, FUNCTIONS, ScopeInfo, bindings, parameters
from .tree import walk


def is_sure(program: Program, whole: ast.expr, hole: ast.expr) -> bool:
    """Whether `hole`, a part of `whole`, can be evaluated before the rest of it.

    That holds for what is evaluated first anyway, since it stands in the same scope and outside the inner ones; and for
    names that are surely bound.
    """
    scope = program.scopes.scope_of.get(whole)
    names = [node for node in walk(hole) if isinstance(node, ast.Name)]
    if all(program.scopes.scope_of.get(name) is scope for name in names):
        return True
    return isinstance(hole, ast.Name) and is_bound(program, hole)


def is_bound(program: Program, name: ast.Name) -> bool:
    """Whether a name is surely bound where it stands: a parameter, or assigned by a statement before."""
    scope = program.scopes.meaning(name)
    if scope is None:
        return False
    if isinstance(scope.node, COMPREHENSIONS):
        return True
    binders = [node for bound, node in bindings(scope.node) if bound == name.id]
    if not all(isinstance(node, ast.arg) or is_store(node) for node in binders):
        return False  # `del`, and the end of an `except`, take a name away
    if isinstance(scope.node, FUNCTIONS) and any(argument.arg == name.id for argument in parameters(scope.node)):
        return True
    return is_assigned_before(program, scope, name)


def is_store(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def is_assigned_before(program: Program, scope: ScopeInfo, name: ast.Name) -> bool:
    """Whether a statement before the one with the name, in the same block or one around it, assigns to it."""
    node: ast.AST = name
    while node is not scope.node:
        around = program.parents.get(node)
        if around is None or (isinstance(around, FUNCTIONS) and around is not scope.node):
            return False  # used by a function within, which may be called at any time
        for _, block in ast.iter_fields(around):
            before = block[: block.index(node)] if isinstance(block, list) and node in block else []
            if any(assigns(statement, name.id) for statement in before):
                return True
        node = around
    return False


def assigns(statement: ast.AST, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(is_store(part) and part.id == name for target in targets for part in walk(target))  # type: ignore[attr-defined]
