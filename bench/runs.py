"""A run of the benchmarks, from pytest-benchmark's json: `load` reads one, `saved_beside` finds one to compare with."""

import json
from pathlib import Path
from typing import Any, NamedTuple

# layer -> its title in the table; the order is that of the table and of pytest-benchmark's groups
TITLES = {
    "operation": "One operation, its result dropped at once",
    "graph": "Nodes of a graph that is kept until it is whole; freeing included",
    "backward": "backward(), a node",
    "functions": "Functions over lists of Values: a multiply-add of linear and attention, else an element",
    "adam": "Adam, a parameter",
    "step": "A training step of the script and its parts",
    "ladder": "A training step on every rung, the same documents and the same losses",
    "fused": "The fused GPT: a training step among many, the script's model",
    "generation": "A sampled name on every rung, the same names",
    "scaling in nodes": "Graphs of a thousand to ten million nodes, a node; freeing is part of building",
    "scaling in model size": "Larger models, a training step: a multiply-add of its matrix products",
    "run": "microgpt run: a training step of scripts that are not changed, beside the interpreter on the same file",
    "command": "End to end: starting Python (reference); a whole command from start to exit (compiled)",
}
BASELINES = ("reference", "floats", "peak", "ordinary")  # what a variant is compared with, in the same run

Record = dict[str, Any]  # the extra_info of one benchmark
Key = tuple[str, str, str]  # layer, what, variant


class Unreadable(Exception):
    """The file is missing, is not json, or holds no run of these benchmarks; the message is one line."""


class Run(NamedTuple):
    path: str
    info: dict[str, Any]  # the file without its benchmarks
    records: dict[Key, Record]

    @property
    def kind(self) -> tuple[str, ...]:
        """The kind of machine, within which ratios may be compared: CPU, Python's minor version, instruction set."""
        info = self.info["machine_info"]
        cpu, build = info.get("cpu") or {}, info.get("microgpt") or {}
        python = ".".join(str(info.get("python_version", "?")).split(".")[:2])
        return (
            f"{cpu.get('brand_raw', 'unknown CPU')} family {cpu.get('family', '?')} model {cpu.get('model', '?')}",
            f"{info.get('python_implementation', 'Python')} {python}",
            str(build.get("instruction_set", "?")),
        )

    def heading(self) -> str:
        build = self.info["machine_info"].get("microgpt") or {}
        commit = (self.info.get("commit_info") or {}).get("id") or "?"
        return (
            f"{self.path}: {', '.join(self.kind)}; microgpt {build.get('version', '?')}, commit {commit[:10]}; "
            f"{str(self.info.get('datetime', '?'))[:19]}, load {build.get('load_at_start', '?')} at the start"
        )


def load(path: str | Path) -> Run:
    """Raises Unreadable."""
    try:
        info = json.loads(Path(path).read_text(encoding="utf-8"))
        found = [benchmark["extra_info"] for benchmark in info.pop("benchmarks")]
        records = {
            (str(record["layer"]), str(record["what"]), str(record["variant"])): {**record, "ns": float(record["ns"])}
            for record in found
            if record.get("layer") in TITLES
        }
        run = Run(str(path), {"machine_info": {}, **info}, records)
        run.heading()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{path}: not a run of these benchmarks ({error!r})") from error
    if not records:
        raise Unreadable(f"{path}: holds no benchmark of this folder")
    return run


def saved_beside(latest: Run) -> Run | None:
    """Of the runs in the same folder, from the same kind of machine, the one that shares the most with it."""
    found = []
    for path in sorted(Path(latest.path).parent.glob("*.json")):
        try:
            run = load(path)
        except Unreadable:
            continue
        shared = len(run.records.keys() & latest.records.keys())
        if not path.samefile(latest.path) and shared and run.kind == latest.kind:
            found.append((shared, str(run.info.get("datetime")), run))
    return max(found, key=lambda each: each[:2])[2] if found else None


def ratio(record: Record, baseline: str) -> float | None:
    """Time over a baseline's, or bytes over the reference's; None where there is no such baseline."""
    mine, other = ("ns", f"{baseline}_ns") if baseline != "bytes" else ("bytes_per_node", "reference_bytes_per_node")
    return record[mine] / record[other] if record.get(mine) and record.get(other) else None
