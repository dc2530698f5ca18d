"""Memory of one large graph: `memory_run.py ENGINE DOCUMENTS` prints one line of json. Linux.

The graph is the script's own: one loss over several documents. What is left when the loss alone is held is the graph;
the process's resident set before and after tells what it takes, with whatever the allocator could not give back. The
peak is read after a backward. Nodes are counted last, because counting makes a handle for each.
"""

import gc
import json
import sys
import time
from typing import Any

import gpt as model
from process_memory import most, now

import microgpt
from microgpt import reference

engine, documents = sys.argv[1], int(sys.argv[2])
in_arena = engine == "compiled"
how = model.on_values(microgpt.Value if in_arena else reference.Value)


def loss_over(docs: list[str]) -> Any:
    losses = [model.loss_of(state_dict, how, model.tokens_of(doc, uchars)) for doc in docs]
    return sum(losses) / len(losses)


docs, uchars, state_dict, params = model.setting(how)
sys.setrecursionlimit(100_000)
gc.collect()
nodes_before = microgpt.arena_stats()["nodes"]
before = now()
start = time.perf_counter()
loss = loss_over(docs[:documents])
seconds = time.perf_counter() - start
gc.collect()
graph = now() - before
arena = microgpt.arena_stats()
loss.backward()
peak = most() - before
known = {id(p) for p in params}
nodes = sum(id(node) not in known for node in model.nodes_under(loss))
print(
    json.dumps(
        {
            "engine": engine,
            "nodes": nodes,
            "seconds": seconds,
            "resident_bytes": graph,
            "peak_bytes": peak,
            "arena_bytes_per_node": arena["bytes_per_node"] if in_arena else None,
            "arena_nodes": arena["nodes"] - nodes_before if in_arena else None,
        }
    )
)
