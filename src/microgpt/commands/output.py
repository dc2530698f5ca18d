"""Standard output: the script's lines, all of them in a file or a pipe, fewer where a person looks on."""

from __future__ import annotations

import os
import sys
import time

from ..errors import naming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from .progress import TrainBar

STANDARD_OUTPUT = "standard output"  # the name of its file in errors
LEAST_LINES = 20  # on a terminal, however short the run
PERIOD = 0.5  # seconds between two lines on a terminal, if the run is long


class Output:
    """Standard output, or nothing where the process has none.

    What its encoding cannot show is escaped. OSError names it; BrokenPipeError when its reader has gone.
    """

    def __init__(self) -> None:
        stream = sys.stdout
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream
        self.terminal = stream.isatty()

    def write(self, text: str) -> None:
        with naming(STANDARD_OUTPUT):
            self._stream.write(text)
            self._stream.flush()


class StepLines:
    """The lines of the steps. On a terminal, one may stand for many: then it has the mean of their losses."""

    def __init__(self, output: Output, num_steps: int, bar: TrainBar) -> None:
        self._output, self._num_steps, self._bar = output, num_steps, bar
        self._group = max(1, num_steps // LEAST_LINES) if output.terminal else 1
        self._pending: list[float] = []
        self._shown = time.perf_counter()

    def show(self, first: int, losses: Sequence[float]) -> None:
        """The losses of the steps from number `first` on."""
        if self._output.terminal:
            lines = self._gathered(first, losses)
        else:
            lines = [self._line(step, loss) for step, loss in enumerate(losses, first)]
        self.text("".join(lines))

    def text(self, text: str) -> None:
        """Some other lines between those of the steps."""
        if text:
            with self._hidden():
                self._output.write(text)

    def finish(self, step: int) -> None:
        """What has not been shown yet, up to step number `step`."""
        if self._pending:
            self.text(self._mean(step))

    def _gathered(self, first: int, losses: Sequence[float]) -> list[str]:
        lines = []
        for step, loss in enumerate(losses, first):
            self._pending.append(loss)
            if len(self._pending) >= self._group:
                lines.append(self._mean(step))
        if self._pending and time.perf_counter() - self._shown >= PERIOD:
            lines.append(self._mean(first + len(losses) - 1))
        return lines

    def _mean(self, step: int) -> str:
        count = len(self._pending)
        line = self._line(step, sum(self._pending) / count)
        self._pending.clear()
        self._shown = time.perf_counter()
        return line if count == 1 else f"{line[:-1]} (mean of {count} steps)\n"

    def _line(self, step: int, loss: float) -> str:
        return f"step {step:4d} / {self._num_steps:4d} | loss {loss:.4f}\n"

    def _hidden(self) -> AbstractContextManager[None]:
        return self._bar.hidden()
