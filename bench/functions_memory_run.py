"""Memory of linear layers: `functions_memory_run.py ROWS COLUMNS CALLS` prints one line of json.

A process of its own, so that the arena has no empty blocks to take before it grows. The weights and the inputs are
there before the count begins; every output is kept, as a graph that goes backward keeps it. What `backward` takes for
its list is counted apart: it is there while it runs, and kept for the next.
"""

import json
import random
import sys

from microgpt import Value, arena_stats, linear, mean, relu

rows, columns, calls = map(int, sys.argv[1:])
w = [[Value(random.gauss(0, 0.1)) for _ in range(columns)] for _ in range(rows)]
inputs = [relu([Value(random.random()) for _ in range(columns)]) for _ in range(calls)]
before = arena_stats()["bytes"]
outputs = [linear(x, w) for x in inputs]
forward = arena_stats()["bytes"] - before
mean([y for output in outputs for y in output]).backward()
backward = arena_stats()["bytes"] - before
terms = rows * columns * calls
print(json.dumps({"bytes": forward / terms, "with_backward": backward / terms}))
