"""Variants in turns: how every benchmark here measures what it then hands to pytest-benchmark.

pytest-benchmark measures one function at a time, so a machine that slows down between two tests shows up as a ratio.
Here the variants of one comparison (reference, compiled, plain floats) run in turns, round by round, and so share
whatever the machine does meanwhile. The samples go to pytest-benchmark afterwards, one variant a test, through the
clock that it lets a benchmark choose: it reads our seconds, and does the statistics, the table and the json.
"""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microgpt.ladder.measure import frozen_heap

HERE = Path(__file__).parent

Samples = dict[str, list[float]]  # variant -> seconds of every round
Run = Callable[[], float]  # measures one round and gives its seconds


def take_turns(variants: dict[str, Run], rounds: int) -> Samples:
    """Run all variants round by round, every second round backwards, after one round that does not count.

    The collector stays switched on while the clock runs, and has as little to look through as in a process of one's
    own. Between two runs it is called by hand, so that no variant pays for the garbage of the one before.
    """
    samples: Samples = {name: [] for name in variants}
    order = list(variants)
    with frozen_heap():
        for index in range(rounds + (rounds > 1)):
            for name in order if index % 2 else reversed(order):
                gc.collect()
                seconds = variants[name]()
                if index or rounds == 1:
                    samples[name].append(seconds)
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


_shown = [0.0]


def replayed_clock() -> float:
    """A timer for pytest-benchmark that shows time measured elsewhere."""
    return _shown[0]


def replay(seconds: float) -> None:
    _shown[0] += seconds
