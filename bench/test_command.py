"""`import microgpt`, and whole commands as from a shell: starting Python, reading, training, printing, leaving.

Whole processes, in turns. "reference" is here the interpreter alone, which no command can be faster than. The 32,033
documents of the larger run are made of the embedded names: the beginning of one and the end of another.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from measuring import Measured, Run, Samples, take_turns

from microgpt.data import embedded_names

PROGRAM = "import sys; from microgpt.cli import main; sys.exit(main())"  # what the console script does
MANY = 32_033
COMMANDS = {
    "import microgpt": [],
    "microgpt --version": ["--version"],
    "train, 1,000 steps, 5,163 names": ["train"],
    "train, 1,000 steps, 32,033 names": ["train", "--data", "many.txt"],
    "train, 20,000 steps, 32,033 names": ["train", "--data", "many.txt", "--steps", "20000"],
    "sample, 20 texts": ["sample", "--from", "run", "--seed", "1"],
}


def timed(arguments: list[str], folder: Path) -> Run:
    def run() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, check=True)
        return time.perf_counter() - start

    return run


def many_names() -> list[str]:
    draw, names = random.Random(0), embedded_names()
    pairs = ((draw.choice(names), draw.choice(names)) for _ in range(MANY))
    return [one[: len(one) // 2 + 1] + other[len(other) // 2 :] for one, other in pairs]


def prepare(folder: Path) -> None:
    (folder / "many.txt").write_text("\n".join(many_names()), encoding="ascii")
    timed(["-c", PROGRAM, "train", "--out", "run"], folder)()


@pytest.mark.parametrize("variant", ["reference", "compiled"])
@pytest.mark.parametrize("what", COMMANDS)
def test_command(
    what: str,
    variant: str,
    measured: Measured,
    record: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def measure() -> Samples:
        folder = tmp_path_factory.mktemp("command")
        prepare(folder)
        program = ["-c", PROGRAM, *COMMANDS[what]] if COMMANDS[what] else ["-c", what]
        runs = {"reference": timed(["-c", "pass"], folder), "compiled": timed(program, folder)}
        return take_turns(runs, measured.rounds(15))

    record(measured(("command", what), measure), variant, layer="command", what=what, rung=None, unit="process")
