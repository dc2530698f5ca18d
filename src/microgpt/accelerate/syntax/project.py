"""A script and the modules of its own that it imports: files beside it, read but not run."""

from __future__ import annotations

import importlib.machinery
import os
from collections.abc import Callable

from .program import STRANGE_NUMBERS, Program


class Project:
    """The script, and by their dotted names the modules in its folder that it imports, directly or not.

    unreadable: a module that is there but cannot be looked into, "" if none.
    """

    def __init__(self, script: Program, folder: str, make: Callable[[bytes, str], Program] = Program) -> None:
        self.script, self.folder, self.make = script, folder, make
        self.modules: dict[str, Program] = {}
        self.packages = {"": ""}  # of each module, the package that its relative imports begin in
        self.unreadable = ""
        todo = [(script, "")]
        while todo:
            program, package = todo.pop()
            for name in sorted(self.imported(program, package)):
                made = self.read(name) if name not in self.modules else None
                if made is not None:
                    self.modules[name] = made
                    todo.append((made, self.packages[name]))

        plain = not any(
            program.roots & STRANGE_NUMBERS or program.foreign() - self.roots for program in self.modules.values()
        )
        for program in (script, *self.modules.values()):
            program.known = self.roots if plain else set()
            program.beside = self.roots if folder else None

    @property
    def roots(self) -> set[str]:
        return {name.split(".")[0] for name in self.modules} | {"."}

    def imported(self, program: Program, package: str) -> set[str]:
        """Every module that the imports of a program may load, those above it included."""
        found = set()
        for module in program.modules:
            parts = absolute(module, package).split(".")
            found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        return found

    def read(self, name: str) -> Program | None:
        """A module in the script's folder."""
        path = os.path.join(self.folder, *name.split(".")[:-1])
        spec = importlib.machinery.PathFinder.find_spec(name, [path]) if self.folder else None
        if spec is None or spec.origin is None:
            return None
        self.packages[name] = spec.parent or ""
        try:
            if not isinstance(spec.loader, importlib.machinery.SourceFileLoader):  # a compiled module
                raise ValueError
            with open(spec.origin, "rb") as source:
                return self.make(source.read(), spec.origin)
        except (OSError, SyntaxError, ValueError, RecursionError):
            self.unreadable = self.unreadable or name
            return None

    def name_class(self, owner: str, name: str) -> None:
        """Let every program know by which names it has the class `name` of the module `owner`."""
        for module, program in [("", self.script), *self.modules.items()]:
            package = self.packages[module]
            for meaning in set(program.imports.values()):
                for inner in (meaning, f"{meaning}.{name}"):
                    if self.origin(absolute(inner, package)) == f"{owner}.{name}":
                        program.class_names.add(inner)

    def origin(self, name: str, depth: int = 0) -> str:
        """Where a name of a module comes from, through modules that only hand it on."""
        module, _, member = name.rpartition(".")
        program = self.modules.get(module)
        handed_on = program.imports.get(member) if program is not None else None
        if handed_on is None or depth > 5:
            return name
        return self.origin(absolute(handed_on, self.packages[module]), depth + 1)


def absolute(module: str, package: str) -> str:
    """The full name of a module that an import in this package names."""
    dots = len(module) - len(module.lstrip("."))
    if dots == 0:
        return module
    base = package.split(".")[: max(0, len(package.split(".")) - dots + 1)]
    return ".".join([*base, module.lstrip(".")]).strip(".")
