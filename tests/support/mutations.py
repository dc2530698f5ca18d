"""Random damage to a script: constants, operators, operands, names, the order of statements.

A mutation changes a tree at one place, chosen by a random.Random. Many of the results are nonsense, and some end in an
exception.
"""

from __future__ import annotations

import ast
import copy
import random

OPERATORS = [ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow]
COMPARISONS = [ast.Gt, ast.Lt, ast.GtE, ast.LtE, ast.Eq]
CONSTANTS = [0, 1, 2, -1, 0.5, 1.0, 0.0, -0.5, 3, 1e-5]
ATTRIBUTES = ["data", "grad", "_children", "_local_grads", "exp", "log", "relu", "append", "tanh"]
ELSEWHERE = ["fresh", "sum", "v", "p", "x", "max"]


def places(tree: ast.AST, *kinds: type) -> list:
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def bodies(tree: ast.AST, least: int = 1) -> list:
    """Every list of statements with at least so many."""
    found = [getattr(node, name, None) for node in ast.walk(tree) for name in ("body", "orelse")]
    return [body for body in found if isinstance(body, list) and len(body) >= least]


def replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if value is old:
                setattr(node, name, new)
            elif isinstance(value, list):
                value[:] = [new if part is old else part for part in value]


def change_constant(tree, rng):
    numbers = [node for node in places(tree, ast.Constant) if type(node.value) in (int, float)]
    node = rng.choice(numbers)
    node.value = rng.choice([*CONSTANTS, node.value * 2, node.value + 1])


def change_operator(tree, rng):
    node = rng.choice(places(tree, ast.BinOp))
    node.op = rng.choice(OPERATORS)()


def swap_operands(tree, rng):
    node = rng.choice(places(tree, ast.BinOp))
    node.left, node.right = node.right, node.left


def change_comparison(tree, rng):
    node = rng.choice(places(tree, ast.Compare))
    node.ops[0] = rng.choice(COMPARISONS)()


def swap_statements(tree, rng):
    body = rng.choice(bodies(tree, 2))
    k = rng.randrange(len(body) - 1)
    body[k], body[k + 1] = body[k + 1], body[k]


def drop_statement(tree, rng):
    body = rng.choice(bodies(tree, 2))
    del body[rng.randrange(len(body))]


def repeat_statement(tree, rng):
    body = rng.choice(bodies(tree))
    k = rng.randrange(len(body))
    body.insert(k, body[k])


def move_statement(tree, rng):
    """One statement goes anywhere in the same block."""
    body = rng.choice(bodies(tree, 2))
    statement = body.pop(rng.randrange(len(body)))
    body.insert(rng.randrange(len(body) + 1), statement)


def rename_once(tree, rng):
    """One use of a name becomes another name of the script."""
    names = places(tree, ast.Name)
    rng.choice(names).id = rng.choice(names).id


def rename_everywhere(tree, rng):
    """A consistent new name: mostly without any effect."""
    old = rng.choice([node.id for node in places(tree, ast.Name)])
    new = rng.choice(ELSEWHERE)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
        elif isinstance(node, ast.arg) and node.arg == old:
            node.arg = new
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == old:
            node.name = new


def change_attribute(tree, rng):
    rng.choice(places(tree, ast.Attribute)).attr = rng.choice(ATTRIBUTES)


def swap_arguments(tree, rng):
    node = rng.choice([node for node in places(tree, ast.Call) if len(node.args) > 1])
    node.args[0], node.args[1] = node.args[1], node.args[0]


def exchange_expression(tree, rng):
    """An expression in the place of another."""
    kinds = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.BinOp, ast.Call)
    words = {part for node in places(tree, ast.JoinedStr) for part in node.values}
    reads = [node for node in places(tree, *kinds) if is_read(node) and node not in words]
    old, new = rng.choice(reads), copy.deepcopy(rng.choice(reads))
    replace(tree, old, new)


def show_expression(tree, rng):
    """Print an expression of a statement before it: its names exist there, or the other run must miss them too."""
    body = rng.choice(bodies(tree))
    k = rng.randrange(len(body))
    reads = [node for node in places(body[k], ast.Name, ast.Attribute, ast.Subscript, ast.Call) if is_read(node)]
    if reads:
        shown = ast.Call(ast.Name("print", ast.Load()), [copy.deepcopy(rng.choice(reads))], [])
        body.insert(k + rng.randrange(2), ast.Expr(shown))


def is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


CATCH = "try: pass\nexcept Exception as error: print(type(error).__name__, error)"


def catch_errors(tree, rng):
    """A statement whose errors are printed, and the run goes on."""
    body = rng.choice(bodies(tree))
    k = rng.randrange(len(body))
    if isinstance(body[k], (ast.FunctionDef, ast.ClassDef, ast.Import)):
        return
    guard = ast.parse(CATCH).body[0]
    guard.body = [body[k]]
    body[k] = guard


def delete_name(tree, rng):
    body = rng.choice(bodies(tree))
    name = rng.choice([node.id for node in places(tree, ast.Name)])
    body.insert(rng.randrange(len(body) + 1), ast.Delete([ast.Name(name, ast.Del())]))


def bind_name(tree, rng):
    """A name gets a value of another, somewhere."""
    body = rng.choice(bodies(tree))
    names = [node.id for node in places(tree, ast.Name)]
    target, value = rng.choice(names), rng.choice(names)
    body.insert(rng.randrange(len(body) + 1), ast.Assign([ast.Name(target, ast.Store())], ast.Name(value, ast.Load())))


def change_order(tree, rng):
    """Functions and classes a little later: used before they exist."""
    body = tree.body
    k = rng.choice([k for k, part in enumerate(body) if isinstance(part, (ast.FunctionDef, ast.ClassDef, ast.Import))])
    statement = body.pop(k)
    body.insert(min(len(body), k + rng.randrange(1, 12)), statement)


MUTATIONS = [
    change_constant,
    change_operator,
    swap_operands,
    change_comparison,
    swap_statements,
    drop_statement,
    repeat_statement,
    move_statement,
    rename_once,
    rename_everywhere,
    change_attribute,
    swap_arguments,
    exchange_expression,
    show_expression,
    catch_errors,
    delete_name,
    bind_name,
    change_order,
]


def mutated(source: str, seed: int, kinds: list) -> str:
    """The source after these mutations, one after the other. A kind that finds no place changes nothing."""
    tree = ast.parse(source)
    rng = random.Random(seed)
    for kind in kinds:
        try:
            kind(tree, rng)
        except IndexError:  # rng.choice([])
            continue
    return ast.unparse(ast.fix_missing_locations(tree))
