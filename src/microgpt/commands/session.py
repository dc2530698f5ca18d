"""A training run under way: chunks of steps, and between them what is shown, logged and saved."""

from __future__ import annotations

import math
import os
import time
from array import array
from contextlib import suppress

from ..files import FILE_NAME, FolderLock, remove_leftovers
from ..trainer import Diverged, Trainer
from . import Refused, describe
from .output import STANDARD_OUTPUT, Output, StepLines
from .progress import TrainBar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .losslog import LossLog
    from .stopping import Stop

BEST_NAME = "best.safetensors"

CHUNK = 0.05  # seconds of training between two looks at signals, terminal and disk
SAVE_PERIOD = 10.0  # seconds between two checkpoints, where no number of steps is given


class Pace:
    """How many steps make a chunk: twice as many as the last time, until they take as long as a chunk should."""

    def __init__(self) -> None:
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        if seconds < CHUNK / 2:
            self.steps = max(self.steps, 2 * steps)
        elif seconds > 2 * CHUNK:
            self.steps = max(1, steps // 2)


class Folder(FolderLock):
    """Where the checkpoints of a run go. Made if need be; Refused where another run has its checkpoint in it.

    Locked until it is closed, so that two programs cannot write there at once.
    """

    def __init__(self, path: str, resumed: bool) -> None:
        super().__init__(path, "training")
        self.resumed = resumed
        remove_leftovers(path)
        if not resumed and any(os.path.lexists(os.path.join(path, name)) for name in (FILE_NAME, BEST_NAME)):
            self.close()
            raise Refused(
                f"--out {path}: holds a checkpoint already; go on with it by --resume {path}, or name another"
            )


class Session:
    """Takes a Trainer to its end, or until it is stopped.

    folder: for checkpoints. notes: what a checkpoint is to know beside the run, such as "save_every", the steps between
    two of them (if None, ten seconds), and "eval_every", those between two looks at the held-out documents;
    "keep_best", whether the model of the lowest held-out loss is kept beside the last one, and "patience", looks
    without a lower one that end the run. losses and evaluated: what there is to plot, if it will be plotted.
    """

    def __init__(
        self,
        trainer: Trainer,
        output: Output,
        *,
        folder: Folder | None,
        log: LossLog | None,
        notes: dict[str, Any],
        plotted: bool,
    ) -> None:
        self.trainer, self.output = trainer, output
        self.folder, self.log, self.notes = folder, log, notes
        self._every = {"save": notes["save_every"], "eval": notes["eval_every"]}
        self._bar = TrainBar(trainer.step, trainer.num_steps)
        self._lines = StepLines(output, trainer.num_steps, self._bar)
        self._pace = Pace()
        self._saved = trainer.step if folder and folder.resumed else None
        self._saved_at = time.perf_counter()
        self._plotted = plotted
        self.failure = ""
        self.losses = array("d")
        self.evaluated: list[tuple[int, float]] = []

    def close(self) -> None:
        """Leave the terminal to others."""
        self._bar.close()

    def run(self, stop: Stop) -> None:
        """Train until the end or a signal. Diverged, with the steps before shown.

        Saved now and then, and at the end, also when that comes early. What could not be written is in `failure` then,
        a line that also says which checkpoint there is; standard output that cannot be written is an OSError.
        """
        try:
            while not self.finished and stop.signum is None:
                self._chunk()
            self._lines.finish(self.trainer.step)
            self._bar.close()
            self.save()
        except (OSError, MemoryError) as error:
            self._bar.close()
            self._save_if_possible()
            if getattr(error, "filename", None) == STANDARD_OUTPUT or isinstance(error, BrokenPipeError):
                raise
            self.failure = f"{describe(error)}; {self.saved}"

    @property
    def reached(self) -> str:
        """How far the run has come, for a message."""
        return f"step {self.trainer.step} of {self.trainer.num_steps}"

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or as many as `patience` has let."""
        patience = self.notes.get("patience")
        out_of_patience = patience is not None and self.notes.get("since_best", 0) >= patience
        return self.trainer.step >= self.trainer.num_steps or out_of_patience

    def _chunk(self) -> None:
        first = self.trainer.step + 1
        started = time.perf_counter()
        try:
            losses = self.trainer.train(min(self._pace.steps, *self._ahead()))
        except Diverged as error:
            self._report(first, error.losses)
            self._lines.finish(error.step - 1)
            raise
        self._pace.took(len(losses), time.perf_counter() - started)
        self._report(first, losses)
        if self._due("save") or (not self._every["save"] and time.perf_counter() - self._saved_at > SAVE_PERIOD):
            self.save()

    def _ahead(self) -> list[int]:
        """Steps to the next one that is something special."""
        step = self.trainer.step
        return [self.trainer.num_steps - step, *(every - step % every for every in self._every.values() if every)]

    def _due(self, what: str) -> bool:
        every = self._every[what]
        return every is not None and self.trainer.step % every == 0

    def _report(self, first: int, losses: list[float]) -> None:
        if not losses:
            return
        self._lines.show(first, losses)
        self._bar.update(self.trainer.step, losses)
        if self._plotted:
            self.losses.extend(losses)
        eval_loss = None
        if self._due("eval"):
            eval_loss = self.trainer.evaluate()
            step, num_steps = self.trainer.step, self.trainer.num_steps
            self.evaluated.append((step, eval_loss))
            self._lines.text(f"step {step:4d} / {num_steps:4d} | held-out loss {eval_loss:.4f}\n")
            self._compare(step, eval_loss)
        if self.log:
            self.log.write(first, losses, eval_loss)

    def _compare(self, step: int, eval_loss: float) -> None:
        """Whether the model is the best so far; it is kept if it is and shall be."""
        best = self.notes.get("best")
        if math.isfinite(eval_loss) and (best is None or eval_loss < best[1]):
            self.notes |= {"best": [step, eval_loss], "since_best": 0}
            if self.notes["keep_best"] and self.folder is not None:
                self.trainer.save(os.path.join(self.folder.path, BEST_NAME), self.notes)
        else:
            self.notes["since_best"] = self.notes.get("since_best", 0) + 1

    # ---- saving ----

    def save(self) -> None:
        """Write a checkpoint, if there is a folder for it and the last one is not of this step."""
        if self.folder is not None and self._saved != self.trainer.step:
            self.trainer.save(self.folder.path, self.notes)
            self._saved, self._saved_at = self.trainer.step, time.perf_counter()

    def _save_if_possible(self) -> None:
        with suppress(OSError, MemoryError, Diverged):  # it may be why we are here; the last checkpoint stays
            self.save()

    @property
    def saved(self) -> str:
        """Where to find what was saved, for a message."""
        if self.folder is None:
            return "nothing was saved (--out DIR would)"
        return f"the last checkpoint in {self.folder.path} is of step {self._saved}"
