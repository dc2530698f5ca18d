"""The course's exercise "build your own rung": all compile, have the script's bits and are told apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "course" / "build-your-own"
SOURCES = {
    "start": FOLDER / "value.pyx",
    **{name: FOLDER / "solutions" / f"{name}.pyx" for name in ("step1", "step2", "step3")},
}
VERDICTS = {
    "start": "step 1 is missing",
    "step1": "step 2 is missing",
    "step2": "step 3 is missing",
    "step3": "all three steps are done",
}
ERRORS = """
from step3 import Value
for run in (
    lambda: Value(1e200) ** 2, lambda: Value(0.0) ** -1, lambda: Value(0.0).log(), lambda: Value(1000.0).exp(),
    lambda: Value(0.0) ** 2, lambda: (-Value(2.0)) ** 3,
):
    try:
        print(run().data)
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("the headers of Python are not where its own tools look for them")
    folder = tmp_path_factory.mktemp("rungs")
    shutil.copy(FOLDER / "check.py", folder)
    for name, source in SOURCES.items():
        shutil.copy(source, folder / f"{name}.pyx")
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", "-3", *(f"{name}.pyx" for name in SOURCES)]
    environment = {**os.environ, "CFLAGS": "-O0"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def python(folder, *arguments):
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_check_tells_the_steps_apart_and_all_have_the_script_s_bits(built):
    for name, verdict in VERDICTS.items():
        done = python(built, "check.py", name)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].endswith("losses and gradients have the script's bits")
        assert lines[-1].startswith(verdict), name


@pytest.mark.slow
def test_the_compiled_class_of_the_package_passes_the_check(built):
    assert python(built, "check.py", "microgpt_engine").stdout.endswith("all three steps are done\n")


@pytest.mark.slow
def test_the_check_finds_a_wrong_bit(built):
    (built / "wrong.py").write_text(
        "from microgpt import reference\n\n\nclass Value(reference.Value):\n"
        "    def __add__(self, other):\n        other = other if hasattr(other, 'data') else Value(other)\n"
        "        return Value(self.data + other.data, (self, other), (1, 1 + 1e-15))\n",
        "utf-8",
    )
    done = python(built, "check.py", "wrong")
    assert done.returncode == 1
    assert "differs" in done.stderr


@pytest.mark.slow
def test_the_last_solution_raises_what_the_script_raises(built):
    assert python(built, "-c", ERRORS).stdout.split() == [
        *("OverflowError", "ZeroDivisionError", "ValueError", "OverflowError"),
        *("0.0", "-8.0"),
    ]
