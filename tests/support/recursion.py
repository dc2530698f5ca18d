"""Room for the reference's recursive backward on graphs some ten thousand nodes deep."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

DEPTH = 100_000
STACK = 120 * 2**20  # bytes; Linux keeps 128 MiB free below the stack of the main thread


@contextmanager
def room_for_recursion() -> Iterator[None]:
    """On Python 3.10 a call of a Python function takes half a KiB of the C stack as well, and so does one of rung 1 on
    every Python. Linux looks at the limit whenever the stack grows; other systems fixed it when the process began.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(DEPTH)
    try:
        with larger_stack():
            yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def larger_stack() -> Iterator[None]:
    """For a while only: what is started meanwhile would inherit it, and give as much to each of its threads."""
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    most = STACK if hard == resource.RLIM_INFINITY else min(STACK, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_STACK, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
