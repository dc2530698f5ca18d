"""Running the fused GPT on each instruction set this machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from microgpt import _fused


def available() -> list[str]:
    """From the plainest to the best."""
    best = _fused.instruction_set()
    found = []
    for name in ("baseline", "avx2", "avx512"):
        try:
            _fused._use_instruction_set(name)
        except ImportError:
            continue
        found.append(name)
    _fused._use_instruction_set(best)
    return found


INSTRUCTION_SETS = available()


@contextmanager
def instruction_set(name: str) -> Iterator[None]:
    before = _fused.instruction_set()
    _fused._use_instruction_set(name)
    try:
        yield
    finally:
        _fused._use_instruction_set(before)
