"""Which expressions may be, or hold, something of a kind: followed from where it is made, through names, attributes,
calls and loops, until nothing new comes. Keys of dictionaries are left out, and what is stored into an object by
roundabout ways is not seen: whoever relies on this looks once more when the script runs (support.no_value, and
the engine's guard of numbers)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator

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
DISPLAYS = (
    ast.List,
    ast.Tuple,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.DictComp,
    ast.SetComp,
    ast.GeneratorExp,
    ast.Lambda,
)
FLOWS = (
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem),
    *(ast.Return, ast.Yield, ast.YieldFrom, ast.Call),
)


def values(program: Program, *numbers: str) -> Flow:
    """The flow of Values. numbers: the attributes that hold numbers in every Value."""
    if numbers in program.analyses:
        return program.analyses[numbers]  # type: ignore[no-any-return]
    elsewhere = program.foreign() if program.beside is None else {*program.beside, ""}
    methods: set[ast.AST] = {part for kind in program.names_class.values() for part in kind.body if is_method(part)}
    methods |= handed_on(program)

    def judge(node: ast.AST) -> bool | None:
        if isinstance(node, ast.Name):
            meaning = program.imports.get(node.id)
            scope = program.scopes.meaning(node) if node in program.scopes.scope_of else None
            given = parameters(scope.node) if scope is not None and scope.node in methods else []  # type: ignore[arg-type]
            of_method = any(one.arg == node.id for one in given)
            foreign = meaning is not None and meaning.split(".")[0] in elsewhere
            return program.is_class(node) or foreign or of_method or None
        if isinstance(node, ast.Attribute) and node.attr in numbers:
            return False
        if isinstance(node, ast.Call) and program.meaning(node.func) in NUMBERS_AND_TEXTS:
            return False
        return False if isinstance(node, ast.Compare) else None

    program.analyses[numbers] = Flow(program, judge)
    return program.analyses[numbers]  # type: ignore[no-any-return]


def handed_on(program: Program) -> set[ast.AST]:
    """Functions that are not only called by their names, so that nobody sees with what: map(lambda x: f(x), values)."""
    names = set()
    for node in program.of(ast.Name, ast.Attribute):
        call = program.parents.get(node)
        if isinstance(node.ctx, ast.Load) and not (isinstance(call, ast.Call) and call.func is node):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
    found: set[ast.AST] = {one for one in program.of(ast.FunctionDef) if one.name in names}
    for one in program.of(ast.Lambda):
        made = program.parents.get(one)
        targets = made.targets if isinstance(made, ast.Assign) else [None]
        if not all(isinstance(target, ast.Name) and target.id not in names for target in targets):
            found.add(one)
    return found


def is_method(part: ast.stmt) -> bool:
    """Whether this is a method of the class that Python may call: repr(x), x == y."""
    if not isinstance(part, ast.FunctionDef) or part.name == "__init__":
        return False
    return not any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in part.decorator_list)


class Flow:
    """Where something may be in one program. judge: whether a node surely holds it, surely not, or (None) whether that
    depends on its parts."""

    def __init__(self, program: Program, judge: Callable[[ast.AST], bool | None]) -> None:
        self.program, self.judge = program, judge
        self.held: set[Any] = set()  # (scope, name), functions of which the result holds it, and attributes
        self.filled: set[Any] = set()  # those of the names in whose objects it was stored
        self.itself: set[Any] = set()  # those that may be it, and not only hold it
        self.scope = {info.node: info for info in program.scopes.all}
        self.methods: dict[str, list[ast.FunctionDef]] = {}
        self.constructors: dict[str, list[ast.FunctionDef]] = {}
        for node in program.of(ast.FunctionDef):
            around = program.parents.get(node)
            if isinstance(around, ast.ClassDef):
                self.methods.setdefault(node.name, []).append(node)
                if node.name == "__init__":
                    self.constructors.setdefault(around.name, []).append(node)
        before = -1
        while before != (before := len(self.held) + len(self.filled) + len(self.itself)):
            for node in program.of(*FLOWS):
                self.follow(node)

    def holds(self, node: ast.AST | None) -> bool:
        if node is None or isinstance(node, (ast.Constant, ast.JoinedStr)):
            return False
        judged = self.judge(node)
        if judged is not None:
            return judged
        if isinstance(node, ast.Name):
            return self.key(node) in self.held
        if isinstance(node, ast.Attribute):
            return node.attr in self.held or self.holds(node.value)
        if isinstance(node, ast.Subscript):
            return self.holds(node.value)
        if isinstance(node, ast.Lambda):
            return self.holds(node.body)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self.holds(node.elt)
        if isinstance(node, ast.DictComp):
            return self.holds(node.value)
        if isinstance(node, ast.Dict):
            return any(map(self.holds, node.values))
        if isinstance(node, ast.Call):
            return self.result_holds(node)
        return any(map(self.holds, child_nodes(node)))

    def may_be(self, node: ast.AST | None) -> bool:
        """Whether it may be the thing itself: not a list of them."""
        if isinstance(node, ast.Name) and self.key(node) in self.held:
            return self.key(node) in self.itself
        return not isinstance(node, DISPLAYS) and self.holds(node)

    def result_holds(self, call: ast.Call) -> bool:
        called = list(self.called(call))
        if called and not isinstance(call.func, ast.Attribute):
            return any(self.returned(function) for function in called)
        return any(map(self.holds, child_nodes(call))) or any(self.returned(function) for function in called)

    def returned(self, function: Any) -> bool:
        if isinstance(function, ast.Lambda):
            return self.holds(function.body)
        made = function.args.args[:1] if function.name == "__init__" else []
        return function in self.held or any(self.is_held(function, name) for name in made)

    def called(self, call: ast.Call) -> Iterator[Any]:
        """The script's own functions that a call may mean."""
        if isinstance(call.func, ast.Name):
            found = self.program.definition(call.func.id)
            if isinstance(found, (ast.FunctionDef, ast.Lambda)):
                yield found
            elif not self.program.is_class(call.func):
                yield from self.constructors.get(call.func.id, ())
        elif isinstance(call.func, ast.Attribute):
            yield from self.methods.get(call.func.attr, ())

    def key(self, name: ast.Name) -> Any:
        scope = self.program.scopes.meaning(name) if name in self.program.scopes.scope_of else None
        return (scope, name.id) if scope is not None else None

    def hold(self, target: ast.AST | None, inside: bool = False) -> None:
        """From now on this may hold it; `inside`: because something was stored into the object."""
        if isinstance(target, ast.Name):
            keys = {self.key(target)} - {None}  # a builtin holds nothing
            self.held |= keys
            self.filled |= keys if inside else set()
        elif isinstance(target, ast.Attribute):
            self.held.add(target.attr)
            self.hold(target.value, True)
        elif isinstance(target, (ast.Subscript, ast.Starred)):
            self.hold(target.value, True)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.hold(part)

    def follow(self, node: Any) -> None:
        if isinstance(node, ast.Call):
            self.follow_call(node)
        elif isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            if self.holds(node.value):
                self.held.add(self.around(node))
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self.bind(node.target, node.iter, True)
        elif isinstance(node, ast.withitem):
            self.bind(node.optional_vars, node.context_expr, True)
        elif isinstance(node, ast.AugAssign):
            if self.holds(node.value):
                self.hold(node.target, True)
                self.name(node.target, self.may_be(node.value))
        else:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.bind(target, node.value)

    def name(self, target: ast.AST | None, itself: bool) -> None:
        if itself and isinstance(target, ast.Name):
            self.itself.add(self.key(target))
        elif itself and isinstance(target, (ast.Tuple, ast.List, ast.Starred)):
            for part in child_nodes(target):
                self.name(part, True)

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
            self.hold(target)
            self.name(target, part_of or not isinstance(target, ast.Name) or self.may_be(value))
        elif isinstance(target, ast.Name) and self.key(target) in self.filled:
            self.hold_origin(value)

    def hold_origin(self, value: ast.AST | None) -> None:
        """What another name of an object, or of a part of it, may have put into it."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in PARTS_OF:
            value = value.func.value
        if isinstance(value, (ast.Name, ast.Subscript, ast.Attribute)) and self.judge(value) is not False:
            self.hold(value, True)

    def follow_call(self, call: ast.Call) -> None:
        """Arguments into parameters, and into the object whose method is called."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        holding = [value for value in given if self.holds(value)]
        if isinstance(call.func, ast.Attribute) and holding and not self.stays_nowhere(call.func):
            self.hold(call.func.value, True)
        for function in self.called(call):
            names = parameters(function)
            first = 1 if isinstance(self.program.parents.get(function), ast.ClassDef) else 0
            if first and names and isinstance(call.func, ast.Attribute):
                self.give(function, names[0], call.func.value)
            if any(isinstance(value, ast.Starred) or None in [k.arg for k in call.keywords] for value in given):
                self.hold_parameters(function, names if holding else [])
                self.itself |= {(self.scope[function], name.arg) for name in names if holding}
            for name, value in zip(names[first:], call.args):
                self.give(function, name, value)
            for keyword in call.keywords:
                for name in names:
                    if name.arg == keyword.arg:
                        self.give(function, name, keyword.value)

    def stays_nowhere(self, function: ast.Attribute) -> bool:
        """The script's own methods are followed; in a module that comes with Python nothing stays (math.isnan)."""
        module = (self.program.meaning(function) or "").split(".")[0]
        return function.attr in self.methods or module in sys.stdlib_module_names

    def give(self, function: Any, name: ast.arg, value: ast.expr) -> None:
        if self.holds(value):
            self.hold_parameters(function, [name])
            self.itself |= {(self.scope[function], name.arg)} if self.may_be(value) else set()
        elif (self.scope[function], name.arg) in self.filled:
            self.hold_origin(value)

    def is_held(self, function: Any, name: ast.arg) -> bool:
        return (self.scope[function], name.arg) in self.held

    def hold_parameters(self, function: Any, names: list[ast.arg]) -> None:
        self.held.update((self.scope[function], name.arg) for name in names)

    def around(self, node: ast.AST) -> ast.AST | None:
        parent = self.program.parents.get(node)
        while parent is not None and not isinstance(parent, FUNCTIONS):
            parent = self.program.parents.get(parent)
        return parent
