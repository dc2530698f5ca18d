"""What this process takes of the machine's memory, from the kernel's own account (Linux; elsewhere 0).

Not getrusage: its maximum begins with that of the process which started this one.
"""

from pathlib import Path

STATUS = Path("/proc/self/status")


def now() -> int:
    """Bytes in memory: VmRSS."""
    return _line("VmRSS")


def most() -> int:
    """The most bytes that there ever were: VmHWM."""
    return _line("VmHWM")


def _line(which: str) -> int:
    if not STATUS.exists():
        return 0
    lines = STATUS.read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(which)), 0)
