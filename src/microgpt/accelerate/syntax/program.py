"""A user's script as it is looked at: its tree, its scopes, its imports, and what its names mean."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Iterator

from .scopes import BUILTINS, Scopes, bindings

# Modules whose objects can be numbers that are neither int nor float.
STRANGE_NUMBERS = {"fractions", "decimal", "cmath", "numbers", "ctypes"}


class Program:
    """One source file.

    Raises SyntaxError (or ValueError for zero bytes) as the interpreter itself does.
    """

    def __init__(self, source: bytes | str | ast.Module, file: str) -> None:
        self.file = file
        self.tree = source if isinstance(source, ast.Module) else ast.parse(source, file)
        self.scopes = Scopes(self.tree)
        self.nodes = list(ast.walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.imports: dict[str, str] = {}  # name in the module -> module or module.member
        self.aliases: dict[str, set[str]] = {}  # name -> all that it is the name of, in any scope
        self.modules: set[str] = set()  # every module that an import statement names, top level
        self.names_class: dict[str, ast.ClassDef] = {}  # classes that take the place of `Value` in patterns
        self.class_at = len(self.tree.body)  # where it stands among the module's statements
        self._meanings: dict[ast.expr, str | None] = {}
        for node in self.nodes:
            self._note_import(node)

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.modules.add(alias.name)
                root = alias.name.split(".")[0]
                self._note_name(alias.asname or root, alias.name if alias.asname else root)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            self.modules.add(module)
            for alias in node.names:
                self.modules.add(f"{module}.{alias.name}")  # it may be one
                self._note_name(alias.asname or alias.name, f"{module}.{alias.name}")

    def _note_name(self, name: str, meaning: str) -> None:
        self.imports[name] = meaning
        self.aliases.setdefault(name, set()).add(meaning)

    @property
    def roots(self) -> set[str]:
        """Top-level packages that are imported; "." for relative imports."""
        return {module.split(".")[0] or "." for module in self.modules}

    def foreign(self) -> set[str]:
        """Imported packages that don't come with Python."""
        return {root for root in self.roots if root not in sys.stdlib_module_names}

    def local_modules(self, folder: str) -> set[str]:
        """Imported modules that lie in the script's folder: code that is not looked at here."""
        if not folder:
            return set()
        return {
            root
            for root in self.roots - set(sys.builtin_module_names)
            if root == "." or importlib.machinery.PathFinder.find_spec(root, [folder]) is not None
        }

    # ---- meaning ----

    def look_at(self, node: ast.ClassDef) -> None:
        """From now on this class is what patterns mean by `Value`."""
        self.names_class = {node.name: node}
        self.class_at = self.tree.body.index(node)
        self._meanings.clear()

    def meaning(self, node: ast.expr) -> str | None:
        """What an expression surely refers to: "sum", "math.exp", "Value" (the class that is looked at), or None."""
        if node not in self._meanings:
            self._meanings[node] = self._find_meaning(node)
        return self._meanings[node]

    def _find_meaning(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Attribute):
            base = self.meaning(node.value)
            return f"{base}.{node.attr}" if base in self.imports.values() else None
        if not isinstance(node, ast.Name) or node not in self.scopes.scope_of:
            return None
        scope = self.scopes.meaning(node)
        if scope is None:
            return node.id if node.id in BUILTINS else None
        if scope is not self.scopes.module:
            return None
        binders = self.scopes.binders(node.id)
        if all(isinstance(binder, (ast.Import, ast.ImportFrom)) for binder in binders):
            alike = len({ast.dump(binder) for binder in binders}) == 1
            return self.imports[node.id] if alike and self._is_there(binders) else None
        if len(binders) == 1 and binders[0] is self.names_class.get(node.id):
            return "Value"
        return None

    def _is_there(self, imports: list[ast.AST]) -> bool:
        """Whether one of these statements has surely run when the class is used."""
        return any(statement in imports for statement in self.tree.body[: self.class_at])

    def may_mean(self, node: ast.AST) -> set[str]:
        """All that an expression might refer to, of builtins and of members of imported modules."""
        if isinstance(node, ast.Attribute):
            return {f"{base}.{node.attr}" for base in self.may_mean(node.value)}
        if not isinstance(node, ast.Name):
            return set()
        found = set(self.aliases.get(node.id, ()))
        if node.id in BUILTINS and node in self.scopes.scope_of and self.scopes.meaning(node) is None:
            found.add(node.id)
        return found

    def is_class(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and self.meaning(node) == "Value"

    def bound_by(self, node: ast.Name, kind: type[ast.AST]) -> bool:
        """Whether nothing but nodes of this kind binds a name, in the scope that it means."""
        if node not in self.scopes.scope_of:
            return False
        scope = self.scopes.meaning(node)
        return scope is not None and all(
            isinstance(binder, kind) for name, binder in bindings(scope.node) if name == node.id
        )

    # ---- finding ----

    def calls(self, *functions: str) -> Iterator[ast.Call]:
        """What may be a call of these builtins or members of imported modules, given by their full names."""
        for node in self.nodes:
            if isinstance(node, ast.Call) and not self.may_mean(node.func).isdisjoint(functions):
                yield node

    def values(self, *functions: str) -> Iterator[ast.expr]:
        """Where one of these may be named without being called at once: it may go anywhere under another name."""
        for node in self.nodes:
            if isinstance(node, (ast.Name, ast.Attribute)) and not self.may_mean(node).isdisjoint(functions):
                parent = self.parents.get(node)
                if not (isinstance(parent, ast.Call) and parent.func is node):
                    yield node

    def mentions(self, *names: str) -> Iterator[ast.AST]:
        """Names and attributes, wherever they stand, that are spelled so."""
        for node in self.nodes:
            if (isinstance(node, ast.Name) and node.id in names) or (
                isinstance(node, ast.Attribute) and node.attr in names
            ):
                yield node

    def class_calls(self) -> Iterator[ast.Call]:
        for node in self.nodes:
            if isinstance(node, ast.Call) and self.is_class(node.func):
                yield node

    def attribute_stores(self) -> Iterator[tuple[ast.Attribute, ast.expr | None]]:
        """(target, value) of every assignment to an attribute; None where the value is not a single expression."""
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from self._stores(target, node.value)
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
                yield from self._stores(node.target, node.value)
            elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
                yield from self._stores(node.target, None)
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                yield from self._stores(node.optional_vars, None)

    def _stores(self, target: ast.AST, value: ast.expr | None) -> Iterator[tuple[ast.Attribute, ast.expr | None]]:
        if isinstance(target, ast.Attribute):
            yield target, value
        elif isinstance(target, ast.Starred):
            yield from self._stores(target.value, None)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                values = list(value.elts)
            for part, part_value in zip(target.elts, values):
                yield from self._stores(part, part_value)
