"""Whether everything that reaches a Value is a number of the kinds that the compiled Value holds: floats and ints.

The script's class takes whatever it is given. Where something else could arrive (NumPy scalars, Fractions, booleans,
None as a gradient, other objects), its class stays. Which names carry such things is followed through assignments,
calls and loops by their spelling alone: too cautious rather than too trusting.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..recognise.value_class import ClassPlan
from ..syntax.program import STRANGE_NUMBERS, Program
from ..syntax.tree import child_nodes, walk

CONVERSIONS = {"float", "int", "str", "len", "repr", "format", "print"}
TO_PYTHON = {"item", "tolist"}


def strange_number(program: Program, plan: ClassPlan) -> str:
    """Where something that is no plain number may reach a Value, in words; "" if nowhere."""
    return strange_object(program, plan) or strange_store(program, plan) or boolean_data(program, plan)


# ---- objects of other packages --------------------------------------------------------------------------------------


def strange_object(program: Program, plan: ClassPlan) -> str:
    carriers = {
        name
        for name, meaning in program.imports.items()
        if meaning.split(".")[0] in program.foreign() | STRANGE_NUMBERS
    }
    for node in program.of(ast.Constant):
        if isinstance(node.value, complex):
            return f"line {node.lineno} has a complex number"
    if not carriers:
        return ""
    spread(program, carriers)
    for sink in sinks(program, plan):
        if carries(sink, carriers):
            return f"a number of another package may reach it in line {sink.lineno}"
    return ""


def spread(program: Program, carriers: set[str]) -> None:
    """Add every name that may hold something made from a carrier."""
    before = -1
    while before != len(carriers):
        before = len(carriers)
        for node in program.nodes:
            for source, targets in flows(node):
                if carries(source, carriers):
                    carriers.update(targets)
        carriers.update(parameters_given(program, carriers))


def flows(node: ast.AST) -> Iterator[tuple[ast.AST | None, list[str]]]:
    """(expression, names it goes into)"""
    if isinstance(node, ast.Assign):
        yield node.value, [name for target in node.targets for name in stored_in(target)]
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)):
        yield node.value, stored_in(node.target)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield node.iter, stored_in(node.target)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.context_expr, stored_in(node.optional_vars)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for inner in walk(node):
            if isinstance(inner, (ast.Return, ast.Yield)):
                yield inner.value, [node.name]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            yield argument, stored_in(node.func.value)


def stored_in(target: ast.AST) -> list[str]:
    """The names that an assignment to this target changes, or changes something of."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for part in target.elts for name in stored_in(part)]
    if isinstance(target, (ast.Starred, ast.Subscript)):
        return stored_in(target.value)
    if isinstance(target, ast.Attribute):
        return [target.attr]
    return [target.id] if isinstance(target, ast.Name) else []


def parameters_given(program: Program, carriers: set[str]) -> set[str]:
    """Parameters of the user's functions that are called with a carrier."""
    called = set()
    for node in program.of(ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if any(carries(argument, carriers) for argument in given):
            called.update(stored_in(node.func))
    return {
        argument.arg
        for node in program.of(ast.FunctionDef, ast.AsyncFunctionDef)
        if node.name in called or "__init__" in called
        for argument in walk(node.args)
        if isinstance(argument, ast.arg)
    }


def carries(node: ast.AST | None, carriers: set[str]) -> bool:
    """Whether a carrier is named in an expression, conversions to Python's own numbers left out."""
    if node is None:
        return False
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in CONVERSIONS:
            return False
        if isinstance(node.func, ast.Attribute) and node.func.attr in TO_PYTHON:
            return False
    if (isinstance(node, ast.Name) and node.id in carriers) or (
        isinstance(node, ast.Attribute) and node.attr in carriers
    ):
        return True
    return any(carries(child, carriers) for child in child_nodes(node))


def sinks(program: Program, plan: ClassPlan) -> Iterator[ast.expr]:
    """Expressions whose value comes to be in a Value, or meets one in an operation."""
    for call in program.class_calls():
        yield from call.args
        yield from (keyword.value for keyword in call.keywords)
    for target, value in program.attribute_stores():
        if target.attr in plan.fields.values():
            yield value if value is not None else target
    for node in program.of(ast.BinOp, ast.AugAssign):
        if isinstance(node, ast.BinOp) and not isinstance(node.left, ast.Constant):
            if not isinstance(node.right, ast.Constant):
                yield node
        elif isinstance(node, ast.AugAssign) and not isinstance(node.value, ast.Constant):
            yield node.value


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
    return isinstance(
        value,
        (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Lambda, ast.JoinedStr),
    )


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
