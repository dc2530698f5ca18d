"""Reads the json of a benchmark run and prints one table: `ratios.py FILE.json`.

Every line holds the reference (the script's own class, in pure Python) against the compiled engine, as medians of
rounds that were measured in turns. Where plain floats can do the same without a graph, they stand in a third column,
and the last one says how far the compiled engine is above them. Below the table: the figures the project is judged by.

Exit status: 0, or 2 with one line on stderr if the file cannot be read as such a run.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TITLES = {
    "operation": "One operation, its result dropped at once",
    "graph": "Nodes of a graph that is kept until it is whole; freeing included",
    "backward": "backward(), a node",
    "adam": "Adam, a parameter",
    "functions": "Functions over lists of Values: a multiply-add of linear and attention, else an element",
    "step": "A training step of the script, every variant in a process of its own",
    "fused": "The fused GPT: a training step, a sampled name",
    "fused scaling": "The fused GPT, larger models: a training step",
    "run": "microgpt run: a training step of scripts that are not changed, beside the interpreter on the same file",
    "memory": "Memory of one large graph, a node",
    "import": "Starting Python (reference); starting it and importing the package (compiled)",
    "command": "Starting Python (reference); a whole command from start to exit (compiled)",
}
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


# ---- the table ------------------------------------------------------------------------------------------------------


def time(ns: float | None) -> str:
    """Nanoseconds in the unit that suits them."""
    if ns is None:
        return ""
    for unit, size in (("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if abs(ns) < 1000 * size or unit == "s":
            return f"{ns / size:.3g} {unit}" if abs(ns) < 1000 * size else f"{ns / size:.0f} {unit}"
    raise AssertionError


def line(cells: tuple[str, ...]) -> str:
    what, *numbers = cells
    return f"  {what:<38}" + "".join(f"{number:>14}" for number in numbers)


def cells(what: str, variants: dict[str, Record]) -> tuple[str, ...]:
    compiled = variants.get("compiled", {})
    anything = compiled or next(iter(variants.values()))
    ns, reference, floats = compiled.get("ns"), anything.get("reference_ns"), anything.get("floats_ns")
    ratio = f"{reference / ns:.1f} x" if ns and reference else ""
    above = time(ns - floats) if ns and floats else ""
    if anything["layer"] in ("import", "command"):  # the interpreter alone is no rival: the difference counts
        ratio, above = "", time(ns - reference) if ns and reference else ""
    return what, time(reference), time(ns), ratio, time(floats), above


def memory_cells(variants: dict[str, Record]) -> list[tuple[str, ...]]:
    """The bytes that a memory benchmark keeps beside its time."""
    found: list[tuple[str, ...]] = []
    for what, key in (("resident, bytes", "bytes_per_node"), ("peak with backward, bytes", "peak_bytes_per_node")):
        reference, compiled = (variants.get(name, {}).get(key) for name in ("reference", "compiled"))
        if reference and compiled:
            found.append((what, f"{reference:.1f}", f"{compiled:.1f}", f"{reference / compiled:.1f} x"))
    return found


def table(rows: Rows) -> list[str]:
    lines = [line(("", "reference", "compiled", "ratio", "plain floats", "above floats"))]
    layers = list(TITLES)
    shown = None
    for (layer, what), variants in sorted(rows.items(), key=lambda row: layers.index(row[0][0])):
        if layer != shown:
            shown = layer
            lines += ["", TITLES[layer]]
        lines.append(line(cells(what, variants)))
        if layer == "memory":
            lines += [line(found) for found in memory_cells(variants)]
    return lines


# ---- the figures ----------------------------------------------------------------------------------------------------


class Figures:
    """What the project is judged by, drawn from the compiled engine's records; KeyError for what did not run."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def of(self, layer: str, what: str) -> Record:
        return self.rows[layer, what]["compiled"]

    def step(self, what: str) -> Record:
        return self.of("step", what)

    def memory(self) -> Record:
        return self.of("memory", "a loss over many documents")

    def times_floats(self) -> str:
        return f"{self.step('forward')['ns'] / self.step('forward')['floats_ns']:.2f} times"

    def faster(self, what: str, measured: str = "ns") -> str:
        return f"{self.step(what)['reference_ns'] / self.step(what)[measured]:.1f} times"

    def fused_faster(self, instruction_set: str) -> str:
        record = self.of("fused", f"a training step, {instruction_set}")
        return f"{record['reference_ns'] / record['ns']:,.0f} times"

    def above_bytecode(self) -> list[tuple[float, str]]:
        """Of the operations that make one node and have a counterpart on floats; the cheapest first."""
        records = [v["compiled"] for (layer, _), v in self.rows.items() if layer == "operation" and "compiled" in v]
        return sorted((r["above_ns"], r["what"]) for r in records if r["nodes"] == 1 and "above_ns" in r)

    def median_operation(self) -> str:
        return time(statistics.median(above for above, _ in self.above_bytecode()))

    def worst_operation(self) -> str:
        above, what = self.above_bytecode()[-1]
        return f"{what}: {time(above)}"

    def worst_linear(self, direction: str) -> str:
        """Of all shapes; the script's are 16 x 16, 64 x 16, 16 x 64 and about 27 x 16."""
        of_shapes = [
            (variants["compiled"]["ns"], what.removesuffix(f", {direction}").removeprefix("linear "))
            for (layer, what), variants in self.rows.items()
            if layer == "functions" and re.match(f"linear .*{direction}$", what) and "compiled" in variants
        ]
        ns, shape = max(of_shapes)
        return f"{shape}: {time(ns)}"

    def bytes_a_multiply_add(self) -> str:
        of_shapes = [
            (record["bytes_per_unit"], what.removeprefix("linear ").removesuffix(", forward"))
            for (layer, what), variants in self.rows.items()
            if layer == "functions" and "bytes_per_unit" in (record := variants.get("compiled", {}))
        ]
        size, shape = max(of_shapes)
        return f"{shape}: {size:.1f} bytes"

    def importing(self) -> str:
        info = self.of("import", "import microgpt")
        return time(info["ns"] - info["reference_ns"])

    def training(self) -> str:
        return time(self.of("command", "train, 1,000 steps, 32,033 names")["ns"])

    def all(self) -> list[tuple[str, Callable[[], str], str]]:
        loop, adam = "whole step, the script's Adam loop", "whole step, the class Adam"
        three, everything = "whole step, three functions and Adam", "whole step, all functions and Adam"
        return [
            ("forward, against plain floats without a graph", self.times_floats, "at most 1.15"),
            ("backward, a step", lambda: time(self.step("backward")["ns"]), "at most 0.5 ms"),
            ("backward, a node", lambda: time(self.step("backward")["ns_per_node"]), "at most 10 ns"),
            ("a step with the script's own Adam loop, faster", lambda: self.faster(loop), "at least 40"),
            ("the same, if the graph cost nothing at all", lambda: self.faster(loop, "floats_ns"), ""),
            ("a step with the class Adam, faster", lambda: self.faster(adam), "at least 80"),
            ("a step with linear, softmax, rmsnorm too, faster", lambda: self.faster(three), "at least 400"),
            ("a step as train.py takes it, faster", lambda: self.faster(everything), "at least 1,000"),
            ("a step as train.py takes it", lambda: time(self.step(everything)["ns"]), "at most 0.2 ms"),
            ("a step of the fused GPT, faster, AVX-512", lambda: self.fused_faster("avx512"), "at least 12,000"),
            ("a step of the fused GPT, faster, AVX2", lambda: self.fused_faster("avx2"), "at least 7,000"),
            ("linear, forward, a multiply-add, worst shape", lambda: self.worst_linear("forward"), "at most 2 ns"),
            ("linear, backward, a multiply-add, worst shape", lambda: self.worst_linear("backward"), "at most 4 ns"),
            ("linear, in the arena, a multiply-add, worst shape", self.bytes_a_multiply_add, "at most 25 bytes"),
            ("above the bytecode: a node in the script's forward", self.above_in_forward, "at most 40 ns"),
            ("above the bytecode: median operation", self.median_operation, "at most 40 ns"),
            ("above the bytecode: worst operation", self.worst_operation, ""),
            (
                "a node, by the arena's count",
                lambda: f"{self.memory()['arena_bytes_per_node']:.1f} bytes",
                "at most 64",
            ),
            ("a node, by the resident set", lambda: f"{self.memory()['bytes_per_node']:.1f} bytes", ""),
            ("import microgpt, above starting Python", self.importing, "at most 30 ms"),
            ("microgpt train, 32,033 names, the whole process", self.training, "at most 250 ms"),
        ]

    def above_in_forward(self) -> str:
        return time(self.step("forward")["above_ns_per_node_made"])


def figures(rows: Rows) -> list[tuple[str, str, str]]:
    """(what, value, what is asked of it); those whose benchmarks did not run are left out."""
    found = []
    for what, value, aim in Figures(rows).all():
        try:
            found.append((what, value(), aim))
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
            continue
    return found


def machine(run: dict[str, Any]) -> list[str]:
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


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: ratios.py FILE.json", file=sys.stderr)
        return 2
    try:
        run = load(arguments[0])
        rows = rows_of(run, arguments[0])
    except Unreadable as error:
        print(f"ratios.py: {error}", file=sys.stderr)
        return 2
    print("\n".join([*machine(run), "", *table(rows)]))
    print("\nThe figures (and what is asked of them)")
    for what, value, aim in figures(rows):
        print(f"  {what:<52}{value:>20}  {aim}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
