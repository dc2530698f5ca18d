"""What else can train this model: a class of one's own, and, where installed, PyPy, ports to NumPy and PyTorch. Rows
below the ladder's, each measured as a rung is.

PyPy need not have this package: it is sent what is pure Python here, and runs that. Sent are `reference.py`, the
model's `gpt` and `graph.py` as they stand, the parameters and the documents; back come losses and times, all as json.
CPython can be asked the same, which is how the tests know that it is the same training.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .. import model, reference
from ..errors import Refused
from ..model import GPTConfig
from . import DEPTH, graph
from .graph import Graph, Pass, clock
from .measure import Plan, Progress, rung_of, take_turns
from .results import Rung
from .rungs import LADDER, Kind, Parameters, fresh_parameters, script

PASSES = 20  # over the documents in a round, for the ports
WARM_UP = 5  # passes of PyPy that don't count, while it compiles
PYPY_NAMES = ("pypy3", "pypy")
PYPY_VERSION = "import sys; print('PyPy %d.%d.%d' % sys.pypy_version_info[:3])"
PYPY_PROGRAM = """
import json, sys, types
asked = json.load(sys.stdin)
sys.setrecursionlimit(asked["depth"])
module = types.ModuleType("script")
sys.modules["script"] = module
names = module.__dict__
for source in asked["sources"]:
    exec(compile(source, "script", "exec"), names)
config = types.SimpleNamespace(**asked["config"])
made = names["Graph"](config, asked["parameters"], names["Value"], names, names["Adam"])
passes = [made.run(asked["documents"], asked["lrs"]) for _ in range(asked["passes"])]
print(json.dumps([[[loss.hex() for loss in losses], seconds] for losses, seconds in passes]))
"""


def others(plan: Plan, progress: Progress, base: Rung, losses: Sequence[str], own: Sequence[OwnClass]) -> list[Rung]:
    """Their figures. base: the lowest rung, whose losses, as float.hex, are compared with theirs."""
    found = []
    for name, kind in _kinds(own):
        progress(name)
        with _blamed(name), suppress(BrokenInterpreterError):
            rounds = take_turns(plan, lambda what: None, {name: kind})[name]
            found.append(rung_of(None, name, kind, plan, rounds, base.ms["step"].median, losses))
    return found


def _kinds(own: Sequence[OwnClass]) -> Iterator[tuple[str, Kind]]:
    """What there is here, by name. A library that does not work is as good as none."""
    from . import ports

    for each in own:
        yield each.name, Kind("a class Value of your own", each.make, 1)
    if interpreter := find_pypy():
        version = subprocess.run([interpreter, "-c", PYPY_VERSION], capture_output=True, text=True, check=False)
        yield version.stdout.strip() or "PyPy", Kind(LADDER["interpreted"].holds, partial(PyPy, interpreter), 1)
    for source in ports.available():
        try:
            port = source.load()
        except ImportError:
            continue
        yield port.name, Kind(port.holds, partial(PortModel, port), PASSES)


class PortModel:
    """A port, whose parts cannot be told apart."""

    def __init__(self, port: Any, config: GPTConfig, parameters: Parameters) -> None:
        self.train_step = port(config, parameters).train_step

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        """Take a training step on each document."""
        started = clock()
        losses = [self.train_step(tokens, lr) for tokens, lr in zip(documents, lrs)]
        return Pass(losses, {"step": clock() - started})


# ---- a class of one's own --------------------------------------------------------------------------------------------


class OwnClassError(Refused, ValueError):
    """What is wrong with the user's module, in a sentence."""


class OwnClass(NamedTuple):
    """A class of scalars in a module of the user's, to run the script on."""

    name: str
    value: Any

    def make(self, config: GPTConfig, parameters: Parameters) -> Graph:
        """The script's model of these scalars."""
        return script(config, parameters, self.value)


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """What a class of the user's may raise, as OwnClassError."""
    try:
        yield
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
        raise OwnClassError(f"{name}: {type(error).__name__}: {error}") from None


def load_own_class(path: str) -> OwnClass:
    """The class Value of a module: a compiled one (.so, .pyd) or Python source.

    OwnClassError if there is none.
    """
    name = Path(path).name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OwnClassError(
            f"{path}: a Python module is expected, such as value.py or what cythonize makes of value.pyx"
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise OwnClassError(f"{path}: {type(error).__name__}: {error}") from None
    if not isinstance(getattr(module, "Value", None), type):
        raise OwnClassError(f"{path}: there is no class Value in it")
    return OwnClass(name, module.Value)


def check_own_class(plan: Plan, own: OwnClass) -> None:
    """Take the first step on it: OwnClassError if it cannot. Who waits for a whole ladder wants to know before."""
    with _blamed(f"the class Value of {own.name}"):
        own.make(plan.config, fresh_parameters(plan.config)).run(plan.documents[:1], plan.lrs)


# ---- PyPy ------------------------------------------------------------------------------------------------------------


class BrokenInterpreterError(RuntimeError):
    """An interpreter that cannot do what it is asked, with the last line of its standard error."""


class PyPy:
    """The script's training in a process of another interpreter, which learns a while before its time is taken."""

    def __init__(self, interpreter: str, config: GPTConfig, parameters: Parameters) -> None:
        self.how = interpreter, config, parameters

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        """The losses of a first pass over the documents, the times of a later one."""
        first, *_, last = run_elsewhere(*self.how, documents, lrs, 1 + WARM_UP)
        return Pass(first.losses, last.seconds)


def find_pypy() -> str | None:
    """PyPy's program on PATH."""
    return next(filter(None, map(shutil.which, PYPY_NAMES)), None)


def sources_for_pypy() -> list[str]:
    """Source texts that are executed in this order, in one namespace."""
    gpt = f"from __future__ import annotations\nLAYER = {model.LAYER!r}\n{inspect.getsource(model.gpt)}"
    return [*(Path(module.__file__ or "").read_text(encoding="utf-8") for module in (reference, graph)), gpt]


def run_elsewhere(
    interpreter: str,
    config: GPTConfig,
    parameters: Parameters,
    documents: Sequence[list[int]],
    lrs: Sequence[float],
    passes: int,
) -> list[Pass]:
    """Go over the documents so many times under this interpreter. BrokenInterpreterError if it fails."""
    asked: dict[str, Any] = {"config": config._asdict(), "parameters": parameters, "documents": documents, "lrs": lrs}
    asked |= {"depth": DEPTH, "sources": sources_for_pypy(), "passes": passes}
    command = [interpreter, "-c", PYPY_PROGRAM]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False)
    if done.returncode:
        error = done.stderr.strip().splitlines() or ["no answer"]
        raise BrokenInterpreterError(f"{interpreter}: {error[-1]}")
    answers = json.loads(done.stdout)
    return [Pass([float.fromhex(loss) for loss in losses], seconds) for losses, seconds in answers]
