"""A loop over parameters that does arithmetic on `p.data`, `p.grad` and lists beside them: Adam, SGD, momentum, decay.

The loop's body is run once on stand-ins, which gives every number that it stores as an expression. What depends on no
parameter is computed once, before the loop, by Python; the rest becomes a program of a few operations. Only what the
loop runs over is exchanged:

    for i, p in enumerate(params):   ->   for i, p in __microgpt__.loop(site, params, lambda: (lists, settings)):

The compiled loop updates all parameters but the last; the loop's own body does that one, so that every name it binds
holds afterwards what it would have held. Whatever the compiled loop does not take runs through the loop as it stands.
"""

from __future__ import annotations

import ast
import builtins
from itertools import permutations

from ..findings import Finding
from ..syntax.calls import helped, later, placed
from ..syntax.match import is_simple, plain_statements
from ..syntax.program import Program, pairs
from ..syntax.record import Record, fresh
from ..syntax.tree import walk
from .graph import Holes, may_be_followed, source_of
from .sandbox import Sandbox, is_tame, with_own_names
from .symbolic import Number, Tracer, Unknown
from .value_class import ClassPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DATA, GRAD = 0, 1  # registers; then the lists' cells, then the settings, then results
ADD, SUB, MUL, DIV, POW, SQRT, NEG, MAX, MIN = range(9)
OPERATIONS = {"+": ADD, "*": MUL, "/": DIV, "**": POW, "math.sqrt": SQRT, "-": NEG, "max": MAX, "min": MIN}
KEEP, INT, FLOAT = "keep", "int", "float"
MOST_REGISTERS = 60


class LoopSite(Record):
    """One such loop in a script."""

    line: int
    shape: tuple[str, ...]  # of what it runs over: some of enumerate, range, zip
    place: int  # which of the arguments of zip the parameters are
    n_lists: int  # lists that it reads and writes at the parameter's index, the first of its arguments
    n_settings: int  # numbers that are the same for all parameters, the others
    code: list[tuple[int, int, int]]  # (operation, register, register) for each result
    stores: dict[int, int]  # {register of what is stored into: register of the result}
    zero: str  # what it leaves in the gradients: KEEP what they are (or a result), INT or FLOAT: 0 of that kind
    negates: bool  # it may make a minus zero of a gradient that is the int 0
    # places of the settings that are Adam's beta1, 1 - beta1 and correction, the same of the second, lr, eps
    adam: tuple[int, ...] | None
    floats: list[int]  # places of the settings that must be floats, since max and min hand them on as they are
    private: bool  # nobody but the loop looks at the lists, which then need not be kept up to date


class Parameter:
    """A Value as the loop's body sees it."""

    def __init__(self, tracer: Tracer) -> None:
        self.sb_data, self.sb_grad = tracer.symbol("data", 0.75), tracer.symbol("grad", 0.25)


class Index:
    """The parameter's place."""


class Cells:
    """A list with a number for each parameter."""

    def __init__(self, number: Number) -> None:
        self.sb_number: Any = number

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, Index):
            raise Unknown("another place")
        return self.sb_number

    def __setitem__(self, index: Any, number: Any) -> None:
        self[index]
        self.sb_number = number


def looks_like_update(loop: ast.stmt, fields: dict[str, str]) -> bool:
    """Whether a loop stores data and reads gradients of what it runs over."""
    if not isinstance(loop, ast.For):
        return False
    over = {n.id for n in walk(loop.target) if isinstance(n, ast.Name)}
    uses = {
        (node.attr, isinstance(node.ctx, ast.Store))
        for statement in loop.body
        for node in walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in over
    }
    return (fields["data"], True) in uses and (fields["grad"], False) in uses


def find_loop(program: Program, loop: ast.For, plan: ClassPlan) -> tuple[LoopSite, list[ast.expr]] | None:
    """The site, and the expressions of its lists and settings."""
    head = read_head(program, loop, plan.fields)
    body = plain_statements(loop.body)
    if head is None or loop.orelse or not may_be_followed(body) or not all(map(is_tame, body)):
        return None
    if not has_fields(body, plan):
        return None
    try:
        return Loop(program, loop, head, plan).read(body)
    except (Exception, RecursionError):
        return None


