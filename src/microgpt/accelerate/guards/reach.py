"""Whether an expression may be a Value or the class itself: what is asked about other objects is nobody's business."""

from __future__ import annotations

import ast

from ..syntax.program import Program, assigned
from ..syntax.scopes import bindings

DISPLAYS = (
    *(ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp),
    *(ast.GeneratorExp, ast.Lambda, ast.Compare),
)
MAKES_OTHERS = {
    *("len", "int", "float", "str", "list", "dict", "tuple", "set", "range", "open", "print", "repr", "sorted", "bool"),
    *("enumerate", "zip", "map", "reversed", "input", "id", "type", "isinstance", "hash", "format", "bytes", "globals"),
    *("math.sqrt", "math.exp", "math.log", "time.time", "time.perf_counter", "random.random", "random.randint"),
}
DEPTH = 4


def may_be_value(program: Program, node: ast.AST, numbers: set[str], depth: int = 0) -> bool:
    """numbers: attributes that hold numbers in every Value."""
    if isinstance(node, DISPLAYS):
        return False
    if isinstance(node, ast.Attribute):
        return node.attr not in numbers
    if isinstance(node, ast.Call):
        return program.meaning(node.func) not in MAKES_OTHERS
    if isinstance(node, (ast.IfExp, ast.BinOp)):
        parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node.left, node.right]
        return any(may_be_value(program, part, numbers, depth) for part in parts)
    if not isinstance(node, ast.Name) or node not in program.scopes.scope_of or depth > DEPTH:
        return True
    scope = program.scopes.meaning(node)
    if scope is None:
        return program.is_class(node)
    binders = [binder for name, binder in bindings(scope.node) if name == node.id]
    return any(may_bind_value(program, binder, numbers, depth + 1) for binder in binders) or not binders


def may_bind_value(program: Program, binder: ast.AST, numbers: set[str], depth: int) -> bool:
    """Whether a name may become a Value or the class where this binds it."""
    if isinstance(binder, (ast.FunctionDef, ast.Import, ast.ExceptHandler)):
        return False
    statement = program.parents.get(binder)
    if isinstance(statement, ast.Tuple):
        statement = program.parents.get(statement)
    if isinstance(statement, ast.Assign):
        value = dict(assigned(statement)).get(binder)  # type: ignore[call-overload]
        return value is None or may_be_value(program, value, numbers, depth)
    if isinstance(statement, ast.For) and isinstance(statement.iter, ast.Call):
        return program.meaning(statement.iter.func) != "range"
    return True
