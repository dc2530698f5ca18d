"""The whole training step on the script's default model: forward, backward, Adam, and all three.

Every variant runs in processes of its own, as the script a user would have (training_run.py says why and how). The
processes come in turns, several times over, one at a time. A run takes the first dozen documents; over longer runs the
reference becomes slower still, because of the collector, so a dozen is the conservative choice. The others go over the
same documents several times, and their last round counts.
BENCH_STEPS=1000 measures a whole training run; it takes some minutes.

The floor: the same forward on plain floats builds no graph at all. No class of Values that leaves the forward in the
user's hands can be faster than that, so the compiled forward is held against it too.
"""

import gc
import os
import statistics
from collections.abc import Callable
from typing import Any

import gpt as model
import pytest
from measuring import Measured, Samples, worker

from microgpt import reference

RUNS = ("reference", "floats", "compiled", "compiled-adam", "bulk-functions", "bulk")
PARTS = ("forward", "backward", "adam")
STEPS = int(os.environ.get("BENCH_STEPS", "12"))
REPEATS = max(1, 60 // STEPS)
WITH_LOOP, WITH_ADAM = "whole step, the script's Adam loop", "whole step, the class Adam"
WITH_THREE, WITH_ALL = "whole step, three functions and Adam", "whole step, all functions and Adam"

# (what, variant) -> the kind of run that shows it, and which of its parts make it up
TESTS: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("forward", "floats"): ("floats", ("forward",)),
    ("forward", "reference"): ("reference", ("forward",)),
    ("forward", "compiled"): ("compiled", ("forward",)),
    ("backward", "reference"): ("reference", ("backward",)),
    ("backward", "compiled"): ("compiled", ("backward",)),
    ("the script's Adam loop", "floats"): ("floats", ("adam",)),
    ("the script's Adam loop", "reference"): ("reference", ("adam",)),
    ("the script's Adam loop", "compiled"): ("compiled", ("adam",)),
    ("the class Adam", "compiled"): ("compiled-adam", ("adam",)),
    (WITH_LOOP, "floats"): ("floats", ("forward", "adam")),
    (WITH_LOOP, "reference"): ("reference", PARTS),
    (WITH_LOOP, "compiled"): ("compiled", PARTS),
    (WITH_ADAM, "compiled"): ("compiled-adam", PARTS),
    ("forward, three functions", "compiled"): ("bulk-functions", ("forward",)),
    ("backward, three functions", "compiled"): ("bulk-functions", ("backward",)),
    (WITH_THREE, "compiled"): ("bulk-functions", PARTS),
    ("forward, all functions", "compiled"): ("bulk", ("forward",)),
    ("backward, all functions", "compiled"): ("bulk", ("backward",)),
    (WITH_ALL, "compiled"): ("bulk", PARTS),
}


def run_all(steps: int, repeats: int) -> dict[str, list[Any]]:
    runs: dict[str, list[Any]] = {name: [] for name in RUNS}
    for index in range(repeats):
        for name in RUNS if index % 2 else reversed(RUNS):
            runs[name].append(worker("training_run.py", name, str(steps)))
    return runs


def nodes_of_each_step(steps: int) -> list[tuple[int, int]]:
    """For every document: nodes in its graph, and how many of them the step made (all but the parameters)."""
    gc.disable()  # there are no cycles, and the collector would take most of the time
    how = model.on_values(reference.Value)
    setting = model.setting(how)
    parameters = {id(p) for p in setting.params}
    counts = []
    for step in range(steps):
        tokens = model.tokens_of(setting.docs[step % len(setting.docs)], setting.uchars)
        nodes = model.nodes_under(model.loss_of(setting.state_dict, how, tokens))
        counts.append((len(nodes), sum(id(node) not in parameters for node in nodes)))
    gc.enable()
    return counts


def samples_of(runs: list[Any], parts: tuple[str, ...]) -> list[float]:
    """Seconds of every step of every run, of these parts together."""
    which = [PARTS.index(part) for part in parts]
    return [sum(times[i] for i in which) for run in runs for times in run["times"]]


def per_node(samples: dict[str, list[float]], variant: str, counts: list[tuple[int, int]]) -> dict[str, float]:
    """Nanoseconds a node of the graph, and a node made above plain floats; step by step, since documents differ."""
    graph, made = zip(*counts, strict=True)
    steps = len(counts)

    def of_step(name: str, step: int) -> float:
        return statistics.median(samples[name][step::steps])

    found = {"nodes": statistics.median(graph), "nodes_made": statistics.median(made)}
    found["ns_per_node"] = statistics.median(of_step(variant, i) / graph[i] * 1e9 for i in range(steps))
    if "floats" in samples:
        above = (of_step(variant, i) - of_step("floats", i) for i in range(steps))
        found["above_ns_per_node_made"] = statistics.median(s / n * 1e9 for s, n in zip(above, made, strict=True))
    return found


@pytest.mark.parametrize(("what", "variant"), TESTS, ids=[f"{what}-{variant}" for what, variant in TESTS])
def test_step(what: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    steps = 1 if measured.quick else STEPS
    runs = measured("step", lambda: run_all(steps, measured.rounds(REPEATS)))
    counts = measured("nodes of each step", lambda: nodes_of_each_step(steps))
    samples: Samples = {v: samples_of(runs[run], parts) for (w, v), (run, parts) in TESTS.items() if w == what}
    # What has no counterpart in the script stands in for the part of the script that it replaces.
    parts = TESTS[what, variant][1]
    samples.setdefault("reference", samples_of(runs["reference"], parts))
    more = per_node(samples, variant, counts) if parts != ("adam",) else {}
    record(samples, variant, layer="step", what=what, unit="step", steps=steps, **more)


@pytest.mark.parametrize("variant", ["compiled", "compiled-adam", "bulk-functions", "bulk"])
def test_losses_and_parameters_are_those_of_the_reference(variant: str, measured: Measured) -> None:
    """A faster step that computes something else would be no comparison."""
    steps = 1 if measured.quick else STEPS
    runs = measured("step", lambda: run_all(steps, measured.rounds(REPEATS)))
    for run in runs[variant]:
        assert run["losses"] == runs["reference"][0]["losses"]
        assert run["params_sha256"] == runs["reference"][0]["params_sha256"]
