"""How much memory a model will take, how much is available, and how much this process has."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .model import GPTConfig

COPIES = 5  # parameters, gradients, the two moments of Adam, and the parameters as generation wants them
DOUBLE = 8  # bytes
CGROUP_LIMIT = "/sys/fs/cgroup/memory.max"
CGROUP_USED = "/sys/fs/cgroup/memory.current"


def needed(config: GPTConfig, positions: int | None = None, workers: int = 1) -> int:
    """Bytes that training such a model takes, to a tenth or so.

    positions: of the longest document, if it is shorter than the model can see. workers: how many documents are
    differentiated at once, each with gradients and activations of its own.
    """
    width, heads, layers = config.n_embd, config.n_head, config.n_layer
    positions = config.block_size if positions is None else min(positions, config.block_size)
    a_position = layers * (16 * width + heads * (positions + 2)) + 16 * width + 2 * config.vocab_size
    cache = 2 * layers * width * config.block_size
    copies = COPIES + workers - 1
    return DOUBLE * (copies * config.num_params + workers * positions * a_position + cache)


def available() -> int | None:
    """Bytes this process can still get, as far as the system tells; None where it does not."""
    known = [amount for amount in (_system(), _container(), _limit()) if amount is not None]
    return min(known, default=None)


def check(needed: int, what: str) -> None:
    """MemoryError if so many bytes are not available. what: how its sentence begins, such as "the model needs"."""
    free = available()
    if free is not None and needed > free:
        raise MemoryError(f"{what} {readable(needed)} of memory, but only {readable(free)} is free")


def resident() -> int | None:
    """Bytes that this process has in memory; None where the system does not tell (Linux does)."""
    return _status("VmRSS")


def peak() -> int | None:
    """The maximum of that so far. Not getrusage's, which begins with that of the parent process."""
    return _status("VmHWM")


def readable(count: int) -> str:
    """A number of bytes in the unit that leaves one to three digits before the point."""
    size, unit = float(min(count, 10**18)), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.1f} {unit}"


def _system() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            kilobytes = next(line.split()[1] for line in file if line.startswith("MemAvailable:"))
        return int(kilobytes) * 1024
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _status(field: str) -> int | None:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))
    except (OSError, StopIteration):
        return None


def _container() -> int | None:
    try:
        with open(CGROUP_LIMIT, encoding="ascii") as limit, open(CGROUP_USED, encoding="ascii") as used:
            return max(0, int(limit.read()) - int(used.read()))
    except (OSError, ValueError):  # no container, or one that is not limited ("max")
        return None


def _limit() -> int | None:
    try:
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit
    except ImportError:
        return None
    soft = getrlimit(RLIMIT_AS)[0]
    return None if soft == RLIM_INFINITY else soft