def has_fields(body: list[ast.stmt], plan: ClassPlan) -> bool:
    wanted = {plan.fields["data"], plan.fields["grad"], *plan.kept}
    return any(isinstance(part, ast.Attribute) and part.attr in wanted for each in body for part in walk(each))


class Head(Record):
    """What a loop runs over. name: of the parameter, "" where it is looked up by the index; cells: names of the items
    of other lists, with those lists."""

    shape: tuple[str, ...]
    index: str
    name: str
    over: ast.expr
    cells: dict[str, ast.expr] = fresh({})
    place: int = 0

    @property
    def names(self) -> set[str]:
        return {self.index, self.name, *self.cells} - {""}


def read_head(program: Program, loop: ast.For, fields: dict[str, str]) -> Head | None:
    """for p in params, for i, p in enumerate(params), for i in range(len(params)), for p, m in zip(params, ms), ..."""
    index, target, over = "", loop.target, loop.iter
    shape: tuple[str, ...] = ()
    for counted in given_to(program, over, "enumerate", 1):
        if not (isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(target.elts[0], ast.Name)):
            return None
        index, target, over, shape = target.elts[0].id, target.elts[1], counted, ("enumerate",)
    if isinstance(target, ast.Name):
        for number in given_to(program, over, "range", 1):
            for counted in given_to(program, number, "len", 1):
                return Head(("range",), target.id, "", counted) if is_simple(counted) and not shape else None
        return Head(shape, index, target.id, over) if is_simple(over) or is_plain_call(over) else None
    if not isinstance(target, ast.Tuple):
        return None
    given = given_to(program, over, "zip", len(target.elts))
    pairs = {name.id: each for name, each in zip(target.elts, given) if isinstance(name, ast.Name) and is_simple(each)}
    of_values = [name for name in pairs if has_attributes(loop, name, fields)]
    if len(pairs) != len(target.elts) or len(of_values) != 1:
        return None
    (name,) = of_values
    place = list(pairs).index(name)
    return Head((*shape, "zip"), index, name, pairs.pop(name), pairs, place)


def given_to(program: Program, node: ast.expr, function: str, n: int) -> list[ast.expr]:
    """The n arguments of a call of this builtin; nothing of anything else."""
    if not isinstance(node, ast.Call) or node.keywords or len(node.args) != n:
        return []
    return node.args if program.meaning(node.func) == function else []


def has_attributes(loop: ast.For, name: str, fields: dict[str, str]) -> bool:
    found = (part for statement in loop.body for part in walk(statement) if isinstance(part, ast.Attribute))
    return any(
        isinstance(part.value, ast.Name) and part.value.id == name and part.attr in (fields["data"], fields["grad"])
        for part in found
    )


def is_plain_call(node: ast.expr) -> bool:
    """model.parameters()"""
    return isinstance(node, ast.Call) and is_simple(node.func) and not node.args and not node.keywords


