"""Whether everything that reaches a Value is a number of the kinds that the compiled Value holds: floats and ints.

The script's class takes whatever it is given. Where something else could arrive (NumPy scalars, Fractions, booleans,
None as a gradient, other objects), its class stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..recognise.value_class import ClassPlan
from ..syntax.program import STRANGE_NUMBERS, Program
from ..syntax.tree import walk
from .flow import COLLECTIONS, Flow, values

CONVERSIONS = {"float", "int", "str", "len", "repr", "format", "print"}
TO_PYTHON = {"item", "tolist"}


def strange_number(program: Program, plan: ClassPlan, alone: bool) -> str:
    """Where something that is no plain number may reach a Value, in words; "" if nowhere. alone: nobody else calls this
    program's functions."""
    return strange_object(program, plan, alone) or strange_store(program, plan) or boolean_data(program, plan)


# ---- objects of other packages --------------------------------------------------------------------------------------


def strange_object(program: Program, plan: ClassPlan, alone: bool) -> str:
    for node in program.of(ast.Constant):
        if isinstance(node.value, complex):
            return f"line {node.lineno} has a complex number"
    packages = program.foreign() | STRANGE_NUMBERS
    names = {name for name, meaning in program.imports.items() if meaning.split(".")[0] in packages}
    if not names:
        return ""

    def judge(node: ast.AST) -> bool | None:
        if isinstance(node, ast.Call):
            converts = isinstance(node.func, ast.Name) and node.func.id in CONVERSIONS
            return False if converts or (isinstance(node.func, ast.Attribute) and node.func.attr in TO_PYTHON) else None
        return (isinstance(node, ast.Name) and node.id in names) or None

    strange = Flow(program, judge)
    own = values(program, plan.fields["data"], plan.fields["grad"])
    for sink in sinks(program, plan):
        if strange.holds(sink):
            return f"a number of another package may reach it in line {sink.lineno}"
    for one, other in operands(program):
        if (strange.holds(one) or strange.holds(other)) and not (alone and not own.holds(one) and not own.holds(other)):
            return f"a number of another package may reach it in line {one.lineno}"
    return ""


def stored_in(target: ast.AST) -> list[str]:
    """The names that an assignment to this target changes, or changes something of."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for part in target.elts for name in stored_in(part)]
    if isinstance(target, (ast.Starred, ast.Subscript)):
        return stored_in(target.value)
    if isinstance(target, ast.Attribute):
        return [target.attr]
    return [target.id] if isinstance(target, ast.Name) else []


def sinks(program: Program, plan: ClassPlan) -> Iterator[ast.expr]:
    """Expressions whose value comes to be in a Value."""
    for call in program.class_calls():
        yield from call.args
        yield from (keyword.value for keyword in call.keywords)
    for target, value in program.attribute_stores():
        if target.attr in plan.fields.values():
            yield value if value is not None else target


def operands(program: Program) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What may meet a Value in an operation."""
    for node in program.of(ast.BinOp, ast.AugAssign):
        pair = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
        if not any(isinstance(part, ast.Constant) for part in pair):
            yield pair


# ---- what is no number at all ---------------------------------------------------------------------------------------


def strange_store(program: Program, plan: ClassPlan) -> str:
    """`p.grad = None` and the like."""
    numeric = {plan.fields["data"], plan.fields["grad"]}
    inside_others = {inner for node in program.of(ast.ClassDef) if node is not plan.node for inner in walk(node)}
    for target, value in program.attribute_stores():
        own = target in inside_others and isinstance(target.value, ast.Name) and target.value.id == "self"
        if target.attr in numeric and not own and value is not None and is_no_number(value):
            return f"line {target.lineno} makes .{target.attr} something else than a number"
    return ""


def is_no_number(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return type(value.value) not in (int, float)
    return isinstance(value, (*COLLECTIONS, ast.JoinedStr))


def boolean_data(program: Program, plan: ClassPlan) -> str:
    """`Value(x > 0)`: its data would print as True."""
    booleans = {
        name
        for node in program.of(ast.Assign, ast.NamedExpr)
        if may_be_boolean(node.value, set())
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for name in stored_in(target)
    }
    for call in program.class_calls() if "float_data" not in plan.kinds else ():
        data = [*call.args[:1], *(k.value for k in call.keywords if k.arg == plan.parameters[0])]
        if any(may_be_boolean(argument, booleans) for argument in data):
            return f"line {call.lineno} gives it a boolean"
    for target, value in program.attribute_stores():
        if target.attr in list(plan.fields.values())[:2] and value is not None and may_be_boolean(value, booleans):
            return f"line {target.lineno} gives it a boolean"
    return ""


def may_be_boolean(node: ast.expr, names: set[str]) -> bool:
    if isinstance(node, ast.IfExp):
        return may_be_boolean(node.body, names) or may_be_boolean(node.orelse, names)
    if isinstance(node, ast.BoolOp):
        return any(may_be_boolean(value, names) for value in node.values)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return may_be_boolean(node.elt, names)
    if isinstance(node, (ast.List, ast.Tuple)):
        return any(may_be_boolean(part, names) for part in node.elts)
    if isinstance(node, ast.Subscript):
        return may_be_boolean(node.value, names)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in {"bool", "isinstance", "any", "all"}
    return isinstance(node, ast.Compare) or (isinstance(node, ast.Name) and node.id in names)
