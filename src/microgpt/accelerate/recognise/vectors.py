"""Arithmetic over lists of Values, wherever it stands in a script, handed to the compiled functions.

Each place keeps the user's own code beside the call, for whatever the compiled function does not take (floats instead
of Values, lengths that differ, errors, which then come from the user's own line):

    [sum(wi * xi for wi, xi in zip(row, x)) for row in w]   ->   __microgpt__.linear(x, w) or [the same list]
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass

from ..findings import Finding
from ..syntax.binding import is_sure
from ..syntax.match import Match, Pattern, plain_statements
from ..syntax.program import Program
from ..syntax.scopes import parameters
from . import forms
from .value_class import ClassPlan

HELPER = "__microgpt__"
LATER = "_later"  # ends the names of helpers that are given a function which evaluates the arguments
COMPILED = frozenset({"linear", "softmax", "rmsnorm", "attention", "add", "relu"})  # what the swaps stand on
RESULT = "__microgpt_result__"
LOOKUPS = {"__getattr__", "__getattribute__", "__getitem__", "__missing__", "__get__", "__hash__", "__eq__"}
WORDS_OF_OBJECTS = {"__str__", "__repr__", "__format__"}
OPERATORS = {
    f"__{side}{name}__"
    for side in ("", "r")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "invert")
}

DOT_NEEDS = ("__init__", "__mul__", "__rmul__", "__add__", "__radd__")
SOFTMAX_NEEDS = ("__init__", "__sub__", "__add__", "__radd__", "__mul__", "__pow__", "__truediv__", "exp")
NEEDS = {
    "linear": DOT_NEEDS,
    "dot": DOT_NEEDS,
    "dot_range": DOT_NEEDS,
    "dot_length": DOT_NEEDS,
    "dot_column": DOT_NEEDS,
    "squares": DOT_NEEDS,
    "add": ("__init__", "__add__"),
    "relu": ("__init__", "relu"),
    "softmax": SOFTMAX_NEEDS,
    "rmsnorm": ("__init__", "__mul__", "__add__", "__radd__", "__pow__", "__truediv__"),
    "attention": (*SOFTMAX_NEEDS, *DOT_NEEDS),
}
EXPRESSIONS: list[tuple[str, list[Pattern], tuple[str, ...]]] = [
    ("linear", forms.LINEAR, ("X", "W")),
    ("dot", forms.DOT, ("X", "Y")),
    ("squares", forms.SQUARES, ("X",)),
    ("dot_range", forms.DOT_RANGE, ("X", "Y", "N")),
    ("dot_length", forms.DOT_LENGTH, ("X", "Y", "N")),
    ("dot_column", forms.DOT_COLUMN, ("X", "M", "J", "N")),
    ("add", forms.ADD, ("X", "Y")),
    ("relu", forms.RELU, ("X",)),
]
FUNCTIONS = {"softmax": forms.SOFTMAX, "rmsnorm": forms.RMSNORM}
WORDS = {
    "linear": "matrix product",
    "dot": "dot product",
    "dot_range": "dot product",
    "dot_length": "dot product",
    "dot_column": "weighted sum",
    "squares": "sum of squares",
    "add": "sum of vectors",
    "relu": "relu of a vector",
}


def call(function: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), function, ast.Load()), arguments, [])


def reload(node: ast.expr) -> ast.expr:
    """The expression of a hole, to be evaluated a second time, at its own place in the source."""
    return copy.deepcopy(node)


def later(arguments: list[ast.expr]) -> ast.Lambda:
    """A function that evaluates them: what they raise is then for the user's own code to raise, where it would."""
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), ast.Tuple(arguments, ast.Load()))


def attempt(made: ast.stmt, otherwise: ast.stmt) -> ast.Try:
    """A statement, and another one for when it raises an exception."""
    kind = ast.Attribute(ast.Name(HELPER, ast.Load()), "Exception", ast.Load())
    return ast.Try([made], [ast.ExceptHandler(kind, None, [otherwise])], [], [])


def placed(made: ast.AST, at: ast.AST) -> None:
    """Give a place in the source to what has none."""
    for part in ast.walk(made):
        if "lineno" in part._attributes and not hasattr(part, "lineno"):
            ast.copy_location(part, at)