class Loop:
    """One loop that is looked at."""

    def __init__(self, program: Program, loop: ast.For, head: Head, plan: ClassPlan) -> None:
        self.program, self.loop, self.head, self.plan = program, loop, head, plan
        self.tracer = Tracer()
        self.sandbox = Sandbox(None, self.tracer)
        self.sandbox.renamed = {plan.fields["data"]: "sb_data", plan.fields["grad"]: "sb_grad"}
        self.sandbox.names |= {name: self.chosen(name) for name in ("max", "min")}

    def read(self, body: list[ast.stmt]) -> tuple[LoopSite, list[ast.expr]] | None:
        bound = {n.id for s in body for n in walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if bound & self.head.names:
            return None
        holes = Holes(bound | self.head.names, self.is_known)
        made = [holes.visit(with_own_names(statement)) for statement in body]
        for beside in self.head.cells.values():
            holes.found.setdefault(ast.unparse(beside), beside)
        self.sources, self.expressions = list(holes.found), list(holes.found.values())
        lists = self.lists(made)
        parameter, cells = self.run(made, lists)
        return self.site(parameter, cells, lists)

    def chosen(self, operation: str) -> Any:
        """max or min of numbers, which are handed on as they are."""

        def choose(*numbers: Any) -> Number:
            made, *others = map(self.tracer.number, numbers)
            for other in others:
                value = getattr(builtins, operation)(made.sb_value, other.sb_value)
                made = self.tracer.make(operation, value, made.sb_is_int and other.sb_is_int, made, other)
            return made

        return choose

    def is_known(self, name: ast.Name) -> bool:
        meaning = self.program.meaning(name)
        if meaning is not None and meaning.split(".")[0] == "math":
            module = self.sandbox.math
            self.sandbox.names[name.id] = module if meaning == "math" else getattr(module, meaning[5:])
            return True
        return self.program.scopes.meaning(name) is None

    def lists(self, body: list[ast.stmt]) -> list[int]:
        """The holes that are looked up by the index, or run over beside the parameters."""
        found = {
            node.value.id
            for statement in body
            for node in walk(statement)
            if isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Name)
            and node.slice.id == self.head.index
        }
        found |= {f"sb_{self.hole(cells)}" for cells in self.head.cells.values()}
        over = self.hole(self.head.over) if "range" in self.head.shape else None
        return [k for k in range(len(self.expressions)) if f"sb_{k}" in found and k != over]

    def hole(self, expression: ast.expr) -> int | None:
        source = ast.unparse(expression)
        return self.sources.index(source) if source in self.sources else None

    def run(self, body: list[ast.stmt], lists: list[int]) -> tuple[Parameter, dict[int, Cells]]:
        head, index = self.head, Index()
        parameter, cells = self.kind()(self.tracer), {k: Cells(self.tracer.symbol(f"cell{k}", 0.5)) for k in lists}
        names = [f"sb_{k}" for k in range(len(self.expressions))]
        given: dict[str, Any] = {name: self.tracer.symbol(name.replace("sb_", "setting"), 0.125) for name in names}
        given |= {f"sb_{k}": each for k, each in cells.items()}
        if "range" in head.shape:
            given[f"sb_{self.hole(head.over)}"] = Cells(parameter)
        given |= {head.index: index, head.name: parameter}
        given |= {name: cells[self.hole(of)].sb_number for name, of in head.cells.items()}  # type: ignore[index]
        given.pop("", None)
        arguments = [ast.arg(each) for each in given]
        made = ast.FunctionDef("sb_body", ast.arguments([], arguments, None, [], [], None, []), body, [], None)
        made.type_params = []  # type: ignore[attr-defined]
        self.sandbox.define(made)
        self.sandbox.names["sb_body"](**given)
        if self.tracer.conditions:
            raise Unknown("what is done depends on a number")
        if "range" in head.shape and given[f"sb_{self.hole(head.over)}"].sb_number is not parameter:
            raise Unknown("another parameter")
        return parameter, cells

    def kind(self) -> Any:
        """Values as the loop's body sees them, with methods of the class: `def zero_grad(self): self.grad = 0`."""
        methods = {}
        for name, method in self.plan.kept.items():
            plain = isinstance(method, ast.FunctionDef) and not method.decorator_list and may_be_followed([method])
            if plain and is_tame(method) and not {name, "*"} & self.plan.patched and not name.startswith("__"):
                self.sandbox.define(method)
                methods[name] = self.sandbox.names.pop(name)
        return type("Parameter", (Parameter,), methods)

    def site(
        self, parameter: Parameter, cells: dict[int, Cells], lists: list[int]
    ) -> tuple[LoopSite, list[ast.expr]] | None:
        writer = Writer(self.tracer, lists, len(self.expressions))
        stores: dict[int, int] = {}
        numbers: dict[int, Number] = {}
        zero = KEEP
        grad = self.tracer.number(parameter.sb_grad)
        if self.tracer.known(grad) == 0:
            zero = INT if grad.sb_is_int else FLOAT
        elif self.tracer.keys[grad.sb_id] != ("symbol", "grad", False):
            stores[GRAD] = writer.register(grad)
        data = numbers[DATA] = self.tracer.number(parameter.sb_data)
        if self.tracer.keys[data.sb_id] != ("symbol", "data", False):
            stores[DATA] = writer.register(data)
        for place, k in enumerate(lists):
            number = numbers[2 + place] = self.tracer.number(cells[k].sb_number)
            if self.tracer.keys[number.sb_id] != ("symbol", f"cell{k}", False):
                stores[2 + place] = writer.register(number)
        if not stores and zero == KEEP:
            return None
        code, stores = writer.program(stores)
        expressions = [self.expressions[k] for k in lists]
        settings = [self.setting(number) for number in writer.settings]
        private = all(is_private(self.program, expression, self.loop) for expression in expressions)
        adam = writer.adam(stores, numbers) if len(lists) == 2 else None
        site = LoopSite(
            self.loop.lineno,
            self.head.shape,
            self.head.place,
            len(lists),
            len(settings),
            code,
            stores,
            zero,
            writer.negates,
            adam,
            [writer.settings.index(number) for number in writer.floats],
            private,
        )
        return site, [*expressions, *settings]

    def setting(self, number: int) -> ast.expr:
        symbols = {f"setting{k}": expression for k, expression in enumerate(self.expressions)}
        made: ast.expr = source_of(self.tracer, number, symbols)
        return made


