"""User's code run apart from everything else, on stand-ins, to see what it computes.

Only code that can do nothing but compute is run: no imports, no names of the outside but a few functions, no attributes
of Python's own machinery. Loops and calls are counted, so that it comes to an end.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable

from ..syntax.match import plain
from ..syntax.program import Program
from ..syntax.tree import PARTS, copied, walk
from .symbolic import Mathematics, Tracer, Unknown, kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOBODY_KNOWS = object()  # a name of the outside, where it cannot be told what that stands for
MOST_STEPS = 20_000
LARGEST = 1024  # constant, apart from those between -1 and 1
PLAIN = {
    name: getattr(builtins, name)
    for name in (
        *("abs", "enumerate", "id", "isinstance", "iter", "len", "list", "map", "max", "min", "next", "range"),
        *("reversed", "sum", "tuple", "zip", "bool", "dict", "str", "TypeError", "ValueError", "AssertionError"),
        *("NotImplemented", "object", "staticmethod", "property", "__build_class__"),
    )
}
NODES = (
    *(ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign),
    *(ast.For, ast.While, ast.If, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.Assert, ast.Nonlocal),
    *(ast.BoolOp, ast.boolop, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.IfExp, ast.Compare, ast.cmpop),
    *(ast.Call, ast.keyword, ast.Constant, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred, ast.Name, ast.List),
    *(ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.GeneratorExp, ast.comprehension, ast.expr_context, ast.Raise),
    *(ast.JoinedStr, ast.FormattedValue, ast.NamedExpr),
)
OPERATORS = {
    f"__{side}{name}__" for side in ("", "r") for name in ("add", "mul", "sub", "pow", "truediv", "neg", "init")
}
NOWHERE = {"lineno": 1, "end_lineno": 1, "col_offset": 0, "end_col_offset": 0}
HIDDEN = {"format", "format_map", "mro", "tracer"}


def is_tame(node: ast.AST) -> bool:
    """Whether nothing but computing is done by this code, as far as its form tells, annotations left out."""
    return all(isinstance(part, NODES) and is_tame_alone(part) for part in walk(plain(node) or ast.Pass()))


def is_tame_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return (not node.attr.startswith(("__", "sb_")) and node.attr not in HIDDEN) or node.attr in OPERATORS
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return abs(node.value) <= LARGEST
    if isinstance(node, ast.Constant):
        return node.value in (None, ...) or isinstance(node.value, (float, str))
    if isinstance(node, ast.FunctionDef):
        return all(isinstance(one, ast.Name) and one.id in ("property", "staticmethod") for one in node.decorator_list)
    if isinstance(node, ast.BinOp):
        return not isinstance(node.op, ast.LShift) and not (isinstance(node.op, ast.Pow) and is_concrete(node.left))
    return True


def is_concrete(node: ast.expr) -> bool:
    """Nothing but constants, whose powers may be of any size."""
    return all(
        isinstance(part, (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)) for part in walk(node)
    )


def with_own_names(node: Any, change: Callable[[Any], Any] | None = None) -> Any:
    """A copy of a tree whose names are the tree's own, by which their scope is known. `change` makes something else of
    each part, from the inside to the outside."""
    made = node if type(node) is ast.Name else copied(node)
    for name in PARTS[type(node)]:
        value = vars(node).get(name)
        if isinstance(value, ast.AST):
            setattr(made, name, with_own_names(value, change))
        elif type(value) is list:
            parts = [with_own_names(part, change) if isinstance(part, ast.AST) else part for part in value]
            setattr(made, name, parts)
    return change(made) if change is not None else made


def own_call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(function, ast.Load()), [*arguments], [])


def module_of(body: list[ast.stmt]) -> ast.Module:
    """A module to be compiled. Where its parts stand in a source is no matter."""
    module = ast.Module(body, [])
    for part in walk(module):
        if part._attributes and "lineno" not in vars(part):
            vars(part).update(NOWHERE)
    return module


class Members:
    """A set: it has no order, so nothing may go through it."""

    def __init__(self, members: Iterable[Any] = ()) -> None:
        self.members = {each if isinstance(each, int) else id(each): each for each in members}

    def add(self, each: Any) -> None:
        self.members[each if isinstance(each, int) else id(each)] = each

    def discard(self, each: Any) -> None:
        self.members.pop(each if isinstance(each, int) else id(each), None)

    def __contains__(self, each: Any) -> bool:
        return (each if isinstance(each, int) else id(each)) in self.members

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Any:
        raise Unknown("the order of a set")


class Ids(Members):
    """A set of numbers, where Values would be told apart by code of the user's."""

    def __contains__(self, each: Any) -> bool:
        if not isinstance(each, int):
            raise Unknown("a set of Values")
        return super().__contains__(each)


