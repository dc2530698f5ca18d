"""What else can train this model and happens to be here: PyPy, ports to NumPy and PyTorch. Rows below the ladder's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from . import pypy
from .graph import clock
from .measure import Plan, Tell, bits, spread
from .results import PARTS, Rung
from .rungs import LADDER, fresh_parameters

PASSES = 20  # over the documents in a round, for the ports
WARM_UP = 3  # passes of PyPy that don't count, while it compiles


def others(plan: Plan, tell: Tell, base: Rung, losses: Sequence[str]) -> list[Rung]:
    """Their figures. base: the lowest rung, whose losses, as float.hex, are compared with theirs."""
    return [*_pypy(plan, tell, base, losses), *_ports(plan, tell, base, losses)]


def _pypy(plan: Plan, tell: Tell, base: Rung, losses: Sequence[str]) -> Iterator[Rung]:
    interpreter = pypy.found()
    if interpreter is None:
        return
    tell("PyPy")
    documents = list(plan.documents)
    passes = WARM_UP + plan.rounds
    try:
        name, done = pypy.run(interpreter, plan.config, fresh_parameters(plan.config), documents, plan.lrs, passes)
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


def _ports(plan: Plan, tell: Tell, base: Rung, losses: Sequence[str]) -> Iterator[Rung]:
    from .ports import available

    for source in available():
        tell(source.library)
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
