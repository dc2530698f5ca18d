"""Which expressions may be, or hold, something of a kind: followed from where it is made, through names, attributes,
calls and loops, until nothing new comes. Keys of dictionaries are left out, and what is stored into an object by
roundabout ways is not seen: whoever relies on this looks once more when the script runs (support.no_value, and
the engine's guard of numbers)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator

from ..syntax.program import Program
from ..syntax.scopes import FUNCTIONS, parameters
from ..syntax.tree import child_nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NUMBERS_AND_TEXTS = {
    *("len", "int", "float", "str", "repr", "bool", "range", "print", "isinstance", "hasattr", "ord", "chr", "round"),
    *("id", "hash", "format", "open", "input", "type"),
}
PARTS_OF = {"values", "items", "get", "setdefault", "pop"}
COLLECTIONS = (
    *(ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.Lambda),
)
# The parts that an expression has its value from, where those are not all of them.
SOURCES = {
    ast.Subscript: ("value",),
    ast.NamedExpr: ("value",),
    ast.IfExp: ("body", "orelse"),
    ast.JoinedStr: (),
    ast.ListComp: ("elt",),
    ast.SetComp: ("elt",),
    ast.GeneratorExp: ("elt",),
    ast.Lambda: ("body",),
    ast.DictComp: ("value",),
    ast.Dict: ("values",),
}
FLOWS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem),
    *(ast.Return, ast.Yield, ast.YieldFrom, ast.Call),
)


def sources(node: ast.AST) -> list[ast.AST]:
    """The parts of an expression that its value may be made of."""
    if type(node) not in SOURCES:
        return child_nodes(node)
    found = [getattr(node, name) for name in SOURCES[type(node)]]
    return found[0] if found and isinstance(found[0], list) else found


def values(program: Program, *numbers: str) -> Flow:
    """The flow of Values. numbers: the attributes that hold numbers in every Value."""
    elsewhere = program.foreign() if program.beside is None else {*program.beside, ""}

    def judge(node: ast.AST) -> bool | None:
        if isinstance(node, ast.Name):
            meaning = program.imports.get(node.id)
            return program.is_class(node) or (meaning is not None and meaning.split(".")[0] in elsewhere) or None
        if isinstance(node, ast.Call) and program.meaning(node.func) in NUMBERS_AND_TEXTS:
            return False
        return False if isinstance(node, ast.Compare) or getattr(node, "attr", None) in numbers else None

    if numbers not in program.analyses:
        program.analyses[numbers] = Flow(program, judge, called_elsewhere(program))
    return program.analyses[numbers]  # type: ignore[no-any-return]


def called_elsewhere(program: Program) -> Iterator[ast.AST]:
    """Functions that nobody sees called, so that they may be given Values: methods of the class, which Python may call
    (repr(x), x == y), and whatever is not only called by its name: map(lambda x: f(x), values)."""
    names = set()
    for node in program.of(ast.Name, ast.Attribute):
        call = program.parents.get(node)
        if isinstance(node.ctx, ast.Load) and not (isinstance(call, ast.Call) and call.func is node):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    kinds = program.names_class.values()
    for one in program.of(ast.FunctionDef):
        plain = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in one.decorator_list)
        if one.name in names or (program.parents.get(one) in kinds and one.name != "__init__" and not plain):
            yield one
    for one in program.of(ast.Lambda):
        made = program.parents.get(one)
        targets = made.targets if isinstance(made, ast.Assign) else [None]
        if not all(isinstance(target, ast.Name) and target.id not in names for target in targets):
            yield one


class Flow:
    """Where something may be in one program. judge: whether a node surely holds it, surely not, or (None) whether that
    depends on its parts. given: functions to which anybody may give it."""

    def __init__(
        self, program: Program, judge: Callable[[ast.AST], bool | None], given: Iterable[ast.AST] = ()
    ) -> None:
        self.program, self.judge = program, judge
        self.held: set[Any] = set()  # (scope, name), functions of which the result holds it, and attributes
        self.filled: set[Any] = set()  # those of the names in whose objects it was stored
        self.itself: set[Any] = set()  # those that may be it, and not only hold it
        functions = [info for info in program.scopes.all if isinstance(info.node, FUNCTIONS)]
        self.keys = {part: (info, part.arg) for info in functions for part in parameters(info.node)}  # type: ignore[arg-type]
        self.methods: dict[str, list[ast.FunctionDef]] = {}
        for node in program.of(ast.FunctionDef):
            if isinstance(program.parents.get(node), ast.ClassDef):
                self.methods.setdefault(node.name, []).append(node)
        for function in given:
            for parameter in parameters(function):  # type: ignore[arg-type]
                self.hold(parameter)
        before = -1
        while before != (before := len(self.held) + len(self.filled) + len(self.itself)):
            for node in program.of(*FLOWS):
                self.follow(node)

    # ---- what holds it ----

    def holds(self, node: ast.AST | None) -> bool:
        if node is None:
            return False
        judged = self.judge(node)
        if judged is not None:
            return judged
        if isinstance(node, ast.Name):
            return self.key(node) in self.held
        if isinstance(node, ast.Call):
            called = list(self.called(node))
            inside = not called or isinstance(node.func, ast.Attribute)
            return (inside and any(map(self.holds, child_nodes(node)))) or any(map(self.returned, called))
        return getattr(node, "attr", None) in self.held or any(map(self.holds, sources(node)))

    def may_be(self, node: ast.AST | None) -> bool:
        """Whether it may be the thing itself: not a list of them."""
        if isinstance(node, ast.Name) and self.key(node) in self.held:
            return self.key(node) in self.itself
        return not isinstance(node, COLLECTIONS) and self.holds(node)

    def returned(self, function: Any) -> bool:
        if isinstance(function, ast.Lambda):
            return self.holds(function.body)
        made = function.args.args[:1] if function.name == "__init__" else []
        return function in self.held or any(self.keys[name] in self.held for name in made)

    def called(self, call: ast.Call) -> Iterator[Any]:
        """The script's own functions that a call may mean."""
        if isinstance(call.func, ast.Name):
            found = self.program.definition(call.func.id)
            if isinstance(found, (ast.FunctionDef, ast.Lambda)):
                yield found
            elif not self.program.is_class(call.func):
                made = self.methods.get("__init__", ())
                yield from (one for one in made if self.program.parents[one].name == call.func.id)  # type: ignore[attr-defined]
        elif isinstance(call.func, ast.Attribute):
            yield from self.methods.get(call.func.attr, ())

    def key(self, name: Any) -> Any:
        """What a name or a parameter stands for; None for a builtin."""
        if isinstance(name, ast.arg):
            return self.keys[name]
        scope = self.program.scopes.meaning(name)
        return (scope, name.id) if scope is not None else None

    # ---- where it goes ----

    def hold(self, target: ast.AST | None, itself: bool = True, inside: bool = False) -> None:
        """From now on this may hold it, or be it itself; `inside`: because something was stored into the object."""
        if isinstance(target, (ast.Name, ast.arg)):
            key = {self.key(target)} - {None}
            self.held |= key
            self.filled |= key if inside else set()
            self.itself |= key if itself and not inside else set()
        elif isinstance(target, ast.Attribute):
            self.held.add(target.attr)
            self.hold(target.value, inside=True)
        elif isinstance(target, (ast.Subscript, ast.Starred)):
            self.hold(target.value, inside=True)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.hold(part, itself)

    def follow(self, node: Any) -> None:
        if isinstance(node, ast.Call):
            self.follow_call(node)
        elif isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            if self.holds(node.value):
                self.held.add(self.program.around(node, *FUNCTIONS))
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self.bind(node.target, node.iter, True)
        elif isinstance(node, ast.withitem):
            self.bind(node.optional_vars, node.context_expr, True)
        elif isinstance(node, ast.AugAssign):
            if self.holds(node.value):
                self.hold(node.target, self.may_be(node.value))
                self.hold(node.target, inside=True)
        else:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.bind(target, node.value)

    def bind(self, target: ast.AST | None, value: ast.AST | None, part_of: bool = False) -> None:
        """A value, or a part of it, to a target; tuples one by one, as far as `enumerate`, `zip`, `items` show them."""
        parts: list[Any] = []
        if isinstance(value, ast.Tuple):
            parts = value.elts
        elif isinstance(value, ast.Call) and self.program.meaning(value.func) == "zip":
            parts = value.args
        elif isinstance(value, ast.Call) and self.program.meaning(value.func) == "enumerate":
            parts = [None, *value.args[:1]]
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "items":
            parts = [None, value.func.value]
        if isinstance(target, ast.Tuple) and len(target.elts) == len(parts):
            for one, other in zip(target.elts, parts):
                self.bind(one, other, part_of or not isinstance(value, ast.Tuple))
        elif self.holds(value):
            self.hold(target, part_of or isinstance(target, ast.Tuple) or self.may_be(value))
        elif isinstance(target, (ast.Name, ast.arg)) and self.key(target) in self.filled:
            self.hold_origin(value)

    def hold_origin(self, value: ast.AST | None) -> None:
        """What another name of an object, or of a part of it, may have put into it."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in PARTS_OF:
            value = value.func.value
        if isinstance(value, (ast.Name, ast.Subscript, ast.Attribute)) and self.judge(value) is not False:
            self.hold(value, inside=True)

    def follow_call(self, call: ast.Call) -> None:
        """Arguments into parameters, and into the object whose method is called."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        holding = any(map(self.holds, given))
        if isinstance(call.func, ast.Attribute) and holding and not self.stays_nowhere(call.func):
            self.hold(call.func.value, inside=True)
        unpacked = any(isinstance(value, ast.Starred) for value in given) or None in [k.arg for k in call.keywords]
        for function in self.called(call):
            names = parameters(function)
            own = names[:1] if isinstance(self.program.parents.get(function), ast.ClassDef) else []
            for name in names if unpacked and holding else ():
                self.hold(name)
            if own and isinstance(call.func, ast.Attribute):
                self.bind(own[0], call.func.value)
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            for name, value in [*zip(names[len(own) :], call.args), *((name, named.get(name.arg)) for name in names)]:
                self.bind(name, value)

    def stays_nowhere(self, function: ast.Attribute) -> bool:
        """The script's own methods are followed; in a module that comes with Python nothing stays (math.isnan)."""
        module = (self.program.meaning(function) or "").split(".")[0]
        return function.attr in self.methods or module in sys.stdlib_module_names
