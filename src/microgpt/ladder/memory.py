"""What a rung needs of memory, found in processes of its own: `python -m microgpt.ladder.memory`.

    measured("typed", config, documents)  ->  Memory(nodes=..., bytes_per_node=..., peak_bytes=...)

One process holds the graph of a loss for each document, and is weighed before and after. Another trains, and the most
that it ever weighed is compared with what the fresh model took. Weighing is reading the kernel's account of the process
(Linux); elsewhere nothing is measured.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from ..model import GPTConfig
from . import DEPTH
from .graph import Graph
from .rungs import LADDER, fresh_parameters

STATUS = "/proc/self/status"


class Memory(NamedTuple):
    """nodes: of one step's graph, mean of the documents. bytes_per_node: of that graph. peak_bytes: of training."""

    nodes: float | None = None
    bytes_per_node: float | None = None
    peak_bytes: int | None = None


def measured(name: str, config: GPTConfig, documents: Sequence[list[int]]) -> Memory:
    """The memory of a rung; None for what cannot be measured."""
    graph, training = (ask(what, name, config, documents) for what in ("graph", "training"))
    return Memory(*(graph or [None, None]), *(training or [None]))


def ask(what: str, name: str, config: GPTConfig, documents: Sequence[list[int]]) -> list[Any] | None:
    """What a new process finds, or None where it does not come to an end."""
    question = json.dumps([what, name, asdict(config), list(documents)])
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, input=question, capture_output=True, text=True, check=False)
    found: list[Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return found


def answer(what: str, name: str, config: GPTConfig, documents: Sequence[list[int]]) -> list[Any]:
    """The same in this process, which should have done nothing else."""
    made = LADDER[name].make(config, fresh_parameters(config))
    gc.collect()
    before = _bytes("VmRSS")
    if what == "graph":
        return _of_graph(made, documents, before) if isinstance(made, Graph) else [None, None]
    made.run(documents, [0.01] * len(documents))
    most = _bytes("VmHWM")
    return [None if before is None or most is None else most - before]


def _of_graph(made: Graph, documents: Sequence[list[int]], before: int | None) -> list[Any]:
    """Nodes of a document's graph, and the bytes of each."""
    losses = [made.loss(tokens) for tokens in documents]
    gc.collect()
    after = _bytes("VmRSS")
    parameters = {id(p) for p in made.params}
    nodes = sum(count_below(loss, parameters) for loss in losses)
    return [nodes / len(losses), None if before is None or after is None else (after - before) / nodes]


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


def _bytes(which: str) -> int | None:
    try:
        with open(STATUS, encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(which))
    except (OSError, StopIteration):
        return None


if __name__ == "__main__":
    sys.setrecursionlimit(DEPTH)
    what, name, sizes, documents = json.load(sys.stdin)
    print(json.dumps(answer(what, name, GPTConfig(**sizes), documents)))
