"""The figures that the project is judged by, drawn from the rows of a run."""

import re
import statistics
from collections.abc import Callable

from runs import Record, Rows, time


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
        record = self.of("ladder", f"4 fused, {instruction_set}")
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
