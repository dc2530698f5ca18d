"""A user's script as it is looked at: its tree, its scopes, its imports, and what its names mean."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from .scopes import BUILTINS, Scopes
from .tree import child_nodes, walk

# Modules whose objects can be numbers that are neither int nor float.
STRANGE_NUMBERS = {"fractions", "decimal", "cmath", "numbers", "ctypes"}
STORING = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem)
TYPE_CHECKING = False  # typing is not imported for its own sake
if TYPE_CHECKING:
    from typing import Any


class Program:
    """One source file.

    Raises SyntaxError (or ValueError for zero bytes) as the interpreter itself does.
    """

    def __init__(self, source: bytes | str | ast.Module, file: str) -> None:
        self.file = file
        self.tree = source if isinstance(source, ast.Module) else ast.parse(source, file)
        self.scopes = Scopes(self.tree)
        self.nodes = self._all_nodes = list(walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in child_nodes(node)}
        self.imports: dict[str, str] = {}  # name in the module -> module or module.member
        self.aliases: dict[str, set[str]] = {}  # name -> all that it is the name of, in any scope
        self.modules: dict[
            str, set[str]
        ] = {}  # every module that an import names, and what is bound to it or its parts
        self.known: set[str] = set()  # packages of the script's own, in which nothing but Python's numbers is computed
        self.beside: set[str] | None = None  # packages of the script's own; None where nobody knows which they are
        self.class_names: set[str] = set()  # what imports of the class from another module mean: "engine.Value"
        self.names_class: dict[str, ast.ClassDef] = {}  # classes that take the place of `Value` in patterns
        self.home = self.scopes.module  # the scope that the class stands in: the module's, or a function's
        self.home_body = self.tree.body
        self.class_at = len(self.tree.body)  # where it stands among the statements there
        self.analyses: dict[Any, Any] = {}  # made once, until nodes are forgotten
        self._meanings: dict[ast.expr, str | None] = {}
        self._found: dict[tuple[type[ast.AST], ...], list[Any]] = {}
        self._spelled: dict[str, list[ast.Name | ast.Attribute]] = {}
        self._meant: list[tuple[Any, set[str]]] = []
        self._index()
        for node in self.of(ast.Import, ast.ImportFrom):
            self._note_import(node)

    def _index(self) -> None:
        """One walk for all that look for something."""
        self.analyses.clear()
        self._found.clear()
        self._spelled.clear()
        self._meant.clear()
        kinds: dict[type[ast.AST], list[ast.AST]] = {}
        for node in self.nodes:
            kinds.setdefault(type(node), []).append(node)
        self._found.update({(kind,): found for kind, found in kinds.items()})
        for node in self.of(ast.Name, ast.Attribute):
            self._spelled.setdefault(node.id if type(node) is ast.Name else node.attr, []).append(node)

    def of(self, *kinds: type[Any]) -> list[Any]:
        """All nodes of these types, in the order of `nodes`."""
        if kinds not in self._found:
            wanted = set(kinds) if len(kinds) > 1 else set()  # one kind of which there is none
            self._found[kinds] = [node for node in self.nodes if type(node) in wanted]
        return self._found[kinds]

    def said(self) -> Iterator[tuple[Any, str]]:
        """Attributes and strings, with what they say."""
        for node in self.of(ast.Attribute, ast.Constant):
            name = node.attr if isinstance(node, ast.Attribute) else node.value
            if isinstance(name, str):
                yield node, name

    def meant(self) -> list[tuple[Any, set[str]]]:
        """(node, all that it may mean) of names and attributes that may mean something of builtins or modules."""
        if not self._meant:
            pairs = ((node, self.may_mean(node)) for node in self.of(ast.Name, ast.Attribute))
            self._meant = [pair for pair in pairs if pair[1]]
        return self._meant

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                self._note_name(alias.asname or root, alias.name if alias.asname else root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:  # which may be a module too
                member = f"{module}.{alias.name}"
                self._note_name(alias.asname or alias.name, member, module, member)

    def _note_name(self, name: str, meaning: str, *modules: str) -> None:
        self.imports[name] = meaning
        self.aliases.setdefault(name, set()).add(meaning)
        for module in modules:
            self.modules.setdefault(module, set()).add(name)

    @property
    def roots(self) -> set[str]:
        """Top-level packages that are imported; "." for relative imports."""
        return {module.split(".")[0] or "." for module in self.modules}

    def used_modules(self) -> set[str]:
        """Modules that an import names, but for those that come with Python and whose names nobody uses."""
        used = {"*", *(node.id for node in self.of(ast.Name) if isinstance(node.ctx, ast.Load))}
        return {
            module
            for module, names in self.modules.items()
            if names & used or module.split(".")[0] not in sys.stdlib_module_names
        }

    def foreign(self) -> set[str]:
        """Imported packages that neither come with Python nor were looked through."""
        return {root for root in self.roots if root not in sys.stdlib_module_names and root not in self.known}

    # ---- meaning ----

    def look_at(self, node: ast.ClassDef) -> None:
        """From now on this class is what patterns mean by `Value`."""
        self.names_class = {node.name: node}
        self.home = self.scopes.scope_of[node]
        self.home_body = self.home.node.body  # type: ignore[attr-defined]
        self.class_at = self.home_body.index(node)
        self._meanings.clear()

    def meaning(self, node: ast.expr) -> str | None:
        """What an expression surely refers to: "sum", "math.exp", "Value" (the class that is looked at), or None."""
        if node not in self._meanings:
            self._meanings[node] = self._find_meaning(node)
        return self._meanings[node]

    def _find_meaning(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Attribute):
            base = self.meaning(node.value)
            found = f"{base}.{node.attr}" if base in self.imports.values() else None
            return "Value" if found in self.class_names else found
        if not isinstance(node, ast.Name) or node not in self.scopes.scope_of:
            return None
        scope = self.scopes.meaning(node)
        if scope is None:
            return node.id if node.id in BUILTINS else None
        if scope not in (self.scopes.module, self.home):
            return None
        binders = self.scopes.binders(node.id, scope)
        if all(isinstance(binder, (ast.Import, ast.ImportFrom)) for binder in binders):
            alike = len({ast.dump(binder) for binder in binders}) == 1
            found = self.imports[node.id] if alike and self._is_there(binders) else None
            return "Value" if found in self.class_names else found
        if len(binders) == 1 and binders[0] is self.names_class.get(node.id):
            return "Value"
        return None

    def _is_there(self, imports: list[ast.AST]) -> bool:
        """Whether one of these statements has surely run when the class is used."""
        before = self.home_body[: self.class_at]
        return any(statement in imports for statement in [*before, *self.tree.body[: self.class_at]])

    def definition(self, name: str) -> ast.AST | None:
        """The function or the constant that a name of the module stands for, if it is bound once and for all."""
        binders = self.scopes.binders(name, self.home) or self.scopes.binders(name)
        if len(binders) != 1:
            return None
        binder: Any = binders[0]
        statement = self.around(binder, ast.stmt) if isinstance(binder, ast.Name) else binder
        if statement not in [*self.home_body, *self.tree.body]:
            return None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            return dict(pairs(statement.targets[0], statement.value)).get(binder)
        return statement if isinstance(statement, ast.FunctionDef) else None

    def may_mean(self, node: ast.AST) -> set[str]:
        """All that an expression might refer to, of builtins and of members of imported modules."""
        attributes = ""
        while isinstance(node, ast.Attribute):
            attributes = f".{node.attr}{attributes}"
            node = node.value
        if not isinstance(node, ast.Name) or not (node.id in self.aliases or node.id in BUILTINS):
            return set()
        found = set(self.aliases.get(node.id, ()))
        if node.id in BUILTINS and node in self.scopes.scope_of and self.scopes.meaning(node) is None:
            found.add(node.id)
        return {name + attributes for name in found} if attributes else found

    def is_class(self, node: ast.AST) -> bool:
        return isinstance(node, (ast.Name, ast.Attribute)) and self.meaning(node) == "Value"

    def binders(self, node: ast.Name) -> list[ast.AST]:
        """The nodes that bind a name, in the scope that it means; none of a builtin."""
        scope = self.scopes.meaning(node)
        return scope.bound[node.id] if scope is not None else []

    # ---- finding ----

    def around(self, node: ast.AST, *kinds: type[ast.AST]) -> Any:
        """The nearest node of these kinds around another; None if there is none."""
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, kinds):
            parent = self.parents.get(parent)
        return parent

    def forget(self, nodes: set[ast.AST]) -> None:
        """Leave these out of what is found from now on: code that is not run."""
        self.nodes = [node for node in self._all_nodes if node not in nodes]
        self._index()

    def calls(self, *functions: str) -> Iterator[ast.Call]:
        """What may be a call of these builtins or members of imported modules, given by their full names."""
        for node, meant in self.meant():
            parent = self.parents.get(node)
            if isinstance(parent, ast.Call) and parent.func is node and not meant.isdisjoint(functions):
                yield parent

    def mentions(self, *names: str) -> Iterator[Any]:
        """Names and attributes, wherever they stand, that are spelled so."""
        for name in names:
            yield from self._spelled.get(name, ())

    def class_calls(self) -> Iterator[ast.Call]:
        for node in self.of(ast.Call):
            if self.is_class(node.func):
                yield node

    def attribute_stores(self) -> Iterator[tuple[ast.Attribute, ast.expr | None]]:
        """(target, value) of every assignment to an attribute; None where the value is not a single expression."""
        for node in self.of(*STORING):
            value = node.value if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) else None
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.optional_vars if isinstance(node, ast.withitem) else node.target]
            )
            for target, part in (pair for each in targets for pair in pairs(each, value)):
                if isinstance(target, ast.Attribute):
                    yield target, part


def pairs(target: ast.AST | None, value: ast.expr | None) -> Iterator[tuple[ast.AST | None, ast.expr | None]]:
    """What is assigned to what; None where that is not a single expression."""
    if isinstance(target, ast.Starred):
        yield from pairs(target.value, None)
    elif isinstance(target, (ast.Tuple, ast.List)):
        alike = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        for part, part_value in zip(target.elts, value.elts if alike else [None] * len(target.elts)):  # type: ignore[union-attr]
            yield from pairs(part, part_value)
    else:
        yield target, value