class Sandbox:
    """A place where definitions of a program are run, on stand-ins for numbers."""

    constants: tuple[type, ...] = (int, float, bool)  # the kinds whose names are known inside

    def __init__(self, program: Program | None, tracer: Tracer | None = None) -> None:
        self.program = program
        self.tracer = tracer or Tracer()
        self.steps = 0
        self.renamed: dict[str, str] = {}  # attributes, by names that nothing else has
        self.math = Mathematics(self.tracer)
        functions = {**PLAIN, "set": Members, **kinds(self.tracer), "__tick__": self.tick, "__unknown__": self.unknown}
        self.names: dict[str, Any] = {"__builtins__": functions, "__name__": "sandbox"}

    def tick(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Unknown("no end")

    def unknown(self, name: str) -> None:
        raise Unknown(f"what {name} is cannot be told")

    def is_unknown(self, name: ast.Name) -> bool:
        """Whether this reads a name of the outside, and nobody knows what it stands for: it may be anything, so that
        no stand-in would do (`if TRAINING:`)."""
        if self.names.get(name.id) is not NOBODY_KNOWS or not isinstance(name.ctx, ast.Load) or self.program is None:
            return False
        return name in self.program.scopes.scope_of and self.is_outside(self.program, name)

    @staticmethod
    def is_outside(program: Program, name: ast.Name) -> bool:
        return program.scopes.meaning(name) in (program.scopes.module, program.home)

    def define(self, *definitions: ast.stmt) -> None:
        """Run definitions, after those of the program that they need. Raises whatever can go wrong."""
        for node in definitions:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                self.names.setdefault(node.name, None)  # it may need itself
            self.supply(node)
        module = module_of([with_own_names(node, self.counted) for node in definitions])
        exec(compile(module, "<sandbox>", "exec", dont_inherit=True), self.names)

    def counted(self, node: Any) -> Any:
        """Counts the turns of loops and the calls of functions; drops annotations; makes sets by calls."""
        kind = type(node)
        if kind is ast.Name:
            return own_call("__unknown__", ast.Constant(node.id)) if self.is_unknown(node) else node
        if kind is ast.FunctionDef:
            node.returns = None
        if kind in (ast.For, ast.While, ast.FunctionDef):
            node.body = [ast.Expr(own_call("__tick__")), *node.body]
        elif kind is ast.comprehension:
            node.ifs = [ast.Compare(own_call("__tick__"), [ast.Is()], [ast.Constant(None)]), *node.ifs]
        elif kind is ast.Attribute:
            node.attr = self.renamed.get(node.attr, node.attr)
        elif kind is ast.arg:
            node.annotation = None
        elif kind is ast.AnnAssign:
            return ast.Assign([node.target], node.value) if node.value is not None else ast.Pass()
        elif kind is ast.Set:
            return own_call("set", ast.List(node.elts, ast.Load()))
        return node

    def supply(self, node: ast.AST) -> None:
        """What the names of the outside stand for, where that is known: math, constants, small functions."""
        program = self.program
        if program is None:
            return
        for name in walk(node):
            if not isinstance(name, ast.Name) or name.id in self.names or name not in program.scopes.scope_of:
                continue
            if self.is_outside(program, name):
                self.supply_name(program, name)

    def supply_name(self, program: Program, name: ast.Name) -> None:
        meaning = program.meaning(name)
        if meaning == "math":
            self.names[name.id] = self.math
        elif meaning is not None and meaning.startswith("math."):
            self.names[name.id] = getattr(self.math, meaning.removeprefix("math."))
        else:
            found = program.definition(name.id)
            if isinstance(found, ast.FunctionDef) and is_tame(found):
                self.define(found)
            elif isinstance(found, ast.Constant) and type(found.value) in self.constants:
                self.names[name.id] = found.value
            else:
                self.names[name.id] = NOBODY_KNOWS
