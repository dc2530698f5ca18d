"""Arithmetic over lists of Values, wherever it stands in a script, handed to the compiled functions.

Each place keeps the user's own code beside the call, for whatever the compiled function does not take (floats instead
of Values, lengths that differ, errors, which then come from the user's own line):

    [sum(wi * xi for wi, xi in zip(row, x)) for row in w]   ->   __microgpt__.linear(lambda: (x, w)) or [the same list]

A function hands the arguments over, so that what they raise is for the user's own code to raise, where it would.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ..explain import differences
from ..findings import Finding
from ..syntax.calls import HELPER, call, helped, placed
from ..syntax.match import Reading, plain_statements
from ..syntax.program import Program
from ..syntax.scopes import parameters
from ..syntax.tree import walk
from . import forms
from .graph import attention_holes, may_be_followed, which_function
from .sandbox import is_tame
from .value_class import ClassPlan

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
NEEDS = {  # methods, by compiled function
    "linear": DOT_NEEDS,
    "add": ("__init__", "__add__"),
    "relu": ("__init__", "relu"),
    "softmax": SOFTMAX_NEEDS,
    "rmsnorm": ("__init__", "__mul__", "__add__", "__radd__", "__pow__", "__truediv__"),
    "attention": (*SOFTMAX_NEEDS, *DOT_NEEDS),
}
WHOLE = ("softmax", "rmsnorm")  # functions that are handed over as such


class Swaps:
    """Rewrites the lists and functions of one program, and notes what it did. available: the compiled functions."""

    def __init__(self, program: Program, plan: ClassPlan, available: frozenset[str]) -> None:
        self.program, self.plan, self.available = program, plan, available
        self.findings: list[Finding] = []
        self.softmaxes: list[ast.FunctionDef] = []
        self.allowed = frozenset(name for name in NEEDS if self._allowed(name))

    def _allowed(self, name: str) -> bool:
        return name in self.available and self.plan.surely(*NEEDS[name])

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
        words = Reading(node, self.program.scopes, self.program.meaning).words
        return next(((name, (0,)) for name in WHOLE if words == forms.words(name)), None)

    def run_function(self, node: ast.FunctionDef) -> tuple[str, tuple[int, ...]] | None:
        """By what it does."""
        body = plain_statements(node.body)
        if len(body) == 1 and isinstance(body[0], ast.Return) and self.read_expression(body[0].value) is not None:
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
        source = f"{RESULT} = {HELPER}.{name}(lambda: ({arguments},))\nif {RESULT} is not None:\n    return {RESULT}"
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
        found = self.read_expression(node)
        if found is None:
            return None
        name, what, arguments = found
        self.findings.append(Finding(node.lineno, what))
        made: ast.expr = call(name, arguments)
        if not isinstance(node, ast.Call) or not {"__bool__", "__len__"} & set(self.plan.kept):
            made = ast.BoolOp(ast.Or(), [made, node])
        else:  # a Value that may be false, in a tuple, which is not
            either = ast.BoolOp(ast.Or(), [helped("boxed", made), ast.Tuple([node], ast.Load())])
            made = ast.Subscript(either, ast.Constant(0), ast.Load())
        placed(made, node)
        return ast.copy_location(made, node)

    def read_expression(self, node: ast.expr | None) -> tuple[str, str, list[ast.expr]] | None:
        """(which helper does the same, what that is called, its arguments)"""
        if not isinstance(node, (ast.ListComp, ast.Call)):
            return None
        read = Reading(node, self.program.scopes, self.program.meaning, with_holes=True)
        holes, (name, compiled, what, order) = forms.expressions().get(tuple(read.words), ((), ("", "", "", "")))
        found: dict[str, ast.expr] = {}
        alike = all(ast.dump(found.setdefault(hole, each)) == ast.dump(each) for hole, each in zip(holes, read.holes))
        if compiled not in self.allowed or not alike or not self.can_repeat(found.values()):
            return None
        return name, what, [found[hole] for hole in order]

    def can_repeat(self, expressions: Iterable[ast.expr]) -> bool:
        """Whether these expressions can be evaluated once more: no lookup of the user's own making."""
        parts = [part for expression in expressions for part in walk(expression)]
        if any(isinstance(part, (ast.BinOp, ast.UnaryOp)) for part in parts) and self.has_own_operators():
            return False
        if not any(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts):
            return True
        own = LOOKUPS | (WORDS_OF_OBJECTS if any(isinstance(part, ast.FormattedValue) for part in parts) else set())
        plan = self.plan  # whose own methods do nothing but compute, or are used by nobody
        known = [each for name, each in plan.kept.items() if not plan.by_value or name in plan.unseen or is_tame(each)]
        return not any(node.name in own and node not in known for node in self.program.of(ast.FunctionDef)) and not any(
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
            why, detail = (
                "it differs from the script's loop over the heads",
                differences(form, ast.Module(statements, [])),
            )
            self.findings.append(Finding(statements[-1].lineno, "attention", why, detail=tuple(detail)))
            return None
        holes, scale = found
        if not self.can_repeat(holes.values()):
            return None
        if not self.stay_inside(statements, target):
            self.findings.append(Finding(statements[-1].lineno, "attention", "names of its loop are used elsewhere"))
            return None
        arguments = [holes[hole] for hole in ("Q", "KEYS", "VALUES", "HEADS", "DIM")]
        made = call("attention", [*arguments, ast.Name(softmax.id, ast.Load()), scale])
        first = ast.Assign([ast.Name(target, ast.Store())], made)
        guard = ast.If(ast.Compare(ast.Name(target, ast.Load()), [ast.Is()], [ast.Constant(None)]), [], [])
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
            outside = (
                [n for n in scopes.occurrences(store.id, scope) if n not in inside] if scope is not None else [store]
            )
            if not all(is_bound_again(self.program, n) for n in outside):
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


def is_bound_again(program: Program, name: ast.Name) -> bool:
    """Whether this binds a name anew, or a statement around it or before it in its block has: `for h in ...: f(h)`."""
    if not isinstance(name.ctx, ast.Load):
        return isinstance(name.ctx, ast.Store) and not isinstance(program.parents[name], ast.AugAssign)
    node: ast.AST = name
    while not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.Module)):
        around = program.parents[node]
        targets: list[ast.AST] = [around.target] if isinstance(around, ast.For) and node in around.body else []
        block = next((part for _, part in ast.iter_fields(around) if isinstance(part, list) and node in part), [])
        for statement in block[: block.index(node)] if block else ():
            targets += statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(part, ast.Name) and part.id == name.id for target in targets for part in walk(target)):
            return True
        node = around
    return False
