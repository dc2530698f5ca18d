"""The golden run: train.py and train_recorded.py on the embedded names are Karpathy's script on them, to the bit."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from recording import GOLDEN, record, same_libm

TRAIN = Path(__file__).parents[2] / "train.py"
RECORDED = TRAIN.parent / "train_recorded.py"
FIRST_RUN = TRAIN.parent / "tools" / "first_run.py"


def run_train(folder: Path, script: Path = TRAIN) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, script], cwd=folder, capture_output=True, check=False)


@same_libm
@pytest.mark.parametrize("script", [TRAIN, RECORDED], ids=lambda script: script.stem)
def test_train_prints_what_the_script_prints_byte_for_byte(tmp_path, script):
    run = run_train(tmp_path, script)
    assert run.stderr == b""
    assert run.stdout.decode("ascii").splitlines() == GOLDEN["stdout"]  # shows where they part
    assert run.stdout == "".join(line + os.linesep for line in GOLDEN["stdout"]).encode("ascii")
    assert list(tmp_path.iterdir()) == []


@same_libm
@pytest.mark.parametrize("script", [TRAIN, RECORDED], ids=lambda script: script.stem)
def test_train_computes_the_losses_and_parameters_of_the_script_to_the_bit(tmp_path, monkeypatch, script):
    monkeypatch.chdir(tmp_path)
    run = record(script)
    assert run["losses"] == GOLDEN["losses"]
    assert run["params_sha256"] == GOLDEN["params_sha256"]


def test_train_uses_input_txt_of_the_working_directory(tmp_path):
    (tmp_path / "input.txt").write_text("ab\nba\n\nabba\n")
    script = shorter_train(tmp_path, steps=3)
    lines = run_train(tmp_path, script).stdout.decode().splitlines()
    assert lines[:3] == ["num docs: 3", "vocab size: 3", "num params: 3424"]
    assert [line.split(" | ")[0] for line in lines[3:6]] == [f"step    {i} /    3" for i in (1, 2, 3)]


def test_train_says_in_one_line_what_is_wrong_with_input_txt(tmp_path):
    (tmp_path / "input.txt").write_bytes(b"\n \n")
    run = run_train(tmp_path)
    assert run.returncode == 1
    assert run.stderr.decode().splitlines()[-1].startswith("ValueError: input.txt: no documents in it")


@same_libm
def test_make_train_pipes_the_script_s_lines_and_ends_with_three_of_its_own():
    run = subprocess.run([sys.executable, FIRST_RUN], capture_output=True, text=True)
    assert run.stdout.splitlines() == GOLDEN["stdout"]
    speed, interpreted, next_step = run.stderr.split("\n")[1:-1]
    assert speed.startswith("1,000 steps in ") and speed.endswith(" a second")
    assert "interpreted" in interpreted and "microgpt run your_script.py" in next_step


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
def test_make_train_shows_fewer_lines_on_a_terminal():
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, FIRST_RUN], stdout=theirs, stderr=subprocess.DEVNULL):
        os.close(theirs)
        text = b""
        with suppress(OSError):  # Linux says that there is no one left on the other side
            while piece := os.read(ours, 10_000):
                text += piece
    os.close(ours)
    lines = text.decode().splitlines()
    assert sum(line.startswith("step ") for line in lines) == 20
    assert lines[-1] == GOLDEN["stdout"][-1]


def shorter_train(folder: Path, steps: int) -> Path:
    script = Path(shutil.copy(TRAIN, folder / "short_train.py"))
    text = script.read_text("utf-8")
    assert "num_steps = 1000" in text
    script.write_text(text.replace("num_steps = 1000", f"num_steps = {steps}"), "utf-8")
    return script
