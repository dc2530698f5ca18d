"""What a class does, whatever it looks like: its methods are run on symbolic numbers, beside those of the script's.

Two methods are alike if the results have the same data, and backward adds the same contributions in the same order to
everything below, in every context tried: leaves, one operand twice, operands that share a child or stand below each
other, results used beside their operands. Nodes in between, which nobody looks at, may differ then (`LIKE_NUMBERS`);
where somebody looks at children, the nodes themselves have to be alike (`LIKE_NODES`).
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator

from ..syntax.match import plain, plain_statements
from ..syntax.program import Program
from ..syntax.tree import walk
from .flags import Flag
from .sandbox import Sandbox, is_tame
from .symbolic import Number, Tracer, Truth, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIKE_NUMBERS, LIKE_NODES = 1, 2
DATA, GRAD, CHILDREN, LOCAL_GRADS = "data", "grad", "_children", "_local_grads"
BACKWARD_CONSTANTS = (0, 1, -1, None, True, False)
BACKWARD_METHODS = {
    *("append", "add", "pop", "extend", "insert", "remove", "clear", "reverse", "appendleft", "popleft", "discard"),
}


class World:
    """A class in a sandbox, and nodes made of it."""

    def __init__(self, sandbox: Sandbox, kind: type, fields: dict[str, str], order: tuple[str, ...]) -> None:
        self.tracer, self.sandbox, self.kind, self.fields = sandbox.tracer, sandbox, kind, fields
        self.order = order  # the constructor's names for data, children and local gradients
        made = kind.__init__  # type: ignore[misc]
        grad = fields[GRAD]

        def initialise(node: Any, *arguments: Any, **named: Any) -> None:
            made(node, *arguments, **named)
            # an int, which a script may set it to where the constructor has 0.0
            setattr(node, grad, Number(self.tracer, self.tracer.intern("zero"), 0, True))

        kind.__init__ = initialise  # type: ignore[misc]

    def leaf(self, name: str, value: float) -> Any:
        return self.kind(self.tracer.symbol(name, value))

    def node(self, data: Any, children: Any = (), grads: Any = ()) -> Any:
        return self.kind(**dict(zip(self.order, (data, children, grads))))

    def get(self, node: Any, name: str) -> Any:
        return getattr(node, self.fields[name])

    def number(self, node: Any, name: str) -> Number:
        return self.tracer.number(self.get(node, name))

    def times(self, x: Any, y: Any) -> Any:
        """x * y as the script has it, whatever the class's own product is."""
        a, b = self.number(x, DATA), self.number(y, DATA)
        return self.node(a * b, (x, y), (b, a))

    def plus(self, x: Any, y: Any) -> Any:
        return self.node(self.number(x, DATA) + self.number(y, DATA), (x, y), (1, 1))

    def links(self, node: Any) -> list[tuple[Any, Number]]:
        """(child, local gradient) in the order in which backward comes to them."""
        found = []
        for child, grad in zip(self.get(node, CHILDREN), self.get(node, LOCAL_GRADS)):
            number = (1 if grad else 0) if isinstance(grad, (Truth, bool)) else grad
            found.append((child, self.tracer.number(number)))
        return found

    def below(self, root: Any) -> list[Any]:
        """The script's order: children first, left to right."""
        found: list[Any] = []
        seen: set[int] = set()

        def visit(node: Any) -> None:
            if id(node) not in seen:
                seen.add(id(node))
                for child in self.get(node, CHILDREN):
                    visit(child)
                found.append(node)

        visit(root)
        return found

    def backward(self, root: Any, start: Any) -> None:
        """The script's backward."""
        order = self.below(root)
        setattr(root, self.fields[GRAD], start)
        for node in reversed(order):
            for child, local in self.links(node):
                grad = self.number(child, GRAD) + local * self.number(node, GRAD)
                setattr(child, self.fields[GRAD], grad)


def key(number: Number) -> tuple[int, bool]:
    return number.sb_id, number.sb_is_int


