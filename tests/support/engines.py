"""The engines under test, each a namespace with Value, Adam and what can be expected of them."""

from __future__ import annotations

import ast
import math
from types import SimpleNamespace


def reference_engine() -> SimpleNamespace:
    from microgpt import reference

    return SimpleNamespace(name="reference", compiled=False, extras=True, Value=reference.Value, Adam=reference.Adam)


def compiled_engine() -> SimpleNamespace:
    import microgpt

    return SimpleNamespace(name="compiled", compiled=True, extras=True, Value=microgpt.Value, Adam=microgpt.Adam)


def untyped_engine() -> SimpleNamespace:
    from microgpt import _compiled

    return SimpleNamespace(name="untyped", compiled=False, extras=True, Value=_compiled.Value, Adam=_compiled.Adam)


def script_engine(path: str) -> SimpleNamespace:
    """The class `Value` cut out of a script, which is not run otherwise."""
    from microgpt import reference

    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read(), path)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Value"]
    names = {"math": math, "__name__": "script"}
    exec(compile(ast.Module(classes, []), path, "exec"), names)
    return SimpleNamespace(name="script", compiled=False, extras=False, Value=names["Value"], Adam=reference.Adam)
