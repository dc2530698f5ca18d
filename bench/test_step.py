"""The whole training step on the script's default model: forward, backward, Adam, and all three; then rung by rung.

Every variant runs in processes of its own, as the script a user would have (training_run.py says why and how). The
processes come in turns, several times over, one at a time. A run takes the first dozen documents; over longer runs the
reference becomes slower still, because of the collector, so a dozen is the conservative choice. From rung 2 on they go
over the same documents several times, and their last round counts.
BENCH_STEPS=1000 measures a whole training run; it takes some minutes.

The floor: the same forward on plain floats builds no graph at all. No class of Values that leaves the forward in the
user's hands can be faster than that, so the compiled forward is held against it too.
"""

import gc
import importlib.util
import os
import statistics
from collections.abc import Callable
from typing import Any

import gpt as model
import pytest
from measuring import Measured, Samples, worker

from microgpt import _fused, reference

PARTS = ("forward", "backward", "adam")
STEPS = int(os.environ.get("BENCH_STEPS", "12"))
REPEATS = max(1, 60 // STEPS)
WITH_LOOP, WITH_ADAM = "whole step, the script's Adam loop", "whole step, the class Adam"
WITH_THREE, WITH_ALL = "whole step, three functions and Adam", "whole step, all functions and Adam"
HAVE_UNTYPED = importlib.util.find_spec("microgpt._compiled") is not None

Worker = Callable[[int], Any]  # steps -> what the program found
VARIANTS = ("reference", "floats", *(["untyped"] if HAVE_UNTYPED else []), "compiled", "compiled-adam")
RUNS: dict[str, Worker] = {
    variant: lambda steps, variant=variant: worker("training_run.py", variant, str(steps))
    for variant in (*VARIANTS, "bulk-functions", "bulk")
}
RUNS |= {
    f"fused-{isa}": lambda steps, isa=isa: worker("fused_run.py", str(steps), env={"MICROGPT_ISA": isa})
    for isa in _fused._instruction_sets()
}

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
# The rungs in order: the test's id -> the row, the rung and the kind of run. Sorted by name they are the ladder.
LADDER = {
    "0-interpreted": ("0 interpreted", 0, "reference"),
    "1-compiled": ("1 compiled", 1, "untyped"),
    "2-typed": ("2 typed", 2, "compiled"),
    "3-bulk": ("3 bulk", 3, "bulk"),
    **{
        f"4.{place}-fused-{isa}": (f"4 fused, {isa}", 4, f"fused-{isa}")
        for place, isa in enumerate(_fused._instruction_sets(), 1)
    },
}


def run_all(measured: Measured) -> dict[str, list[Any]]:
    steps = 1 if measured.quick else STEPS

    def in_turns() -> dict[str, list[Any]]:
        runs: dict[str, list[Any]] = {name: [] for name in RUNS}
        for index in range(measured.rounds(REPEATS)):
            for name in RUNS if index % 2 else reversed(RUNS):
                runs[name].append(RUNS[name](steps))
        return runs

    return measured("step", in_turns)


def nodes_of_each_step(measured: Measured) -> list[tuple[int, int]]:
    """For every document: nodes in its graph, and how many of them the step made (all but the parameters)."""

    def count() -> list[tuple[int, int]]:
        gc.disable()  # there are no cycles, and the collector would take most of the time
        how = model.on_values(reference.Value)
        setting = model.setting(how)
        parameters = {id(p) for p in setting.params}
        counts = []
        for step in range(1 if measured.quick else STEPS):
            tokens = model.tokens_of(setting.docs[step % len(setting.docs)], setting.uchars)
            nodes = model.nodes_under(model.loss_of(setting.state_dict, how, tokens))
            counts.append((len(nodes), sum(id(node) not in parameters for node in nodes)))
        gc.enable()
        return counts

    return measured("nodes of each step", count)


def samples_of(runs: list[Any], parts: tuple[str, ...]) -> list[float]:
    """Seconds of every step of every run, of these parts together; a fused step has no parts."""
    which = [PARTS.index(part) for part in parts]
    return [sum(times) if parts == PARTS else sum(times[i] for i in which) for run in runs for times in run["times"]]


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
    runs, counts = run_all(measured), nodes_of_each_step(measured)
    samples: Samples = {v: samples_of(runs[run], parts) for (w, v), (run, parts) in TESTS.items() if w == what}
    # What has no counterpart in the script stands in for the part of the script that it replaces.
    run, parts = TESTS[what, variant]
    samples.setdefault("reference", samples_of(runs["reference"], parts))
    more = per_node(samples, variant, counts) if parts != ("adam",) else {}
    rung, repeats = 2 if run == "compiled" else 3, len(runs[run])
    record(samples, variant, layer="step", what=what, rung=rung, unit="step", repeats=repeats, **more)


@pytest.mark.parametrize("rung", LADDER)
def test_rung(rung: str, measured: Measured, record: Callable[..., None]) -> None:
    what, number, run = LADDER[rung]
    if run not in RUNS:
        pytest.skip("microgpt._compiled is not built" if number == 1 else f"this CPU lacks {what.split()[-1]}")
    runs, counts = run_all(measured), nodes_of_each_step(measured)
    variant = "compiled" if number else "reference"
    samples = {name: samples_of(runs[kind], PARTS) for name, kind in (("reference", "reference"), (variant, run))}
    more = {"bytes": statistics.median(found["bytes"] for found in runs[run]), **per_node(samples, variant, counts)}
    isa = what.split(", ")[1] if number == 4 else None
    where = {"layer": "ladder", "what": what, "rung": number, "isa": isa, "group": "a training step"}
    record(samples, variant, **where, unit="step", repeats=len(runs[run]), **more)


@pytest.mark.parametrize("run", [run for run in RUNS if run not in ("reference", "floats")])
def test_losses_and_parameters_are_those_of_the_reference(run: str, measured: Measured) -> None:
    """A faster step that computes something else would be no comparison."""
    runs = run_all(measured)
    for found in runs[run]:
        assert found["losses"] == runs["reference"][0]["losses"]
        assert found["params_sha256"] == runs["reference"][0]["params_sha256"]
