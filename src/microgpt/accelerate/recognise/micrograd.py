"""The older form of the class, of micrograd: `_prev`, a set, and a closure `_backward` in every node.

    out = Value(E, (self, other), "op")
    def _backward():                                     ->   data = E
        self.grad += A * out.grad                             return Value(data, (self, other), (A, B))
        other.grad += B * out.grad

Such a class walks its graph in the order of a set, which no run has in common with the next, so the last bits of its
sums have no defined value. That is why it is turned into the script's form only when asked (--any-order), and why this
is said. Local gradients are then taken when a node is made; a closure takes them when `backward` runs.
"""

from __future__ import annotations

import ast
import copy

from ..syntax.match import Pattern, plain_statements
from ..syntax.scopes import bound_names
from .forms import METHOD_SOURCES

NOTE = "its sums have no defined order (--any-order)"
DATA = "__microgpt_data__"
PARTS = {"_prev", "_backward", "_op", "label"}

BACKWARD = Pattern(
    """
def backward(self):
    topo = []
    visited = set()
    def build_topo(v):
        if v not in visited:
            visited.add(v)
            for child in v._prev:
                build_topo(child)
            topo.append(v)
    build_topo(self)
    self.grad = START
    for v in reversed(topo):
        v._backward()
""",
    {"START": lambda node: isinstance(node, ast.Constant) and node.value == 1},
)


def convert(tree: ast.Module) -> ast.ClassDef | None:
    """Bring a class of the older form into the script's, in the tree. None where there is none that can be."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and mentions(node, {"_prev", "_backward"}):
            others = [part for part in tree.body if part is not node]
            if any(mentions(part, PARTS) for part in others) or not convert_class(node):
                return None
            return node
    return None


def mentions(tree: ast.AST, names: set[str]) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr in names for node in ast.walk(tree))


def convert_class(node: ast.ClassDef) -> bool:
    made: list[ast.stmt] = []
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            converted = convert_method(node.name, statement)
            if converted is None:
                return False
            made.append(converted)
        elif not (isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__"):
            made.append(statement)
    node.body = made
    return True


def convert_method(kind: str, method: ast.FunctionDef) -> ast.FunctionDef | None:
    """The method in the script's form; None if it is in neither form."""
    if method.name == "__init__":
        return placed(METHOD_SOURCES["__init__"], method) if is_constructor(method) else None
    if method.name == "backward":
        found = BACKWARD.match_statements(plain_statements([method]), builtin_name)
        start = found.holes["START"] if found is not None else None
        if start is None:
            return None
        return placed(METHOD_SOURCES["backward"].replace("self.grad = 1", f"self.grad = {ast.unparse(start)}"), method)
    if not mentions(method, {"_backward"}):
        return None if mentions(method, PARTS) else method
    return convert_closure(kind, method)


def builtin_name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def placed(source: str, at: ast.FunctionDef) -> ast.FunctionDef:
    made = ast.parse(source).body[0]
    assert isinstance(made, ast.FunctionDef)
    for part in ast.walk(made):
        if "lineno" in part._attributes:
            ast.copy_location(part, at)
    return made


def is_constructor(method: ast.FunctionDef) -> bool:
    """Stores of data, 0, an empty closure, set(children), and whatever else is only stored."""
    names = [argument.arg for argument in method.args.args]
    if len(names) < 3 or method.args.kwonlyargs or method.args.vararg or method.args.kwarg:
        return False
    stored = {}
    for statement in plain_statements(method.body):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
            return False
        stored[statement.targets[0].attr] = ast.unparse(statement.value)
    empty = ast.unparse(ast.parse("lambda: None"))  # Python 3.10 has a space in it
    expected = {"data": {names[1]}, "grad": {"0", "0.0"}, "_prev": {f"set({names[2]})"}, "_backward": {empty}}
    allowed = set(expected) | PARTS
    return set(stored) <= allowed and all(stored.get(name) in values for name, values in expected.items())


def convert_closure(kind: str, method: ast.FunctionDef) -> ast.FunctionDef | None:
    """before...; out = Value(E, children, op); def _backward(): ...; out._backward = _backward; return out"""
    body = plain_statements(method.body)
    if len(body) < 4:
        return None
    make, closure, link, end = body[-4:]
    if not (
        isinstance(make, ast.Assign) and isinstance(make.targets[0], ast.Name) and isinstance(make.value, ast.Call)
    ):
        return None
    out, call = make.targets[0].id, make.value
    if not (isinstance(call.func, ast.Name) and call.func.id == kind and 2 <= len(call.args) <= 3):
        return None
    if not isinstance(closure, ast.FunctionDef) or closure.args.args or bound_names(closure):
        return None
    if ast.unparse(link) != f"{out}._backward = {closure.name}" or ast.unparse(end) != f"return {out}":
        return None
    children = call.args[1]
    grads = local_grads(closure, out)
    if grads is None or not isinstance(children, ast.Tuple):
        return None
    if [name for name, _ in grads] != [ast.unparse(child) for child in children.elts]:
        return None
    data = ast.Assign([ast.Name(DATA, ast.Store())], call.args[0])
    values = ast.Tuple([DataOf(out).visit(copy.deepcopy(grad)) for _, grad in grads], ast.Load())
    result = ast.Return(ast.Call(call.func, [ast.Name(DATA, ast.Load()), children, values], []))
    for new in (data, result):
        for part in ast.walk(new):
            if "lineno" in part._attributes:
                ast.copy_location(part, make)
    made = copy.copy(method)
    made.body = [*body[:-4], data, result]
    return made


def local_grads(closure: ast.FunctionDef, out: str) -> list[tuple[str, ast.expr]] | None:
    """(child, local gradient) for every `child.grad += local_grad * out.grad` of a closure."""
    found: list[tuple[str, ast.expr]] = []
    for statement in closure.body:
        if not (isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)):
            return None
        target, value = statement.target, statement.value
        if not (isinstance(target, ast.Attribute) and target.attr == "grad"):
            return None
        factor = factor_of(value, f"{out}.grad")
        if factor is None:
            return None
        found.append((ast.unparse(target.value), factor))
    return found


def factor_of(value: ast.expr, grad: str) -> ast.expr | None:
    """A in `A * out.grad` or `out.grad * A`; 1 in `out.grad` alone."""
    if ast.unparse(value) == grad:
        return ast.Constant(1)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        for factor, other in ((value.left, value.right), (value.right, value.left)):
            if ast.unparse(other) == grad and grad not in ast.unparse(factor):
                return factor
    return None


class DataOf(ast.NodeTransformer):
    """`out.data` by the name of the local that holds it."""

    def __init__(self, out: str) -> None:
        self.out = out

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == self.out and node.attr == "data":
            return ast.Name(DATA, ast.Load())
        return node
