"""Which binding a name refers to, by Python's rules of scope: what the proofs of the other files stand on."""

from __future__ import annotations

import ast
import builtins
from functools import lru_cache

from .record import Record, fresh
from .tree import child_nodes, walk

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = {*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef}
BUILTINS = frozenset(dir(builtins))
ONCE = lru_cache(4096)  # analyses of a scope are made once; nobody changes what they return


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    a = node.args
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]


@ONCE
def bound_names(scope: ast.AST) -> set[str]:
    """The names that a module, class, function or comprehension binds in its own scope."""
    return {name for name, _ in bindings(scope)} - outer_names(scope)


def outer_names(scope: ast.AST) -> set[str]:
    """What a scope declares to be `global` or `nonlocal`."""
    return {name for node in own_nodes(scope) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}


@ONCE
def bindings(scope: ast.AST) -> list[tuple[str, ast.AST]]:
    """(name, node that binds it) for every binding in this scope, globals and nonlocals among them."""
    found: list[tuple[str, ast.AST]] = []
    if isinstance(scope, FUNCTIONS):
        found += [(argument.arg, argument) for argument in parameters(scope)]
    skip: set[ast.AST] = set()  # a walrus in a comprehension binds in the scope around it
    if isinstance(scope, COMPREHENSIONS):
        skip = {node.target for node in walk(scope) if isinstance(node, ast.NamedExpr)}
    for node in own_nodes(scope):
        if node not in skip:
            found += [(name, node) for name in names_bound_by(node)]
    return found


def names_bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


@ONCE
def own_nodes(scope: ast.AST) -> list[ast.AST]:
    """All nodes that are evaluated in this scope itself, in the order of the source.

    Of an inner function that is its name, decorators and defaults; of a comprehension its first iterable. A walrus
    in a comprehension binds in the scope around it.
    """
    found: list[ast.AST] = []
    todo = list(reversed(inside(scope)))
    while todo:
        node = todo.pop()
        found.append(node)
        if is_scope(node):
            todo.extend(reversed(outside(node)))
            if isinstance(node, COMPREHENSIONS) and not isinstance(scope, COMPREHENSIONS):
                todo.extend(walrus.target for walrus in walk(node) if isinstance(walrus, ast.NamedExpr))
        else:
            todo.extend(reversed(child_nodes(node)))
    return found


def is_scope(node: ast.AST) -> bool:
    return type(node) in SCOPES


def inside(scope: ast.AST) -> list[ast.AST]:
    """The parts of a scope that are evaluated in it."""
    if isinstance(scope, COMPREHENSIONS):
        first = scope.generators[0]
        parts: list[ast.AST] = [first.target, *first.ifs, *scope.generators[1:]]
        return parts + ([scope.key, scope.value] if isinstance(scope, ast.DictComp) else [scope.elt])
    if isinstance(scope, ast.Lambda):
        return [scope.body]
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
        return list(scope.body)
    return list(child_nodes(scope))


def outside(scope: ast.AST) -> list[ast.AST]:
    """The parts of a scope that are evaluated in the one around it."""
    if isinstance(scope, COMPREHENSIONS):
        return [scope.generators[0].iter]
    if isinstance(scope, ast.ClassDef):
        return [*scope.decorator_list, *scope.bases, *scope.keywords]
    assert isinstance(scope, FUNCTIONS)
    defaults = [*scope.args.defaults, *filter(None, scope.args.kw_defaults)]
    if isinstance(scope, ast.Lambda):
        return list(defaults)
    notes = [argument.annotation for argument in parameters(scope)] + [scope.returns]
    return [*scope.decorator_list, *defaults, *filter(None, notes)]


class ScopeInfo(Record):
    """One scope of a module, and who it is nested in."""

    node: ast.AST
    outer: ScopeInfo | None
    names: list[ast.Name] = fresh([])
    bound: set[str] = fresh(set())
    to_module: set[str] = fresh(set())


class Scopes:
    """All scopes of a module, and for every Name the scope whose binding it means."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = ScopeInfo(tree, None)
        self.all: list[ScopeInfo] = []
        self.scope_of: dict[ast.AST, ScopeInfo] = {}  # any node -> the scope it is evaluated in
        self._binders: dict[str, list[ast.AST]] = {}
        self._enter(self.module)
        for info in self.all:
            self.module.bound |= info.to_module
            self._note_binders(info)

    def _enter(self, info: ScopeInfo) -> None:
        self.all.append(info)
        info.bound = bound_names(info.node)
        for node in own_nodes(info.node):
            self.scope_of[node] = info
            if isinstance(node, ast.Name):
                info.names.append(node)
            if isinstance(node, ast.Global):
                info.to_module |= set(node.names)
            if is_scope(node):
                self._enter(ScopeInfo(node, info))

    def meaning(self, name: ast.Name) -> ScopeInfo | None:
        """The scope that binds what this name refers to; None for a builtin (or for nothing at all)."""
        info: ScopeInfo | None = self.scope_of[name]
        first = True
        while info is not None:
            if name.id in info.to_module:
                info = self.module
            hidden = isinstance(info.node, ast.ClassDef) and not first  # methods do not see their class's names
            if name.id in info.bound and not hidden:
                return info
            first = False
            info = info.outer
        return None

    def occurrences(self, name: str, scope: ScopeInfo) -> list[ast.Name]:
        """Every Name that refers to this scope's binding of `name`."""
        return [node for info in self.all for node in info.names if node.id == name and self.meaning(node) is scope]

    def binders(self, name: str, scope: ScopeInfo | None = None) -> list[ast.AST]:
        """The nodes that bind `name` in a scope, by default the module's own."""
        if scope is None or scope is self.module:
            return self._binders.get(name, [])
        return [node for bound, node in bindings(scope.node) if bound == name]

    def _note_binders(self, info: ScopeInfo) -> None:
        for name, node in bindings(info.node):
            if info is self.module or name in info.to_module:
                self._binders.setdefault(name, []).append(node)
