"""What nodes are made from: children and local gradients, which the compiled class keeps as tuples of its own.

The script's class keeps the very object that it was given. That makes a difference where the object is changed later,
or is looked at. (What can be read only once is refused at run time.)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..recognise.value_class import ClassPlan
from ..syntax.program import Program
from ..syntax.scopes import ScopeInfo, parameters

BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module, ast.For, ast.While, ast.Lambda)
MAKES_A_LIST = {"list", "sorted", "tuple"}
DEPTH = 3  # of functions that hand their argument on


def strange_children(program: Program, plan: ClassPlan, looked_at: bool) -> str:
    """Why children are not what they seem, or "". looked_at: whether the script reads children anywhere."""
    for target, value in program.attribute_stores():
        links = target.attr in list(plan.fields.values())[2:]
        dropped = isinstance(value, ast.Tuple) and not value.elts
        if links and not dropped and not is_stored_by_constructor(program, plan, target):
            return f"line {target.lineno} gives a node other children"
    for call in program.class_calls():
        for name, argument in plan.given(call).items():
            if name not in plan.parameters[1:] and not isinstance(argument, ast.Starred):
                continue
            if is_tuple(program, argument):
                continue
            if looked_at:
                return f"the children in line {argument.lineno} are not a tuple, and the script looks at children"
            if not is_settled(program, call, argument):
                return f"the children in line {argument.lineno} may change later"
    return ""


def is_stored_by_constructor(program: Program, plan: ClassPlan, target: ast.Attribute) -> bool:
    function = enclosing(program, target, (ast.FunctionDef,))
    return isinstance(function, ast.FunctionDef) and function.name == "__init__" and function in plan.node.body


def enclosing(program: Program, node: ast.AST, kinds: tuple[type[ast.AST], ...]) -> ast.AST | None:
    """The nearest node of these kinds around another."""
    parent = program.parents.get(node)
    while parent is not None and not isinstance(parent, kinds):
        parent = program.parents.get(parent)
    return parent


def is_tuple(program: Program, node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        return is_tuple(program, node.left) or is_tuple(program, node.right)
    if isinstance(node, ast.IfExp):
        return is_tuple(program, node.body) and is_tuple(program, node.orelse)
    if isinstance(node, ast.Name):
        return is_star(program, node)
    return isinstance(node, ast.Tuple) or (isinstance(node, ast.Call) and program.meaning(node.func) == "tuple")


def is_star(program: Program, name: ast.Name) -> bool:
    """`*children` of a function."""
    scope = program.scopes.meaning(name) if name in program.scopes.scope_of else None
    if scope is None or not isinstance(scope.node, ast.FunctionDef) or scope.node.args.vararg is None:
        return False
    stores = [use for use in program.scopes.occurrences(name.id, scope) if not isinstance(use.ctx, ast.Load)]
    return scope.node.args.vararg.arg == name.id and not stores


def is_settled(program: Program, call: ast.Call, argument: ast.expr, depth: int = 0) -> bool:
    """Whether nobody changes what a call is given: a fresh list, or one that is not touched afterwards."""
    if isinstance(argument, (ast.List, ast.ListComp)) or is_tuple(program, argument):
        return True
    if isinstance(argument, ast.BinOp):
        return isinstance(argument.op, (ast.Add, ast.Mult))  # makes a new one
    if isinstance(argument, ast.Subscript):
        return isinstance(argument.slice, ast.Slice)
    if isinstance(argument, ast.Call):
        return program.meaning(argument.func) in MAKES_A_LIST
    if not isinstance(argument, ast.Name) or argument not in program.scopes.scope_of or depth > DEPTH:
        return False
    scope = program.scopes.meaning(argument)
    if scope is None or not is_last_use(program, scope, call, argument):
        return False
    return is_made_for(program, scope, call, argument, depth)


def is_last_use(program: Program, scope: ScopeInfo, call: ast.Call, argument: ast.Name) -> bool:
    uses = program.scopes.occurrences(argument.id, scope)
    end = call.end_lineno or call.lineno
    return all(use.lineno <= end and program.scopes.scope_of[use] is scope for use in uses)


def is_made_for(program: Program, scope: ScopeInfo, call: ast.Call, argument: ast.Name, depth: int) -> bool:
    """Whether the list was made for this call: in the same block, or by all callers of the function it belongs to."""
    stores = [use for use in program.scopes.occurrences(argument.id, scope) if not isinstance(use.ctx, ast.Load)]
    if stores:
        return all(is_made_here(program, store, call, depth) for store in stores)
    function = scope.node
    if not isinstance(function, ast.FunctionDef) or enclosing(program, call, BLOCKS) is not function:
        return False
    position = [parameter.arg for parameter in parameters(function)].index(argument.id)
    given = list(callers(program, function, position))
    return bool(given) and all(
        value is not None and is_settled(program, caller, value, depth + 1) for caller, value in given
    )


def is_made_here(program: Program, store: ast.Name, call: ast.Call, depth: int) -> bool:
    """Whether this is `name = [...]`, in the same loop or function as the call."""
    made = program.parents.get(store)
    if not isinstance(made, ast.Assign) or enclosing(program, store, BLOCKS) is not enclosing(program, call, BLOCKS):
        return False
    return is_settled(program, call, made.value, depth + 1)


def callers(program: Program, function: ast.FunctionDef, position: int) -> Iterator[tuple[ast.Call, ast.expr | None]]:
    """(call, argument) for every call of a function by its name; (.., None) where that cannot be told."""
    name = parameters(function)[position].arg
    for node in program.mentions(function.name):
        call = program.parents.get(node)
        if not isinstance(call, ast.Call) or call.func is not node:
            continue
        at = position - isinstance(node, ast.Attribute) * (program.parents.get(function).__class__ is ast.ClassDef)
        named = [keyword.value for keyword in call.keywords if keyword.arg == name]
        plain = 0 <= at < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args)
        yield call, named[0] if named else call.args[at] if plain else None
