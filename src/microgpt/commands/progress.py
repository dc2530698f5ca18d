"""The progress bar on standard error, for runs that take longer than a look."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.3  # seconds of training before there is a bar
WORTH_IT = 0.5  # seconds of training still to come that make a bar worth while
PERIOD = 0.1  # seconds between two pictures of it


class Bar:
    """A bar with loss, steps per second and time left, where standard error is a terminal; else nothing at all.

    Drawn between two chunks of steps and never by a thread of its own, so that training has the processor.
    """

    def __init__(self, done: int, total: int) -> None:
        self._first, self._total = done, total
        self._started = self._drawn = time.perf_counter()
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def update(self, step: int, losses: Sequence[float]) -> None:
        """So many steps are taken, the last ones with these losses."""
        now = time.perf_counter()
        if not self._wanted or not losses or now - self._drawn < PERIOD:
            return
        seconds = now - self._started
        rate = (step - self._first) / seconds
        if self._progress is None:
            if seconds < PATIENCE or (self._total - step) / rate < WORTH_IT:
                return
            self._open()
        self._drawn = now
        assert self._progress is not None and self._task is not None
        loss = sum(losses) / len(losses)
        self._progress.update(self._task, completed=step, loss=loss, rate=rate, refresh=True)

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:,.0f} steps/s  left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("training", total=self._total, completed=self._first, loss=0.0, rate=0.0)
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
