"""The whole training step on the script's model: forward, backward, Adam, and all three; then rung by rung.

Measured as `microgpt bench` measures (microgpt/ladder/measure.py): all variants in turns, over the first dozen
documents. Over longer runs the reference becomes slower, because of the collector, so a dozen is the conservative
choice. BENCH_STEPS=1000 measures a whole training run; it takes some minutes.

The floor: the same forward on plain floats builds no graph at all. No class of Values that leaves the forward in the
user's hands can be faster than that, so the compiled forward is held against it too.
"""

import os
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from measuring import Measured, Samples
from variants import FUSED, SCRIPT, VARIANTS, names, rung_of, silent

from microgpt.ladder import memory
from microgpt.ladder.measure import Plan, Rounds, bits, take_turns
from microgpt.ladder.results import PARTS
from microgpt.ladder.rungs import LADDER, fresh_parameters

STEPS = int(os.environ.get("BENCH_STEPS", "12"))
ROUNDS = 5

# (what, variant) -> the variant of variants.py that shows it, and which of its parts
TESTS = {
    **{
        (what, column): (variant, part)
        for what, part in (("forward", "forward"), ("the script's Adam loop", "adam"))
        for column, variant in (("floats", "floats"), ("reference", "interpreted"), ("compiled", "typed"))
    },
    ("backward", "reference"): ("interpreted", "backward"),
    ("backward", "compiled"): ("typed", "backward"),
    ("the class Adam", "compiled"): ("typed, class Adam", "adam"),
    ("whole step, the script's Adam loop", "floats"): ("floats", "step"),
    ("whole step, the script's Adam loop", "reference"): ("interpreted", "step"),
    ("whole step, the script's Adam loop", "compiled"): ("typed", "step"),
    ("whole step, the class Adam", "compiled"): ("typed, class Adam", "step"),
    **{
        (f"{word}, {many} functions{tail}", "compiled"): (variant, part)
        for many, variant in (("three", "three functions"), ("all", "bulk"))
        for word, part, tail in (
            ("forward", "forward", ""),
            ("backward", "backward", ""),
            ("whole step", "step", " and Adam"),
        )
    },
}
RUNGS = [name for name in VARIANTS if name in LADDER or name in FUSED]


def run_all(measured: Measured) -> dict[str, Rounds]:
    steps, scale = (1, 0.01) if measured.quick else (STEPS, 12 / STEPS)
    plan = Plan(SCRIPT, names()[:steps], measured.rounds(ROUNDS), pass_scale=scale)
    found: dict[str, Rounds] = measured("step", lambda: take_turns(plan, silent, VARIANTS))
    return found


def seconds(rounds: Rounds, part: str) -> list[float]:
    return [ms / 1e3 for ms in rounds.ms[part]]


def nodes_of_a_step(measured: Measured) -> tuple[float, float]:
    """On average over the documents: Values in the graph of a loss, and those that the step made."""

    def count() -> tuple[float, float]:
        graph: Any = LADDER["interpreted"].make(SCRIPT, fresh_parameters(SCRIPT))
        parameters = {id(p) for p in graph.params}
        losses = [graph.loss(tokens) for tokens in names()[: 1 if measured.quick else STEPS]]
        found = [(memory.count_below(loss, set()), memory.count_below(loss, parameters)) for loss in losses]
        return statistics.mean(n for n, _ in found), statistics.mean(n for _, n in found)

    found: tuple[float, float] = measured("nodes of a step", count)
    return found


@pytest.mark.parametrize(("what", "variant"), TESTS, ids=[f"{what}-{variant}" for what, variant in TESTS])
def test_step(what: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    runs = run_all(measured)
    run, part = TESTS[what, variant]
    samples: Samples = {column: seconds(runs[of], p) for (w, column), (of, p) in TESTS.items() if w == what}
    samples.setdefault("reference", seconds(runs["interpreted"], part))
    nodes, made = nodes_of_a_step(measured)
    more = {"nodes": nodes, "nodes_made": made, "ns_per_node": statistics.median(samples[variant]) / nodes * 1e9}
    if "floats" in samples:
        above = statistics.median(samples[variant]) - statistics.median(samples["floats"])
        more["above_ns_per_node_made"] = above / made * 1e9
    record(
        samples, variant, layer="step", what=what, rung=rung_of(run), unit="step", **(more if part != "adam" else {})
    )


@pytest.mark.parametrize("name", RUNGS)
def test_rung(name: str, measured: Measured, record: Callable[..., None]) -> None:
    runs, number = run_all(measured), rung_of(name)
    variant = "compiled" if number else "reference"
    samples = {"reference": seconds(runs["interpreted"], "step"), variant: seconds(runs[name], "step")}
    nodes, _ = nodes_of_a_step(measured)
    more = {"nodes": nodes, "ns_per_node": statistics.median(samples[variant]) / nodes * 1e9}
    where = {"layer": "ladder", "what": f"{number} {name}", "rung": number, "group": "a training step"}
    record(samples, variant, **where, isa=name.partition(", ")[2] or None, unit="step", **more)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in ("interpreted", "floats")])
def test_losses_are_those_of_the_reference(name: str, measured: Measured) -> None:
    """A faster step that computes something else would be no comparison."""
    runs = run_all(measured)
    assert runs[name].steady and bits(runs[name].losses) == bits(runs["interpreted"].losses)


def test_every_part_of_a_step_is_measured(measured: Measured) -> None:
    assert all(set(rounds.ms) == set(PARTS) for rounds in run_all(measured).values())
