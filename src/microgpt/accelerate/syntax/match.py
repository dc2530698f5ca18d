"""Trees compared as the interpreter would understand them: names of locals, comments, docstrings, annotations and
formatting do not matter, everything else does.

A pattern is ordinary Python source. Its names are of three kinds:

    holes       names given to `Pattern`; each stands for a simple expression of the user's, the same at every place
    locals      names that the pattern binds; the user's may be called otherwise, one for one, scope by scope
    free names  all others, such as `sum` or `math.exp`; the user's must mean the same thing (see scopes.py)
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping

from .scopes import COMPREHENSIONS, FUNCTIONS, ONCE, bound_names, parameters
from .tree import CONTEXTS, PARTS, copied, walk

ATOMS = {*CONTEXTS, *ast.operator.__subclasses__(), ast.Name, ast.Constant}
POSITIONS = {"ctx", "type_comment", "kind", "type_params", "is_async"}


# ---- what is taken away before comparing ----------------------------------------------------------------------------


@ONCE
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
            new = None if name in ("annotation", "returns") else plain(value)
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


# ---- comparing ------------------------------------------------------------------------------------------------------


class Scope:
    """Names that both sides bind in one scope, as pairs. `theirs` is None where any name may be theirs."""

    def __init__(self, ours: set[str], theirs: set[str] | None, outer: Scope | None = None) -> None:
        self.ours, self.theirs, self.outer = ours, theirs, outer
        self.pairs: dict[str, str] = {}

    def pair(self, our: str, their: str) -> bool:
        if self.theirs is not None and their not in self.theirs:
            return False
        if self.pairs.setdefault(our, their) != their:
            return False
        return sum(name == their for name in self.pairs.values()) == 1


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


def is_arithmetic(node: ast.AST) -> bool:
    """Simple expressions, and + - * / // % ** of them."""
    if isinstance(node, ast.BinOp):
        return is_arithmetic(node.left) and is_arithmetic(node.right)
    if isinstance(node, ast.UnaryOp):
        return is_arithmetic(node.operand)
    return is_simple(node)


