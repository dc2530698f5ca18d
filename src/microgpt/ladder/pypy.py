"""The script under PyPy, which need not have this package: it is sent what is pure Python here, and runs that.

Sent are `reference.py`, the model's `gpt` and `graph.py` as they stand, the parameters and the documents; back come
losses and times, all as json. CPython can be asked the same, which is how the tests know that it is the same training.
"""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import model, reference
from . import DEPTH, graph
from .graph import Pass
from .rungs import Parameters

NAMES = ("pypy3", "pypy")
ANSWER = """
import json, platform, sys, types
asked = json.load(sys.stdin)
sys.setrecursionlimit(asked["depth"])
module = types.ModuleType("script")
sys.modules["script"] = module
names = module.__dict__
for source in asked["sources"]:
    exec(compile(source, "script", "exec"), names)
config = types.SimpleNamespace(**asked["config"])
loss_of = names["loss_by"](names["gpt"], names["cross_entropy"], names["mean"])
made = names["Graph"](config, asked["parameters"], names["Value"], loss_of, names["Adam"])
passes = [made.run(asked["documents"], asked["lrs"]) for _ in range(asked["passes"])]
if platform.python_implementation() == "PyPy":
    version = "PyPy %d.%d.%d" % sys.pypy_version_info[:3]
else:
    version = platform.python_implementation() + " " + platform.python_version()
print(json.dumps([version, [[[loss.hex() for loss in losses], seconds] for losses, seconds in passes]]))
"""


def found() -> str | None:
    """PyPy's program on PATH."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def sources() -> list[str]:
    """The texts that are run, in this order and in one namespace."""
    gpt = f"from __future__ import annotations\nLAYER = {model.LAYER!r}\n{inspect.getsource(model.gpt)}"
    return [*(Path(module.__file__ or "").read_text(encoding="utf-8") for module in (reference, graph)), gpt]


def run(
    interpreter: str,
    config: model.GPTConfig,
    parameters: Parameters,
    documents: list[list[int]],
    lrs: list[float],
    passes: int,
) -> tuple[str, list[Pass]]:
    """Go over the documents so many times under this interpreter: its name and version, and what each pass gave.

    RuntimeError with the last line of its complaint where it does not come to an end.
    """
    asked: dict[str, Any] = {"config": asdict(config), "parameters": parameters, "documents": documents, "lrs": lrs}
    asked |= {"depth": DEPTH, "sources": sources(), "passes": passes}
    done = subprocess.run(
        [interpreter, "-c", ANSWER], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or ["no answer"]
        raise RuntimeError(f"{interpreter}: {complaint[-1]}")
    version, answers = json.loads(done.stdout)
    return version, [Pass([float.fromhex(loss) for loss in losses], seconds) for losses, seconds in answers]
