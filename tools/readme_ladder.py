"""Writes what README.md says of speed, and docs/ladder.svg, from saved runs.

First `.venv/bin/microgpt bench --out docs`, then `.venv/bin/python tools/readme_ladder.py`. The table of the ladder is
from docs/bench.json; the gain of each way to use the package is the range over that run and those in bench/results.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from microgpt.ladder import table
from microgpt.ladder.charts import ladder_svg
from microgpt.ladder.results import Results, load

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import runs  # noqa: E402

LADDER = re.compile(r"(<!-- the ladder -->\n).*?(<!-- end -->\n)", re.DOTALL)
MEASURED = re.compile(r"(<!-- the gains -->\n).*?(<!-- end -->\n)", re.DOTALL)
HEADLINE = re.compile(r"(?<=A training step is ).*?(?= faster)")
ANOTHER_MODEL = "n_embd 24, n_layer 2, block_size 8"  # gains are those of the script's own size
INTERPRETED = ("ladder", "0 interpreted", "reference")
WAYS = {  # what the reader writes -> its rung, and benchmarks of the same
    "`microgpt run my_gpt.py`": ("", ("run", "")),
    "`import microgpt.accelerate`": ("typed", ("step", "whole step, the script's Adam loop")),
    "`from microgpt_engine import Value`": ("typed", ("step", "whole step, the script's Adam loop")),
    "`from microgpt_engine import linear": ("bulk", ("step", "functions and Adam")),
    "`@recorded`": ("recorded", ("", "")),
    "`microgpt train": ("fused", ("ladder", "fused, avx512")),
}


def ratios(results: Results, saved: Sequence[runs.Run], rung: str, layer: str, what: str) -> list[float]:
    """How many times faster than the script a step was, in every saved run."""
    found = [each.ratio for each in results.rungs if each.name == rung]
    for run in saved:
        for (of_layer, name, variant), record in run.records.items():
            if of_layer == layer and name.endswith(what) and variant == "compiled" and name != ANOTHER_MODEL:
                base = run.records.get((layer, name, "reference")) or run.records.get(INTERPRETED)
                found.append((base["ns"] if base else record["reference_ns"]) / record["ns"])
    return found


def rounded(value: float, towards: Callable[[float], int]) -> float:
    """Two digits, the second of them 0 or 5 unless the first is 1."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    unit *= 1 if value < 20 * unit else 5
    return towards(value / unit) * unit


def in_words(found: Sequence[float]) -> str:
    low, high = rounded(min(found), math.floor), rounded(max(found), math.ceil)
    return f"{low:,.0f} to {high:,.0f} times"


def measured(results: Results, saved: Sequence[runs.Run]) -> str:
    runs_of = [f"[{results.machine['cpu']}, {results.software['python']}](docs/bench.json)"]
    runs_of += [f"[{Path(run.path).stem}]({Path(run.path).relative_to(ROOT)})" for run in saved]
    return "\nThe script's model, in these saved runs:\n" + ",\n".join(runs_of) + ".\n"


def filled(text: str) -> str:
    """README.md with the figures of the saved runs."""
    results = load(ROOT / "docs" / "bench.json")
    saved = [runs.load(path) for path in sorted((ROOT / "bench" / "results").glob("*-*.json"))]
    for way, (rung, (layer, what)) in WAYS.items():
        found = ratios(results, saved, rung, layer, what)
        if found:
            text = re.sub(rf"(?m)^(\|[^|]*\| {re.escape(way)}.*\| )[^|]*( \|)$", rf"\g<1>{in_words(found)}\g<2>", text)
        if way == next(iter(WAYS)):
            text = HEADLINE.sub(in_words(found), text)
    text = MEASURED.sub(rf"\1{measured(results, saved)}\2", text)
    return LADDER.sub(rf"\1\n{table.markdown(results)}\n{table.source(results)}\n\2", text)


def main() -> int:
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text("utf-8")), "utf-8")
    (ROOT / "docs" / "ladder.svg").write_text(ladder_svg(load(ROOT / "docs" / "bench.json")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
