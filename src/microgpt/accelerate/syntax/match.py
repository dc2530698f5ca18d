"""Code as the interpreter would understand it: names of locals, comments, docstrings, annotations and formatting do not
matter, everything else does.

plain    a tree without what does not matter
Reading  a tree as a list of words: code that means the same has the same words
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from .scopes import COMPREHENSIONS, FUNCTIONS, Scopes, parameters
from .tree import CONTEXTS, PARTS, copied, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ATOMS = {*CONTEXTS, *ast.operator.__subclasses__(), ast.Name, ast.Constant}
UNSAID = {"ctx", "type_comment", "kind", "annotation", "returns", "simple"}


# ---- what is taken away ---------------------------------------------------------------------------------------------


@lru_cache(4096)  # nobody changes what this returns
def plain_function(node: ast.FunctionDef) -> ast.AST:
    return plain_parts(node)


def plain(node: ast.AST) -> ast.AST | None:
    """The tree without docstrings, annotations and `pass`; None where nothing is left of a statement.

    What does not change is not copied: every Name is the very node of the user's tree, by which scopes.py knows it.
    """
    if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return None
    if isinstance(node, ast.AnnAssign):
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else None
    return plain_function(node) if isinstance(node, ast.FunctionDef) else plain_parts(node)


def plain_parts(node: ast.AST) -> ast.AST:
    changed: dict[str, object] = {}
    held = vars(node)
    for name in PARTS[type(node)]:
        value = held.get(name)
        if type(value) is list:
            parts = [plain(part) if isinstance(part, ast.AST) else part for part in value]
            parts = [new for new, old in zip(parts, value) if new is not None or old is None]
            if len(parts) != len(value) or any(new is not old for new, old in zip(parts, value)):
                changed[name] = parts
        elif isinstance(value, ast.AST) and type(value) not in ATOMS:
            new = None if name in UNSAID else plain(value)
            if new is not value:
                changed[name] = new
    if not changed:
        return node
    made: ast.AST = copied(node)
    vars(made).update(changed)
    return made


def plain_statements(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Statements as they are compared."""
    return [made for made in map(plain, body) if isinstance(made, ast.stmt)]


# ---- what is compared -----------------------------------------------------------------------------------------------


def is_simple(node: ast.AST) -> bool:
    """An expression that may be evaluated once more without anybody noticing: names, and lookups by them."""
    if isinstance(node, ast.Subscript):
        return is_simple(node.value) and is_simple(node.slice)
    if isinstance(node, ast.JoinedStr):
        return all(is_simple(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return is_simple(node.value) and node.format_spec is None
    if isinstance(node, ast.Attribute):
        return is_simple(node.value)
    return isinstance(node, (ast.Name, ast.Constant))


class Reading:
    """The words of a tree. Locals are numbered, scope by scope, in the order in which they are met; the other names are
    what they mean.

    meaning: what a name or attribute of the outside surely refers to. fields: the script's names of attributes, by what
    they are called here. with_holes: simple expressions of the outside are holes, all of one word.
    """

    def __init__(
        self,
        node: ast.AST,
        scopes: Scopes,
        meaning: Callable[[Any], str | None],
        fields: Mapping[str, str] | None = None,
        with_holes: bool = False,
    ) -> None:
        self.scopes, self.meaning, self.fields, self.with_holes = scopes, meaning, fields or {}, with_holes
        self.words: list[object] = []
        self.holes: list[ast.expr] = []
        self.numbers: dict[tuple[ast.AST, str], int] = {}
        self.inside: set[ast.AST] = set()  # scopes that are part of the tree
        self.read(node)

    def read(self, node: Any) -> None:
        kind = type(node)
        if self.with_holes and is_simple(node) and not any(map(self.is_local, walk(node))):
            self.holes.append(node)
            self.words.append("a hole")
        elif kind is ast.Name:
            self.words.append(self.name(node))
        elif kind is ast.Attribute:
            self.attribute(node)
        elif kind is ast.Call:
            self.call(node)
        elif kind is ast.AnnAssign:
            self.read(ast.Assign([node.target], node.value))
        elif kind in FUNCTIONS:
            self.function(node)
        else:
            if kind in COMPREHENSIONS:
                self.inside.add(node)
            self.words.append(kind)
            self.fields_of(node)

    def fields_of(self, node: ast.AST) -> None:
        for field in node._fields:
            if field not in UNSAID:
                self.part(getattr(node, field, None))

    def part(self, value: Any) -> None:
        if isinstance(value, list):
            said = [part for part in value if not is_unsaid(part)]
            self.words.append(len(said))
            for part in said:
                self.part(part)
        elif isinstance(value, ast.AST):
            self.read(value)
        else:
            self.words.append((type(value), repr(value)))

    def local(self, scope: ast.AST, name: str) -> int:
        return self.numbers.setdefault((scope, name), len(self.numbers))

    def name(self, node: ast.Name) -> object:
        if self.is_local(node):
            return self.local(self.scopes.meaning(node).node, node.id)  # type: ignore[union-attr]
        return self.meaning(node) or node  # itself, which is like nothing else

    def is_local(self, node: ast.AST) -> bool:
        scope = self.scopes.meaning(node) if isinstance(node, ast.Name) else None
        return scope is not None and scope.node in self.inside

    def attribute(self, node: ast.Attribute) -> None:
        meant = self.meaning(node)
        if meant is not None:
            self.words.append(meant)
            return
        known = self.fields.get(node.attr)
        self.words += [ast.Attribute, known or (node.attr if node.attr not in self.fields.values() else node)]
        self.read(node.value)

    def call(self, node: ast.Call) -> None:
        """A function's own name is no hole. sum([...]) does what sum(...) does, in the same order."""
        if isinstance(node.func, ast.Name):
            self.words += [ast.Call, self.name(node.func)]
        else:
            self.words.append(ast.Call)
            self.read(node.func)
        name, at = self.words[-1], len(self.words)
        self.part(node.args)
        if name == "sum" and self.words[at + 1 :][:1] == [ast.ListComp]:
            self.words[at + 1] = ast.GeneratorExp
        self.part(node.keywords)

    def function(self, node: Any) -> None:
        self.words.append(type(node))
        if not isinstance(node, ast.Lambda):
            around = self.scopes.scope_of[node].node
            self.words.append(self.local(around, node.name) if around in self.inside else "any name")
            self.part([*node.decorator_list, *getattr(node, "type_params", ())])
        a = node.args
        self.words += [len(a.posonlyargs + a.args), len(a.kwonlyargs), a.vararg is None, a.kwarg is None]
        self.part([*a.defaults, *a.kw_defaults])
        self.inside.add(node)
        for argument in parameters(node):
            self.local(node, argument.arg)
        self.part(node.body)


def is_unsaid(node: object) -> bool:
    """Whether a statement is nothing but words: `pass`, a docstring, an annotation."""
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def words_of(source: str) -> Reading:
    """The words of a piece of source: one function, or one expression with holes."""
    tree = ast.parse(source)
    first = tree.body[0]
    if isinstance(first, ast.Expr):
        return Reading(first.value, Scopes(tree), own_meaning, with_holes=True)
    return Reading(first, Scopes(tree), own_meaning)


def own_meaning(node: Any) -> str | None:
    """What a name of such a source means that it does not bind."""
    if isinstance(node, ast.Name):
        return node.id
    return f"math.{node.attr}" if isinstance(node.value, ast.Name) and node.value.id == "math" else None
