"""A flag that the script switches, and that decides whether nodes keep their children: what `no_grad` turns off.

    class Value:
        tracking = True
        def __init__(self, data, children=(), local_grads=()):
            self._children = children if Value.tracking else ()

It is an attribute of the class, or a name beside it. Methods are looked at twice, with the flag on and off. Where the
script assigns it, the engine is told (_engine.set_graph): what is made while the flag is off has no children.
"""

from __future__ import annotations

import ast

from ..syntax.program import Program
from ..syntax.record import Record
from ..syntax.tree import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.Import, ast.ImportFrom)


class Flag(Record):
    """One flag. scope: where its name is bound; None for an attribute of the class. on: its value where nodes have
    children."""

    name: str
    scope: Any
    on: bool

    def put(self, sandbox: Any, kind: type | None, value: bool) -> None:
        """Give it a value in a sandbox that the class is run in."""
        if self.scope is not None:
            sandbox.names[self.name] = value
        elif kind is not None:
            setattr(kind, self.name, value)

    def is_stored(self, program: Program, target: ast.AST) -> bool:
        """Whether an assignment to this target switches it."""
        if self.scope is None:
            return isinstance(target, ast.Attribute) and target.attr == self.name and program.is_class(target.value)
        return is_name_of(program, target, self.name, self.scope)


def find_flag(program: Program, node: ast.ClassDef) -> Flag | None:
    """The one flag of a class."""
    found = [flag for flag in [*of_class(program, node), *beside(program, node)] if is_switched(program, node, flag)]
    return found[0] if len(found) == 1 else None


def of_class(program: Program, node: ast.ClassDef) -> list[Flag]:
    body = [s for s in node.body if isinstance(s, (ast.Assign, ast.AnnAssign))]
    pairs = [(s.targets[0] if isinstance(s, ast.Assign) else s.target, s.value) for s in body]
    names = [(target.id, value) for target, value in pairs if isinstance(target, ast.Name) and is_bool(value)]
    return [Flag(name, None, is_on(value)) for name, value in names]


def beside(program: Program, node: ast.ClassDef) -> list[Flag]:
    """Names of the scope that the class stands in, or of the module, that are True or False at first."""
    inside = {n.id for n in walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    found = []
    bodies = [program.tree.body, *([program.home_body] if program.home is not program.scopes.module else [])]
    for statement in (each for body in bodies for each in before_any_node(body, node)):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and is_bool(statement.value):
            target = statement.targets[0]
            if isinstance(target, ast.Name) and target.id in inside:
                found.append(Flag(target.id, program.scopes.meaning(target), is_on(statement.value)))
    return found


def before_any_node(body: list[ast.stmt], node: ast.ClassDef) -> list[ast.stmt]:
    """The statements that surely run before a node is made."""
    at = next(k for k, each in enumerate(body) if each.lineno <= node.lineno <= (each.end_lineno or 0))
    later = next((k for k in range(at, len(body)) if not isinstance(body[k], DEFINITIONS)), len(body))
    return body[: later + 1]


def is_bool(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is bool


def is_on(node: Any) -> bool:
    return bool(node.value)


def is_name_of(program: Program, node: ast.AST, name: str, scope: Any) -> bool:
    known = isinstance(node, ast.Name) and node.id == name and node in program.scopes.scope_of
    return known and program.scopes.meaning(node) is scope  # type: ignore[arg-type]


def is_switched(program: Program, node: ast.ClassDef, flag: Flag) -> bool:
    """Whether it is assigned after its first value, and only by assignments of the whole."""
    stores: list[Any]
    if flag.scope is None:
        stores = [target for target, _ in program.attribute_stores() if target.attr == flag.name]
    else:
        stores = [n for n in program.scopes.occurrences(flag.name, flag.scope) if not isinstance(n.ctx, ast.Load)]
        if set(stores) != set(program.scopes.binders(flag.name, flag.scope)):
            return False
    by_name = any(isinstance(part, ast.Constant) and said == flag.name for part, said in program.said())
    plain = not by_name and all(
        isinstance(program.parents[target], ast.Assign) and flag.is_stored(program, target) for target in stores
    )
    return plain and len(stores) > (flag.scope is not None)
