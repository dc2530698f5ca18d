"""What functions over lists of Values compute: they are run on stand-ins, which remember how they were made.

Two pieces of code are the same if they make the same graph at several sizes: the same operations on the same
operands in the same order. Their loops may go by index or by zip, sums may be written as `sum` or one by one, results
have names or none. They may depend on no condition, so that nothing happens at one size and not at another.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from itertools import permutations

from ..syntax.calls import helper
from ..syntax.match import is_simple
from ..syntax.program import Program
from ..syntax.tree import walk
from .sandbox import Sandbox, is_tame, with_own_names
from .symbolic import Number, Tracer, Unknown, as_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DECIDING = (ast.If, ast.While, ast.IfExp, ast.Compare, ast.BoolOp, ast.Assert, ast.Raise, ast.Break, ast.Continue)
LARGEST_FUNCTION = 400  # nodes of its tree


class Made:
    """A Value as the sandbox has it: an operation and its operands."""

    __slots__ = ("sb_number", "sb_of", "sb_operation")
    sb_tracer: Tracer  # of the comparison that goes on

    def __init__(self, operation: Any, of: tuple[Any, ...], number: Number | None = None) -> None:
        self.sb_operation, self.sb_of, self.sb_number = operation, of, number

    def __add__(self, other: Any) -> Any:
        return with_constant_last("+", self, other)

    def __mul__(self, other: Any) -> Any:
        return with_constant_last("*", self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other: Any) -> Any:
        return Made("-", (self, other))

    def __rsub__(self, other: Any) -> Any:
        return Made("r-", (self, other))

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Made):
            return Made("/", (self, other))
        return self * self.sb_tracer.number(other) ** -1  # what the division by a number comes to

    def __rtruediv__(self, other: Any) -> Any:
        return Made("r/", (self, other))

    def __pow__(self, other: Any) -> Any:
        return Made("**", (self, other))

    def __neg__(self) -> Any:
        return Made("neg", (self,))

    def __getattr__(self, name: str) -> Any:
        if name == "sb_data":
            if self.sb_number is None:
                raise Unknown("the data of a result")
            return self.sb_number
        return lambda *arguments: Made(name, (self, *arguments))

    def __bool__(self) -> bool:
        raise Unknown("a Value as a condition")

    __iter__ = __len__ = __bool__


def with_constant_last(operation: str, a: Any, b: Any) -> Made:
    """Nobody sees on which side a constant stands: it has no children."""
    if isinstance(a, Made) and a.sb_operation == "constant" and isinstance(b, Made):
        a, b = b, a
    return Made(operation, (a, b))


class Size(int):
    """A number of elements. What is computed from it by other operations than those of counting stays an expression."""

    sb_symbol: Number

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        return self.sb_symbol**other

    def __truediv__(self, other: Any) -> Any:
        return self.sb_symbol / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.sb_symbol


class Space:
    """A sandbox for functions over Values."""

    def __init__(self, program: Program | None, data: str, kind: str, tracer: Tracer) -> None:
        self.sandbox, self.tracer = Sandbox(program, tracer), tracer
        self.sandbox.constants = (float,)  # an int may be a size, which is another one here
        self.sandbox.renamed = {data: "sb_data"}
        Made.sb_tracer = tracer
        self.sandbox.names[kind] = self.value
        self.sandbox.names["math"] = self.sandbox.math

    def value(self, number: Any) -> Made:
        return Made("constant", (), self.tracer.number(number))

    def define(self, node: ast.FunctionDef) -> Any:
        self.sandbox.define(node)
        return self.sandbox.names[node.name]

    def vector(self, name: str, n: int) -> list[Made]:
        values = [((k * 7 + len(name)) % 5) + 0.25 * k for k in range(n)]
        return [Made(f"{name}{k}", (), self.tracer.symbol(f"{name}{k}", values[k])) for k in range(n)]

    def matrix(self, name: str, rows: int, n: int) -> list[list[Made]]:
        return [self.vector(f"{name}{k}.", n) for k in range(rows)]

    def graph(self, results: Any) -> Any:
        """The graph below a list of results, as it is compared."""
        if type(results) is not list:
            raise Unknown("no list")
        places: dict[int, int] = {}
        found: list[Any] = []

        def visit(node: Any) -> Any:
            if not isinstance(node, Made):
                return "number", as_float(self.tracer.number(node)).sb_id
            if node.sb_operation == "constant":
                return "number", as_float(self.tracer.number(node.sb_number)).sb_id
            if id(node) not in places:
                operands = [visit(operand) for operand in node.sb_of]
                places[id(node)] = len(places)
                found.append((node.sb_operation, operands))
            return places[id(node)]

        return [visit(result) for result in results], found, self.tracer.conditions


# ---- functions ------------------------------------------------------------------------------------------------------


def may_be_followed(nodes: list[ast.stmt]) -> bool:
    """Whether nothing in this code depends on a condition."""
    parts = [part for node in nodes for part in walk(node)]
    return len(parts) <= LARGEST_FUNCTION and all(
        not isinstance(part, DECIDING) and not (isinstance(part, ast.comprehension) and part.ifs) for part in parts
    )


def has_sizes(nodes: list[ast.stmt]) -> bool:
    """Whether there is an int that may be a size: one at which something happens that does not at the sizes tried."""
    constants = [part for node in nodes for part in walk(node) if isinstance(part, ast.Constant)]
    return any(isinstance(constant.value, int) and constant.value not in (0, 1, 2) for constant in constants)


def vector_arguments(space: Space) -> Iterator[tuple[Any, ...]]:
    for n in (1, 2, 3, 5):
        yield (space.vector("x", n),)


def matrix_arguments(space: Space) -> Iterator[tuple[Any, ...]]:
    for n, rows in ((1, 1), (3, 2), (2, 5), (4, 1)):
        yield space.vector("x", n), space.matrix("w", rows, n)


ARGUMENTS = {"linear": matrix_arguments, "softmax": vector_arguments, "rmsnorm": vector_arguments}


def which_function(program: Program, node: ast.FunctionDef, kind: str, data: str, sources: dict[str, str]) -> Any:
    """(name, order of its arguments) of the one among `sources` that a function does the same as, or None."""
    arguments = node.args
    n = len(arguments.args) - len(arguments.defaults)
    if n not in (1, 2) or arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        return None
    if node.decorator_list or not is_tame(node) or not may_be_followed([node]) or has_sizes([node]):
        return None
    tracer = Tracer()
    try:
        space, reference = Space(program, data, kind, tracer), Space(None, "data", "Value", tracer)
        mine = space.define(node)
        for name, source in sources.items():
            if len(next(iter(ARGUMENTS[name](space)))) != n:
                continue
            theirs = reference.define(ast.parse(source).body[0])  # type: ignore[arg-type]
            for order in ((0, 1), (1, 0)) if n == 2 else ((0,),):
                if all(same_call(space, mine, theirs, given, order) for given in ARGUMENTS[name](space)):
                    return name, order
    except (Exception, RecursionError):
        return None
    return None


def same_call(space: Space, mine: Any, theirs: Any, given: tuple[Any, ...], order: tuple[int, ...]) -> bool:
    graphs = []
    for function, arguments in ((theirs, given), (mine, tuple(given[k] for k in order))):
        before = [list(argument) for argument in arguments]
        space.tracer.begin()
        try:
            graphs.append(space.graph(function(*arguments)))
        except Unknown:
            raise
        except Exception:
            return False
        if [list(argument) for argument in arguments] != before:
            return False
    return bool(graphs[0] == graphs[1])


# ---- attention ------------------------------------------------------------------------------------------------------

SIZES = ((1, 1, 1), (2, 1, 3), (1, 2, 2), (2, 3, 3), (3, 2, 1))  # heads, dimensions of each, positions


class Holes(ast.NodeTransformer):
    """Puts names in the places of simple expressions of the outside."""

    def __init__(self, bound: set[str], known: Callable[[ast.Name], bool]) -> None:
        self.bound, self.known = bound, known
        self.found: dict[str, ast.expr] = {}

    def is_hole(self, node: ast.expr) -> bool:
        names = [part for part in walk(node) if isinstance(part, ast.Name)]
        return is_simple(node) and bool(names) and not any(n.id in self.bound or self.known(n) for n in names)

    def generic_visit(self, node: ast.AST) -> Any:
        reads = isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Load)
        if reads and isinstance(node, ast.expr) and self.is_hole(node):
            self.found.setdefault(ast.unparse(node), node)
            return ast.Name(f"sb_{list(self.found).index(ast.unparse(node))}", ast.Load())
        return super().generic_visit(node)

    visit_Name = generic_visit


def attention_holes(
    program: Program, statements: list[ast.stmt], target: str, kind: str, data: str, softmax: ast.Name, source: str
) -> tuple[dict[str, ast.expr], Any] | None:
    """(expressions at the places of Q, KEYS, VALUES, HEADS, DIM; the scores' scale as source) of statements that do
    what the script's loop over the heads does."""
    if not may_be_followed(statements) or has_sizes(statements) or not all(map(is_tame, statements)):
        return None
    bound = {n.id for s in statements for n in walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}

    def known(name: ast.Name) -> bool:
        return name.id == softmax.id or program.scopes.meaning(name) is None or program.meaning(name) is not None

    holes = Holes(bound, known)
    try:
        body = [holes.visit(with_own_names(statement)) for statement in statements]
        return try_roles(program, body, holes.found, target, kind, data, softmax.id, source)
    except (Exception, RecursionError):
        return None


def try_roles(
    program: Program,
    body: list[ast.stmt],
    found: dict[str, ast.expr],
    target: str,
    kind: str,
    data: str,
    softmax: str,
    source: str,
) -> tuple[dict[str, ast.expr], Any] | None:
    tracer = Tracer()
    space, reference = Space(program, data, kind, tracer), Space(None, "data", "Value", tracer)
    names = [f"sb_{k}" for k in range(len(found))]
    for s in (space, reference):
        s.sandbox.names[softmax if s is space else "SOFTMAX"] = lambda scores: [
            Made("softmax", (k, *scores)) for k in range(len(scores))
        ]
    expressions = list(found.values())
    reference_run = runner(
        reference, ast.parse(source).body, ["HEADS", "DIM", "Q", "KEYS", "VALUES", "SCALE"], "x_attn"
    )
    mine_run = runner(space, body, names, target)
    for roles in permutations(range(len(names)), 5):
        scale = [k for k in range(len(names)) if k not in roles]
        if len(scale) > 1:
            return None
        found_scale = None
        for n_head, dim, n in SIZES:
            arguments = stand_ins(space, n_head, dim, n)
            given: list[Any] = [None] * len(names)
            for role, argument in zip(roles, arguments):
                given[role] = argument
            if scale:
                given[scale[0]] = tracer.symbol("scale", 0.5)
            try:
                graph = space.graph(mine_run(*given))
                found_scale = scale_of(tracer, graph)
                if found_scale is None:
                    break
                other = reference.graph(reference_run(*arguments, Number(tracer, found_scale, 0.5, False)))
            except Unknown:
                break
            except Exception:
                break
            if graph != other:
                break
        else:
            by_role = dict(zip(("HEADS", "DIM", "Q", "KEYS", "VALUES"), (expressions[role] for role in roles)))
            symbols = {"dim": by_role["DIM"], "scale": expressions[scale[0]] if scale else None}
            return by_role, source_of(tracer, found_scale, symbols)
    return None


def runner(space: Space, body: list[ast.stmt], names: list[str], target: str) -> Any:
    arguments = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    result = ast.Return(ast.Name(target, ast.Load()))
    made = ast.FunctionDef("sb_run", arguments, [*body, result], [], None)
    made.type_params = []  # type: ignore[attr-defined]
    return space.define(made)


def stand_ins(space: Space, n_head: int, dim: int, n: int) -> tuple[Any, ...]:
    size = Size(dim)
    size.sb_symbol = space.tracer.symbol("dim", dim)
    width = n_head * dim
    return n_head, size, space.vector("q", width), space.matrix("k", n, width), space.matrix("v", n, width)


def scale_of(tracer: Tracer, graph: Any) -> int | None:
    """The number that scores are multiplied with: they are the operands of the first softmax."""
    nodes = graph[1]
    for operation, operands in nodes:
        if operation == "softmax":
            made = nodes[operands[1]]
            if made[0] == "*" and isinstance(made[1][1], tuple):
                return int(made[1][1][1])
            return None
    return None


def source_of(tracer: Tracer, number: int | None, symbols: dict[str, Any]) -> Any:
    """An expression that computes a number again."""
    assert number is not None
    operation, *operands = tracer.keys[number]
    if operation == "symbol":
        return copy.deepcopy(symbols[operands[0]])
    if operation == "constant":
        return ast.parse(operands[0], mode="eval").body
    parts = [source_of(tracer, operand, symbols) for operand in operands]
    if operation == "float":
        return parts[0]
    if operation == "-":
        return ast.UnaryOp(ast.USub(), parts[0])
    if operation.startswith("math."):
        return ast.Call(ast.Attribute(helper("math"), operation.removeprefix("math."), ast.Load()), parts, [])
    operators = {"+": ast.Add, "*": ast.Mult, "/": ast.Div, "**": ast.Pow}
    return ast.BinOp(parts[0], operators[operation](), parts[1])
