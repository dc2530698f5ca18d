"""From a path to the code that runs: what `microgpt run` and its check have in common."""

from __future__ import annotations

import os
from types import CodeType

from .. import hook
from ..findings import Finding
from ..rewrite import Options, rewrite
from . import modules
from .script import full_path, show
from .support import install


def prepare(source: bytes, path: str, rung: int, any_order: bool = False) -> tuple[CodeType | None, list[Finding]]:
    """The code of a script with its swaps, and what to report. Without code, the script's own error has been shown."""
    try:
        options = Options(rung, any_order, folder=os.path.dirname(os.path.realpath(path)))
        rewritten = rewrite(source, full_path(path), options)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        show(error)
        return None, []
    if rewritten.swapped:
        install().expect(rewritten)
        modules.install(rewritten.modules)
    elif b"import microgpt.accelerate" in source or b"import microgpt_engine.accelerate" in source:
        hook.install()  # the script's own wish, which its import does not fulfil: the module is there already
    return rewritten.code, rewritten.findings