def outcome(world: World, build: Callable[[World], tuple[Any, list[Any]]], like: int, start: float) -> Any:
    """What comes of `build`, which returns a result and what it was made from."""
    world.tracer.begin()
    try:
        result, watched = build(world)
        data = key(world.number(result, DATA))
    except Unknown:
        raise
    except Exception as error:
        return "raises", type(error).__name__
    found: list[Any] = [data, frozenset(world.tracer.conditions), raised(world.tracer)]
    if like == LIKE_NODES:
        return [*found, nodes_of(world, result)]
    world.backward(result, world.tracer.symbol("g", start))
    return [*found, [key(world.number(node, GRAD)) for node in watched]]


def raised(tracer: Tracer) -> Any:
    """What may have raised an exception, in order: the first one does. All powers of one number raise the same."""
    keys = [tracer.keys[made] for made in tracer.raising]
    bases = {tracer.keys[base][1] if tracer.keys[base][0] == "float" else base for _, base, *_ in keys}
    kind = frozenset if len(bases) == 1 and all(name == "**" for name, *_ in keys) else tuple
    return kind(dict.fromkeys(tracer.raising))


def nodes_of(world: World, root: Any) -> list[Any]:
    """Everything about the nodes below one."""
    order = world.below(root)
    place = {id(node): k for k, node in enumerate(order)}
    found = []
    for node in order:
        children, grads = world.get(node, CHILDREN), world.get(node, LOCAL_GRADS)
        numbers = [key(number) for _, number in world.links(node)]
        found.append(
            (key(world.number(node, DATA)), [place[id(c)] for c in children], numbers, type(children), type(grads))
        )
    return found


# ---- contexts -------------------------------------------------------------------------------------------------------

Build = Callable[[World], "tuple[Any, list[Any]]"]


def in_company(world: World, result: Any, others: list[Any], first: bool) -> Any:
    """A root above a result and above its operands: which of them backward comes to first differs."""
    root = world.times(result, world.leaf("k", 3.0))
    for other in others:
        product = world.times(other, world.leaf("m", 0.7))
        root = world.plus(root, product) if first else world.plus(product, root)
    return root


def pairs(world: World, shape: int) -> tuple[Any, Any, list[Any]]:
    """Two operands, and the leaves below them."""
    a, b, c = world.leaf("a", 1.25), world.leaf("b", 2.5), world.leaf("c", 0.75)
    if shape == 0:
        return a, b, []
    if shape == 1:
        return a, a, []
    if shape == 2:
        return world.times(a, c), world.times(b, c), [a, b, c]
    if shape == 3:
        low = world.times(b, c)
        return world.times(low, a), low, [a, b, c]
    low = world.times(b, c)
    return low, world.times(low, a), [a, b, c]


def of_two(apply: Callable[[Any, Any], Any]) -> Iterator[Build]:
    for shape in range(5):
        for first in (True, False):

            def build(world: World, shape: int = shape, first: bool = first) -> tuple[Any, list[Any]]:
                x, y, below = pairs(world, shape)
                return in_company(world, apply(x, y), [x, y, *below], first), [x, y, *below]

            yield build
    for x, y in ((1.25, 2.5), (1.25, 3), (3, 2.5), (3, 2), (2, -3)):

        def build_kinds(world: World, x: float = x, y: float = y) -> tuple[Any, list[Any]]:
            a, b = world.leaf("a", x), world.leaf("b", y)
            return apply(a, b), [a, b]

        yield build_kinds


def of_one(apply: Callable[[Any], Any]) -> Iterator[Build]:
    for value in (1.25, -1.5, 0.0, -0.0, float("nan"), float("inf"), 3, 0, -2):

        def build(world: World, value: float = value) -> tuple[Any, list[Any]]:
            a = world.leaf("a", value)
            return apply(a), [a]

        yield build
    for first in (True, False):

        def build_above(world: World, first: bool = first) -> tuple[Any, list[Any]]:
            a, c = world.leaf("a", 1.25), world.leaf("c", 0.75)
            x = world.times(a, c)
            return in_company(world, apply(x), [x, c], first), [x, a, c]

        yield build_above


def with_number(apply: Callable[[Any, Any], Any]) -> Iterator[Build]:
    for number in (2.5, 3, -1, 1, 0, 0.0, -0.5):
        for value in (1.25, 2):

            def build(world: World, number: float = number, value: float = value) -> tuple[Any, list[Any]]:
                a, c = world.leaf("a", value), world.leaf("c", 0.75)
                x = world.times(a, c) if value == 1.25 else a
                return apply(x, world.tracer.symbol("n", number)), [x, a, c]

            yield build