class Writer:
    """Writes the operations that depend on the parameter."""

    def __init__(self, tracer: Tracer, lists: list[int], n_holes: int) -> None:
        self.tracer, self.lists = tracer, lists
        self.leaves = {"data": DATA, "grad": GRAD, **{f"cell{k}": 2 + place for place, k in enumerate(lists)}}
        self.settings: list[int] = []
        self.results: dict[int, tuple[str, int]] = {}  # number -> ("leaf" or "setting" or "result", place)
        self.code: list[tuple[int, Any, Any]] = []
        self.negates = False
        self.floats: list[int] = []

    def depends(self, number: int) -> bool:
        operation, *operands = self.tracer.keys[number]
        if operation == "symbol":
            return operands[0] in self.leaves
        return operation != "constant" and any(self.depends(operand) for operand in operands)

    def may_be_int(self, number: int) -> bool:
        """Whether it is the int 0 where a gradient is."""
        operation, *operands = self.tracer.keys[number]
        if operation == "symbol":
            return bool(operands[0] == "grad")
        if operation == "constant":
            return "." not in operands[0]
        found = map(self.may_be_int, operands)
        return any(found) if operation in ("max", "min") else operation in ("+", "*", "-") and all(found)

    def register(self, number: Number) -> int:
        if self.may_be_int(number.sb_id) or not self.depends(number.sb_id):
            raise Unknown("an int, or the same for all")
        return self.place(number.sb_id)  # type: ignore[no-any-return]

    def place(self, number: int) -> Any:
        """Where a number is: negative for settings, whose place is known at the end."""
        operation, *operands = self.tracer.keys[number]
        if not self.depends(number):
            if number not in self.settings:
                self.settings.append(number)
            return -1 - self.settings.index(number)
        if operation == "symbol":
            return self.leaves[operands[0]]
        if number not in self.results:
            if operation == "float":
                return self.place(operands[0])
            self.results[number] = ("result", self.write(operation, operands))
        return ("result", self.results[number][1])

    def write(self, operation: str, operands: list[int]) -> int:
        if operation == "+":
            for k in (0, 1):
                inner = self.tracer.keys[operands[k]]
                if inner[0] == "-":
                    return self.emit(SUB, self.place(operands[1 - k]), self.place(inner[1]))
        code = OPERATIONS[operation]
        self.negates = self.negates or code == NEG
        places = [self.place(operand) for operand in operands]
        if code in (MAX, MIN):
            self.floats += [operand for operand in operands if not self.depends(operand)]
            if any(self.tracer.keys[each][0] == "constant" and self.may_be_int(each) for each in operands):
                raise Unknown("an int, which is handed on")
        return self.emit(code, places[0], places[-1])

    def emit(self, operation: int, left: Any, right: Any) -> int:
        self.code.append((operation, left, right))
        return len(self.code) - 1

    def program(self, stores: dict[int, Any]) -> tuple[list[tuple[int, int, int]], dict[int, int]]:
        """With numbers of registers."""
        base = 2 + len(self.lists)

        def number(place: Any) -> int:
            if isinstance(place, tuple):
                return base + len(self.settings) + int(place[1])
            return int(place) if place >= 0 else base - 1 - int(place)

        code = [(operation, number(a), number(b)) for operation, a, b in self.code]
        if base + len(self.settings) + len(code) > MOST_REGISTERS:
            raise Unknown("too long")
        return code, {target: number(place) for target, place in stores.items()}

    def adam(self, stores: dict[int, int], numbers: dict[int, Number]) -> tuple[int, ...] | None:
        """The settings' places if this is the script's Adam, whose kernel is faster. numbers: what is stored where."""
        leaf = {place: self.tracer.symbol(name, 0.5).sb_id for name, place in self.leaves.items()}
        if set(stores) != {DATA, 2, 3}:
            return None
        for first, second in ((2, 3), (3, 2)):
            m = ("+", ("*", "beta1", leaf[first]), ("*", "rest1", leaf[GRAD]))
            v = ("+", ("*", "beta2", leaf[second]), ("*", "rest2", ("**", leaf[GRAD], "two")))
            step = ("/", ("*", "lr", ("/", m, "bias1")), ("+", ("**", ("/", v, "bias2"), "half"), "eps"))
            data = ("+", leaf[DATA], ("-", step))
            found: dict[str, int] = {}
            pairs = ((m, first), (v, second), (data, DATA))
            if all(self.unify(pattern, numbers[place].sb_id, found) for pattern, place in pairs):
                names = ("beta1", "rest1", "bias1", "beta2", "rest2", "bias2", "lr", "eps")
                if (self.known(found["two"]), self.known(found["half"])) == (2.0, 0.5):
                    return (*(self.settings.index(found[name]) for name in names), first, second)
        return None

    def unify(self, pattern: Any, number: int, found: dict[str, int]) -> bool:
        """Whether a number is made as the pattern says: names are settings, the same at every place."""
        if isinstance(pattern, int):
            return number == pattern
        if isinstance(pattern, str):
            return found.setdefault(pattern, number) == number and not self.depends(number)
        operation, *operands = self.tracer.keys[number]
        for order in permutations(operands) if operation in ("+", "*") else [operands]:
            trial = dict(found)
            if pattern[0] == operation and all(self.unify(one, other, trial) for one, other in zip(pattern[1:], order)):
                found.update(trial)
                return True
        return False

    def known(self, number: int) -> float | None:
        operation, *operands = self.tracer.keys[number]
        return float(operands[0]) if operation == "constant" else None


