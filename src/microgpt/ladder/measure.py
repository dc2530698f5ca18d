"""Measures the ladder: all rungs in turns, round by round, so that they share whatever the machine does meanwhile.

A round of a rung is a fresh model that goes over the same documents, once or, where a pass is short, many times. The
losses of the first pass are compared bit for bit with those of the lowest rung. A round counts by the median of its
passes; of the rounds the median, the minimum and the maximum are kept. A round before them warms up.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..model import GPTConfig
from . import DEPTH, memory
from .graph import clock
from .results import PARTS, Rung, Size, Spread
from .rungs import LADDER, Kind, Model, fresh_parameters

LR, NUM_STEPS = 0.01, 1000  # the script's
WIDTHS = (16, 32, 64, 128)  # n_embd of the models that show how a step grows

Progress = Callable[[str], None]  # called with what is measured next


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    config, documents   the model, and the tokens of each document; a step takes one document
    rounds              of every rung; more make the medians steadier
    pass_scale          how many passes a round has, as a part of the usual number
    max_step_seconds    of a step of a larger model; a rung that needs longer is left out there
    """

    config: GPTConfig
    documents: Sequence[list[int]]
    rounds: int = 5
    pass_scale: float = 1.0
    max_step_seconds: float = 4.0

    @property
    def work(self) -> int:
        """How often `progress` is called in all."""
        return len(LADDER) * (self.rounds + 2) + len(WIDTHS)

    @property
    def lrs(self) -> list[float]:
        """The learning rate of each document's step: the script's."""
        return [LR * (1 - step / NUM_STEPS) for step in range(len(self.documents))]

    def passes(self, usual: int) -> int:
        """How many passes over the documents a round has that usually has so many."""
        return max(1, round(usual * self.pass_scale))


def ladder(plan: Plan, progress: Progress) -> tuple[list[Rung], list[str]]:
    """Every rung's figures, from the lowest to the highest, and the losses of the lowest as float.hex."""
    rounds = take_turns(plan, progress)
    lowest = next(iter(LADDER))
    losses = bits(rounds[lowest].losses)
    base = statistics.median(rounds[lowest].ms["step"])
    memory_by_rung = {}
    for name in LADDER:
        progress(f"{name}: memory")
        memory_by_rung[name] = memory.measured(name, plan.config, plan.documents[:2])
    nodes = memory_by_rung[lowest].nodes
    rungs = [
        rung_of(number, name, kind, plan, rounds[name], base, losses, memory_by_rung[name], nodes)
        for number, (name, kind) in enumerate(LADDER.items())
    ]
    return rungs, losses


class Rounds:
    """What the rounds of one rung gave: milliseconds of a step by part, and the losses of the first pass."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {part: [] for part in PARTS}
        self.losses: list[float] = []
        self.steady = True  # the losses were the same in every round

    def add(self, ms: dict[str, float], losses: list[float], counts: bool) -> None:
        if self.losses:
            self.steady &= bits(losses) == bits(self.losses)
        self.losses = self.losses or losses
        if counts:
            for part, value in ms.items():
                self.ms[part].append(value)


def take_turns(plan: Plan, progress: Progress, kinds: Mapping[str, Kind] = LADDER) -> dict[str, Rounds]:
    """The rounds of every rung: up the ladder and down in turns.

    RecursionError where the model is too deep for a recursive backward. The interpreted rung comes first and raises it;
    the compiled one would run out of stack.
    """
    found = {name: Rounds() for name in kinds}
    parameters = fresh_parameters(plan.config)
    with deep_recursion(), frozen_heap():
        for index in range(plan.rounds + 1):
            for name in reversed(list(kinds)) if index % 2 else kinds:
                progress(f"{name}: round {index} of {plan.rounds}" if index else f"{name}: warming up")
                model = kinds[name].make(plan.config, parameters)
                found[name].add(*one_round(model, plan, kinds[name].passes), counts=index > 0)
                del model
                gc.collect()
    return found


def one_round(model: Model, plan: Plan, usual: int) -> tuple[dict[str, float], list[float]]:
    """Milliseconds of a step by part, and the losses of the first pass."""
    done = [model.run(plan.documents, plan.lrs) for _ in range(plan.passes(usual))]
    parts = {part: statistics.median(each.seconds[part] for each in done) for part in done[0].seconds}
    return {part: seconds / len(plan.documents) * 1e3 for part, seconds in parts.items()}, done[0].losses


def rung_of(
    number: int | None,
    name: str,
    kind: Kind,
    plan: Plan,
    rounds: Rounds,
    base: float,
    losses: Sequence[str],
    needs: memory.Memory = memory.UNKNOWN,
    nodes: float | None = None,
) -> Rung:
    """Its figures. base, losses, nodes: of the lowest rung, milliseconds of a step, losses and nodes of its graph."""
    step = statistics.median(rounds.ms["step"])
    return Rung(
        number=number,
        name=name,
        holds=kind.holds,
        ms={part: Spread(statistics.median(ms), min(ms), max(ms)) for part, ms in rounds.ms.items() if ms},
        ratio=base / step,
        steps=len(plan.documents) * plan.passes(kind.passes),
        same_bits=rounds.steady and bits(rounds.losses) == list(losses),
        nodes=needs.nodes,
        ns_per_node=None if nodes is None else step * 1e6 / nodes,
        bytes_per_node=needs.bytes_per_node,
        peak_bytes=needs.peak_bytes,
    )


def bits(losses: Sequence[float]) -> list[str]:
    return [loss.hex() for loss in losses]


# ---- other sizes ----------------------------------------------------------------------------------------------------


def sizes(plan: Plan, progress: Progress) -> list[Size]:
    """Milliseconds a step of wider models, on each rung that does not take too long."""
    found: list[Size] = []
    longest = max(plan.documents, key=len)
    with deep_recursion():
        for width in WIDTHS:
            progress(f"n_embd {width}")
            config = GPTConfig(plan.config.vocab_size, n_embd=width)
            growth = config.num_params / found[-1].parameters if found else 0.0
            before = found[-1].ms if found else dict.fromkeys(LADDER, 0.0)
            names = [name for name in before if before[name] * growth < plan.max_step_seconds * 1e3]
            ms = {name: step_of(name, config, longest) for name in (names if found else LADDER)}
            found.append(Size(config.n_layer, width, config.n_head, config.block_size, config.num_params, ms))
    return found


def step_of(name: str, config: GPTConfig, tokens: list[int]) -> float:
    """Milliseconds of a step: the fastest of 1 to 50, fewer the longer one takes."""
    model = LADDER[name].make(config, fresh_parameters(config))
    first = clock()
    model.run([tokens], [1e-4])
    repeats = max(1, min(50, int(0.2 / (clock() - first))))
    return min(model.run([tokens], [1e-4]).seconds["step"] for _ in range(repeats)) * 1e3


# ---- fairness -------------------------------------------------------------------------------------------------------


@contextmanager
def deep_recursion(depth: int = DEPTH) -> Iterator[None]:
    """A recursion limit that the interpreted backward, which is recursive, stays below."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, depth))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def frozen_heap() -> Iterator[Any]:
    """Objects alive now are hidden from the cyclic collector, which would otherwise slow the lower rungs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
