"""Counters of nodes: a class attribute that the constructor adds a number to, and nothing else in the class names.

    class Value:
        made = 0
        def __init__(self, data, children=(), local_grads=()):
            Value.made += 1

The engine knows how many nodes it made (_engine.count_nodes). The attribute holds what the script's own code put there;
where the script reads it, the nodes are added.
"""

from __future__ import annotations

import ast
import copy

from ..syntax.program import Program
from ..syntax.tree import walk

COPIES = {"copy", "pickle", "marshal", "shelve"}  # make nodes without the constructor


def find_counters(program: Program, node: ast.ClassDef) -> dict[str, int]:
    """{attribute: what the constructor adds}"""
    found = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            step = step_of(program, node, name)
            if step and len(statement.targets) == 1 and is_int(statement.value):
                found[name] = step
    return found


def is_int(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def is_counting(program: Program, statement: ast.stmt, names: set[str]) -> bool:
    """`Value.made += 1`"""
    return (
        isinstance(statement, ast.AugAssign)
        and isinstance(statement.op, ast.Add)
        and isinstance(statement.target, ast.Attribute)
        and statement.target.attr in names
        and program.is_class(statement.target.value)
        and is_int(statement.value)
    )


def step_of(program: Program, node: ast.ClassDef, name: str) -> int:
    """What the constructor adds to this attribute; 0 where the class does anything else with it."""
    mentions = [part for part in walk(node) if getattr(part, "attr", getattr(part, "value", None)) == name]
    init = constructor(node)
    counting = [s for s in init.body if is_counting(program, s, {name})] if init is not None else []
    if len(mentions) != 1 or len(counting) != 1:
        return 0
    return int(counting[0].value.value)  # type: ignore[attr-defined]


def constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"), None)


def without_counting(program: Program, node: ast.ClassDef, counters: dict[str, int]) -> ast.ClassDef:
    """The class with a constructor that does not count."""
    init = constructor(node)
    if not counters or init is None:
        return node
    made, inner = copy.copy(node), copy.copy(init)
    inner.body = [s for s in init.body if not is_counting(program, s, set(counters))]
    made.body = [inner if s is init else s for s in node.body]
    return made


def counters_show(program: Program, node: ast.ClassDef, counters: dict[str, int]) -> str:
    """Why a counter cannot be kept by the engine, or ""."""
    if not counters:
        return ""
    inside = set(walk(node))
    for part, name in program.said():
        if part in inside or name not in counters:
            continue
        if not (isinstance(part, ast.Attribute) and program.is_class(part.value) and is_plain_use(program, part)):
            return f"line {getattr(part, 'lineno', 0)} uses {name} in a way that the engine's own count does not serve"
    for module in sorted(program.used_modules()):
        if module.split(".")[0] in COPIES:
            return f"it counts its nodes, and {module} may copy them"
    return ""


def is_plain_use(program: Program, part: ast.Attribute) -> bool:
    """A read, or an assignment of a number that stands there."""
    parent = program.parents.get(part)
    if isinstance(part.ctx, ast.Load) or isinstance(parent, ast.AugAssign):
        return True
    return isinstance(parent, ast.Assign) and parent.targets == [part] and is_int(parent.value)
