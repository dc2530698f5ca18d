"""Modules that run with their swaps when they are imported."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    Make = Callable[[], CodeType]


class Loader(importlib.machinery.SourceFileLoader):
    """Loads a module from code that is made for it. Nothing is cached on disk."""

    make: Make

    def get_code(self, fullname: str) -> CodeType | None:
        return self.make()


class Finder:
    """A finder of sys.meta_path in all but its base class: importing importlib.abc takes 15 ms.

    look: gives what makes the code of a module, or None for those that are no matter.
    """

    def __init__(self, look: Callable[[importlib.machinery.ModuleSpec], Make | None]) -> None:
        self.look = look

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        make = self.look(spec) if spec is not None and spec.origin is not None else None
        if spec is None or make is None or spec.origin is None:
            return None
        loader = Loader(fullname, spec.origin)
        loader.make = make
        spec.loader = loader
        return spec


def install(modules: dict[str, CodeType]) -> None:
    """Give these files, which lie beside a script, the code that is there already."""
    codes = {os.path.realpath(file): code for file, code in modules.items()}

    def look(spec: importlib.machinery.ModuleSpec) -> Make | None:
        code = codes.get(os.path.realpath(spec.origin or ""))
        return None if code is None else lambda: code

    if modules:
        sys.meta_path.insert(0, Finder(look))
