"""docs/pythons.json: what depends on Python's version. Once with each Python that has the package installed:

    .venv/bin/python tools/python_versions.py

compiled    how many times faster rung 1 is than rung 0, a step
collector   the cyclic collector's share of an interpreted step: how much of it is gone when it is switched off
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from microgpt import GPTConfig
from microgpt.commands.bench import STEPS
from microgpt.ladder import machine
from microgpt.ladder.graph import Pass
from microgpt.ladder.measure import Plan, take_turns
from microgpt.ladder.rungs import LADDER, Parameters, script, script_documents

PYTHONS = Path(__file__).parent.parent / "docs" / "pythons.json"
ROUNDS = 5


class WithoutCollector:
    """The interpreted rung with the cyclic collector switched off."""

    def __init__(self, config: GPTConfig, parameters: Parameters) -> None:
        self.model = script(config, parameters)

    def run(self, documents: Sequence[list[int]], lrs: Sequence[float]) -> Pass:
        gc.disable()
        try:
            return self.model.run(documents, lrs)
        finally:
            gc.enable()


def main() -> int:
    vocab_size, documents = script_documents(STEPS)
    kinds = {name: LADDER[name] for name in ("interpreted", "compiled")}
    kinds["without"] = LADDER["interpreted"]._replace(make=WithoutCollector)
    rounds = take_turns(Plan(GPTConfig(vocab_size), documents, ROUNDS), lambda what: None, kinds)
    ms = {name: statistics.median(found.ms["step"]) for name, found in rounds.items()}
    record = {
        "cpu": machine.machine(None)["cpu"],
        "compiled": round(ms["interpreted"] / ms["compiled"], 3),
        "collector": round(1 - ms["without"] / ms["interpreted"], 3),
        "ms": round(ms["interpreted"], 1),
    }
    saved = json.loads(PYTHONS.read_text("utf-8")) if PYTHONS.exists() else {}
    saved[platform.python_version()] = record
    PYTHONS.write_text(json.dumps(saved, indent=1, sort_keys=True) + "\n", "utf-8")
    print(platform.python_version(), record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
