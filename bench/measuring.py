"""Variants in turns: how every benchmark here measures what it then hands to pytest-benchmark.

pytest-benchmark measures one function at a time, so a machine that slows down between two tests shows up as a ratio.
Here the variants of one comparison (reference, compiled, plain floats) run in turns, round by round, and so share
whatever the machine does meanwhile. The samples go to pytest-benchmark afterwards, one variant a test, through the
clock that it lets a benchmark choose: it reads our seconds, and does the statistics, the table and the json.
"""

import gc
import json
import os
import statistics
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

Samples = dict[str, list[float]]  # variant -> seconds of every round
Run = Callable[[], float]  # measures one round and gives its seconds


def fresh_module(name: str) -> types.ModuleType:
    """A new copy of a module in this folder, with code objects of its own.

    CPython specialises the bytecode of a function for the types that come by, so a function shared by floats and
    Values would be slow for both.
    """
    path = HERE / f"{name}.py"
    module = types.ModuleType(f"{name}_copy")
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return module


def take_turns(variants: dict[str, Run], rounds: int) -> Samples:
    """Run all variants round by round, every second round backwards, after one round that does not count.

    What pytest has on its heap is frozen first: the collector then has as little to look through as in a process of
    one's own, which is to the reference's advantage. It stays switched on while the clock runs. Between two runs it
    is called by hand, so that no variant pays for the garbage of the one before.
    """
    samples: Samples = {name: [] for name in variants}
    order = list(variants)
    gc.collect()
    gc.freeze()
    try:
        for index in range(rounds + (rounds > 1)):
            for name in order if index % 2 else reversed(order):
                gc.collect()
                seconds = variants[name]()
                if index or rounds == 1:
                    samples[name].append(seconds)
    finally:
        gc.unfreeze()
    return samples


def worker(program: str, *arguments: str, env: dict[str, str] | None = None) -> Any:
    """What a program of this folder says in its last line, as json; it has a process to itself."""
    command = [sys.executable, str(HERE / program), *arguments]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


class Measured:
    """What was measured in this session: the first test to ask runs all variants, the others read their part."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self._known: dict[Any, Any] = {}

    def __call__(self, key: Any, measure: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = measure()
        return self._known[key]

    def rounds(self, full: int) -> int:
        return 1 if self.quick else full


# ---- how far a figure can be trusted ----


def quartiles(numbers: list[float]) -> tuple[float, float]:
    """The lower and the upper; twice the same for a single number."""
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    lower, _, upper = statistics.quantiles(numbers, n=4, method="inclusive")
    return lower, upper


def medians(samples: list[float], repeats: int | None) -> list[float]:
    """The median of every repeat, where samples of one repeat follow each other; None: each sample is a repeat.

    A repeat over a dozen documents has samples as different as the documents, which is no uncertainty.
    """
    size = len(samples) // repeats if repeats else 1
    return [statistics.median(samples[i : i + size]) for i in range(0, len(samples), size)]


def spread(mine: list[float], theirs: list[float], repeats: int | None) -> tuple[float, float]:
    """Quartiles of the ratio mine / theirs over the repeats, taken pair by pair where they came in turns."""
    ours, others = medians(mine, repeats), medians(theirs, repeats)
    if len(ours) == len(others):
        return quartiles([a / b for a, b in zip(ours, others)])
    (low, high), (other_low, other_high) = quartiles(ours), quartiles(others)
    return low / other_high, high / other_low


# ---- handing over ----

_shown = [0.0]


def replayed_clock() -> float:
    """A timer for pytest-benchmark that shows time measured elsewhere."""
    return _shown[0]


def replay(seconds: float) -> None:
    _shown[0] += seconds
