"""A class that is a dataclass, written out: the methods that the decorator would have made stand in its body.

@dataclass(eq=False)
class Value:                       ->   class Value:
    data: float                             def __init__(self, data, grad=0):
    grad: float = 0                             self.data = data
                                                self.grad = grad
"""

from __future__ import annotations

import ast
import sys

from ..syntax.record import Record
from ..syntax.tree import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPTIONS: dict[str, Any] = {"repr": True, "eq": True, "slots": False}
FIELD: dict[str, Any] = {"repr": True, "compare": True, "init": True, "hash": None}
EMPTY = {"tuple": "()", "float": "0.0", "int": "0", "list": "[]", "dict": "{}", "set": "set()"}
NOT_SO = ("ClassVar", "InitVar", "KW_ONLY")
LOOKS_INSIDE = ("asdict", "astuple", "is_dataclass", "make_dataclass", "__dataclass_fields__", "__match_args__")


class Field(Record):
    """One field: what is said of it, its default in the signature ("" for none), and what is stored."""

    name: str
    said: dict[str, Any]
    default: str
    stored: str


class Unclear(Exception):
    """It is not known what the decorator would make."""


def write_out(tree: ast.Module) -> list[ast.stmt]:
    """Write out the class that may be the script's Value, if it is a dataclass that can be. Returns what was added."""
    names = {a.asname or a.name: a.name for s in tree.body if isinstance(s, ast.ImportFrom) for a in s.names}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and len(node.decorator_list) == 1:
            called = node.decorator_list[0]
            function = called.func if isinstance(called, ast.Call) else called
            source = ast.unparse(function)
            if names.get(source) == "dataclass" or source == "dataclasses.dataclass":
                try:
                    return written_out(tree, node, called)
                except (Unclear, ValueError):
                    return []
    return []


def written_out(tree: ast.Module, node: ast.ClassDef, decorator: ast.expr) -> list[ast.stmt]:
    defined = {s.name: s for s in node.body if isinstance(s, ast.FunctionDef)}
    if not defined.keys() >= {"__add__", "__mul__", "backward"} or node.bases or node.keywords or looks_inside(tree):
        return []
    options = read(decorator, OPTIONS) if isinstance(decorator, ast.Call) else OPTIONS
    annotated = [s for s in node.body if isinstance(s, ast.AnnAssign)]
    fields = [read_field(statement) for statement in annotated]
    sources = [constructor(fields, defined.get("__post_init__"))]
    if options["slots"]:
        sources.append(f"__slots__ = {tuple(field.name for field in fields)!r}")
    if options["repr"] and "__repr__" not in defined:
        shown = ", ".join(f"{field.name}={{self.{field.name}!r}}" for field in fields if field.said["repr"])
        sources.append(f"def __repr__(self):\n    return f'{node.name}({shown})'")
    hashed = "__hash__" in defined or any(ast.unparse(s).startswith("__hash__ =") for s in node.body)
    if options["eq"] and "__eq__" not in defined:
        sources.append(equality(node.name, [field.name for field in fields if field.said["compare"]]))
        sources += [] if hashed else ["__hash__ = None"]
    made = ast.parse("\n".join(sources)).body
    for statement in made:
        for part in walk(statement):
            if "lineno" in part._attributes:
                ast.copy_location(part, node)
    kept = [s for s in node.body if s not in annotated and s is not defined.get("__post_init__")]
    init = made[0]
    if isinstance(init, ast.FunctionDef) and "__post_init__" in defined:
        init.body += defined["__post_init__"].body
    node.body, node.decorator_list = [*made, *kept], []
    return made


def looks_inside(tree: ast.Module) -> bool:
    """Whether the script asks what fields a class has, or matches by their places."""
    for part in walk(tree):
        if isinstance(part, ast.MatchClass) or getattr(part, "id", getattr(part, "attr", "")) in LOOKS_INSIDE:
            return True
        if isinstance(part, ast.Attribute) and ast.unparse(part) in ("dataclasses.fields", "dataclasses.replace"):
            return True
        if (
            isinstance(part, ast.ImportFrom)
            and part.module == "dataclasses"
            and {alias.name for alias in part.names} - {"dataclass", "field"}
        ):
            return True
    return False


def read(call: ast.Call, known: dict[str, Any], *others: str) -> dict[str, Any]:
    """The options that a call gives, but for some; all must be known."""
    given = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords if k.arg not in others}
    if call.args or not given.keys() <= known.keys():
        raise Unclear
    return {**known, **given}


def read_field(statement: ast.AnnAssign) -> Field:
    value, annotation = statement.value, ast.unparse(statement.annotation)
    if not isinstance(statement.target, ast.Name) or any(word in annotation for word in NOT_SO):
        raise Unclear
    name, said, default = statement.target.id, FIELD, ""
    stored = name
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("field", "dataclasses.field"):
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        said = read(value, FIELD, "default", "default_factory")
        default = constant(given["default"]) if "default" in given else ""
        if "default_factory" in given:
            made = made_by(given["default_factory"])
            fresh = made not in ("()", "0.0", "0")  # one of its own for every instance
            default, stored = ("...", f"{made} if {name} is ... else {name}") if fresh else (made, name)
    elif value is not None:
        default = constant(value)
    if not said["init"]:
        stored = stored.split(" if ")[0] if default == "..." else default
    return Field(name, said, default, stored)


def constant(node: ast.expr) -> str:
    ast.literal_eval(node)
    return ast.unparse(node)


def made_by(factory: ast.expr) -> str:
    if isinstance(factory, ast.Lambda) and not any(isinstance(part, ast.arg) for part in walk(factory.args)):
        return constant(factory.body)
    if ast.unparse(factory) not in EMPTY:
        raise Unclear
    return EMPTY[ast.unparse(factory)]


def constructor(fields: list[Field], after: ast.FunctionDef | None) -> str:
    if after is not None and (len(after.args.args) != 1 or after.decorator_list):
        raise Unclear
    me = after.args.args[0].arg if after is not None else "self"
    given = [f"{field.name}={field.default}" if field.default else field.name for field in fields if field.said["init"]]
    stores = [f"    {me}.{field.name} = {field.stored}" for field in fields if field.stored]
    return "\n".join([f"def __init__({', '.join([me, *given])}):", *stores])


def equality(kind: str, names: list[str]) -> str:
    """By the fields: as tuples, from Python 3.13 on one by one."""
    mine, theirs = ("".join(f"{one}.{name}, " for name in names) for one in ("self", "other"))
    alike = f"({mine}) == ({theirs})"
    if sys.version_info >= (3, 13):
        alike = " and ".join(f"self.{name} == other.{name}" for name in names) or "True"
    return f"def __eq__(self, other):\n    return ({alike}) if isinstance(other, {kind}) else NotImplemented"