CONTEXTS: dict[str, Callable[[], Iterator[Build]]] = {
    "__add__": lambda: both(lambda x, y: x.__add__(y)),
    "__mul__": lambda: both(lambda x, y: x.__mul__(y)),
    "__sub__": lambda: both(lambda x, y: x.__sub__(y)),
    "__truediv__": lambda: both(lambda x, y: x.__truediv__(y)),
    "__radd__": lambda: with_number(lambda x, n: x.__radd__(n)),
    "__rmul__": lambda: with_number(lambda x, n: x.__rmul__(n)),
    "__rsub__": lambda: with_number(lambda x, n: x.__rsub__(n)),
    "__rtruediv__": lambda: with_number(lambda x, n: x.__rtruediv__(n)),
    "__pow__": lambda: with_number(lambda x, n: x.__pow__(n)),
    "__neg__": lambda: of_one(lambda x: x.__neg__()),
    "log": lambda: of_one(lambda x: x.log()),
    "exp": lambda: of_one(lambda x: x.exp()),
    "relu": lambda: of_one(lambda x: x.relu()),
}


def both(apply: Callable[[Any, Any], Any]) -> Iterator[Build]:
    yield from of_two(apply)
    yield from with_number(apply)


def alike(name: str, mine: World, reference: World) -> int:
    """How much the method of this name is like the reference's: 0, LIKE_NUMBERS or LIKE_NODES."""
    found = LIKE_NODES
    try:
        for build in CONTEXTS[name]():
            for start in (0.5, 1):
                if outcome(mine, build, LIKE_NUMBERS, start) != outcome(reference, build, LIKE_NUMBERS, start):
                    return 0
            if found == LIKE_NODES and outcome(mine, build, LIKE_NODES, 1) != outcome(reference, build, LIKE_NODES, 1):
                found = LIKE_NUMBERS
    except (Exception, RecursionError):
        return 0
    return found


# ---- backward -------------------------------------------------------------------------------------------------------


def is_tame_backward(method: ast.FunctionDef, fields: dict[str, str], by_value: bool) -> bool:
    """Whether what it does can depend on nothing but the shape of the graph: no numbers, no conditions on them.
    by_value: Values are told apart by code of the user's."""
    for node in walk(plain(method) or method):
        if by_value and may_compare(node):
            return False
        if isinstance(node, ast.Constant) and not isinstance(node.value, str) and node.value not in BACKWARD_CONSTANTS:
            return False
        if isinstance(node, ast.Attribute) and node.attr not in {*BACKWARD_METHODS, *fields.values()}:
            return False
        if isinstance(node, ast.Name) and node.id in (
            "sum",
            "max",
            "min",
            "sorted",
            "map",
            "float",
            "int",
            "isinstance",
        ):
            return False
    return is_tame(method)


def may_compare(node: ast.AST) -> bool:
    """Whether this may ask Values whether they are equal: anything but `id(v) in visited`."""
    if isinstance(node, ast.Compare):
        by_id = isinstance(node.left, ast.Call) and ast.unparse(node.left.func) == "id"
        return not by_id and not all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
    if isinstance(node, ast.Attribute):
        return node.attr == "remove"
    return isinstance(node, ast.Dict) or (isinstance(node, ast.Name) and node.id == "dict")


def graphs() -> Iterator[list[list[int]]]:
    """Graphs as lists of the children of every node, which stand before it. The last node is the root."""
    yield [[]]
    yield [[], [0, 0]]
    yield [[], [0], [0, 1, 1], [], [2, 0], [4, 3, 2], [5, 5, 1]]
    rng = random.Random(3)
    for size in (4, 6, 9, 12, 12, 15):
        for _ in range(2):
            yield [[rng.randrange(k) for _ in range(rng.choice((0, 1, 2, 2, 3)) if k else 0)] for k in range(size)]


def same_backward(mine: World, reference: World, start: float, unequal: bool) -> bool:
    """Whether the class's own backward does what the script's does. unequal: also where a node has more children than
    local gradients, or fewer."""
    try:
        return all(same_on(mine, reference, shape, start, unequal) for shape in graphs())
    except (Exception, RecursionError):
        return False