@dataclass
class Swaps:
    """Rewrites the lists and functions of one program, and notes what it did."""

    program: Program
    plan: ClassPlan
    available: frozenset[str]  # names of the compiled functions

    def __post_init__(self) -> None:
        self.findings: list[Finding] = []
        self.softmaxes: list[ast.FunctionDef] = []
        self.allowed = frozenset(name for name in NEEDS if self._allowed(name))

    def _allowed(self, name: str) -> bool:
        base = name if name in ("add", "relu", "softmax", "rmsnorm", "attention") else "linear"
        if {"__bool__", "__len__"} & {*self.plan.kept, *self.plan.patched}:
            return False
        return base in self.available and self.plan.surely(*NEEDS[name])

    # ---- functions ----

    def function(self, node: ast.FunctionDef) -> str | None:
        """Hand a function over as a whole if it is one of the script's. Returns which."""
        for name, pattern in FUNCTIONS.items():
            if name in self.allowed and pattern.match_statements(plain_statements([node]), self.program.meaning):
                if name == "softmax":
                    self.softmaxes.append(node)
                self.findings.append(Finding(node.lineno, node.name, note=f"the script's {name}"))
                return name
        return None

    def guard(self, node: ast.FunctionDef, name: str) -> list[ast.stmt]:
        """The body of such a function, with what goes before it."""
        argument = parameters(node)[0].arg
        source = f"{RESULT} = {HELPER}.{name}({argument})\nif {RESULT} is not None:\n    return {RESULT}"
        made = ast.parse(source).body
        for statement in made:
            for inner in ast.walk(statement):
                if "lineno" in inner._attributes:
                    ast.copy_location(inner, node)
        after = 1 if ast.get_docstring(node, clean=False) is not None else 0
        return [*node.body[:after], *made, *node.body[after:]]

    # ---- expressions ----

    def expression(self, node: ast.expr) -> ast.expr | None:
        """What takes the place of an expression, None to leave it."""
        if not isinstance(node, (ast.ListComp, ast.Call)):
            return None
        for name, patterns, order in EXPRESSIONS:
            if name not in self.allowed:
                continue
            for pattern in patterns:
                found = pattern.match_expression(node, self.program.meaning)
                if found is None:
                    continue
                unsure = [hole for hole in order if not is_sure(self.program, node, found.holes[hole])]
                if self.can_repeat(found, later=bool(unsure)):
                    self.findings.append(Finding(node.lineno, WORDS[name]))
                    made = self.made_call(name, found, order, unsure)
                    placed(made, node)
                    return ast.copy_location(ast.BoolOp(ast.Or(), [made, node]), node)
        return None

    def made_call(self, name: str, found: Match, order: tuple[str, ...], unsure: list[str]) -> ast.Call:
        """The call of a helper. What must be evaluated later is named in a string, and goes into a function."""
        if not unsure:
            return call(name, [reload(found.holes[hole]) for hole in order])
        which = ast.Constant("".join("1" if hole in unsure else "0" for hole in order))
        sure = [reload(found.holes[hole]) for hole in order if hole not in unsure]
        return call(name + LATER, [which, later([reload(found.holes[hole]) for hole in unsure]), *sure])

    def can_repeat(self, found: Match, later: bool = False) -> bool:
        """Whether the expressions in the holes can be evaluated once more: no lookup of the user's own making.

        later: they go into a function, which changes the order of the names in locals().
        """
        if later and any(True for _ in self.program.calls("locals", "vars", "dir")):
            return False
        parts = [part for hole in found.holes.values() for part in ast.walk(hole)]
        if any(isinstance(part, (ast.BinOp, ast.UnaryOp)) for part in parts) and self.has_own_operators():
            return False
        if not any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts):
            return True
        own = LOOKUPS | (WORDS_OF_OBJECTS if any(isinstance(part, ast.FormattedValue) for part in parts) else set())
        return not any(
            (isinstance(node, ast.FunctionDef) and node.name in own)
            or (isinstance(node, ast.Name) and node.id in ("property", "cached_property"))
            for node in self.program.nodes
        )

    def has_own_operators(self) -> bool:
        """Whether arithmetic may run code of the user's."""
        return any(
            isinstance(node, ast.FunctionDef)
            and node.name in OPERATORS
            and not (node.name in self.plan.ours and self.program.parents.get(node) is self.plan.node)
            for node in self.program.nodes
        )

    # ---- attention ----

    def attention(self, body: list[ast.stmt], index: int) -> list[ast.stmt] | None:
        """What takes the place of the two statements at `index`, if they are the script's loop over the heads."""
        pair = body[index : index + 2]
        if "attention" not in self.allowed or len(pair) < 2 or not isinstance(pair[1], ast.For):
            return None
        found = forms.ATTENTION.match_statements(plain_statements(pair), self.program.meaning)
        if found is None or not self.can_repeat(found) or not self.is_softmax(found.holes["SOFTMAX"]):
            return None
        if not self.stay_inside(pair, found):
            self.findings.append(Finding(pair[1].lineno, "attention", "names of its loop are used elsewhere"))
            return None
        target = found.names["x_attn"]
        arguments = [reload(found.holes[hole]) for hole in ("Q", "KEYS", "VALUES", "HEADS", "DIM", "SOFTMAX")]
        test = ast.Compare(ast.Name(target, ast.Load()), [ast.Is()], [ast.Constant(None)])
        made, failed = (
            ast.Assign([ast.Name(target, ast.Store())], value)
            for value in (call("attention", arguments), call("failed", []))
        )
        first = attempt(made, failed)  # a name that is not there yet is the user's own loop's to complain about
        guard = ast.If(test, [], [])
        for new in (first, guard):
            placed(new, pair[1])
        guard.body = list(pair)
        self.findings.append(Finding(pair[1].lineno, "attention"))
        return [first, guard]

    def is_softmax(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Name) or node not in self.program.scopes.scope_of:
            return False
        return self.program.scopes.meaning(node) is self.program.scopes.module and self.program.scopes.binders(
            node.id
        ) in [[function] for function in self.softmaxes]

    def stay_inside(self, statements: list[ast.stmt], found: Match) -> bool:
        """Whether nobody else reads the names that these statements bind, except the first one's target."""
        inside = {node for statement in statements for node in ast.walk(statement)}
        if any(True for _ in self.program.calls("locals", "vars", "dir", "globals")):
            return False
        scopes = self.program.scopes
        names = {name for ours, name in found.names.items() if ours != "x_attn"}
        stores = [n for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id in names]
        for store in stores:
            scope = scopes.meaning(store)
            if scope is None or any(node not in inside for node in scopes.occurrences(store.id, scope)):
                return False
        return True
