"""The log of a run: a json object a line, {"step": 1, "loss": 3.3660...}, whose digits give back the loss exactly."""

from __future__ import annotations

import contextlib
import math
import os
from array import array
from collections.abc import Sequence

from .. import checks
from ..errors import naming
from ..files import json_lines, regular_file
from . import Refused, refusing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LossLog:
    """A log that is being written. Of an evaluated step the line also has "eval_loss", null if it is no finite number.

    A new run starts a new file; OSError where it cannot, Refused where there is something in it already. A resumed
    run goes on in the old one, after the line of its own step: what stands below was taken back by resuming.
    """

    def __init__(self, path: str, resumed_at: int | None) -> None:
        self.path = path
        self.before = array("d")  # the losses that were in it
        there = regular_file(path)
        if resumed_at is not None and there:
            os.truncate(path, self._read_until(resumed_at))
        elif there and there.st_size:
            raise Refused(f"--log {path}: this file is not empty; name another, or remove it")
        self._file = open(path, "a", encoding="ascii")  # noqa: SIM115

    def write(self, first: int, losses: Sequence[float], eval_loss: float | None = None) -> None:
        """The losses of the steps from number `first` on; `eval_loss` belongs to the last of them."""
        lines = [f'{{"step": {step}, "loss": {loss!r}}}\n' for step, loss in enumerate(losses, first)]
        if eval_loss is not None:
            number = repr(eval_loss) if math.isfinite(eval_loss) else "null"
            lines[-1] = f'{lines[-1][:-2]}, "eval_loss": {number}}}\n'
        with naming(self.path):
            self._file.write("".join(lines))
            self._file.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the disk is full, and `write` has said so
            self._file.close()

    def _read_until(self, step: int) -> int:
        """Read the losses up to that step; the place in the file behind its line."""
        end = 0
        with refusing(f"--log {self.path}: "):
            for (number, loss), behind in json_lines(self.path, _entry, "such a log; name another file"):
                if number > step:
                    break
                self.before.append(loss)
                end = behind
        return end


def _entry(entry: Any) -> tuple[int, float]:
    return checks.at_least_one("step", entry["step"]), checks.not_negative("loss", entry["loss"])
