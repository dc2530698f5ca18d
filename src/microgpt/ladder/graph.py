"""Training as the script does it, a graph of Values a step, for any class of Values and any functions over them.

Imports the standard library alone: this file also runs under interpreters that do not have the package (see pypy.py).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# Processor time, which does not pass while another process has the core; on Windows it comes in ticks of 16 ms.
clock = time.perf_counter if sys.platform == "win32" else time.process_time


class Pass(NamedTuple):
    """Training steps on some documents, one after the other: the losses, and the seconds of all steps together.

    seconds     by part: step, forward, backward, adam
    """

    losses: list[float]
    seconds: dict[str, float]


class Graph:
    """A model of scalars: builds the graph of a loss, differentiates it, updates.

    parameters  name -> rows of numbers
    value       the class of the scalars
    functions   by name: gpt, cross_entropy and mean, over lists of these scalars
    adam        the class of the optimizer
    """

    def __init__(
        self,
        config: Any,
        parameters: Mapping[str, Sequence[Sequence[float]]],
        value: Any,
        functions: Mapping[str, Any],
        adam: Any,
    ) -> None:
        self.config = config
        self.state_dict = {name: [[value(p) for p in row] for row in rows] for name, rows in parameters.items()}
        self.params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        self.optimizer = adam(self.params)
        self.functions = functions

    def loss(self, tokens: Sequence[int]) -> Any:
        """The mean loss over the positions of a document, as the script's training loop builds it."""
        config, gpt, cross_entropy = self.config, self.functions["gpt"], self.functions["cross_entropy"]
        keys: list[list[Any]] = [[] for _ in range(config.n_layer)]
        values: list[list[Any]] = [[] for _ in range(config.n_layer)]
        losses = []
        for position in range(min(config.block_size, len(tokens) - 1)):
            logits = gpt(config, self.state_dict, tokens[position], position, keys, values)
            losses.append(cross_entropy(logits, tokens[position + 1]))
        return self.functions["mean"](losses)

    def run(self, documents: Sequence[Sequence[int]], lrs: Sequence[float]) -> Pass:
        """Take a training step on each document, with the learning rate of its place."""
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
