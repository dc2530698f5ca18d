"""The lines in which a piece of the user's script differs from the script's, for --explain."""

from __future__ import annotations

import ast

from .recognise.forms import FUNCTION_SOURCES, METHOD_SOURCES
from .recognise.value_class import ClassPlan
from .syntax.match import plain


def differences(script_s: str, theirs: ast.AST) -> list[str]:
    """Lines of a form (with -) and of the user's code (with +) that are not in both; layout and comments set aside."""
    import difflib  # 4 ms, and only where something differs

    ours = ast.unparse(ast.parse(script_s)).splitlines()
    user_s = plain(theirs)
    mine = ast.unparse(user_s).splitlines() if user_s is not None else []
    return [line for line in difflib.ndiff(ours, mine) if line[:2] in ("- ", "+ ")]


def explain_class(plan: ClassPlan) -> tuple[str, ...]:
    """The same for every method that the script has too, and for the constructor where it is the reason."""
    lines: list[str] = []
    if plan.older:
        return ()  # its methods are not the user's lines any more
    for method in plan.node.body:
        if not isinstance(method, ast.FunctionDef) or method.name in plan.ours:
            continue
        form = METHOD_SOURCES.get(method.name)
        if form is not None:
            different = differences(form, method)
            lines += [f"{method.name} (line {method.lineno}), the script's with -, this one with +:"] * bool(different)
            lines += different
    return tuple(lines)


def explain_function(node: ast.FunctionDef) -> tuple[str, ...]:
    form = FUNCTION_SOURCES.get(node.name)
    return tuple(differences(form, node)) if form is not None else ()