def same_on(mine: World, reference: World, shape: list[list[int]], start: float, unequal: bool) -> bool:
    mine_nodes, other_nodes = (build_graph(world, shape, unequal) for world in (mine, reference))
    before = [dict(vars(node)) for node in mine_nodes]
    for _ in range(2):
        mine.sandbox.steps = 0
        if mine_nodes[-1].backward() is not None:
            return False
        reference.backward(other_nodes[-1], start)
        for a, b in zip(mine_nodes, other_nodes):
            if key(mine.number(a, GRAD)) != key(reference.number(b, GRAD)):
                return False
    grad = mine.fields[GRAD]
    return all(
        vars(node).keys() == old.keys() and all(vars(node)[name] is old[name] for name in old if name != grad)
        for node, old in zip(mine_nodes, before)
    )


def build_graph(world: World, shape: list[list[int]], unequal: bool) -> list[Any]:
    nodes: list[Any] = []
    for k, children in enumerate(shape):
        grads = [world.tracer.symbol(f"g{k}.{n}", 0.5 + n) for n in range(len(children))]
        if unequal and k % 3 == 2:
            grads = grads[:-1] if k % 2 else [*grads, world.tracer.symbol(f"g{k}.more", 1.0)]
        data = world.tracer.symbol(f"d{k}", 0.25 * k)
        nodes.append(world.node(data, tuple(nodes[child] for child in children), tuple(grads)))
    return nodes


# ---- the constructor ------------------------------------------------------------------------------------------------