class Comparison:
    """One pattern against one piece of the user's tree."""

    def __init__(
        self,
        holes: Mapping[str, Callable[[ast.AST], bool]],
        meaning: Callable[[ast.expr], str | None],
        attributes: dict[str, str] | None = None,
    ) -> None:
        self.allowed = holes
        self.meaning = meaning
        self.attributes = attributes or {}
        self.found: dict[str, ast.expr] = {}  # the expression at each hole

    def nodes(self, ours: object, theirs: object, scope: Scope | None) -> bool:
        if isinstance(ours, list):
            return (
                isinstance(theirs, list)
                and len(ours) == len(theirs)
                and all(self.nodes(a, b, scope) for a, b in zip(ours, theirs))
            )
        if not isinstance(ours, ast.AST):
            return type(ours) is type(theirs) and repr(ours) == repr(theirs)
        if not isinstance(theirs, ast.AST):
            return False
        if isinstance(ours, ast.Name):
            return self.name(ours, theirs, scope)
        if isinstance(ours, ast.Attribute):
            return self.attribute(ours, theirs, scope)
        if type(ours) is not type(theirs):
            return False
        if isinstance(ours, COMPREHENSIONS):
            return self.comprehension(ours, theirs, scope)
        if isinstance(ours, FUNCTIONS):
            return self.function(ours, theirs, scope)
        return self.fields(ours, theirs, scope)

    def fields(self, ours: ast.AST, theirs: ast.AST, scope: Scope | None) -> bool:
        return all(
            self.nodes(value, getattr(theirs, name, None), scope)
            for name, value in ast.iter_fields(ours)
            if name not in POSITIONS
        )

    def name(self, ours: ast.Name, theirs: ast.AST, scope: Scope | None) -> bool:
        if ours.id in self.allowed:
            return self.hole(ours.id, theirs, scope)
        while scope is not None and ours.id not in scope.ours:
            if isinstance(theirs, ast.Name) and scope.theirs is not None and theirs.id in scope.theirs:
                return False
            scope = scope.outer
        if scope is None:
            return isinstance(theirs, ast.expr) and self.meaning(theirs) == ours.id
        return isinstance(theirs, ast.Name) and scope.pair(ours.id, theirs.id)

    def hole(self, name: str, theirs: ast.AST, scope: Scope | None) -> bool:
        if not isinstance(theirs, ast.expr) or not self.allowed[name](theirs):
            return False
        inner: set[str] = set()
        while scope is not None:  # what stands in a hole must mean the same outside
            inner |= scope.theirs or set(scope.pairs.values())
            scope = scope.outer
        if any(isinstance(node, ast.Name) and node.id in inner for node in walk(theirs)):
            return False
        known = self.found.setdefault(name, theirs)
        return ast.dump(known) == ast.dump(theirs) or ast.unparse(known) == ast.unparse(theirs)

    def attribute(self, ours: ast.Attribute, theirs: ast.AST, scope: Scope | None) -> bool:
        if isinstance(ours.value, ast.Name) and ours.value.id == "math":
            return isinstance(theirs, ast.expr) and self.meaning(theirs) == f"math.{ours.attr}"
        return (
            isinstance(theirs, ast.Attribute)
            and self.attributes.get(ours.attr, ours.attr) == theirs.attr
            and self.nodes(ours.value, theirs.value, scope)
        )

    def comprehension(self, ours: ast.AST, theirs: ast.AST, scope: Scope | None) -> bool:
        """The first iterable belongs to the scope around, all else to a scope of its own."""
        mine, other = ours.generators, theirs.generators  # type: ignore[attr-defined]
        if len(mine) != len(other) or not self.nodes(mine[0].iter, other[0].iter, scope):
            return False
        inner = Scope(bound_names(ours), bound_names(theirs), scope)
        return all(
            (index == 0 or self.nodes(a.iter, b.iter, inner))
            and self.nodes(a.target, b.target, inner)
            and self.nodes(a.ifs, b.ifs, inner)
            and a.is_async == b.is_async
            for index, (a, b) in enumerate(zip(mine, other))
        ) and all(
            self.nodes(getattr(ours, name, None), getattr(theirs, name, None), inner)
            for name in ("elt", "key", "value")
        )

    def function(self, ours: ast.AST, theirs: ast.AST, scope: Scope | None) -> bool:
        assert isinstance(ours, FUNCTIONS) and isinstance(theirs, FUNCTIONS)
        if not isinstance(ours, ast.Lambda) and not isinstance(theirs, ast.Lambda):
            if theirs.decorator_list or getattr(theirs, "type_params", None):
                return False
            if scope is not None and ours.name in scope.ours and not scope.pair(ours.name, theirs.name):
                return False
        a, b = ours.args, theirs.args
        shape = [len(a.posonlyargs + a.args), len(a.kwonlyargs), a.vararg is None, a.kwarg is None]
        if shape != [len(b.posonlyargs + b.args), len(b.kwonlyargs), b.vararg is None, b.kwarg is None]:
            return False
        if not self.nodes([a.defaults, a.kw_defaults], [b.defaults, b.kw_defaults], scope):
            return False
        inner = Scope(bound_names(ours), bound_names(theirs), scope)
        if not all(inner.pair(x.arg, y.arg) for x, y in zip(parameters(ours), parameters(theirs))):
            return False
        return self.nodes(ours.body, theirs.body, inner)


def outline(node: ast.AST) -> tuple[type[ast.AST], ...]:
    """The types of an expression's first parts, of a list or a call: what must be alike at least."""
    found = [type(node)]
    while isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.Call)):
        if isinstance(node, ast.Call):
            if not node.args:
                break
            node = node.args[0]
        else:
            node = node.elt
        found.append(type(node))
    return tuple(found)


class Pattern:
    """Source to compare with: a function, some statements, or one expression.

    holes: the names that stand for expressions, with the test such an expression must pass.
    """

    def __init__(self, source: str, holes: Mapping[str, Callable[[ast.AST], bool]] | None = None) -> None:
        self.source = source
        self.holes = holes or {}
        self._body: list[ast.stmt] = []

    @property
    def body(self) -> list[ast.stmt]:
        """Parsed when it is first compared with something."""
        if not self._body:
            self._body = plain_statements(ast.parse(self.source).body)
        return self._body

    def match_statements(
        self,
        theirs: list[ast.stmt],
        meaning: Callable[[ast.expr], str | None],
        attributes: dict[str, str] | None = None,
    ) -> dict[str, ast.expr] | None:
        """The expression at each hole, None where they differ. `theirs` must have been through plain_statements."""
        if [type(statement) for statement in theirs] != [type(statement) for statement in self.body]:
            return None
        comparison = Comparison(self.holes, meaning, attributes)
        free = Scope(bound_names(ast.Module(self.body, [])), None)
        return comparison.found if comparison.nodes(self.body, theirs, free) else None

    def match_expression(
        self, theirs: ast.expr, meaning: Callable[[ast.expr], str | None]
    ) -> dict[str, ast.expr] | None:
        ours = self.body[0]
        assert isinstance(ours, ast.Expr)
        if outline(ours.value) != outline(theirs):
            return None  # nine of ten
        comparison = Comparison(self.holes, meaning)
        return comparison.found if comparison.nodes(ours.value, theirs, None) else None
