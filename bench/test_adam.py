"""Adam on the script's 4,192 parameters, whose gradients are those of one document (some are zero, as in training).

Three ways to take a step: the script's own loop over `p.data` and `p.grad`, the class `Adam` in Python, and the
compiled `Adam`. The loop also runs over bare objects with two slots: faster than that it cannot become, whatever a
Value is. In this file the loop is a function; at the level of a module, where the script has it, it is slower
(test_step.py has it there).
"""

import time
from collections.abc import Callable
from typing import Any

import gpt as model
import pytest
from measuring import Measured, Run, Samples, fresh_module, take_turns, worker

import microgpt
from microgpt import _fused, reference

LOOP, CLASS = "the script's loop", "the class Adam"
TESTS = [(LOOP, "floats"), (LOOP, "reference"), (LOOP, "compiled"), (CLASS, "reference"), (CLASS, "compiled")]


def start() -> tuple[list[float], list[float]]:
    """Parameters and the gradients of the first document."""
    how = model.on_values(microgpt.Value)
    setting = model.setting(how)
    model.loss_of(setting.state_dict, how, model.tokens_of(setting.docs[0], setting.uchars)).backward()
    return [p.data for p in setting.params], [p.grad for p in setting.params]


def with_gradients(params: list[Any], grads: list[float], step: Callable[[], Any]) -> Run:
    """Seconds of one step; the gradients, which every step clears, are put back before."""

    def run() -> float:
        for p, grad in zip(params, grads, strict=True):
            p.grad = grad
        begin = time.perf_counter()
        step()
        return time.perf_counter() - begin

    return run


def loop_over(number: Callable[[float], Any], data: list[float], grads: list[float]) -> Run:
    copy = fresh_module("gpt")  # bytecode of its own, adapted to this class alone
    params = [number(x) for x in data]
    m, v = [0.0] * len(params), [0.0] * len(params)
    return with_gradients(params, grads, lambda: copy.adam_loop(params, m, v, 10, 0.0099))


def class_over(number: Callable[[float], Any], adam: Any, data: list[float], grads: list[float]) -> Run:
    params = [number(x) for x in data]
    optimizer = adam(params)
    return with_gradients(params, grads, lambda: optimizer.step(0.0099))


def all_ways(rounds: int) -> tuple[Samples, int]:
    given = start()
    samples = take_turns(
        {
            f"{LOOP}, floats": loop_over(model.Cell, *given),
            f"{LOOP}, reference": loop_over(reference.Value, *given),
            f"{LOOP}, compiled": loop_over(microgpt.Value, *given),
            f"{CLASS}, reference": class_over(reference.Value, reference.Adam, *given),
            f"{CLASS}, compiled": class_over(microgpt.Value, microgpt.Adam, *given),
        },
        rounds,
    )
    return samples, len(given[0])


@pytest.mark.parametrize(("what", "variant"), TESTS)
def test_adam(what: str, variant: str, measured: Measured, record: Callable[..., None]) -> None:
    everything, count = measured("adam", lambda: all_ways(measured.rounds(41)))
    samples = {name.split(", ")[1]: s for name, s in everything.items() if name.startswith(what)}
    rung = 2 if what == LOOP else 3
    record(samples, variant, layer="adam", what=what, rung=rung, per=count, unit="parameter")


@pytest.mark.parametrize("instruction_set", _fused._instruction_sets())
def test_adam_by_instruction_set(instruction_set: str, measured: Measured, record: Callable[..., None]) -> None:
    """Each in a process of its own; the reference is the class in Python, timed above in the same session."""
    everything, count = measured("adam", lambda: all_ways(measured.rounds(41)))
    found = worker("adam_run.py", str(measured.rounds(201)), env={"MICROGPT_ISA": instruction_set})
    samples = {"reference": everything[f"{CLASS}, reference"], "compiled": found["seconds"]}
    what = f"the class Adam, {instruction_set}"
    record(samples, "compiled", layer="adam", what=what, rung=3, isa=instruction_set, per=count, unit="parameter")
