"""Reads a run of the benchmarks: pytest-benchmark's json, as rows of the table."""

import json
from pathlib import Path
from typing import Any

from layers import TITLES

Record = dict[str, Any]  # the extra_info of one benchmark
Rows = dict[tuple[str, str], dict[str, Record]]  # (layer, what) -> variant -> record


class Unreadable(Exception):
    """The file is missing, is not json, or holds no run of these benchmarks."""


# ---- reading --------------------------------------------------------------------------------------------------------


def load(path: str) -> dict[str, Any]:
    try:
        run = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise Unreadable(f"{path}: not json: {error}") from error
    if not isinstance(run, dict) or not isinstance(run.get("benchmarks"), list):
        raise Unreadable(f"{path}: not a file of pytest-benchmark (it has no list of benchmarks)")
    for part in (run, run.get("machine_info", {})):
        for name in ("machine_info", "commit_info", "cpu", "microgpt"):
            if not isinstance(part, dict) or not isinstance(part.get(name, {}), dict):
                raise Unreadable(f"{path}: not a file of pytest-benchmark ({name} is no table)")
    return run


def rows_of(run: dict[str, Any], path: str) -> Rows:
    rows: Rows = {}
    try:
        for benchmark in run["benchmarks"]:
            info = benchmark["extra_info"]
            if info.get("layer") in TITLES:
                key = str(info["layer"]), str(info["what"])
                rows.setdefault(key, {})[str(info["variant"])] = {**info, "ns": float(info["ns"])}
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{path}: a benchmark lacks what the table needs: {error!r}") from error
    if not rows:
        raise Unreadable(f"{path}: holds no benchmark of this folder")
    return rows


def machine(run: dict[str, Any]) -> list[str]:
    """Where and how it was measured, in four lines."""
    info = run.get("machine_info") or {}
    cpu, build = info.get("cpu") or {}, info.get("microgpt") or {}
    cores, isa = cpu.get("count", "?"), build.get("instruction_set", "?")
    python = f"{info.get('python_implementation', 'Python')} {info.get('python_version', '?')}"
    return [
        f"{cpu.get('brand_raw', 'unknown CPU')}, {cores} cores; Adam's kernel: {isa}",
        f"{python}, {info.get('python_compiler', '?')}, {build.get('libc', '?')}",
        f"microgpt {build.get('version', '?')}, {build.get('extension_flags', 'unknown flags')}",
        f"{run.get('datetime', '?')}, load {build.get('load_at_start', '?')} at the start; medians",
    ]


def time(ns: float | None) -> str:
    """Nanoseconds in the unit that suits them."""
    if ns is None:
        return ""
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if abs(ns) < 1000 * size or unit == "s":
            return f"{ns / size:.3g} {unit}" if abs(ns) < 1000 * size else f"{ns / size:.0f} {unit}"
    raise AssertionError


def kind(run: dict[str, Any]) -> tuple[str, ...]:
    """The kind of machine: within one, ratios may be compared. CPU, Python, instruction set."""
    info = run.get("machine_info") or {}
    cpu, build = info.get("cpu") or {}, info.get("microgpt") or {}
    model = f"family {cpu.get('family', '?')} model {cpu.get('model', '?')}"
    minor = ".".join(str(info.get("python_version", "?")).split(".")[:2])
    return (
        f"{cpu.get('brand_raw', 'unknown CPU')} {model}",
        f"{info.get('python_implementation', 'Python')} {minor}",
        str(build.get("instruction_set", "?")),
    )
