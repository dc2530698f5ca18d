"""A sampled name on every rung: the same trained weights, the same random numbers, and so the same names.

Every rung has processes of its own (generation_run.py), in turns. A name is made a token at a time, so there is no
backward and no Adam in it; what the rungs with Values build is a graph that nobody asks for. The floor is again plain
floats: the same forward and the same draws, without a graph.

For the fused rung `positions_ns` is the kernel's part: the same names given instead of drawn, all but the end. What is
above it is the price of drawing: `random()` of Python, and an exp for each weight, in C.
"""

import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from measuring import Measured, Samples, worker

from microgpt import _fused

NAMES, REPEATS = 20, 4
KEPT = {"fused": (300, 20)}  # rounds, and how many of them count; the others follow
SLOW, QUICKER = (1, 1), (4, 1)

# The test's id -> the row, the rung and the variant of generation_run.py, with the instruction set of the fused one.
ROWS: dict[str, tuple[str, int | None, str, str | None]] = {
    "0-interpreted": ("0 interpreted", 0, "reference", None),
    "0-plain-floats": ("plain floats, without a graph", None, "floats", None),
    "1-compiled": ("1 compiled", 1, "untyped", None),
    "2-typed": ("2 typed", 2, "compiled", None),
    "3-bulk": ("3 bulk", 3, "bulk", None),
    **{
        f"4.{place}-fused-{isa}": (f"4 fused, {isa}", 4, "fused", isa)
        for place, isa in enumerate(_fused._instruction_sets(), 1)
    },
}


def why_not(row: str) -> str | None:
    if ROWS[row][2] == "untyped" and importlib.util.find_spec("microgpt._compiled") is None:
        return "microgpt._compiled is not built"
    return None


def run_one(row: str, quick: bool) -> Any:
    _, _, variant, isa = ROWS[row]
    rounds, kept = KEPT.get(variant, SLOW if variant in ("reference", "untyped") else QUICKER)
    counts = (2, 1, 1) if quick else (NAMES, rounds, kept)
    env = {"MICROGPT_ISA": isa} if isa else None
    return worker("generation_run.py", variant, *map(str, counts), env=env)


def run_all(measured: Measured) -> dict[str, list[Any]]:
    def in_turns() -> dict[str, list[Any]]:
        runs: dict[str, list[Any]] = {row: [] for row in ROWS if not why_not(row)}
        for index in range(measured.rounds(REPEATS)):
            for row in runs if index % 2 else reversed(runs):
                runs[row].append(run_one(row, measured.quick))
        return runs

    return measured("generation", in_turns)


def joined(runs: list[Any], what: str = "times") -> list[float]:
    return [seconds for run in runs for seconds in run[what]]


@pytest.mark.parametrize("rung", ROWS)
def test_generation(rung: str, measured: Measured, record: Callable[..., None]) -> None:
    if reason := why_not(rung):
        pytest.skip(reason)
    what, number, variant, isa = ROWS[rung]
    runs = run_all(measured)
    column = variant if variant in ("reference", "floats") else "compiled"
    samples: Samples = {"reference": joined(runs["0-interpreted"]), column: joined(runs[rung])}
    if number == 2:  # the floor of a class of Values; the rungs above it leave Python's numbers behind
        samples["floats"] = joined(runs["0-plain-floats"])
    more: dict[str, Any] = {"tokens": sum(len(name) + 1 for name in runs[rung][0]["names"])}
    if number == 4:
        more["positions_ns"] = statistics.median(joined(runs[rung], "positions")) * 1e9
    where = {"layer": "generation", "what": what, "rung": number, "isa": isa, "group": "a sampled name"}
    record(samples, column, **where, unit="name", repeats=len(runs[rung]), **more)


@pytest.mark.parametrize("rung", [row for row in ROWS if row != "0-interpreted"])
def test_the_names_are_those_of_the_reference(rung: str, measured: Measured) -> None:
    """A name that differs would have another length, and be no comparison."""
    if reason := why_not(rung):
        pytest.skip(reason)
    runs = run_all(measured)
    assert {str(run["names"]) for run in runs[rung]} == {str(runs["0-interpreted"][0]["names"])}
