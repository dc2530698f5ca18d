"""The script's Adam loop: recognised here, run by runtime/adam_loop.py.

Only what the loop runs over is exchanged:

    for i, p in enumerate(params):   ->   try: __microgpt__.adam_with(site, m, v, ...)
                                          except __microgpt__.Exception: __microgpt__.adam_without(site)
                                          for i, p in __microgpt__.adam(site, params):

The compiled Adam updates all parameters but the last; the loop's own body does that one, so that every name it binds
holds afterwards what it would have held. Whatever the compiled Adam does not take runs through the loop as it stands.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ..findings import Finding
from ..syntax.match import Match, plain_statements
from ..syntax.program import Program
from . import forms
from .vectors import attempt, call, placed, reload

ORDER = ("M", "V", "BETA1", "BETA2", "T", "LR", "EPS")


@dataclass
class AdamSite:
    """One such loop in a script.

    zero: what it does to the gradients, "int", "float" or "keep". private: nobody but the loop looks at the lists of
    moments, which then need not be kept up to date.
    """

    line: int
    zero: str
    private: bool


def find_adam(program: Program, loop: ast.For) -> tuple[AdamSite, Match] | None:
    if not (isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Call)):
        return None
    statements = plain_statements([loop])
    for pattern, zero in forms.ADAM:
        found = pattern.match_statements(statements, program.meaning)
        if found is not None and independent(found):
            private = all(is_private(program, found.holes[name], loop) for name in ("M", "V"))
            return AdamSite(loop.lineno, zero, private), found
    return None


def independent(found: Match) -> bool:
    """Whether nothing in the holes depends on the names of the loop."""
    bound = set(found.names.values())
    return not any(
        isinstance(node, ast.Name) and node.id in bound for hole in found.holes.values() for node in ast.walk(hole)
    )


def is_private(program: Program, moments: ast.expr, loop: ast.For) -> bool:
    """Whether a name is bound to fresh lists, and otherwise occurs in this loop alone."""
    if not isinstance(moments, ast.Name) or moments not in program.scopes.scope_of:
        return False
    scope = program.scopes.meaning(moments)
    if scope is None or any(True for _ in program.calls("locals", "vars", "globals", "dir")):
        return False
    if scope is not program.scopes.module and moments.id not in scope_names(scope.node):
        return False
    inside = set(ast.walk(loop))
    outside = [name for name in program.scopes.occurrences(moments.id, scope) if name not in inside]
    return bool(outside) and all(is_fresh_list(program, name) for name in outside)


def scope_names(node: ast.AST) -> set[str]:
    """Names that are assigned in a function, parameters left out."""
    return {
        inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    } - {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}


def is_fresh_list(program: Program, name: ast.Name) -> bool:
    """Whether this is the target of `name = [0.0] * n` or `name = [0.0 for ...]`, alone or in a tuple."""
    for node in program.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            for target, value in pairs(node.targets[0], node.value):
                if target is name:
                    return makes_list(value)
    return False


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What an assignment assigns to what; a tuple of targets is taken apart if its values stand there too."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def makes_list(value: ast.expr) -> bool:
    repeated = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and isinstance(value.left, ast.List)
    return repeated or isinstance(value, (ast.ListComp, ast.List))


def swap_adam(loop: ast.For, found: Match, number: int) -> list[ast.stmt]:
    """Exchange what the loop runs over. Returns it, with what goes before it."""
    settings = [ast.Constant(number), *(reload(found.holes[name]) for name in ORDER)]
    first = attempt(
        ast.Expr(call("adam_with", settings)), ast.Expr(call("adam_without", [ast.Constant(number)]))
    )  # what cannot be evaluated is for the loop's body to complain about
    made = call("adam", [ast.Constant(number), reload(found.holes["PARAMS"])])
    placed(first, loop.iter)
    placed(made, loop.iter)
    loop.iter = made
    return [first, loop]


def finding(site: AdamSite) -> Finding:
    return Finding(site.line, "Adam", note="" if site.private else "with the lists of moments kept up to date")
