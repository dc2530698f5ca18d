"""Swaps in imported modules and in the cells of a notebook.

`import microgpt.accelerate` puts a finder in front of the others; a module that defines the script's class, imported
from then on, gets ours. `%load_ext microgpt` does the same for cells. Only that module or cell is looked at: what
others do with the class is not known here, so its graphs stay node by node the script's (rung 2). Our class is shared
by whoever uses the package, so it is never reshaped: a class with methods of its own becomes a subclass.
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import sys
from collections.abc import Callable
from types import CodeType

from .runtime.modules import Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def outside() -> tuple[str, ...]:
    """Folders of the interpreter, of installed packages, and of this one."""
    import sysconfig

    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    return (os.path.join(PACKAGE, ""), *(os.path.join(sysconfig.get_path(key), "") for key in keys))


def look(spec: importlib.machinery.ModuleSpec) -> Callable[[], CodeType] | None:
    """What makes the code of the user's own modules that have a class: source files outside the interpreter's and
    installed packages'. Most have nothing of the script's."""
    loader, origin = spec.loader, spec.origin
    if type(loader) is not importlib.machinery.SourceFileLoader or origin is None:
        return None
    try:
        source = loader.get_data(origin)
    except OSError:
        return None
    if b"class " not in source or b"backward" not in source or os.path.abspath(origin).startswith(outside()):
        return None
    return lambda: rewritten_code(source, origin)


def rewritten_code(source: bytes | str, path: str) -> CodeType:
    """A module's code with its swaps. Raises what compiling it raises."""
    from .rewrite import TYPED, Options, rewrite
    from .runtime.support import install

    rewritten = rewrite(source, path, Options(TYPED, shared=True))
    if rewritten.swapped:
        install().expect(rewritten)
    assert rewritten.code is not None
    return rewritten.code


_finder = Finder(look)


def install() -> None:
    """Look at every module that is imported from now on."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def remove() -> None:
    """Leave imports alone again."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


# ---- Jupyter --------------------------------------------------------------------------------------------------------


class Cells(ast.NodeTransformer):
    """A transformer of IPython's: swaps the class in a cell that defines it."""

    def visit(self, node: ast.AST) -> ast.AST:
        from .rewrite import rewrite_cell
        from .runtime.support import install

        if isinstance(node, ast.Module) and any(isinstance(part, ast.ClassDef) for part in node.body):
            rewritten = rewrite_cell(node)
            if rewritten is not None:
                install().expect(rewritten)
        return node


def load_ipython_extension(shell: Any) -> None:
    """%load_ext microgpt"""
    install()
    if not any(isinstance(one, Cells) for one in shell.ast_transformers):
        shell.ast_transformers.append(Cells())


def unload_ipython_extension(shell: Any) -> None:
    """%unload_ext microgpt"""
    remove()
    shell.ast_transformers = [one for one in shell.ast_transformers if not isinstance(one, Cells)]
