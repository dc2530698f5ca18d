"""What else can train this model: a class of one's own, and, where installed, PyPy, ports to NumPy and PyTorch. Rows
below the ladder's.

PyPy need not have this package: it is sent what is pure Python here, and runs that. Sent are `reference.py`, the
model's `gpt` and `graph.py` as they stand, the parameters and the documents; back come losses and times, all as json.
CPython can be asked the same, which is how the tests know that it is the same training.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .. import model, reference
from . import DEPTH, graph
from .graph import Pass, clock
from .measure import Plan, Progress, bits, spread
from .results import PARTS, Rung
from .rungs import LADDER, Parameters, fresh_parameters, own_reference
from .rungs import graph as graph_on

PASSES = 20  # over the documents in a round, for the ports
WARM_UP = 3  # passes of PyPy that don't count, while it compiles
PYPY_NAMES = ("pypy3", "pypy")
PYPY_PROGRAM = """
import json, platform, sys, types
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
if platform.python_implementation() == "PyPy":
    version = "PyPy %d.%d.%d" % sys.pypy_version_info[:3]
else:
    version = platform.python_implementation() + " " + platform.python_version()
print(json.dumps([version, [[[loss.hex() for loss in losses], seconds] for losses, seconds in passes]]))
"""


def others(plan: Plan, progress: Progress, base: Rung, losses: Sequence[str], own: Sequence[OwnClass]) -> list[Rung]:
    """Their figures. base: the lowest rung, whose losses, as float.hex, are compared with theirs."""
    return [
        *_own(plan, progress, base, losses, own),
        *_pypy(plan, progress, base, losses),
        *_ports(plan, progress, base, losses),
    ]


class OwnClassError(ValueError):
    """What is wrong with the user's module, in a sentence."""


class OwnClass(NamedTuple):
    """A class of scalars in a module of the user's, to run the script on."""

    name: str
    value: Any


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


def _own(
    plan: Plan, progress: Progress, base: Rung, losses: Sequence[str], classes: Sequence[OwnClass]
) -> Iterator[Rung]:
    for name, value in classes:
        progress(name)
        rounds = [_own_round(plan, OwnClass(name, value)) for _ in range(1 + plan.rounds)]
        ms = {part: [each.seconds[part] / len(plan.documents) * 1e3 for each in rounds[1:]] for part in PARTS}
        yield Rung(
            number=None,
            name=name,
            holds="a class Value of your own",
            ms={part: spread(values) for part, values in ms.items()},
            ratio=base.ms["step"].median / statistics.median(ms["step"]),
            steps=len(plan.documents) * plan.rounds,
            same_bits=bits(rounds[0].losses) == list(losses),
        )


def check_own_class(plan: Plan, own: OwnClass) -> None:
    """Take the first step on it: OwnClassError if it cannot. Who waits for a whole ladder wants to know before."""
    _own_round(replace(plan, documents=plan.documents[:1]), own)


def _own_round(plan: Plan, own: OwnClass) -> Pass:
    reference = own_reference()
    try:
        model = graph_on(plan.config, fresh_parameters(plan.config), own.value, reference, reference.Adam)
        return model.run(plan.documents, plan.lrs)
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
        raise OwnClassError(f"the class Value of {own.name}: {type(error).__name__}: {error}") from None


def _pypy(plan: Plan, progress: Progress, base: Rung, losses: Sequence[str]) -> Iterator[Rung]:
    interpreter = find_pypy()
    if interpreter is None:
        return
    progress("PyPy")
    documents = list(plan.documents)
    passes = WARM_UP + plan.rounds
    try:
        name, done = run_pypy(interpreter, plan.config, fresh_parameters(plan.config), documents, plan.lrs, passes)
    except (OSError, RuntimeError, ValueError):  # a PyPy that does not work is as good as none
        return
    ms = {part: [each.seconds[part] / len(documents) * 1e3 for each in done[WARM_UP:]] for part in PARTS}
    step = statistics.median(ms["step"])
    same = bits(done[0].losses) == list(losses)
    yield Rung(
        number=None,
        name=name,
        holds=LADDER[base.name].holds,
        ms={part: spread(values) for part, values in ms.items()},
        ratio=base.ms["step"].median / step,
        steps=len(documents),
        same_bits=same,
    )


def _ports(plan: Plan, progress: Progress, base: Rung, losses: Sequence[str]) -> Iterator[Rung]:
    from .ports import available

    for source in available():
        progress(source.library)
        try:
            port = source.load()(plan.config, fresh_parameters(plan.config))
        except ImportError:  # a library that does not work is as good as none
            continue
        first = [port.train_step(tokens, lr) for tokens, lr in zip(plan.documents, plan.lrs)]
        rounds = [_seconds(plan, port.train_step) for _ in range(plan.rounds)]
        ms = [seconds / len(plan.documents) * 1e3 for seconds in rounds]
        yield Rung(
            number=None,
            name=port.name,
            holds=port.holds,
            ms={"step": spread(ms)},
            ratio=base.ms["step"].median / statistics.median(ms),
            steps=len(plan.documents) * plan.passes(PASSES),
            same_bits=bits(first) == list(losses),
        )


def _seconds(plan: Plan, train_step: Callable[[list[int], float], float]) -> float:
    """Of a pass over the documents, the median of some."""
    lrs, passes = plan.lrs, []
    for _ in range(plan.passes(PASSES)):
        started = clock()
        for tokens, lr in zip(plan.documents, lrs):
            train_step(tokens, lr)
        passes.append(clock() - started)
    return statistics.median(passes)


# ---- PyPy ------------------------------------------------------------------------------------------------------------


def find_pypy() -> str | None:
    """PyPy's program on PATH."""
    return next(filter(None, map(shutil.which, PYPY_NAMES)), None)


def sources_for_pypy() -> list[str]:
    """Source texts that are executed in this order, in one namespace."""
    gpt = f"from __future__ import annotations\nLAYER = {model.LAYER!r}\n{inspect.getsource(model.gpt)}"
    return [*(Path(module.__file__ or "").read_text(encoding="utf-8") for module in (reference, graph)), gpt]


def run_pypy(
    interpreter: str,
    config: model.GPTConfig,
    parameters: Parameters,
    documents: list[list[int]],
    lrs: list[float],
    passes: int,
) -> tuple[str, list[Pass]]:
    """Go over the documents so many times under this interpreter: its name and version, and each pass.

    RuntimeError with the last line of its standard error if it fails.
    """
    asked: dict[str, Any] = {"config": config._asdict(), "parameters": parameters, "documents": documents, "lrs": lrs}
    asked |= {"depth": DEPTH, "sources": sources_for_pypy(), "passes": passes}
    done = subprocess.run(
        [interpreter, "-c", PYPY_PROGRAM], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    if done.returncode:
        error = done.stderr.strip().splitlines() or ["no answer"]
        raise RuntimeError(f"{interpreter}: {error[-1]}")
    version, answers = json.loads(done.stdout)
    return version, [Pass([float.fromhex(loss) for loss in losses], seconds) for losses, seconds in answers]
