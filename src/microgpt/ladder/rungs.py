"""How each rung of the ladder takes training steps.

The model is one text on all of them, `microgpt.model.gpt`. What differs is the class of the scalars and the functions
that `gpt` calls: that choice is the rung. Each has a copy of the Python code to itself, because CPython adapts bytecode
to the types that come by, and code shared by two rungs would be slow for both.
"""

from __future__ import annotations

import random
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from .. import model, reference
from ..model import GPTConfig

FUNCTIONS = ("linear", "softmax", "rmsnorm", "attention", "add", "relu", "cross_entropy", "mean")
SEED = 42

# Processor time, which does not pass while somebody else has the core; on Windows it comes in ticks of 16 ms.
clock = time.perf_counter if sys.platform == "win32" else time.process_time
Parameters = Mapping[str, Sequence[Sequence[float]]]


class Pass(NamedTuple):
    """Training steps on some documents, one after the other: the losses, and the seconds of all steps together.

    seconds     by part: step, forward, backward, adam
    """

    losses: list[float]
    seconds: dict[str, float]


class Model(Protocol):
    """A model on some rung, which starts from given parameters."""

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        """Take a training step on each document, with the learning rate of its place."""


def fresh_parameters(config: GPTConfig) -> Parameters:
    """The numbers that the script's seed gives: what every rung starts from."""
    matrices = model.init_state_dict(config, random.Random(SEED))
    return {name: [[p.data for p in row] for row in matrix] for name, matrix in matrices.items()}


# ---- rungs 0 to 3: a graph of Values --------------------------------------------------------------------------------


class Graph:
    """A model of scalars, trained as the script does it: build the graph of a loss, differentiate it, update.

    value, functions, adam: the class of its scalars, a namespace with FUNCTIONS, and the class of its optimizer.
    """

    def __init__(self, config: GPTConfig, parameters: Parameters, value: Any, functions: Any, adam: Any) -> None:
        self.config = config
        self.state_dict = {name: [[value(p) for p in row] for row in rows] for name, rows in parameters.items()}
        self.params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        self.optimizer = adam(self.params)
        self._loss_of = loss_over(functions)

    def loss(self, tokens: list[int]) -> Any:
        """The Value that a step differentiates."""
        return self._loss_of(self.config, self.state_dict, tokens)

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        losses, forward, backward, adam = [], 0.0, 0.0, 0.0
        for tokens, lr in zip(documents, lrs):
            started = clock()
            loss = self.loss(tokens)  # frees the graph of the step before, as the script does here
            built = clock()
            loss.backward()
            differentiated = clock()
            self.optimizer.step(lr)
            done = clock()
            losses.append(float(loss.data))
            forward += built - started
            backward += differentiated - built
            adam += done - differentiated
        seconds = {"step": forward + backward + adam, "forward": forward, "backward": backward, "adam": adam}
        return Pass(losses, seconds)


def loss_over(functions: Any) -> Callable[[GPTConfig, Any, Sequence[int]], Any]:
    """The mean loss over the positions of a document, as the script's training loop builds it, by these functions."""
    gpt = copied(model.gpt, {"LAYER": model.LAYER, **{name: getattr(functions, name) for name in FUNCTIONS}})
    cross_entropy, mean = functions.cross_entropy, functions.mean

    def loss_of(config: GPTConfig, state_dict: Any, tokens: Sequence[int]) -> Any:
        keys: list[list[Any]] = [[] for _ in range(config.n_layer)]
        values: list[list[Any]] = [[] for _ in range(config.n_layer)]
        losses = []
        for position in range(min(config.block_size, len(tokens) - 1)):
            logits = gpt(config, state_dict, tokens[position], position, keys, values)
            losses.append(cross_entropy(logits, tokens[position + 1]))
        return mean(losses)

    return loss_of


def copied(function: Any, names: dict[str, Any]) -> Callable[..., Any]:
    """A function with bytecode of its own, whose global names are these."""
    return types.FunctionType(function.__code__.replace(), names, function.__name__)


def own_reference() -> Any:
    """A new copy of `reference`, whose bytecode no other rung has adapted to its types."""
    own = types.ModuleType("reference_copy")
    with open(reference.__file__, encoding="utf-8") as file:
        exec(compile(file.read(), reference.__file__, "exec"), own.__dict__)
    return own


def interpreted(config: GPTConfig, parameters: Parameters) -> Graph:
    own = own_reference()
    return Graph(config, parameters, own.Value, own, own.Adam)


def compiled(config: GPTConfig, parameters: Parameters) -> Graph:
    compiled: Any = import_module("microgpt._compiled")  # no stubs: it is `reference` again

    return Graph(config, parameters, compiled.Value, compiled, compiled.Adam)


def typed(config: GPTConfig, parameters: Parameters) -> Graph:
    from .._engine import Value

    own = own_reference()
    return Graph(config, parameters, Value, own, own.Adam)


def bulk(config: GPTConfig, parameters: Parameters) -> Graph:
    from .. import _functional
    from .._adam import Adam
    from .._engine import Value

    return Graph(config, parameters, Value, _functional, Adam)


# ---- rung 4: the whole step in one call -----------------------------------------------------------------------------


class Fused:
    """The compiled model. Its parts are told apart by calls that do less: `loss` goes forward, `backward` both ways."""

    def __init__(self, config: GPTConfig, parameters: Parameters) -> None:
        from .._fused import GPT

        self.model = GPT(config)
        self.model.load_state_dict(parameters)

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        forward = _seconds_of(self.model.loss, documents)
        differentiated = _seconds_of(self.model.backward, documents)
        started = clock()
        losses = self.model.train_steps(documents, lrs)
        step = clock() - started
        backward, adam = differentiated - forward, step - differentiated
        return Pass(losses, {"step": step, "forward": forward, "backward": backward, "adam": adam})


def _seconds_of(work: Callable[[list[int]], float], documents: Sequence[list[int]]) -> float:
    started = clock()
    for tokens in documents:
        work(tokens)
    return clock() - started


# ---- the ladder -----------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A rung: what a script holds to stand on it, how its model is made, passes over the documents in a round."""

    holds: str
    make: Callable[[GPTConfig, Parameters], Model]
    passes: int


LADDER: Mapping[str, Kind] = {  # from the lowest rung to the highest
    "interpreted": Kind("the script as it is", interpreted, 1),
    "compiled": Kind("the script as it is, through Cython", compiled, 1),
    "typed": Kind("from microgpt import Value", typed, 5),
    "bulk": Kind("and linear, softmax, rmsnorm, attention, ..., Adam", bulk, 50),
    "fused": Kind("microgpt train, or GPT", Fused, 500),
}
