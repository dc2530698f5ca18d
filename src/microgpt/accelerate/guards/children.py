"""What nodes are made from: children and local gradients, which the compiled class keeps as tuples of its own.

The script's class keeps the very object that it was given. That makes a difference where the object is changed later,
or is looked at. (What can be read only once is refused at run time.)
"""

from __future__ import annotations

import ast

from ..recognise.value_class import ClassPlan
from ..syntax.program import Program
from ..syntax.scopes import parameters

BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module, ast.For, ast.While, ast.Lambda)
MAKES_A_LIST = {"list", "sorted", "tuple"}
DEPTH = 3  # of functions that hand their argument on


def strange_children(program: Program, plan: ClassPlan, looked_at: bool) -> str:
    """Why children are not what they seem, or "". looked_at: whether the script reads children anywhere."""
    for target, value in program.attribute_stores():
        dropped = isinstance(value, ast.Tuple) and not value.elts
        if target.attr in list(plan.fields.values())[2:] and not dropped:
            function = program.around(target, ast.FunctionDef)
            if function not in plan.node.body or function.name != "__init__":
                return f"line {target.lineno} gives a node other children"
    for call in program.class_calls():
        for name, argument in plan.given(call).items():
            if is_tuple(program, argument) or (
                name not in plan.parameters[1:] and not isinstance(argument, ast.Starred)
            ):
                continue
            if looked_at:
                return f"the children in line {argument.lineno} are not a tuple, and the script looks at children"
            if not is_settled(program, call, argument):
                return f"the children in line {argument.lineno} may change later"
    return ""


def is_tuple(program: Program, node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        return is_tuple(program, node.left) or is_tuple(program, node.right)
    if isinstance(node, ast.IfExp):
        return is_tuple(program, node.body) and is_tuple(program, node.orelse)
    if isinstance(node, ast.Name):  # *children of a function
        binders = program.binders(node)
        return len(binders) == 1 and getattr(program.parents.get(binders[0]), "vararg", None) is binders[0]
    return isinstance(node, ast.Tuple) or (isinstance(node, ast.Call) and program.meaning(node.func) == "tuple")


def is_settled(program: Program, call: ast.Call, argument: ast.expr | None, depth: int = 0) -> bool:
    """Whether nobody changes what a call is given: a fresh list, or one that was made for it and is not touched
    afterwards."""
    if argument is None:  # nobody knows what is given
        return False
    if isinstance(argument, (ast.List, ast.ListComp)) or is_tuple(program, argument):
        return True
    if isinstance(argument, ast.BinOp):
        return isinstance(argument.op, (ast.Add, ast.Mult))  # makes a new one
    if isinstance(argument, ast.Subscript):
        return isinstance(argument.slice, ast.Slice)
    if isinstance(argument, ast.Call):
        return program.meaning(argument.func) in MAKES_A_LIST
    if not isinstance(argument, ast.Name) or depth > DEPTH:
        return False
    scope = program.scopes.meaning(argument)
    if scope is None:
        return False
    uses, end = program.scopes.occurrences(argument.id, scope), call.end_lineno or call.lineno
    is_last = all(use.lineno <= end and program.scopes.scope_of[use] is scope for use in uses)
    return is_last and all(is_made_for(program, binder, call, depth + 1) for binder in program.binders(argument))


def is_made_for(program: Program, binder: ast.AST, call: ast.Call, depth: int) -> bool:
    """Whether this is `name = [...]` in the same loop or function as the call, or a parameter of that function, for
    which every caller makes a list."""
    block, around = program.around(call, *BLOCKS), program.parents.get(binder)
    if isinstance(around, ast.Assign):
        return program.around(binder, *BLOCKS) is block and is_settled(program, call, around.value, depth)
    if not isinstance(binder, ast.arg) or program.around(binder, *BLOCKS) is not block:
        return False
    names = [parameter.arg for parameter in parameters(block)]
    calls = [(node, program.parents.get(node)) for node in program.mentions(getattr(block, "name", ""))]
    found = False
    for node, caller in calls:
        if isinstance(caller, ast.Call) and caller.func is node:
            is_method = isinstance(node, ast.Attribute) and isinstance(program.parents.get(block), ast.ClassDef)
            given: dict[str | None, ast.expr] = {one.arg: one.value for one in caller.keywords}
            given.update(zip(names[is_method:], caller.args))
            unpacked = any(isinstance(one, ast.Starred) for one in caller.args)
            found = True
            if unpacked or not is_settled(program, caller, given.get(binder.arg), depth):
                return False
    return found
