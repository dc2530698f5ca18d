"""Scripts about which nothing can be shown: names and code that come to be at run time, modules that are changed."""

from __future__ import annotations

import ast

from ..syntax.program import Program
from ..syntax.tree import walk

OPAQUE_NAMES = {"exec", "eval", "__import__", "__builtins__", "breakpoint"}
OPAQUE_ATTRIBUTES = {
    *("__globals__", "__builtins__", "__code__", "__closure__"),
    *("f_globals", "f_locals", "f_code", "f_back", "tb_frame", "gi_frame", "cr_frame"),
}
OPAQUE_MODULES = {
    *("__main__", "builtins", "ctypes", "dis", "importlib", "runpy", "code", "codeop", "doctest", "unittest.mock"),
    *("bdb", "pdb", "trace", "profile", "cProfile"),
}
SEARCHES = {
    *("sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile", "sys.modules"),
    *("threading.settrace", "threading.setprofile"),
}
NAMESPACES = ("globals", "locals", "vars")


def opaque(program: Program) -> str:
    """Why nothing can be shown about this program, or ""."""
    for node in program.of(ast.Name, ast.Attribute, ast.ImportFrom):
        if isinstance(node, ast.Name) and node.id in OPAQUE_NAMES and isinstance(node.ctx, ast.Load):
            if node.id == "eval" and evaluates_constants(program, node):
                continue
            return f"it uses {node.id} (line {node.lineno})"
        if isinstance(node, ast.Attribute) and node.attr in OPAQUE_ATTRIBUTES:
            return f"it uses {node.attr} (line {node.lineno})"
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return f"line {node.lineno} imports whatever there is"
    for name, meant in program.meant():
        for found in meant & SEARCHES:
            return f"it uses {found} (line {name.lineno})"
    for module in sorted(program.used_modules()):
        if module in OPAQUE_MODULES or module.split(".")[0] in OPAQUE_MODULES:
            return f"it imports {module}"
    return changes_module(program) or changes_names(program)


def evaluates_constants(program: Program, name: ast.Name) -> bool:
    """eval("1 + 1"): a text that stands there and has no names in it."""
    call = program.parents.get(name)
    if not isinstance(call, ast.Call) or call.func is not name or len(call.args) != 1 or call.keywords:
        return False
    text = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    try:
        tree = ast.parse(text.strip(), mode="eval") if isinstance(text, str) else None
    except (SyntaxError, ValueError):
        return False
    return tree is not None and not any(isinstance(part, (ast.Name, ast.Attribute)) for part in walk(tree))


def changes_module(program: Program) -> str:
    """`math` may be looked up by attribute, and nothing else: it may be changed wherever else it goes."""
    for node, meant in program.meant():
        if isinstance(node, ast.Name) and "math" in meant and isinstance(node.ctx, ast.Load):
            parent = program.parents.get(node)
            if not (isinstance(parent, ast.Attribute) and isinstance(parent.ctx, ast.Load)):
                return f"line {node.lineno} may change the module math"
    return ""


def changes_names(program: Program) -> str:
    """Names that are bound through a dictionary."""
    for call in program.calls(*NAMESPACES):
        if not call.args and is_changed(program, call):
            return f"line {call.lineno} may bind names through {ast.unparse(call.func)}()"
    for node in program.values(*NAMESPACES):
        return f"line {node.lineno} hands on {ast.unparse(node)}"
    return ""


def is_changed(program: Program, call: ast.Call) -> bool:
    """Whether a dictionary of names is stored in, or goes where that cannot be seen."""
    parent = program.parents.get(call)
    if isinstance(parent, ast.Attribute):
        return parent.attr not in ("get", "items", "keys", "values", "copy")
    if isinstance(parent, ast.Subscript) and parent.value is call:
        return not isinstance(parent.ctx, ast.Load)
    return not (isinstance(parent, ast.Compare) and call in parent.comparators)
