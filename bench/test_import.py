"""What `import microgpt` costs above starting Python and doing nothing.

Whole processes, from start to exit, in turns. "reference" is here the interpreter alone.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from measuring import Measured, Run, take_turns

PROGRAMS = {"reference": "pass", "compiled": "import microgpt"}


def timed(program: str) -> Run:
    def run() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        return time.perf_counter() - start

    return run


@pytest.mark.parametrize("variant", PROGRAMS)
def test_import(variant: str, measured: Measured, record: Callable[..., None]) -> None:
    runs = {name: timed(program) for name, program in PROGRAMS.items()}
    samples = measured("import", lambda: take_turns(runs, measured.rounds(21)))
    record(samples, variant, layer="import", what="import microgpt", rung=None, unit="process")
