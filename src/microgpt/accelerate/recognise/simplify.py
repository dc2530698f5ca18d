"""Methods brought into the form they are compared in, without a change of meaning.

out = E; return out                                     ->  return E
e = math.exp(self.data); return Value(e, (self,), (e,)) ->  the local's expression at each of its places
if not isinstance(other, Value): other = Value(other)   ->  other = other if isinstance(other, Value) else Value(other)
"""

from __future__ import annotations

import ast
import copy

from ..guards.powers import number_powers
from ..syntax.match import plain, plain_statements
from ..syntax.program import Program

PURE_CALLS = {"math.exp", "math.log", "float", "max"}


def simplify(program: Program, method: ast.FunctionDef) -> ast.FunctionDef:
    """A copy of a method in the form of forms.py. Its Name nodes are the user's own."""
    made = plain(method)
    assert isinstance(made, ast.FunctionDef)
    made = copy.copy(made)
    made.body = [coercion(program, statement) for statement in plain_statements(method.body)]
    checks = method.name == "__pow__" and made.body and is_number_check(made.body[0])
    if checks and number_powers(program, set(ast.walk(method))):
        del made.body[0]
    made.body = without_locals(program, made)
    return made


def is_number_check(statement: ast.stmt) -> bool:
    """assert isinstance(other, (int, float)), "..." """
    test = ast.unparse(statement.test) if isinstance(statement, ast.Assert) else ""
    return test in ("isinstance(other, (int, float))", "isinstance(other, (float, int))")


def coercion(program: Program, statement: ast.stmt) -> ast.stmt:
    """The ways to write `other = other if isinstance(other, Value) else Value(other)`."""
    if isinstance(statement, ast.If) and not statement.orelse and len(statement.body) == 1:
        test, inner = statement.test, statement.body[0]
        if (
            is_not(test)
            and isinstance(inner, ast.Assign)
            and len(inner.targets) == 1
            and isinstance(inner.targets[0], ast.Name)
        ):
            assert isinstance(test, ast.UnaryOp)
            name = copy.copy(inner.targets[0])
            program.scopes.scope_of[name] = program.scopes.scope_of[inner.targets[0]]
            name.ctx = ast.Load()
            return ast.copy_location(ast.Assign(inner.targets, ast.IfExp(test.operand, name, inner.value)), statement)
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.IfExp) and is_not(statement.value.test):
        value = statement.value
        assert isinstance(value.test, ast.UnaryOp)
        turned = ast.IfExp(value.test.operand, value.orelse, value.body)
        return ast.copy_location(ast.Assign(statement.targets, turned), statement)
    return statement


def is_not(test: ast.expr) -> bool:
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def without_locals(program: Program, method: ast.FunctionDef) -> list[ast.stmt]:
    """Straight-line code with the values of its locals put in their places; anything else as it is."""
    body = method.body
    if not body or not isinstance(body[-1], ast.Return) or not all(map(assigned_name, body[:-1])):
        return body
    parameters = {argument.arg for argument in method.args.args}
    known: dict[str, ast.expr] = {}
    made: list[ast.stmt] = []
    for index, statement in enumerate(body):
        target = assigned_name(statement)
        if target is None or target in parameters:
            if any(target in names_read(value) for value in known.values()):
                return body  # what the local was computed from is changed before the local is used
            made.append(Substitute(known).visit(copy_tree(statement)))
            continue
        assert isinstance(statement, ast.Assign)
        value = Substitute(known).visit(copy_tree(statement.value))
        times = reads(body[index + 1 :], target)
        if target in known or target in names_read(value) or times == 0 or not (times == 1 or is_pure(program, value)):
            return body
        known[target] = value
    return made if failures(body) == failures(made) else body


def reads(body: list[ast.stmt], name: str) -> int:
    """How often a name is read."""
    return sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for statement in body
        for node in ast.walk(statement)
    )


def names_read(value: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}


def failures(body: list[ast.stmt]) -> list[str]:
    """What can raise an exception, in the order of evaluation, each operation once: this order has to stay."""
    found: dict[str, None] = {}
    known: dict[str, ast.expr] = {}
    for statement in body:
        inlined = Substitute(known).visit(copy_tree(statement))
        target = assigned_name(statement)
        value = inlined.value if target is not None else inlined
        for node in evaluation_order(value):
            if isinstance(node, ast.Call) or (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Pow))):
                found[ast.dump(node)] = None
        if target is not None:
            known[target] = value
    return list(found)


def evaluation_order(node: ast.AST) -> list[ast.AST]:
    """Operands before their operation."""
    return [inner for child in ast.iter_child_nodes(node) for inner in evaluation_order(child)] + [node]


def assigned_name(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def is_pure(program: Program, node: ast.expr) -> bool:
    """Arithmetic on `.data` and constants: the same number however often it is computed."""
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Compare)):
        return all(is_pure(program, part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))
    if isinstance(node, ast.Call):
        return (
            program.meaning(node.func) in PURE_CALLS
            and not node.keywords
            and all(is_pure(program, argument) for argument in node.args)
        )
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name)
    return isinstance(node, ast.Constant)


def copy_tree(node: ast.AST) -> ast.AST:
    """A copy whose Name nodes are the originals."""
    if isinstance(node, ast.Name):
        return node
    made = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            setattr(made, name, copy_tree(value))
        elif isinstance(value, list):
            setattr(made, name, [copy_tree(part) if isinstance(part, ast.AST) else part for part in value])
    return made


class Substitute(ast.NodeTransformer):
    """Puts expressions in the places of names."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self.known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.known.get(node.id, node) if isinstance(node.ctx, ast.Load) else node
