"""Whether everything that reaches a Value is a number of the kinds that the compiled Value holds: floats and ints.

The script's class takes whatever it is given. Where something else could arrive (NumPy scalars, Fractions, booleans,
None as a gradient, other objects), its class stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..recognise.value_class import ClassPlan
from ..syntax.program import STRANGE_NUMBERS, Program
from .flow import COLLECTIONS, Flow, sources, values

CONVERSIONS = {"float", "int", "str", "len", "repr", "format", "print"}
TO_PYTHON = {"item", "tolist"}
BOOLEANS = {"bool", "isinstance", "any", "all"}


def strange_number(program: Program, plan: ClassPlan, alone: bool) -> str:
    """Where something that is no plain number may reach a Value, in words; "" if nowhere. alone: nobody else calls this
    program's functions."""
    return strange_object(program, plan, alone) or strange_store(program, plan)


def sinks(program: Program, plan: ClassPlan) -> Iterator[tuple[ast.expr, str | None]]:
    """(expression whose value comes to be in a Value, what it is there)"""
    names = {theirs: ours for ours, theirs in plan.fields.items()}
    for call in program.class_calls():
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        data = plan.given(call).get(plan.parameters[0])
        yield from ((value, "argument" if value is data else None) for value in given)
    for target, value in program.attribute_stores():
        if target.attr in names:
            yield value if value is not None else target, names[target.attr]


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
    found = [sink for sink, _ in sinks(program, plan) if strange.holds(sink)]
    for node in program.of(ast.BinOp, ast.AugAssign):
        pair = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
        if any(map(strange.holds, pair)) and not any(isinstance(part, ast.Constant) for part in pair):
            found += [node] if not alone or any(map(own.holds, pair)) else []
    return f"a number from another package may reach it in line {found[0].lineno}" if found else ""


# ---- what is no number at all ---------------------------------------------------------------------------------------


def strange_store(program: Program, plan: ClassPlan) -> str:
    """`p.grad = None` and the like; `Value(x > 0)`, whose data would print as True."""
    booleans: set[str] = set()
    for node in program.of(ast.Assign, ast.NamedExpr):
        if may_be_boolean(node.value, set()):
            booleans.update(*map(stored_in, node.targets if isinstance(node, ast.Assign) else [node.target]))
    for value, place in sinks(program, plan):
        if place in ("data", "grad") and is_no_number(value) and not is_own_attribute(program, plan, value):
            return f"line {value.lineno} makes .{plan.fields[place]} something other than a number"
        converted = place == "argument" and "float_data" in plan.kinds
        if place in ("argument", "data", "grad") and not converted and may_be_boolean(value, booleans):
            return f"line {value.lineno} gives it a boolean"
    return ""


def stored_in(target: ast.AST) -> set[str]:
    """The names that an assignment to this target binds, or stores something in the list of."""
    if isinstance(target, ast.Name):
        return {target.id}
    return set() if isinstance(target, ast.Attribute) else set().union(*map(stored_in, sources(target)))


def is_no_number(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return type(value.value) not in (int, float)
    return isinstance(value, (*COLLECTIONS, ast.JoinedStr))


def is_own_attribute(program: Program, plan: ClassPlan, value: ast.expr) -> bool:
    """Whether this is stored in `self.data` of another class of the script's."""
    store, around = program.parents.get(value), program.around(value, ast.ClassDef)
    target = store.targets[0] if isinstance(store, ast.Assign) else getattr(store, "target", None)
    owner = getattr(target, "value", None)
    return around not in (None, plan.node) and isinstance(owner, ast.Name) and owner.id == "self"


def may_be_boolean(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in BOOLEANS
    if isinstance(node, (ast.BinOp, ast.Attribute)) or (
        isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not)
    ):
        return False
    if isinstance(node, (ast.Compare, ast.UnaryOp)):
        return True
    return (
        node.id in names if isinstance(node, ast.Name) else any(may_be_boolean(part, names) for part in sources(node))
    )
