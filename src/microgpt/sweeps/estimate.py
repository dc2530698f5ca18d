"""What a sweep would be, before it is begun: how many runs, of what size, and about how long."""

import random
import time
from collections.abc import Sequence

from .executors import Numbered
from .runs import Corpus, configs, train
from .space import Space

TRIED = 12  # runs, drawn at random
STEPS = 100  # of each
SECONDS = 2.0  # after which no other is tried


def estimate(space: Space, corpus: Corpus, runs: Sequence[Numbered], jobs: int) -> str:
    """Several lines."""
    params = sorted(config.num_params for config in configs(corpus, runs))
    size = f"{params[0]:,}" if params[0] == params[-1] else f"{params[0]:,} to {params[-1]:,}"
    steps = sum(run["steps"] for _, run in runs)
    lines = [("runs", f"{len(runs):,}"), *((name, _listed(space.axes[name])) for name in space.varied)]
    lines += [("parameters", size), ("steps", f"{steps:,} in all")]
    lines.append(("time", f"about {_duration(seconds(corpus, runs) / jobs)} on {jobs} processes of this machine"))
    return "".join(f"{name:12}{text}\n" for name, text in lines)


def _listed(values: Sequence[object]) -> str:
    shown = list(map(str, values))
    return ", ".join(shown if len(shown) <= 12 else [*shown[:6], "...", *shown[-5:]]) + f" ({len(shown)})"


def seconds(corpus: Corpus, runs: Sequence[Numbered]) -> float:
    """Processor time of all, from some drawn at random, of which the first steps are taken."""
    found: list[float] = []
    began = time.monotonic()
    for number, run in random.Random(0).sample(list(runs), min(TRIED, len(runs))):
        steps = min(run["steps"], STEPS)
        start = time.thread_time()
        taken = train(corpus, number, {**run, "steps": steps})["seconds"]
        rest = time.thread_time() - start - taken
        found.append(rest + taken * run["steps"] / max(1, steps))
        if time.monotonic() - began > SECONDS:
            break
    return len(runs) * sum(found) / len(found)


def _duration(duration: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if duration >= 2 * length:
            return f"{duration / length:.1f} {unit}"
    return f"{max(1, round(duration))} s"
