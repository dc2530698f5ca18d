"""Building, differentiating and freeing a graph: `scaling_run.py ENGINE SHAPE NODES ROUNDS` prints one line of json.

A process of its own, which holds the graph and nothing else. The first round fetches memory from the system, page by
page; it is given apart (`first`), and so are the bytes that it took. Freeing is part of building, as in test_step.py.
`result` is the root and one gradient, by their bits.
"""

import gc
import json
import sys
import time
from typing import Any

from graphs import SHAPES, Graph

import microgpt
from microgpt import memory, reference

engine, shape, nodes, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
cls: Any = {"reference": reference.Value, "compiled": microgpt.Value}[engine]
clock = time.perf_counter


def arena() -> int:
    return int(microgpt.arena_stats()["bytes"])


def built() -> tuple[float, Graph]:
    gc.collect()
    started = clock()
    graph = SHAPES[shape](cls, nodes)
    return clock() - started, graph


def differentiated(graph: Graph) -> float:
    started = clock()
    graph.root.backward()
    return clock() - started


before = memory.resident() or 0, arena()
seconds, graph = built()
resident, in_arena = (memory.resident() or 0) - before[0], arena() - before[1]
first = {"build": seconds, "backward": differentiated(graph)}
result = f"{float(graph.root.data).hex()} {float(graph.leaf.grad).hex()}"
count = graph.nodes
build, backward = [], []
for _ in range(rounds):
    del graph
    seconds, graph = built()
    backward.append(differentiated(graph))
    started = clock()
    graph = graph._replace(root=None, leaf=None)
    build.append(seconds + clock() - started)
found = {"nodes": count, "build": build, "backward": backward, "first": first, "result": result}
print(json.dumps({**found, "resident_bytes": resident, "arena_bytes": in_arena}))
