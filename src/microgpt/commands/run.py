"""`microgpt run`: the user's own script, swapped where that is safe. All of it is in microgpt.accelerate."""

from __future__ import annotations

import ast
import os
from importlib.machinery import PathFinder

from .. import __file__ as package_file
from ..accelerate import command
from ..accelerate.command import add_parser, read
from ..accelerate.report import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import SimpleNamespace
    from typing import NoReturn

__all__ = ["add_parser", "main", "read"]


def main(options: argparse.Namespace | SimpleNamespace) -> NoReturn:
    """Run the script, and end the process at once: nothing of the program's own comes after it."""
    if not options.quiet and (line := namesake_imported(options.script)):
        say(f"line {line} imports the microgpt beside the script; this package: from microgpt_engine import ...")
    raise SystemExit(command.main(options))


def namesake_imported(script: str) -> int:
    """The first line of a script that imports `microgpt` where a file of that name beside the script hides the package;
    0 if there is none."""
    spec = PathFinder.find_spec("microgpt", [os.path.dirname(os.path.realpath(script))])
    if spec is None or spec.origin is None or os.path.samefile(spec.origin, package_file):
        return 0
    try:
        with open(script, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # whoever runs it says so
        return 0
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return next((node.lineno for node in imports if "microgpt" in packages(node)), 0)


def packages(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The packages that a statement imports from, the script's own folder as a package left out."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    return [] if node.level else [(node.module or "").partition(".")[0]]
