"""What is measured beside the rungs: plain floats, steps between two rungs, the fused GPT on each instruction set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, log
from typing import Any

import microgpt
from microgpt import GPTConfig, _fused
from microgpt.ladder.graph import Graph, Pass, clock
from microgpt.ladder.rungs import LADDER, Fused, Kind, Parameters, graph, own_reference, script_documents

SCRIPT = GPTConfig(27)  # the script's model


def names() -> list[list[int]]:
    """The tokens of the embedded names, in the order in which the script trains on them."""
    return script_documents()[1]


# ---- plain floats: the floor of every class of Values ---------------------------------------------------------------


def softmax(logits: Sequence[float]) -> list[float]:
    max_val = max(val for val in logits)
    exps = [exp(val - max_val) for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def relu(x: Sequence[float]) -> list[float]:
    return [max(0, xi) for xi in x]


def cross_entropy(logits: Sequence[float], target: int) -> float:
    return -log(softmax(logits)[target])


class Cell:
    """A number with the two attributes that Adam touches and nothing else: the cheapest Value that could be."""

    __slots__ = ("data", "grad")

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad: float = 0


class Floats:
    """The forward pass without a graph, and the script's Adam on bare numbers with made-up gradients."""

    def __init__(self, config: GPTConfig, parameters: Parameters) -> None:
        own = own_reference()
        own.softmax, own.relu, own.cross_entropy = softmax, relu, cross_entropy
        self.graph = graph(config, parameters, float, own, lambda params: own.Adam(map(Cell, params)))

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        losses, forward, adam = [], 0.0, 0.0
        for tokens, lr in zip(documents, lrs):
            started = clock()
            losses.append(self.graph.loss(tokens))
            forward += clock() - started
            for cell in self.graph.optimizer.params:
                cell.grad = random.gauss(0, 0.01)
            started = clock()
            self.graph.optimizer.step(lr)
            adam += clock() - started
        return Pass(losses, {"step": forward + adam, "forward": forward, "backward": 0.0, "adam": adam})


# ---- between the rungs ----------------------------------------------------------------------------------------------


def with_adam(config: GPTConfig, parameters: Parameters) -> Graph:
    """Rung 2 with the compiled Adam."""
    return graph(config, parameters, microgpt.Value, own_reference(), microgpt.Adam)


def with_three_functions(config: GPTConfig, parameters: Parameters) -> Graph:
    """The same with linear, softmax and rmsnorm compiled; attention stays scalar by scalar."""
    own = own_reference()
    own.linear, own.softmax, own.rmsnorm = microgpt.linear, microgpt.softmax, microgpt.rmsnorm
    return graph(config, parameters, microgpt.Value, own, microgpt.Adam)


def fused_on(isa: str) -> Kind:
    """The fused rung on one instruction set."""

    class On(Fused):
        def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
            with _fused._use_instruction_set(isa):
                return super().run(documents, lrs)

    return LADDER["fused"]._replace(make=On)


BETWEEN = {
    "floats": Kind("no graph", Floats, 1),
    "typed, class Adam": Kind("and Adam", with_adam, 5),
    "three functions": Kind("and linear, softmax, rmsnorm", with_three_functions, 20),
}
FUSED = {f"fused, {isa}": fused_on(isa) for isa in _fused._instruction_sets()}
VARIANTS = {**{name: kind for name, kind in LADDER.items() if name != "fused"}, **BETWEEN, **FUSED}
NUMBERS = {name: number for number, name in enumerate(LADDER)}


def rung_of(variant: str) -> int | None:
    """The number of the rung; None for floats, which are none, and the rung below for what stands between two."""
    halfway = {"floats": None, "typed, class Adam": 2, "three functions": 2}
    return halfway[variant] if variant in halfway else NUMBERS[variant.partition(",")[0]]


def silent(what: str) -> None:
    """No progress is shown."""


def of_functions(variant: str, config: GPTConfig, parameters: Parameters) -> Graph:
    """A model that has a graph, or would have one."""
    made: Any = VARIANTS[variant].make(config, parameters)
    found: Graph = made.graph if isinstance(made, Floats) else made
    return found
