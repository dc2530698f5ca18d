"""Where a run took place: the processor, the system, and how everything was built."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._fused import build, instruction_set
from ..version import __version__


def machine(pinned: int | None) -> dict[str, Any]:
    """The entries of `Results.machine`."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "pinned": pinned,
        "load": None if load is None else round(load, 1),
    }


def software() -> dict[str, Any]:
    """The entries of `Results.software`."""
    compiler, flags = build()
    return {
        "microgpt": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": compiler,
        "flags": flags,
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "instruction_set": instruction_set(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            said = dict(re.findall(r"^([a-z ]+?)\s*: *(.*)$", file.read(), re.MULTILINE))
    except OSError:
        said = {}
    name = said.get("model name") or platform.processor() or "unknown"
    if "model" in said and not re.search(r"\d{3}", name):  # a virtual machine's, which says no more
        name += f" (family {said['cpu family']}, model {said['model']})"
    return name


@contextmanager
def pinned_to_one_core() -> Iterator[int | None]:
    """This process on the last core it may use, where the system can do that; gives the core's number."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        yield None
        return
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)
