"""The commands of the program `microgpt`, one module each, and how they say what is wrong.

A new command is a module here (see microgpt.cli), and its name in COMMANDS.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from ..errors import Refused

__all__ = ["COMMANDS", "Refused", "describe", "note", "printable", "refusing", "silence"]

COMMANDS = ("train", "sample", "sweep", "export", "run", "bench", "info")  # in the order of the help


@contextlib.contextmanager
def refusing(prefix: str = "", also: type[Exception] = ValueError) -> Iterator[None]:
    """What a ValueError inside says, or one of another class, as a refusal. prefix: before its sentence."""
    try:
        yield
    except (ValueError, also) as error:
        raise Refused(f"{prefix}{error}") from None


def note(text: str) -> None:
    """A line on standard error, if there is one and it still listens."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)


def describe(error: BaseException) -> str:
    """An exception in one line, in which nothing can move a terminal's cursor."""
    if isinstance(error, MemoryError):
        text = str(error) or "out of memory: a smaller model, or fewer documents, would help"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        text = f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason
    else:
        text = str(error)
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """The text with escapes in place of control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def silence() -> None:
    """Give up on standard output, so that Python does not complain at its end about what it could not write."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # no real file has nothing to complain about later
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
