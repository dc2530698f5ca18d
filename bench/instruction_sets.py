"""The instruction sets that the kernels are compiled for, and which of them this machine has."""

from collections.abc import Iterator
from contextlib import contextmanager

from microgpt import _fused

NAMES = ("baseline", "avx2", "avx512")  # from the plainest to the best


@contextmanager
def using(name: str) -> Iterator[None]:
    """The fused GPT on that instruction set, in this process. ImportError where the CPU lacks it."""
    before = _fused.instruction_set()
    _fused._use_instruction_set(name)
    try:
        yield
    finally:
        _fused._use_instruction_set(before)


def _here(name: str) -> bool:
    try:
        with using(name):
            return True
    except ImportError:
        return False


AVAILABLE = tuple(name for name in NAMES if _here(name))


def environment(name: str) -> dict[str, str]:
    """What a process of its own is started with, to use it."""
    return {"MICROGPT_ISA": name}
