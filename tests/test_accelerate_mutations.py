"""Whatever is changed in a script of the script's form, the swapped run prints what the interpreted one prints.

Hypothesis breaks the small script in random places: constants, operators, operands, order of statements, names. Many of
the results are nonsense, and some end in an exception; both runs have to end in the same one, in the same line.
"""

from __future__ import annotations

import ast
import os
import random
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running import in_both_ways, small_gpt

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="takes two processes an example")

SOURCE = small_gpt(("num_steps = 4", "num_steps = 2"), ("range(4)", "range(2)"))
OPERATORS = [ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow]
COMPARISONS = [ast.Gt, ast.Lt, ast.GtE, ast.LtE, ast.Eq]
CONSTANTS = [0, 1, 2, -1, 0.5, 1.0, 0.0, -0.5, 3, 1e-5]
FRAME = re.compile(r'  File ".*script.py", line (\d+)')
REFUSED = "microgpt run: the compiled class raised this."


def places(tree: ast.AST, kind: type) -> list:
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


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
    bodies = [
        node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list) and len(node.body) > 1
    ]
    body = rng.choice(bodies)
    k = rng.randrange(len(body) - 1)
    body[k], body[k + 1] = body[k + 1], body[k]


def drop_statement(tree, rng):
    bodies = [
        node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list) and len(node.body) > 1
    ]
    body = rng.choice(bodies)
    del body[rng.randrange(len(body))]


def repeat_statement(tree, rng):
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list) and node.body]
    body = rng.choice(bodies)
    k = rng.randrange(len(body))
    body.insert(k, body[k])


def rename_once(tree, rng):
    """One use of a name becomes another name of the script."""
    names = places(tree, ast.Name)
    rng.choice(names).id = rng.choice(names).id


def rename_everywhere(tree, rng):
    """A consistent new name: mostly without any effect."""
    old = rng.choice([node.id for node in places(tree, ast.Name)])
    new = rng.choice(["fresh", "sum", "v", "p", "x", "max"])
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
        elif isinstance(node, ast.arg) and node.arg == old:
            node.arg = new
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == old:
            node.name = new


def change_attribute(tree, rng):
    node = rng.choice(places(tree, ast.Attribute))
    node.attr = rng.choice(["data", "grad", "_children", "_local_grads", "exp", "log", "relu", "append", "tanh"])


def swap_arguments(tree, rng):
    calls = [node for node in places(tree, ast.Call) if len(node.args) > 1]
    node = rng.choice(calls)
    node.args[0], node.args[1] = node.args[1], node.args[0]


MUTATIONS = [
    change_constant,
    change_operator,
    swap_operands,
    change_comparison,
    swap_statements,
    drop_statement,
    repeat_statement,
    rename_once,
    rename_everywhere,
    change_attribute,
    swap_arguments,
]


def mutated(seed: int, kinds: list) -> str:
    tree = ast.parse(SOURCE)
    rng = random.Random(seed)
    for kind in kinds:
        kind(tree, rng)
    return ast.unparse(ast.fix_missing_locations(tree))


def ending(source: str, stderr: str) -> tuple[int, str]:
    """The line of the last frame outside the class, whose methods have no frames when they are ours; the exception."""
    kind = next((node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)), None)
    inside = range(kind.lineno, kind.end_lineno + 1) if kind else ()
    lines = [line for line in stderr.splitlines() if not line.startswith("microgpt run:")]
    frames = [int(found[1]) for line in lines if (found := FRAME.match(line)) and int(found[1]) not in inside]
    return (frames[-1] if frames else 0), lines[-1].split(":")[0] if lines else ""


def assert_mutation_is_harmless(source: str, folder) -> None:
    plain, fast = in_both_ways(source, folder)
    if plain.status < 0 or "MemoryError" in plain.stderr:  # it ran out of time, stack or memory
        return
    if REFUSED in fast.stderr or "'complex'" in fast.stderr:  # no number: documented, and said
        assert plain.stdout.startswith(fast.stdout)
        return
    assert fast.stdout == plain.stdout, fast.stderr
    assert fast.status == plain.status, fast.stderr
    assert ending(source, fast.stderr) == ending(source, plain.stderr)


@settings(suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32), kinds=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3))
def test_any_mutation_of_the_script_runs_as_it_would(seed, kinds, tmp_path_factory):
    assert_mutation_is_harmless(mutated(seed, kinds), tmp_path_factory.getbasetemp())
