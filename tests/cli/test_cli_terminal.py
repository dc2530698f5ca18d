"""What a person at a terminal sees: few lines and a bar, and the same numbers as in a file."""

import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest
from cli_program import COMMAND, TINY, microgpt

pty = pytest.importorskip("pty")

LINE = re.compile(r"step +(\d+) / +(\d+) \| loss ([\d.]+)(?: \(mean of (\d+) steps\))?$")


def at_a_terminal(*arguments, cwd, stdout_too=True, stderr_too=True, env=None):
    """Run with these streams at a terminal: what appears on it, and what went to the other stream."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **(env or {})}
    with open(cwd / "other", "wb") as other:
        streams = {"stdout": theirs if stdout_too else other, "stderr": theirs if stderr_too else other}
        process = subprocess.Popen([*COMMAND, *map(str, arguments)], cwd=cwd, env=env, **streams)
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # Linux: all writers have gone
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    assert process.wait(120) == 0
    return seen.decode().replace("\r\n", "\n"), (cwd / "other").read_text()


def test_on_a_terminal_one_line_stands_for_many_steps(here):
    options = ["train", "--data", "documents.txt", "--steps", 200, *TINY]
    shown, _ = at_a_terminal(*options, cwd=here, stderr_too=False)
    piped = microgpt(*options, cwd=here).stdout.splitlines()
    losses = [float(line.split()[-1]) for line in piped if line.startswith("step")]
    found = [LINE.match(line) for line in shown.splitlines() if line.startswith("step")]
    assert all(found) and 20 <= len(found) < 60
    ends = [int(match[1]) for match in found]
    assert ends[-1] == 200
    for start, end, match in zip([0, *ends], ends, found):
        assert int(match[4] or 1) == end - start
        assert float(match[3]) == pytest.approx(sum(losses[start:end]) / (end - start), abs=2e-4)
    without = [line for line in shown.splitlines() if not line.startswith("step")]
    assert without == [line for line in piped if not line.startswith("step")]


def test_a_short_run_on_a_terminal_shows_every_step(here):
    options = ["train", "--data", "documents.txt", "--steps", 12, *TINY]
    shown, _ = at_a_terminal(*options, cwd=here, stderr_too=False)
    assert shown == microgpt(*options, cwd=here).stdout.replace(os.linesep, "\n")


SLOW = """
import sys, time
from microgpt import trainer
from microgpt.commands import progress
progress.PATIENCE = progress.WORTH_IT = 0.05
take = trainer.Trainer.train
trainer.Trainer.train = lambda self, steps: (time.sleep(0.02), take(self, 1))[1]
from microgpt.cli import main
sys.exit(main(sys.argv[1:]))
"""


def slow_run(here, monkeypatch, *arguments, **options):
    """A run slow enough for a bar: every step waits a little."""
    (here / "slow.py").write_text(SLOW)
    monkeypatch.setattr(sys.modules[__name__], "COMMAND", [sys.executable, "slow.py"])
    return at_a_terminal("train", "--data", "documents.txt", "--steps", 50, *TINY, *arguments, cwd=here, **options)


def test_a_bar_on_a_terminal_shows_loss_speed_and_time_left_and_goes_away(here, monkeypatch):
    shown, _ = slow_run(here, monkeypatch)
    assert shown.rstrip("\n").splitlines()[-1].startswith("sample 20: ")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"training \S+ +\d+/50 loss \d\.\d{4}  \d+ steps/s  left \d:\d\d:\d\d", plain)
    steps = [line for line in plain.replace("\r", "\n").splitlines() if line.startswith("step ")]
    assert all(LINE.match(line) for line in steps) and len(steps) >= 20


def test_there_is_no_bar_where_standard_error_is_no_terminal(here, monkeypatch):
    shown, other = slow_run(here, monkeypatch, stderr_too=False)
    assert other == ""
    assert "steps/s" not in shown and "\x1b" not in shown


def test_a_bar_leaves_the_lines_of_a_file_alone(here, monkeypatch):
    """Standard error at a terminal, standard output in a file: the bar on the one, every line in the other."""
    shown, other = slow_run(here, monkeypatch, stdout_too=False)
    assert "steps/s" in shown
    assert len([line for line in other.splitlines() if line.startswith("step")]) == 50


def test_a_terminal_that_can_do_nothing_gets_plain_lines(here, monkeypatch):
    shown, _ = slow_run(here, monkeypatch, env={"TERM": "dumb"})
    assert "\x1b" not in shown