class Construction:
    """What a class's constructor stores, found out by looking at what it makes. Raises Unknown."""

    def __init__(self, program: Program, node: ast.ClassDef, flag: Flag | None = None) -> None:
        self.sandbox = Sandbox(program)
        if flag is not None:
            flag.put(self.sandbox, None, flag.on)
        self.kind = self.define(node)
        tracer = self.sandbox.tracer
        init = next(s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
        self.names = [argument.arg for argument in [*init.args.args, *init.args.kwonlyargs]][1:]
        if init.args.vararg or init.args.kwarg or init.args.posonlyargs or not self.names:
            raise Unknown("parameters")
        if any(stores_elsewhere(part, init.args.args[0].arg) for part in walk(init)):
            raise Unknown("more than stores")
        before = dict(vars(self.kind))
        a, b = (self.kind(tracer.symbol(name, 1.5)) for name in "ab")
        self.fields = self.find_fields(a, b, a * b, node)
        self.order = self.find_parameters(a, b)
        self.extra = {name: vars(a)[name] for name in vars(a) if name not in self.fields.values()}
        self.float_data = self.converts()
        self.float_grad = type(vars(a)[self.fields[GRAD]]) is float
        self.check(a, b, before)
        number = tracer.symbol("g", 0.5)
        given = (name for name in self.names[1:] if name not in self.order)
        grads = {name: made_of(self.kind(tracer.symbol("a", 1.5), **{name: number}), self, GRAD) for name in given}
        self.grad_given = next((name for name, grad in grads.items() if grad is number), "")
        self.cuts = flag is not None and self.is_cut(flag, a)

    def is_cut(self, flag: Flag, child: Any) -> bool:
        """Whether nodes have no children while the flag is off, whatever the constructor is given."""
        flag.put(self.sandbox, self.kind, not flag.on)
        made = self.kind(**dict(zip(self.order, (self.sandbox.tracer.symbol("d", -2.5), (child,), (1,)))))
        links = [made_of(made, self, CHILDREN), made_of(made, self, LOCAL_GRADS)]
        flag.put(self.sandbox, self.kind, flag.on)
        if links not in ([(), ()], [(child,), (1,)]):
            raise Unknown(f"children that depend on {flag.name}")
        return links == [(), ()]

    def define(self, node: ast.ClassDef) -> Any:
        """The class with all that is tame in it."""
        body = [s for s in node.body if isinstance(s, ast.FunctionDef) and is_tame(s)]
        assigned = [s for s in plain_statements(node.body) if isinstance(s, ast.Assign)]
        simple = [s for s in assigned if ast.unparse(s.targets[0]) != "__slots__" and is_tame(s)]
        if not any(statement.name == "__init__" for statement in body):
            raise Unknown("a constructor that does more than compute")
        ordered = sorted([*body, *simple], key=lambda statement: statement.lineno)
        made = ast.ClassDef(node.name, [], [], ordered, [])
        made.type_params = []  # type: ignore[attr-defined]
        self.sandbox.define(ast.copy_location(made, node))
        return self.sandbox.names[node.name]

    def find_fields(self, a: Any, b: Any, product: Any, node: ast.ClassDef) -> dict[str, str]:
        expected = key(self.sandbox.tracer.symbol("a", 1.5) * self.sandbox.tracer.symbol("b", 1.5))
        found: dict[str, str] = {}
        for name, value in vars(product).items():
            if isinstance(value, Number) and key(value) == expected:
                found.setdefault(DATA, name)
            elif isinstance(value, (tuple, list)) and len(value) == 2:
                if {id(value[0]), id(value[1])} == {id(a), id(b)}:
                    found.setdefault(CHILDREN, name)
                elif all(isinstance(part, Number) for part in value):
                    found.setdefault(LOCAL_GRADS, name)
        stored = {
            part.attr
            for method in node.body
            if isinstance(method, ast.FunctionDef) and method.name == "backward"
            for part in walk(method)
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        }
        zeros = [n for n, value in vars(a).items() if type(value) in (int, float) and value == 0 and n in stored]
        if len(zeros) == 1:
            found[GRAD] = zeros[0]
        if len(found) != 4:
            raise Unknown("fields")
        return found

    def find_parameters(self, a: Any, b: Any) -> tuple[str, str, str]:
        """The constructor's names for data, children and local gradients."""
        tracer = self.sandbox.tracer
        grads = (tracer.symbol("p", 0.5), tracer.symbol("q", 0.25))
        found = {}
        for name in self.names[1:]:
            for field, value in ((CHILDREN, (a, b)), (LOCAL_GRADS, grads)):
                made = self.kind(tracer.symbol("a", 1.5), **{name: value})
                if (
                    list(getattr(made, self.fields[field])) == list(value)
                    if field == CHILDREN
                    else is_same(getattr(made, self.fields[field]), value)
                ):
                    found[field] = name
        if len(found) != 2:
            raise Unknown("parameters")
        return self.names[0], found[CHILDREN], found[LOCAL_GRADS]

    def converts(self) -> bool:
        """Whether data become floats."""
        number = self.sandbox.tracer.symbol("i", 3)
        stored = getattr(self.kind(number), self.fields[DATA])
        if stored is number:
            return False
        if isinstance(stored, Number) and key(stored) == key(self.sandbox.names["__builtins__"]["float"](number)):
            return True
        raise Unknown("data")

    def check(self, a: Any, b: Any, before: dict[str, Any]) -> None:
        """Raise Unknown unless it does nothing but store, the same every time."""
        tracer = self.sandbox.tracer
        data, grads = tracer.symbol("d", -2.5), (tracer.symbol("p", 0.5), tracer.symbol("q", 0.25))
        tracer.begin()
        for children, local_grads in (((), ()), ((a, b), grads), ((a,), grads[:1])):
            made = self.kind(**dict(zip(self.order, (data, children, local_grads))))
            values = vars(made)
            if {*values} != {*self.fields.values(), *self.extra} or getattr(made, self.fields[DATA]) is not data:
                raise Unknown("attributes")
            if not (
                is_same(made_of(made, self, CHILDREN), children)
                and is_same(made_of(made, self, LOCAL_GRADS), local_grads)
            ):
                raise Unknown("links")
            grad = made_of(made, self, GRAD)
            if type(grad) is not type(vars(a)[self.fields[GRAD]]) or grad != 0:
                raise Unknown("grad")
            if any(values[name] is not value and not callable(value) for name, value in self.extra.items()):
                raise Unknown("a number of its own for every node")
        if tracer.conditions or tracer.raising or dict(vars(self.kind)) != before:
            raise Unknown("more than stores")


def stores_elsewhere(node: ast.AST, me: str) -> bool:
    """Whether this stores an attribute of anything but the instance."""
    stores = isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    return stores and not (isinstance(node.value, ast.Name) and node.value.id == me)  # type: ignore[attr-defined]


def made_of(node: Any, construction: Construction, field: str) -> Any:
    return getattr(node, construction.fields[field])


def is_same(stored: Any, given: Any) -> bool:
    return (
        isinstance(stored, (tuple, list))
        and len(stored) == len(given)
        and all(mine is theirs for mine, theirs in zip(stored, given))
    )
