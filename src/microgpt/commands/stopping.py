"""Ctrl-C and the like, noted instead of obeyed at once: a step is never cut in two, and what was learned is saved."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

ASKING = ("SIGINT", "SIGTERM", "SIGHUP")  # as far as the system has them


class Stop:
    """While it is open, `signum` tells the first signal that asked to stop, and further ones change nothing.

    A signal that was ignored from the start (nohup) stays ignored. After a signal, all of them stay ignored, so that
    an impatient second Ctrl-C finds nothing to break; otherwise leaving restores what was.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for name in ASKING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if self.signum is None else signal.SIG_IGN)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = self.signum or signum

    @property
    def status(self) -> int:
        """The exit status by which shells know the signal."""
        return 128 + (self.signum or 0)