# ---- rewriting ------------------------------------------------------------------------------------------------------


def swap_loop(loop: ast.For, site: LoopSite, expressions: list[ast.expr], number: int) -> None:
    """Exchange what the loop runs over."""
    over = loop.iter
    for shape in site.shape:
        assert isinstance(over, ast.Call)
        over = ast.Tuple(over.args, ast.Load()) if shape == "zip" else over.args[0]
        over = over.args[0] if shape == "range" and isinstance(over, ast.Call) else over  # of range(len(params))
    made = helped("loop", ast.Constant(number), over, later(expressions))
    placed(made, loop.iter)
    loop.iter = made


def finding(site: LoopSite) -> Finding:
    what = "Adam" if site.adam else "loop over parameters"
    return Finding(site.line, what, note="" if site.private or not site.n_lists else "with its lists kept up to date")


# ---- lists that nobody else looks at --------------------------------------------------------------------------------


def is_private(program: Program, moments: ast.expr, loop: ast.For) -> bool:
    """Whether a name is bound to fresh lists, and otherwise occurs in this loop alone."""
    if not isinstance(moments, ast.Name) or moments not in program.scopes.scope_of:
        return False
    scope = program.scopes.meaning(moments)
    if scope is None or any(True for _ in program.calls("locals", "vars", "globals", "dir")):
        return False
    if scope is not program.scopes.module and moments.id not in scope_names(scope.node):
        return False
    inside = set(walk(loop))
    outside = [name for name in program.scopes.occurrences(moments.id, scope) if name not in inside]
    return bool(outside) and all(is_fresh_list(program, name) for name in outside)


def scope_names(node: ast.AST) -> set[str]:
    """Names that are assigned in a function, parameters left out."""
    return {inner.id for inner in walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)} - {
        inner.arg for inner in walk(node) if isinstance(inner, ast.arg)
    }


def is_fresh_list(program: Program, name: ast.Name) -> bool:
    """Whether this is the target of `name = [0.0] * n` or `name = [0.0 for ...]`, alone or in a tuple."""
    node = program.parents.get(name)
    if isinstance(node, ast.Tuple):
        node = program.parents.get(node)
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    value = dict(pairs(node.targets[0], node.value)).get(name)
    return value is not None and makes_list(value)


def makes_list(value: ast.expr) -> bool:
    repeated = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and isinstance(value.left, ast.List)
    return repeated or isinstance(value, (ast.ListComp, ast.List))
