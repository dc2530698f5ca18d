"""A class that is a dataclass, written out: the methods that the decorator would make stand in its body.

@dataclass(eq=False)
class Value:                       ->   class Value:
    data: float                             def __init__(self, data, grad=0):
    grad: float = 0                             self.data = data
                                                self.grad = grad
"""

from __future__ import annotations

import ast
import builtins
import sys

from ..syntax.calls import placed
from ..syntax.tree import walk
from .sandbox import is_tame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOOKS_INSIDE = {"fields", "replace", "asdict", "astuple", "is_dataclass", "make_dataclass"}
KNOWN = ("__import__", "__build_class__", "tuple", "list", "dict", "set", "float", "int")
SHOWN_INSIDE = {"__dataclass_fields__", "__dataclass_params__", "__match_args__"}


def write_out(tree: ast.Module) -> list[ast.stmt]:
    """Write out the class that may be the script's Value, if it is a dataclass that can be. Returns what was added."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and len(node.decorator_list) == 1 and not (node.bases or node.keywords):
            defined = {s.name: s for s in node.body if isinstance(s, ast.FunctionDef)}
            if defined.keys() >= {"__add__", "__mul__", "backward"} and not looks_inside(tree):
                try:
                    return written_out(tree, node, defined)
                except Exception:  # it is left with its decorator, for which the class stays the script's
                    return []
    return []


def looks_inside(tree: ast.Module) -> bool:
    """Whether the script asks what fields a class has, or matches by their places."""
    for part in walk(tree):
        said = getattr(part, "attr", getattr(part, "id", getattr(part, "value", "")))
        module = isinstance(part, ast.ImportFrom) and part.module == "dataclasses" and part.names
        asks = isinstance(part, ast.Attribute) and ast.unparse(part.value) == "dataclasses" and said in LOOKS_INSIDE
        if asks or isinstance(part, ast.MatchClass) or (isinstance(said, str) and said in SHOWN_INSIDE):
            return True
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and part.name in ("dataclass", "field"):
            return True
        if module and {alias.name for alias in module} & {*LOOKS_INSIDE, "*"}:
            return True
    return False


def written_out(tree: ast.Module, node: ast.ClassDef, defined: dict[str, ast.FunctionDef]) -> list[ast.stmt]:
    import dataclasses

    annotated = [s for s in node.body if isinstance(s, ast.AnnAssign)]
    kind = with_fields(tree, node, annotated)
    options, fields = kind.__dataclass_params__, dataclasses.fields(kind)
    names = [field.name for field in fields]
    odd = options.order or options.frozen or options.unsafe_hash or not options.init
    if odd or names != [ast.unparse(s.target) for s in annotated] or any(field.kw_only for field in fields):
        return []
    sources = [constructor(fields, defined.get("__post_init__"), dataclasses.MISSING)]
    if "__slots__" in vars(kind):
        sources.append(f"__slots__ = {tuple(names)!r}")
    if options.repr and "__repr__" not in defined:
        shown = ", ".join(f"{field.name}={{self.{field.name}!r}}" for field in fields if field.repr)
        sources.append(f"def __repr__(self):\n    return f'{node.name}({shown})'")
    if options.eq and "__eq__" not in defined:
        sources.append(equality(node.name, [field.name for field in fields if field.compare]))
        hashed = "__hash__" in defined or any(ast.unparse(s).startswith("__hash__ =") for s in node.body)
        sources += [] if hashed else ["__hash__ = None"]
    made = [placed(statement, node) for statement in map(at_no_place, ast.parse("\n".join(sources)).body)]
    after = defined.get("__post_init__")
    made[0].body += after.body if after is not None else []  # type: ignore[attr-defined]
    node.body = [*made, *(s for s in node.body if s not in annotated and s is not after)]
    node.decorator_list = []
    return made


def with_fields(tree: ast.Module, node: ast.ClassDef, annotated: list[ast.AnnAssign]) -> Any:
    """The dataclass without its methods, made by the decorator itself."""
    imports = [s for s in tree.body if ast.unparse(s).startswith(("import dataclasses", "from dataclasses import"))]
    if not all(map(is_tame, [*annotated, ast.Expr(node.decorator_list[0])])):
        raise ValueError("fields that are computed")
    source = ["from __future__ import annotations", *map(ast.unparse, imports)]
    source += [f"@{ast.unparse(node.decorator_list[0])}", f"class {node.name}:"]
    names: dict[str, Any] = {"__name__": __name__, "__builtins__": {name: getattr(builtins, name) for name in KNOWN}}
    exec("\n".join([*source, *(f"    {ast.unparse(s)}" for s in annotated)]), names)
    return names[node.name]


def constructor(fields: Any, after: ast.FunctionDef | None, missing: Any) -> str:
    """Its source. What a factory makes, which is another one for every instance, has `...` as its default."""
    if after is not None and (len(after.args.args) != 1 or after.decorator_list):
        raise ValueError("what comes after the constructor has parameters")
    me = after.args.args[0].arg if after is not None else "self"
    given, stores = [me], []
    for field in fields:
        name, default = field.name, ""
        if field.default is not missing:
            default = repr(ast.literal_eval(repr(field.default)))
        elif field.default_factory is not missing:
            default = repr(ast.literal_eval(repr(field.default_factory())))
        if field.init:
            is_new = default in ("[]", "{}", "set()")
            given.append(f"{name}={'...' if is_new else default}" if default else name)
            default = f"{default} if {name} is ... else {name}" if is_new else name
        stores.append(f"    {me}.{name} = {default}" if default else "    pass")
    return "\n".join([f"def __init__({', '.join(given)}):", *stores])


def equality(kind: str, names: list[str]) -> str:
    """By the fields: as tuples, from Python 3.13 on one by one."""
    mine, theirs = ("".join(f"{one}.{name}, " for name in names) for one in ("self", "other"))
    alike = f"({mine}) == ({theirs})"
    if sys.version_info >= (3, 13):
        alike = " and ".join(f"self.{name} == other.{name}" for name in names) or "True"
    return f"def __eq__(self, other):\n    return ({alike}) if isinstance(other, {kind}) else NotImplemented"


def at_no_place(statement: ast.stmt) -> ast.stmt:
    for part in walk(statement):
        for name in part._attributes:
            delattr(part, name)
    return statement
