"""Frames in tracebacks: which are the user's, and which are ours and not to be seen."""

from __future__ import annotations

import os
from types import CodeType, TracebackType

CYTHON = (".pyx", ".pxi", ".pxd")  # the ends of file names in frames of compiled code
PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def in_package(file: str) -> bool:
    """Whether a file of this name, as a frame has it, is ours."""
    return os.path.abspath(file).startswith(PACKAGE + os.sep) or file.endswith(CYTHON)


def strip(error: BaseException, seen: set[int]) -> BaseException:
    """Take the frames of this package out of an exception, and out of those it came from."""
    if id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = users_frames(error.__traceback__)
        for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            if isinstance(other, BaseException):
                strip(other, seen)
    return error


def users_frames(frames: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while frames is not None:
        if not in_package(frames.tb_frame.f_code.co_filename):
            kept.append(frames)
        frames = frames.tb_next
    made: TracebackType | None = None
    for frame in reversed(kept):
        made = TracebackType(made, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return made


def is_from_outside(frames: TracebackType | None, but: CodeType | None = None) -> bool:
    """Whether there is code of the user's among these frames: it ran while ours did, as the handler of a signal does.
    `but` is not counted."""
    while frames is not None:
        code = frames.tb_frame.f_code
        if code is not but and not in_package(code.co_filename):
            return True
        frames = frames.tb_next
    return False
