"""Which binding a name refers to, by Python's rules of scope: what the proofs of the other files stand on."""

from __future__ import annotations

import ast
import builtins

from .record import Record, fresh
from .tree import child_nodes

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = {*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef}
BUILTINS = frozenset(dir(builtins))


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    a = node.args
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]


def bound_names(scope: ast.AST) -> set[str]:
    """The names that a function binds, and those that it declares to be elsewhere and stores in."""
    own = {name for node in own_nodes(scope) for name in names_bound_by(node)}
    return own | {argument.arg for argument in parameters(scope)} if isinstance(scope, FUNCTIONS) else own


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


def own_nodes(scope: ast.AST) -> list[ast.AST]:
    """All nodes that are evaluated in this scope itself, in the order of the source.

    Of an inner function that is its name, decorators and defaults; of a comprehension its first iterable.
    """
    found: list[ast.AST] = []
    todo = list(reversed(inside(scope)))
    while todo:
        node = todo.pop()
        found.append(node)
        if is_scope(node):
            todo.extend(reversed(outside(node)))
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
    bound: dict[str, list[ast.AST]] = fresh({})  # by name, the nodes that bind it, also those in functions inside
    elsewhere: dict[str, type[ast.AST]] = fresh({})  # names that are declared Global or Nonlocal


class Scopes:
    """All scopes of a module, and for every Name the scope whose binding it means."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = ScopeInfo(tree, None)
        self.all: list[ScopeInfo] = []
        self.scope_of: dict[ast.AST, ScopeInfo] = {}  # any node -> the scope it is evaluated in
        self._enter(self.module)
        for info in self.all:
            for name in info.elsewhere:
                binders = info.bound.pop(name, [])
                scope = self._meaning(name, info) or self.module
                scope.bound.setdefault(name, []).extend(binders)

    def _enter(self, info: ScopeInfo) -> None:
        self.all.append(info)
        around = info  # where a walrus binds
        while isinstance(around.node, COMPREHENSIONS) and around.outer is not None:
            around = around.outer
        walruses: set[ast.AST] = set()
        for argument in parameters(info.node) if isinstance(info.node, FUNCTIONS) else ():
            info.bound.setdefault(argument.arg, []).append(argument)
        for node in own_nodes(info.node):
            self.scope_of[node] = info
            if isinstance(node, ast.Name):
                info.names.append(node)
            elif isinstance(node, ast.NamedExpr):
                walruses.add(node.target)
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                info.elsewhere.update(dict.fromkeys(node.names, type(node)))
            elif is_scope(node):
                self._enter(ScopeInfo(node, info))
            for name in names_bound_by(node):
                (around if node in walruses else info).bound.setdefault(name, []).append(node)

    def meaning(self, name: ast.Name) -> ScopeInfo | None:
        """The scope that binds what this name refers to; None for a builtin (or for nothing, or a
        name that is not the module's)."""
        return self._meaning(name.id, self.scope_of.get(name))

    def _meaning(self, name: str, info: ScopeInfo | None) -> ScopeInfo | None:
        first = True
        while info is not None:
            declared = info.elsewhere.get(name)
            if declared is ast.Global:
                info = self.module
            hidden = isinstance(info.node, ast.ClassDef) and not first  # methods do not see their class's names
            if name in info.bound and declared is not ast.Nonlocal and not hidden:
                return info
            first = False
            info = info.outer
        return None

    def occurrences(self, name: str, scope: ScopeInfo) -> list[ast.Name]:
        """Every Name that refers to this scope's binding of `name`."""
        return [node for info in self.all for node in info.names if node.id == name and self.meaning(node) is scope]

    def binders(self, name: str, scope: ScopeInfo | None = None) -> list[ast.AST]:
        """The nodes that bind `name` in a scope, by default the module's own."""
        return (scope or self.module).bound.get(name, [])
