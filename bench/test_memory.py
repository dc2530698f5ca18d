"""Bytes a node, of a graph of some hundred thousand nodes: what the process really takes, and what the arena says.

One process an engine (memory_run.py), so that nothing was allocated before and the peak is the graph's own. The time
that goes to the record is that of building the graph; the bytes are in `extra_info`.
"""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from measuring import Measured, worker

ENGINES = ("reference", "compiled")
DOCUMENTS = 20


def all_engines(documents: int) -> dict[str, Any]:
    return {engine: worker("memory_run.py", engine, str(documents)) for engine in ENGINES}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("variant", ENGINES)
def test_memory_of_a_large_graph(variant: str, measured: Measured, record: Callable[..., None]) -> None:
    found = measured("memory", lambda: all_engines(1 if measured.quick else DOCUMENTS))
    nodes = found["reference"]["nodes"]
    assert found["compiled"]["nodes"] == nodes
    here = found[variant]
    more = {
        "bytes_per_node": here["resident_bytes"] / nodes,
        "reference_bytes_per_node": found["reference"]["resident_bytes"] / nodes,
        "peak_bytes_per_node": here["peak_bytes"] / nodes,
        "arena_bytes_per_node": here["arena_bytes_per_node"],
        "arena_nodes": here["arena_nodes"],
    }
    samples = {engine: [run["seconds"]] for engine, run in found.items()}
    what = "a loss over many documents"
    record(samples, variant, layer="memory", what=what, per=nodes, unit="node", nodes=nodes, **more)
