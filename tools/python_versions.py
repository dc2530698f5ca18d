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
from pathlib import Path

from microgpt import GPTConfig
from microgpt.commands.bench import STEPS
from microgpt.data import Tokenizer, embedded_names
from microgpt.ladder import machine
from microgpt.ladder.graph import Graph
from microgpt.ladder.measure import Plan, deep_recursion, frozen_heap
from microgpt.ladder.rungs import LADDER, fresh_parameters

PYTHONS = Path(__file__).parent.parent / "docs" / "pythons.json"
ROUNDS = 5


def measured(plan: Plan) -> dict[str, list[float]]:
    """Seconds a round: interpreted, compiled, and interpreted without the collector, in turns."""
    found: dict[str, list[float]] = {"interpreted": [], "compiled": [], "without": []}
    parameters = fresh_parameters(plan.config)
    with deep_recursion(), frozen_heap():
        for _ in range(plan.rounds):
            for what, seconds in found.items():
                model = LADDER["compiled" if what == "compiled" else "interpreted"].make(plan.config, parameters)
                assert isinstance(model, Graph)
                if what == "without":
                    gc.disable()
                seconds.append(model.run(plan.documents, plan.lrs).seconds["step"])
                gc.enable()
                del model
                gc.collect()
    return found


def main() -> int:
    names = embedded_names()
    tokenizer = Tokenizer(names)
    documents = [tokenizer.encode(name) for name in names[:: len(names) // STEPS][:STEPS]]
    plan = Plan(GPTConfig(tokenizer.vocab_size), documents, ROUNDS)
    took = {what: statistics.median(seconds) for what, seconds in measured(plan).items()}
    record = {
        "cpu": machine.machine(None)["cpu"],
        "compiled": round(took["interpreted"] / took["compiled"], 3),
        "collector": round(1 - took["without"] / took["interpreted"], 3),
        "ms": round(1000 * took["interpreted"] / STEPS, 1),
    }
    saved = json.loads(PYTHONS.read_text("utf-8")) if PYTHONS.exists() else {}
    saved[platform.python_version()] = record
    PYTHONS.write_text(json.dumps(saved, indent=1, sort_keys=True) + "\n", "utf-8")
    print(platform.python_version(), record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
