"""Progress bars on standard error, drawn between pieces of work: a thread of their own would slow the work down."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rich.progress import Progress, TaskID

DELAY = 0.3  # seconds of training before there is a bar
MIN_LEFT = 0.5  # seconds of training still to come below which no bar is opened
PERIOD = 0.1  # seconds between two updates of it


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def _open(*columns: Any, **options: Any) -> Progress:
    """A bar that is drawn on request only, and is removed when it stops."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True, **options)


class TrainBar:
    """Loss, steps per second and time left, where standard error is a terminal; else nothing at all.

    what, loss, unit: other words where it is not steps that are counted.
    """

    def __init__(
        self, done: int, total: int, *, what: str = "training", loss: str = "loss", unit: str = "steps"
    ) -> None:
        self._first, self._total = done, total
        self._what, self._loss, self._unit = what, loss, unit
        self._started = self._drawn = time.perf_counter()
        self._wanted = on_terminal()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def update(self, step: int, losses: Sequence[float]) -> None:
        """`step` steps are done, the last ones with these losses."""
        now = time.perf_counter()
        if not self._wanted or not losses or now - self._drawn < PERIOD:
            return
        seconds = now - self._started
        rate = (step - self._first) / seconds
        if self._progress is None:
            if seconds < DELAY or (self._total - step) / rate < MIN_LEFT:
                return
            self._open()
        self._drawn = now
        assert self._progress is not None and self._task is not None
        loss = sum(losses) / len(losses)
        self._progress.update(self._task, completed=step, loss=loss, rate=rate, refresh=True)

    def _open(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        self._progress = _open(
            TextColumn(self._what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"{self._loss} {{task.fields[loss]:.4f}}  {{task.fields[rate]:,.0f}} {self._unit}/s  left"),
            TimeRemainingColumn(),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(self._what, total=self._total, completed=self._first, loss=0.0, rate=0.0)
        self._progress.start()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Room for lines on the same terminal: the bar goes, and comes back under them."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def close(self) -> None:
        """Remove it. A terminal that has gone away is no reason to complain."""
        if self._progress is not None:
            progress, self._progress = self._progress, None
            with suppress(OSError):
                progress.stop()


@contextmanager
def bench_bar(work: int) -> Iterator[Callable[[str], None]]:
    """The progress of `microgpt bench`, where there is a terminal: a function that is told what is measured next, and a
    bar of so many pieces of work."""
    if not on_terminal():
        yield lambda what: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

    with _open(TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("", total=work)
        yield lambda what: progress.update(task, description=what, advance=1, refresh=True)
