"""How each rung of the ladder takes training steps.

The model is one text on all of them, `microgpt.model.gpt`. What differs is the class of the scalars and the functions
that `gpt` calls: that choice is the rung. Each has a copy of the Python code to itself, because CPython adapts bytecode
to the types that come by, and code shared by two rungs would be slow for both.
"""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from .. import _functional, model, reference
from .._adam import Adam
from .._engine import Value
from .._fused import GPT
from ..data import Tokenizer, embedded_names
from ..model import GPTConfig
from ..recording import recorded, table
from .graph import Graph, Pass, clock

FUNCTIONS = ("linear", "softmax", "rmsnorm", "attention", "add", "relu", "cross_entropy", "mean")
SEED = 42

Parameters = Mapping[str, Sequence[Sequence[float]]]


def script_documents(count: int | None = None) -> tuple[int, list[list[int]]]:
    """How many tokens there are, and the first documents that the script trains on, of the names that come with us."""
    names = embedded_names()
    tokenizer = Tokenizer(names)
    random.Random(SEED).shuffle(names)
    return tokenizer.vocab_size, list(map(tokenizer.encode, names[:count]))


class Model(Protocol):
    """A model on some rung, which starts from given parameters."""

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        """Take a training step on each document, with the learning rate of its place."""


def fresh_parameters(config: GPTConfig) -> Parameters:
    """The numbers that the script's seed gives: what every rung starts from."""
    matrices = model.init_state_dict(config, random.Random(SEED))
    return {name: [[p.data for p in row] for row in matrix] for name, matrix in matrices.items()}


# ---- rungs 0 to 3: a graph of Values --------------------------------------------------------------------------------


def graph(config: GPTConfig, parameters: Parameters, value: Any, functions: Any, adam: Any) -> Graph:
    """A model of this class of scalars. functions: a namespace with FUNCTIONS."""
    names = {"LAYER": model.LAYER, **{name: getattr(functions, name) for name in FUNCTIONS}}
    return Graph(config, parameters, value, {**names, "gpt": copied(model.gpt, names)}, adam)


def copied(function: Any, names: dict[str, Any]) -> Callable[..., Any]:
    """A function with bytecode of its own, whose global names are these."""
    return types.FunctionType(function.__code__.replace(), names, function.__name__)


def own_reference() -> Any:
    """A new copy of `reference`, whose bytecode no other rung has adapted to its types."""
    own = types.ModuleType("reference_copy")
    with open(reference.__file__, encoding="utf-8") as file:
        exec(compile(file.read(), reference.__file__, "exec"), own.__dict__)
    return own


def script(config: GPTConfig, parameters: Parameters, value: Any = None) -> Graph:
    """The script's own code. value: the class of the scalars, if it is another than the script's."""
    own = own_reference()
    return graph(config, parameters, value or own.Value, own, own.Adam)


def compiled(config: GPTConfig, parameters: Parameters) -> Graph:
    compiled: Any = import_module("microgpt._compiled")  # no stubs: it is `reference` again
    return graph(config, parameters, compiled.Value, compiled, compiled.Adam)


def bulk(config: GPTConfig, parameters: Parameters) -> Graph:
    return graph(config, parameters, Value, _functional, Adam)


# ---- rung 4: the same graph, replayed -------------------------------------------------------------------------------


class Recorded:
    """The bulk rung's model, whose loss is recorded once for each length of documents."""

    def __init__(self, config: GPTConfig, parameters: Parameters) -> None:
        self.graph = bulk(config, parameters)
        self.graph.state_dict["wte"] = table(self.graph.state_dict["wte"])
        self.loss = recorded(self.graph.loss)
        self.graph.loss = self.loss  # type: ignore[method-assign]

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        return self.graph.run(documents, lrs)


# ---- rung 5: the whole step in one call -----------------------------------------------------------------------------


class Fused:
    """The compiled model. Its parts are measured by calls that do less: `loss` goes forward, `backward` both ways."""

    def __init__(self, config: GPTConfig, parameters: Parameters) -> None:
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
    """A rung: how a user gets it, how its model is made, passes over the documents in a round."""

    holds: str
    make: Callable[[GPTConfig, Parameters], Model]
    passes: int


LADDER: Mapping[str, Kind] = {  # from the lowest rung to the highest
    "interpreted": Kind("the script as it is", script, 1),
    "compiled": Kind("the script as it is, through Cython", compiled, 1),
    "typed": Kind("from microgpt_engine import Value", partial(script, value=Value), 5),
    "bulk": Kind("and linear, softmax, ..., Adam", bulk, 50),
    "recorded": Kind("and @recorded, table", Recorded, 100),
    "fused": Kind("microgpt train, or GPT", Fused, 500),
}
