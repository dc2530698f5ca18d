"""Where a script may see that the class is not the one it wrote: its name, its type, its methods as objects."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..recognise.forms import METHODS
from ..recognise.value_class import ClassPlan
from ..syntax.program import Program
from ..syntax.tree import walk
from .reach import may_be_value

TAKES_CLASSES = ("isinstance", "issubclass", "map", "filter")
FUNCTIONS_OF_ONE = {"log", "exp", "relu"}
ATTRIBUTES_OF_CLASSES = ("__qualname__", "__module__")  # its __name__ is the same


def needs_subclass(program: Program, plan: ClassPlan) -> str:
    """Why the class must remain one of the script's own, derived from ours, or ""."""
    return gives_attributes(program, plan) or asks_for_type(program, plan) or class_goes_elsewhere(program)


def gives_attributes(program: Program, plan: ClassPlan) -> str:
    if plan.has_slots:
        return ""
    for target, _ in program.attribute_stores():
        if target.attr not in plan.fields.values() and not is_elsewhere(program, plan, target):
            return f"line {target.lineno} gives an instance the attribute {target.attr}"
    for call in program.calls("setattr"):
        return f"line {call.lineno} may give an instance attributes"
    return ""


def is_elsewhere(program: Program, plan: ClassPlan, target: ast.Attribute) -> bool:
    """Whether an attribute is stored on something that is surely no Value."""
    if program.is_class(target.value) or not isinstance(target.value, ast.Name):
        return program.is_class(target.value)
    if target.value.id == "self":
        return not any(node is target for node in walk(plan.node))
    return target.value.id in program.imports


def asks_for_type(program: Program, plan: ClassPlan) -> str:
    for node in program.mentions(*ATTRIBUTES_OF_CLASSES):
        if isinstance(node, ast.Attribute) and not is_type_of_error(program, node.value):
            return f"line {node.lineno} asks for {node.attr}"
    numbers = {plan.fields["data"], plan.fields["grad"]}
    for call in program.calls("type"):
        if is_type_of_error(program, call) or is_only_compared(program, call):
            continue
        if len(call.args) != 1 or may_be_value(program, call.args[0], numbers):
            return f"line {call.lineno} asks for a type"
    for node in program.values("type"):
        return f"line {node.lineno} hands on type"
    return ""


def is_only_compared(program: Program, call: ast.Call) -> bool:
    """type(x) is Value, type(x).__name__, isinstance(y, type(x))"""
    parent = program.parents.get(call)
    if isinstance(parent, ast.Attribute):
        return parent.attr == "__name__"
    if isinstance(parent, ast.Tuple):
        parent = program.parents.get(parent)
    if isinstance(parent, ast.Call):
        return program.meaning(parent.func) in ("isinstance", "issubclass") and call not in parent.args[:1]
    return isinstance(parent, ast.Compare)


def is_type_of_error(program: Program, node: ast.AST) -> bool:
    """`type(error)` or `error.__class__`, where `except ... as error` is all that binds the name."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    elif isinstance(node, ast.Attribute) and node.attr == "__class__":
        node = node.value
    else:
        return False
    return isinstance(node, ast.Name) and program.bound_by(node, ast.ExceptHandler)


# ---- the class under other names ------------------------------------------------------------------------------------


def class_goes_elsewhere(program: Program) -> str:
    """Where the class is used as an object like any other, and so may be printed."""
    for node in class_names(program):
        if not is_harmless(program, node):
            return f"line {node.lineno} hands on the class itself"
    return ""


def class_names(program: Program) -> Iterator[ast.Name]:
    """Every Name that is the class, `Other = Value` included."""
    others = {
        target.id
        for node in program.of(ast.Assign)
        if program.is_class(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in program.of(ast.Name):
        if isinstance(node.ctx, ast.Load) and (program.is_class(node) or node.id in others):
            yield node


def is_harmless(program: Program, node: ast.expr) -> bool:
    """A call of the class, a look at its attributes, a test against it, an annotation."""
    parent = program.parents.get(node)
    if isinstance(parent, ast.Call):
        return parent.func is node or not program.may_mean(parent.func).isdisjoint(TAKES_CLASSES)
    if isinstance(parent, ast.Attribute):
        return True
    if isinstance(parent, ast.Assign):
        return all(isinstance(target, ast.Name) for target in parent.targets)
    if isinstance(parent, ast.Compare):
        return all(isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in parent.ops)
    if isinstance(parent, (ast.Tuple, ast.BinOp)):  # isinstance(x, (int, Value)), isinstance(x, int | Value)
        return is_harmless(program, parent)
    if isinstance(parent, ast.ClassDef):  # a class derived from it that nobody uses, see class_guard.py
        return True
    return isinstance(parent, ast.MatchClass) or is_annotation(program, node) or is_alias(program, parent)


def is_alias(program: Program, node: ast.AST | None) -> bool:
    """Whether this is the whole right side of `Vector = list[Value]`, a name that only annotations use."""
    while isinstance(node, ast.expr) and isinstance(program.parents.get(node), ast.expr):
        node = program.parents[node]
    assign = program.parents.get(node) if node is not None else None
    if not isinstance(assign, ast.Assign) or not all(isinstance(target, ast.Name) for target in assign.targets):
        return False
    names = {target.id for target in assign.targets if isinstance(target, ast.Name)}
    uses = [node for node in program.of(ast.Name) if node.id in names]
    return all(not isinstance(use.ctx, ast.Load) or is_annotation(program, use) for use in uses)


def is_annotation(program: Program, node: ast.AST) -> bool:
    """Whether an expression stands in an annotation, which nobody asks for (see hazards.py)."""
    parent = program.parents.get(node)
    while isinstance(parent, ast.expr):
        node, parent = parent, program.parents.get(parent)
    if isinstance(parent, (ast.arg, ast.AnnAssign)):
        return parent.annotation is node
    return isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)) and parent.returns is node


# ---- methods --------------------------------------------------------------------------------------------------------


def methods_shown(program: Program, plan: ClassPlan) -> set[str]:
    """Methods that are used as objects, as in `{"relu": Value.relu}`. They stay functions of the script's."""
    names = {
        node.attr
        for node in program.of(ast.Attribute)
        if (isinstance(node.ctx, ast.Load) or isinstance(program.parents.get(node), ast.AugAssign))
        and not is_called(program, node)
        and not program.may_mean(node)
    }
    for call in program.calls("getattr"):
        name = call.args[1] if len(call.args) > 1 else None
        names |= {str(name.value)} if isinstance(name, ast.Constant) else FUNCTIONS_OF_ONE
    return {name for name in names if name in plan.ours and name in METHODS}


def is_called(program: Program, node: ast.expr) -> bool:
    parent = program.parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node
