"""`microgpt run` on scripts of the script's form, a training step, beside the interpreter on the same file.

The scripts are tests/run/variants/small_gpt.py in the script's own size, on the embedded names, as it is and with
changes that people make. They note the time of every step themselves. Each run has a process to itself; the two ways
come in turns, over the same documents, and must print the same.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from measuring import Measured, Samples

from microgpt.data import embedded_names

SMALL = Path(__file__).parent.parent / "tests" / "run" / "variants" / "small_gpt.py"
PROGRAM = (
    "import sys; sys.path[0] = ''; from microgpt.cli import main; sys.exit(main())"  # what the console script does
)
DOCUMENTS = 5  # taken in turn, so that few steps of the one way stand beside many of the other
WAYS = {"reference": [], "compiled": ["-c", PROGRAM, "run", "--quiet"]}
TURNS = 2

RELU = "[xi.relu() for xi in x]"
GELU = """    def gelu(self):
        x = self.data
        c = math.sqrt(2 / math.pi)
        t = math.tanh(c * (x + 0.044715 * x**3))
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)
        return Value(0.5 * x * (1 + t), (self,), (slope,))

    def __neg__(self):"""
OWN_LINEAR = """    out = []
    for wo in w:
        total = Value(0.0)
        for wi, xi in zip(wo, x):
            total = total + wi * xi
        out.append(total)
    return out
"""
CHANGES = {
    "the script": [],
    "squared relu": [(RELU, "[xi.relu() ** 2 for xi in x]")],
    "its own gelu": [("    def __neg__(self):", GELU), (RELU, "[xi.gelu() for xi in x]")],
    "n_embd 24, n_layer 2, block_size 8": [
        ("n_embd = 16", "n_embd = 24"),
        ("n_layer = 1", "n_layer = 2"),
        ("block_size = 16", "block_size = 8"),
    ],
    "its own linear, in Python": [("    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]\n", OWN_LINEAR)],
}


def script(what: str, steps: int) -> str:
    """One of the scripts, which prints the seconds of its steps as json at the end."""
    names = embedded_names()[::97][:40]
    source = SMALL.read_text("utf-8")
    changes = [
        ('["anna", "bob", "clara", "dora", "eve", "abcde", "a"]', repr(names)),
        ("n_embd = 4", "n_embd = 16"),
        ("n_head = 2", "n_head = 4"),
        ("block_size = 4", "block_size = 16"),
        ("num_steps = 4\n", f"num_steps = {steps}\nimport json, sys, time\ntimes = []\n"),
        (
            "    doc = docs[step % len(docs)]\n",
            f"    times.append(time.perf_counter())\n    doc = docs[step % {DOCUMENTS}]\n",
        ),
        ("temperature = 0.5", "times.append(time.perf_counter())\ntemperature = 0.5"),
        ("for sample_idx in range(4):", "for sample_idx in range(1):"),  # not measured here
        *CHANGES[what],
    ]
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source + "\nprint(json.dumps(times), file=sys.stderr)\n"


def run(way: str, what: str, steps: int, folder: Path) -> tuple[list[float], list[str]]:
    """Seconds of every step, and what was printed for it."""
    path = folder / f"{way}.py"
    path.write_text(script(what, steps), "utf-8")
    command = [sys.executable, *WAYS[way], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    times = json.loads(done.stderr.splitlines()[-1])
    lines = [line.split(" | ")[1] for line in done.stdout.splitlines() if line.startswith("step")]
    return [after - before for before, after in pairwise(times)], lines


@pytest.mark.parametrize("variant", ["reference", "compiled"])
@pytest.mark.parametrize("what", CHANGES)
def test_run(
    what: str,
    variant: str,
    measured: Measured,
    record: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    turns = measured.rounds(TURNS)

    def measure() -> Samples:
        folder = tmp_path_factory.mktemp("run")
        samples: Samples = {way: [] for way in WAYS}
        for _ in range(turns):
            slow, said = run("reference", what, 1 if measured.quick else DOCUMENTS, folder)
            fast, said_fast = run("compiled", what, 1 if measured.quick else 30 * DOCUMENTS, folder)
            assert said[0] == said_fast[0]  # later steps have other learning rates, since their number differs
            samples["reference"] += slow
            samples["compiled"] += fast
        return samples

    record(measured(("run", what), measure), variant, layer="run", what=what, rung=3, unit="step")
