"""The memory that a rung needs, measured in processes of its own: `python -m microgpt.ladder.memory`.

    measured("typed", config, documents)  ->  Memory(nodes=..., bytes_per_node=..., peak_bytes=...)

One process holds the graph of a loss for each document; its resident set is read before and after. Another trains; its
peak is compared with what the fresh model took. Both are read from the kernel (Linux); elsewhere nothing is measured.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import memory
from ..model import GPTConfig
from . import DEPTH
from .graph import Graph
from .rungs import LADDER, fresh_parameters


class Memory(NamedTuple):
    """nodes: of one step's graph, mean over the documents. bytes_per_node: of that graph. peak_bytes: of training."""

    nodes: float | None = None
    bytes_per_node: float | None = None
    peak_bytes: int | None = None


UNKNOWN = Memory()


def measured(name: str, config: GPTConfig, documents: Sequence[list[int]]) -> Memory:
    """The memory of a rung; None for what cannot be measured."""
    graph, training = (ask(what, name, config, documents) for what in ("graph", "training"))
    return Memory(*(graph or [None, None]), *(training or [None]))


def ask(what: str, name: str, config: GPTConfig, documents: Sequence[list[int]]) -> list[Any] | None:
    """What a new process finds, or None where it does not come to an end."""
    question = json.dumps([what, name, config._asdict(), list(documents)])
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, input=question, capture_output=True, text=True, check=False)
    found: list[Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def answer(what: str, name: str, config: GPTConfig, documents: Sequence[list[int]]) -> list[Any]:
    """The same in this process, which should have done nothing else."""
    made = LADDER[name].make(config, fresh_parameters(config))
    gc.collect()
    before = memory.resident()
    if what == "graph":
        return _of_graph(made, documents, before) if isinstance(made, Graph) else [None, None]
    made.run(documents, [0.01] * len(documents))
    return [_difference(memory.peak(), before)]


def _of_graph(made: Graph, documents: Sequence[list[int]], before: int | None) -> list[Any]:
    """Nodes of a document's graph, and the bytes of each."""
    losses = [made.loss(tokens) for tokens in documents]
    gc.collect()
    after = memory.resident()
    parameters = {id(p) for p in made.params}
    nodes = sum(count_below(loss, parameters) for loss in losses)
    grown = _difference(after, before)
    return [nodes / len(losses), None if grown is None else grown / nodes]


def _difference(after: int | None, before: int | None) -> int | None:
    return None if before is None or after is None else after - before


def count_below(root: Any, known: set[int]) -> int:
    """The Values that `root` was computed from, itself included, but for those with an id in `known`."""
    seen, stack, kept = set(known), [root], []
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            kept.append(node)  # else its id might be given to another
            stack.extend(node._children)
    return len(kept)


if __name__ == "__main__":
    sys.setrecursionlimit(DEPTH)
    what, name, sizes, documents = json.load(sys.stdin)
    print(json.dumps(answer(what, name, GPTConfig(**sizes), documents)))
