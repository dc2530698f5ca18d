"""Adam on the script's 4,192 parameters, whose gradients are those of one document (some are zero, as in training).

The script's own loop over `p.data` and `p.grad`, which is the class `Adam` in Python, and the compiled `Adam`. The loop
also runs over bare objects with two slots: faster than that it cannot become, whatever a Value is.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from measuring import Measured, Run, Samples, take_turns, worker
from variants import SCRIPT, Cell, names

import microgpt
from microgpt import _fused, reference
from microgpt.ladder.rungs import LADDER, fresh_parameters, own_reference

LOOP, CLASS = "the script's loop", "the class Adam"
TESTS = [(LOOP, "floats"), (LOOP, "reference"), (LOOP, "compiled"), (CLASS, "compiled")]


def start() -> tuple[list[float], list[float]]:
    """Parameters and the gradients of the first document."""
    model: Any = LADDER["bulk"].make(SCRIPT, fresh_parameters(SCRIPT))
    model.loss(names()[0]).backward()
    return [p.data for p in model.params], [p.grad for p in model.params]


def step_of(number: Callable[[float], Any], adam: Any, data: list[float], grads: list[float]) -> Run:
    """Seconds of one step; the gradients, which every step clears, are put back before."""
    params = [number(x) for x in data]
    optimizer = adam(params)

    def run() -> float:
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad
        begin = time.perf_counter()
        optimizer.step(0.0099)
        return time.perf_counter() - begin

    return run


def all_ways(rounds: int) -> tuple[Samples, int]:
    given = start()
    samples = take_turns(
        {  # each loop has bytecode of its own, adapted to one class alone
            f"{LOOP}, floats": step_of(Cell, own_reference().Adam, *given),
            f"{LOOP}, reference": step_of(reference.Value, own_reference().Adam, *given),
            f"{LOOP}, compiled": step_of(microgpt.Value, own_reference().Adam, *given),
            f"{CLASS}, compiled": step_of(microgpt.Value, microgpt.Adam, *given),
        },
        rounds,
    )
    return samples, len(given[0])


@pytest.mark.parametrize(("what", "variant"), TESTS)
def test_adam(what: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    everything, count = measured("adam", lambda: all_ways(measured.rounds(41)))
    samples = {"reference": everything[f"{LOOP}, reference"]}
    samples |= {name.split(", ")[1]: s for name, s in everything.items() if name.startswith(what)}
    rung = 2 if what == LOOP else 3
    record(samples, variant, layer="adam", what=what, rung=rung, per=count, unit="parameter")


def by_instruction_set(instruction_set: str, measured: Measured) -> Any:
    """In a process of its own."""
    arguments = ("adam_run.py", str(measured.rounds(201)))
    return measured(("adam", instruction_set), lambda: worker(*arguments, env={"MICROGPT_ISA": instruction_set}))


@pytest.mark.parametrize("without", [0, 100, 1_000, 10_000])
@pytest.mark.parametrize("instruction_set", _fused._instruction_sets())
def test_adam_by_instruction_set(
    instruction_set: str, without: int, measured: Measured, record: Callable[..., None]
) -> None:
    """With gradients, held against the loop in Python, timed above; after steps without any, held against those."""
    everything, count = measured("adam", lambda: all_ways(measured.rounds(41)))
    found = by_instruction_set(instruction_set, measured)
    if without:
        samples = {"ordinary": found["seconds"], "compiled": found["zero"][str(without)]}
    else:
        samples = {"reference": everything[f"{LOOP}, reference"], "compiled": found["seconds"]}
    what = f"the class Adam, {instruction_set}" + (f", {without:,} steps of zeros" if without else "")
    record(samples, "compiled", layer="adam", what=what, rung=3, isa=instruction_set, per=count, unit="parameter")
