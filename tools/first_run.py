"""`make train`: runs train.py, and says at the end how fast it was and what comes next.

In a file or a pipe, standard output is the script's, byte for byte. On a terminal one line stands for many steps, as
`microgpt train` has it. What this program says itself goes to standard error.
"""

from __future__ import annotations

import builtins
import json
import re
import runpy
import sys
import time
from pathlib import Path

from microgpt.commands.output import Output, StepLines
from microgpt.commands.progress import TrainBar

ROOT = Path(__file__).parents[1]
STEP = re.compile(r"step +(\d+) / +(\d+) \| loss (\S+)")
RUNG = "bulk"  # the one that train.py stands on


class Printer:
    """`print` for the script: knows the lines of steps, and how long they took."""

    def __init__(self) -> None:
        self.steps = 0
        self._output = Output()
        self._lines: StepLines | None = None
        self._started = self._ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._ended - self._started

    def __call__(self, text: str) -> None:
        step = STEP.fullmatch(text)
        if step:
            self.steps, self._ended = self.steps + 1, time.perf_counter()
        elif not self.steps:
            self._started = time.perf_counter()
        if step and self._output.terminal:
            self._shorter(int(step[1]), int(step[2]), float(step[3]))
        else:
            builtins.print(text)

    def _shorter(self, step: int, num_steps: int, loss: float) -> None:
        if self._lines is None:
            self._lines = StepLines(self._output, num_steps, TrainBar(0, num_steps))
        self._lines.show(step, [loss])
        if step == num_steps:
            self._lines.finish(step)


def closing_lines(steps: int, seconds: float, ratio: float) -> list[str]:
    """This run, the interpreted script's, and what to do next."""
    interpreted = seconds * ratio
    long = f"{interpreted / 60:.0f} minutes" if interpreted > 99 else f"{interpreted:.0f} seconds"
    return [
        f"{steps:,} steps in {seconds:.2f} s, {steps / seconds:,.0f} a second",
        f"the interpreted script would have taken about {long}: {ratio:.0f} times as long, measured in docs/bench.json",
        "next: .venv/bin/microgpt run your_script.py runs your own variant of microgpt.py, unchanged",
    ]


def measured_ratio() -> float:
    """How many times as long as train.py's rung the interpreted one takes, from the saved run of `microgpt bench`."""
    rungs = json.loads((ROOT / "docs" / "bench.json").read_text("utf-8"))["rungs"]
    return float(next(rung["ratio"] for rung in rungs if rung["name"] == RUNG))


def main() -> None:
    printer = Printer()
    try:
        runpy.run_path(str(ROOT / "train.py"), {"print": printer}, "__main__")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.stdout.flush()
    print("", *closing_lines(printer.steps, printer.seconds, measured_ratio()), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
