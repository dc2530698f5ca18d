"""Running a training script in this process and keeping what it computed, to the bit."""

import hashlib
import json
import math
import random
import runpy
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "train_embedded.json").read_text("utf-8"))


def record(script: Path) -> dict[str, Any]:
    """The lines a script prints, the loss behind each of its steps, and a digest of its parameters in the end.

    It runs in the working directory, and must hold `loss` and `params` at its top level, as Karpathy's does. The
    stream of random numbers of this process is put back afterwards.
    """
    lines: list[str] = []
    losses: list[str] = []

    def listening_print(line: str) -> None:
        lines.extend(line.split("\n"))
        if line.startswith("step "):
            losses.append(float(sys._getframe(1).f_globals["loss"].data).hex())

    random_state = random.getstate()
    try:
        names = runpy.run_path(str(script), init_globals={"print": listening_print}, run_name="__main__")
    finally:
        random.setstate(random_state)
    parameters = [float(p.data) for p in names["params"]]
    digest = hashlib.sha256(struct.pack(f"<{len(parameters)}d", *parameters)).hexdigest()
    return {"params_sha256": digest, "losses": losses, "stdout": lines}


def libm_sha256() -> str:
    """A digest of some ten thousand results of exp, log and pow: equal where the C library rounds equally."""
    draw = random.Random(0).uniform
    inputs = [draw(0.001, 10.0) for _ in range(2000)]
    powers = [x**y for x in inputs for y in (2, 0.5, -0.5, -1, -1.5)]
    results = [*map(math.exp, inputs), *map(math.log, inputs), *powers]
    return hashlib.sha256(struct.pack(f"<{len(results)}d", *results)).hexdigest()


same_libm = pytest.mark.skipif(
    libm_sha256() != GOLDEN["libm_sha256"], reason="the golden figures come from a C library that rounds otherwise"
)
