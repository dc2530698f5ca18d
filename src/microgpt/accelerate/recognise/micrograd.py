"""The older form of the class, of micrograd: a closure `_backward` in every node, its children in a tuple or in a set.

    out = Value(E, (self, other), "op")
    def _backward():                          ->   data = E
        self.grad += A * out.grad                  return Value(data, (self, other), "op", local_grads=(A, B))
        other.grad += B * out.grad

A class of this form is brought into the script's, and then looked at as any other. Two things differ:

Closures compute A and B when backward runs, from the data of that time. The engine refuses a graph that has nodes from
before data were written last, and a local gradient that raises an exception (_engine.set_late_grads).

A set of nodes is walked in the order of their addresses, which no run has in common with the next: the last bits of
such sums have no defined value. Children in a set are therefore given an order only when asked (--any-order).
"""

from __future__ import annotations

import ast
import copy

from ..syntax.calls import placed
from ..syntax.match import plain_statements
from ..syntax.record import Record
from ..syntax.scopes import bound_names
from ..syntax.tree import walk

NOTE = "its sums have no defined order (--any-order)"
DATA, CHILD, LOCAL_GRAD = "__microgpt_data__", "__microgpt_child__", "__microgpt_local_grad__"
LOCAL_GRADS = "local_grads"  # the constructor's new parameter; its field has an underscore in front
CALLED = {"float", "int", "max", "min", "abs", "bool"}  # in local gradients, besides functions of math
LINK = """
for {child}, {local_grad} in zip({node}.{children}, {node}._{local_grads}):
    {child}.grad += {local_grad} * {node}.grad
"""


class Older(Record):
    """A class of this form. closure, children: its names for them; given: the children's name in the constructor;
    unordered: they become a set."""

    node: ast.ClassDef
    closure: str
    children: str
    given: str
    unordered: bool


def find_older(tree: ast.Module) -> Older | None:
    """The class of this form in a module, as far as its constructor tells."""
    for node in tree.body:
        init = method(node, "__init__") if isinstance(node, ast.ClassDef) else None
        if isinstance(node, ast.ClassDef) and init is not None and len(init.args.args) > 2:
            links = dict(stores(init))
            closure = next((name for name, value in links.items() if is_empty(value)), "")
            given = init.args.args[2].arg
            made = {f"set({given})": True, f"tuple({given})": False, f"list({given})": False, given: False}
            children = next((name for name, value in links.items() if ast.unparse(value) in made), "")
            if closure and children:
                return Older(node, closure, children, given, made[ast.unparse(links[children])])
    return None


def is_empty(value: ast.expr) -> bool:
    """`lambda: None`"""
    return isinstance(value, ast.Lambda) and isinstance(value.body, ast.Constant) and value.body.value is None


def method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == name), None)


def stores(init: ast.FunctionDef) -> list[tuple[str, ast.expr]]:
    """(attribute, value) of every assignment to an attribute."""
    found = []
    for statement in plain_statements(init.body):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
            found.append((statement.targets[0].attr, statement.value))
    return found


def convert(tree: ast.Module, any_order: bool) -> Older | None:
    """Bring a class of the older form into the script's, in the tree. None where there is none that can be."""
    older = find_older(tree)
    if older is None or (older.unordered and not any_order):
        return None
    shown = {older.closure, *([older.children] if older.unordered else [])}
    if any(mentions(part, shown) for part in tree.body if part is not older.node):
        return None
    made = [converted(older, statement) for statement in older.node.body]
    if any(statement is None for statement in made):
        return None
    older.node.body = made  # type: ignore[assignment]
    return older


def mentions(tree: ast.AST, names: set[str]) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names)
        for node in walk(tree)
    )


def converted(older: Older, statement: ast.stmt) -> ast.stmt | None:
    """A statement of the class in the script's form; None if it is in neither form."""
    if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
        return renamed_slot(older, statement)
    if not isinstance(statement, ast.FunctionDef):
        return statement
    if statement.name == "__init__":
        return constructor(older, statement)
    if statement.name == "backward":
        made = Calls(older).visit(copy.deepcopy(statement))
    elif mentions(statement, {older.closure}):
        return convert_closure(older, statement)
    else:
        made = statement
    return None if mentions(made, {older.closure}) else made


def renamed_slot(older: Older, statement: ast.Assign) -> ast.stmt:
    made = copy.deepcopy(statement)
    for part in walk(made):
        if isinstance(part, ast.Constant) and part.value == older.closure:
            part.value = f"_{LOCAL_GRADS}"
    return made


def constructor(older: Older, init: ast.FunctionDef) -> ast.stmt:
    """With local gradients in the place of the closure."""
    made = copy.deepcopy(init)
    made.args.args.append(ast.arg(LOCAL_GRADS))
    made.args.defaults.append(ast.Tuple([], ast.Load()))
    for statement in made.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
            continue
        target = statement.targets[0]
        if target.attr == older.closure:
            target.attr, statement.value = f"_{LOCAL_GRADS}", ast.Name(LOCAL_GRADS, ast.Load())
        elif target.attr == older.children and older.unordered:
            statement.value = ast.Name(older.given, ast.Load())
    placed(made, init)
    return made


