"""Arithmetic over lists of Values, wherever it stands in a script, handed to the compiled functions.

Each place keeps the user's own code beside the call, for whatever the compiled function does not take (floats instead
of Values, lengths that differ, errors, which then come from the user's own line):

    [sum(wi * xi for wi, xi in zip(row, x)) for row in w]   ->   __microgpt__.linear(x, w) or [the same list]
"""

from __future__ import annotations

import ast

from ..findings import Finding
from ..syntax.binding import is_sure
from ..syntax.calls import HELPER, attempt, call, later, placed, reload
from ..syntax.match import Match, Pattern, plain_statements
from ..syntax.program import Program
from ..syntax.scopes import parameters
from ..syntax.tree import walk
from . import forms
from .graph import attention_holes, may_be_followed, which_function
from .value_class import ClassPlan

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


class Swaps:
    """Rewrites the lists and functions of one program, and notes what it did. available: the compiled functions."""

    def __init__(self, program: Program, plan: ClassPlan, available: frozenset[str]) -> None:
        self.program, self.plan, self.available = program, plan, available
        self.findings: list[Finding] = []
        self.softmaxes: list[ast.FunctionDef] = []
        self.allowed = frozenset(name for name in NEEDS if self._allowed(name))

    def _allowed(self, name: str) -> bool:
        base = name if name in ("add", "relu", "softmax", "rmsnorm", "attention") else "linear"
        if {"__bool__", "__len__"} & {*self.plan.kept, *self.plan.patched}:
            return False
        return base in self.available and self.plan.surely(*NEEDS[name])

    # ---- functions ----

    def function(self, node: ast.FunctionDef) -> tuple[str, tuple[int, ...]] | None:
        """Hand a function over as a whole if it is one of the script's. Returns which, and the order of arguments."""
        found = self.read_function(node) or self.run_function(node)
        if found is None or found[0] not in self.allowed:
            return None
        if found[0] == "softmax":
            self.softmaxes.append(node)
        self.findings.append(Finding(node.lineno, node.name, note=f"the script's {found[0]}"))
        return found

    def read_function(self, node: ast.FunctionDef) -> tuple[str, tuple[int, ...]] | None:
        """By its form."""
        for name, pattern in FUNCTIONS.items():
            if pattern.match_statements(plain_statements([node]), self.program.meaning):
                return name, (0,)
        return None

    def run_function(self, node: ast.FunctionDef) -> tuple[str, tuple[int, ...]] | None:
        """By what it does."""
        body = plain_statements(node.body)
        if len(body) == 1 and isinstance(body[0], ast.Return) and isinstance(body[0].value, ast.ListComp):
            return None  # swapped as an expression, with whatever a call of it is given
        if node not in [*self.program.home_body, *self.program.tree.body] or not self.is_called_plainly(node):
            return None
        data = self.plan.fields["data"]
        found = which_function(self.program, node, self.plan.name, data, forms.FUNCTION_SOURCES)
        return found if isinstance(found, tuple) else None

    def is_called_plainly(self, node: ast.FunctionDef) -> bool:
        """Whether all calls give as many arguments as are needed, so that defaults are what they are."""
        if not node.args.defaults:
            return True
        needed = len(node.args.args) - len(node.args.defaults)
        for mention in self.program.mentions(node.name):
            call = self.program.parents.get(mention)
            if not isinstance(call, ast.Call) or call.func is not mention or call.keywords or len(call.args) != needed:
                return False
        return not any(
            isinstance(argument, ast.Starred) for call in self.program.of(ast.Call) for argument in call.args
        )

    def guard(self, node: ast.FunctionDef, name: str, order: tuple[int, ...]) -> list[ast.stmt]:
        """The body of such a function, with what goes before it."""
        given = [argument.arg for argument in parameters(node)]
        arguments = ", ".join(given[order.index(k)] for k in range(len(order)))
        source = f"{RESULT} = {HELPER}.{name}({arguments})\nif {RESULT} is not None:\n    return {RESULT}"
        made = ast.parse(source).body
        for statement in made:
            for inner in walk(statement):
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
        parts = [part for hole in found.holes.values() for part in walk(hole)]
        if any(isinstance(part, (ast.BinOp, ast.UnaryOp)) for part in parts) and self.has_own_operators():
            return False
        if not any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts):
            return True
        own = LOOKUPS | (WORDS_OF_OBJECTS if any(isinstance(part, ast.FormattedValue) for part in parts) else set())
        return not any(node.name in own for node in self.program.of(ast.FunctionDef)) and not any(
            isinstance(node, ast.Name) for node in self.program.mentions("property", "cached_property")
        )

    def has_own_operators(self) -> bool:
        """Whether arithmetic may run code of the user's."""
        return any(
            node.name in OPERATORS
            and not (node.name in self.plan.ours and self.program.parents.get(node) is self.plan.node)
            for node in self.program.of(ast.FunctionDef)
        )

    # ---- attention ----

    def attention(self, body: list[ast.stmt], index: int) -> tuple[list[ast.stmt], int] | None:
        """What takes the place of the statements from `index` on, if they are the script's loop over the heads, and how
        many they are."""
        if "attention" not in self.allowed or not is_empty_list(body[index]):
            return None
        n = next((k for k in (2, 3) if isinstance(body[min(index + k, len(body)) - 1], ast.For)), 0)
        statements = body[index : index + n]
        softmax = next(
            filter(self.is_softmax, (c.func for s in statements for c in walk(s) if isinstance(c, ast.Call))), None
        )
        cuts = any(isinstance(part, ast.Slice) for s in statements for part in walk(s))
        if not n or not cuts or not isinstance(softmax, ast.Name) or not may_be_followed(statements):
            return None
        target = statements[0].targets[0].id  # type: ignore[attr-defined]
        form = forms.ATTENTION
        data = self.plan.fields["data"]
        found = attention_holes(self.program, statements, target, self.plan.name, data, softmax, form)
        if found is None:
            self.findings.append(
                Finding(statements[-1].lineno, "attention", "it differs from the script's loop over the heads")
            )
            return None
        holes, scale = found
        if not self.can_repeat(Match(holes)):
            return None
        if not self.stay_inside(statements, target):
            self.findings.append(Finding(statements[-1].lineno, "attention", "names of its loop are used elsewhere"))
            return None
        arguments = [reload(holes[hole]) for hole in ("Q", "KEYS", "VALUES", "HEADS", "DIM")]
        test = ast.Compare(ast.Name(target, ast.Load()), [ast.Is()], [ast.Constant(None)])
        made, failed = (
            ast.Assign([ast.Name(target, ast.Store())], value)
            for value in (call("attention", [*arguments, ast.Name(softmax.id, ast.Load()), scale]), call("failed", []))
        )
        first = attempt(made, failed)  # a name that is not there yet is the user's own loop's to complain about
        guard = ast.If(test, [], [])
        for new in (first, guard):
            placed(new, statements[-1])
        guard.body = list(statements)
        self.findings.append(Finding(statements[-1].lineno, "attention"))
        return [first, guard], n

    def is_softmax(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Name) or node not in self.program.scopes.scope_of:
            return False
        scope = self.program.scopes.meaning(node)
        binders = self.program.scopes.binders(node.id, scope) if scope is not None else []
        return scope in (self.program.scopes.module, self.program.home) and binders in [[f] for f in self.softmaxes]

    def stay_inside(self, statements: list[ast.stmt], target: str) -> bool:
        """Whether nobody else reads the names that these statements bind, except the first one's target."""
        inside = {node for statement in statements for node in walk(statement)}
        if any(True for _ in self.program.calls("locals", "vars", "dir", "globals")):
            return False
        scopes = self.program.scopes
        stores = [n for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n.id != target]
        for store in stores:
            scope = scopes.meaning(store)
            if scope is None or any(node not in inside for node in scopes.occurrences(store.id, scope)):
                return False
        return True


def is_empty_list(statement: ast.stmt) -> bool:
    """name = []"""
    return (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.List)
        and not statement.value.elts
    )
