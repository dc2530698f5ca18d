"""Bytes a node of a graph of some hundred thousand nodes: what the process really takes, and what the arena says.

Measured as `microgpt bench` measures (microgpt/ladder/memory.py), in processes of their own.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from measuring import Measured
from variants import SCRIPT, names

import microgpt
from microgpt.ladder import memory

ENGINES = {"reference": "interpreted", "compiled": "typed"}
DOCUMENTS = 20


def measure(documents: int) -> dict[str, Any]:
    found = {}
    for engine, rung in ENGINES.items():
        started = time.perf_counter()
        needs = memory.measured(rung, SCRIPT, names()[:documents])
        found[engine] = needs, time.perf_counter() - started
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("variant", ENGINES)
def test_memory_of_a_large_graph(variant: str, measured: Measured, record: Callable[..., None]) -> None:
    documents = 1 if measured.quick else DOCUMENTS
    found = measured("memory", lambda: measure(documents))
    (needs, seconds), (reference, _) = found[variant], found["reference"]
    assert needs.nodes == reference.nodes
    more = {
        "nodes": needs.nodes * documents,
        "bytes_per_node": needs.bytes_per_node,
        "reference_bytes_per_node": reference.bytes_per_node,
        "training_peak_bytes": needs.peak_bytes,
    }
    if variant == "compiled":
        more["arena_bytes_per_node"] = microgpt.arena_stats()["bytes_per_node"]
    what = "a loss over many documents"
    record({variant: [seconds]}, variant, layer="memory", what=what, per=more["nodes"], unit="node", **more)