class Calls(ast.NodeTransformer):
    """`v._backward()` by what the closure does with local gradients."""

    def __init__(self, older: Older) -> None:
        self.older = older

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and not call.args):
            return node
        if call.func.attr != self.older.closure or not isinstance(call.func.value, ast.Name):
            return node
        names = {"child": CHILD, "local_grad": LOCAL_GRAD, "local_grads": LOCAL_GRADS}
        source = LINK.format(node=call.func.value.id, children=self.older.children, **names)
        made = ast.parse(source).body[0]
        for part in walk(made):
            if "lineno" in part._attributes:
                ast.copy_location(part, node)
        return made


def convert_closure(older: Older, method: ast.FunctionDef) -> ast.FunctionDef | None:
    """before...; out = Value(E, children, ...); def _backward(): ...; out._backward = _backward; return out"""
    body = plain_statements(method.body)
    if len(body) < 4:
        return None
    make, closure, link, end = body[-4:]
    if not (isinstance(make, ast.Assign) and isinstance(make.targets[0], ast.Name)):
        return None
    out, call = make.targets[0].id, make.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == older.node.name):
        return None
    if not isinstance(closure, ast.FunctionDef) or closure.args.args or bound_names(closure):
        return None
    if ast.unparse(link) != f"{out}.{older.closure} = {closure.name}" or ast.unparse(end) != f"return {out}":
        return None
    grads = local_grads(method, closure, out)
    children = children_of(older, call)
    if grads is None or not call.args or [name for name, _ in grads] != children:
        return None
    values = ast.Tuple([DataOf(out).visit(copy.deepcopy(grad)) for _, grad in grads], ast.Load())
    data = ast.Assign([ast.Name(DATA, ast.Store())], call.args[0])
    keywords = [*call.keywords, ast.keyword(LOCAL_GRADS, values)]
    result = ast.Return(ast.Call(call.func, [ast.Name(DATA, ast.Load()), *call.args[1:]], keywords))
    made = copy.copy(method)
    made.body = [*body[:-4], data, result]
    placed(data, make)
    placed(result, make)
    return made


def children_of(older: Older, call: ast.Call) -> list[str] | None:
    """The names of the children that the constructor is given, in order."""
    given = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == older.given)]
    if len(given) != 1 or not isinstance(given[0], ast.Tuple):
        return None
    return [ast.unparse(child) for child in given[0].elts]


def local_grads(method: ast.FunctionDef, closure: ast.FunctionDef, out: str) -> list[tuple[str, ast.expr]] | None:
    """(child, local gradient) for every `child.grad += local_grad * out.grad` of a closure."""
    found: list[tuple[str, ast.expr]] = []
    for statement in plain_statements(closure.body):
        if not isinstance(statement, ast.AugAssign) or not isinstance(statement.op, (ast.Add, ast.Sub)):
            return None
        target = statement.target
        if not (isinstance(target, ast.Attribute) and target.attr == "grad" and isinstance(target.value, ast.Name)):
            return None
        factor = factor_of(statement.value, f"{out}.grad")
        if factor is None or not is_settled(factor, bound_names(method)):
            return None
        if isinstance(statement.op, ast.Sub):
            factor = ast.UnaryOp(ast.USub(), factor)
        found.append((target.value.id, factor))
    return found


def factor_of(value: ast.expr, grad: str) -> ast.expr | None:
    """A in `A * out.grad` or `out.grad * A`; 1 in `out.grad` alone."""
    if ast.unparse(value) == grad:
        return ast.Constant(1)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        for factor, other in ((value.left, value.right), (value.right, value.left)):
            if ast.unparse(other) == grad:
                return factor
    return None


def is_settled(factor: ast.expr, local: set[str]) -> bool:
    """Whether a local gradient is the same whenever it is computed, as long as no data change."""
    called = {part.func for part in walk(factor) if isinstance(part, ast.Call)}
    for part in walk(factor):
        if isinstance(part, ast.Attribute):
            if part.attr != "data" and not (isinstance(part.value, ast.Name) and part.value.id == "math"):
                return False
        elif isinstance(part, ast.Name) and not (part.id in {*local, "math"} or (part in called and part.id in CALLED)):
            return False
    return all(isinstance(function, (ast.Name, ast.Attribute)) for function in called)


class DataOf(ast.NodeTransformer):
    """`out.data` by the name of the local that holds it."""

    def __init__(self, out: str) -> None:
        self.out = out

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id == self.out and node.attr == "data":
            return ast.Name(DATA, ast.Load())
        self.generic_visit(node)
        return node
