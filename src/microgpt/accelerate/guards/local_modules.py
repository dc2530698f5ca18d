"""Modules of the user's own beside the script: what they may do with its class."""

from __future__ import annotations

import copy
import importlib.machinery

from ..recognise.value_class import ClassPlan
from ..syntax.program import Program
from .class_guard import class_shows
from .program_guard import opaque


def beside_shows(program: Program, plan: ClassPlan, folder: str) -> str:
    """Why the class must stay for the sake of a module that the script imports from its own folder, or ""."""
    seen: set[str] = set()
    todo = sorted(program.local_modules(folder))
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        other = source_of(name, folder)
        if other is None:
            return f"it imports {name}, which cannot be looked into"
        why = opaque(other) or class_shows(other, copy.copy(plan))
        if why:
            return f"{name}, which it imports, cannot do with another class: {why}"
        todo += sorted(other.local_modules(folder))
    return ""


def source_of(name: str, folder: str) -> Program | None:
    """A module of one file in this folder; None for packages, compiled modules, and what cannot be read."""
    spec = importlib.machinery.PathFinder.find_spec(name, [folder])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or spec.submodule_search_locations:
        return None
    try:
        with open(spec.origin, "rb") as file:
            return Program(file.read(), spec.origin)
    except (OSError, SyntaxError, ValueError):
        return None
