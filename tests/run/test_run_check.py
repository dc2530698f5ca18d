"""`--check`, `--explain` and the report: what the command says about a script."""

from __future__ import annotations

import argparse

import pytest
from running import accelerated, small_gpt

from microgpt.accelerate.check import Outcome, by_step
from microgpt.accelerate.command import add_arguments, read
from microgpt.accelerate.report import say_time


@pytest.fixture
def script(tmp_path):
    def write(*changes: tuple[str, str]):
        path = tmp_path / "script.py"
        path.write_text(small_gpt(*changes), "utf-8")
        return path

    return write


def test_check_compares_so_many_steps(script):
    run = accelerated(script(), flags=["--check", "3"])
    assert (run.status, run.stdout) == (0, b"")
    assert "check: 3 steps alike, 6 printed lines and the bits of 3 losses" in run.stderr


def test_check_of_more_steps_than_there_are_compares_the_whole_run(script):
    run = accelerated(script(), flags=["--check", "100"])
    assert run.status == 0 and "check: 4 steps alike, 14 printed lines" in run.stderr


@pytest.mark.parametrize(
    ("losses", "words"), [([], ""), (["1"], ""), (["1", "2"], "; a step takes about 250 ms interpreted")]
)
def test_check_says_what_a_step_takes_where_there_was_more_than_one(losses, words):
    assert by_step(Outcome(0, [], losses, 0.5, "")) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.99, ""), (1.0, "1.0 s of"), (12.14, "12.1 s of processor time ")])
def test_runs_of_a_second_and_more_say_how_long_they_took(seconds, words, capsys):
    say_time(seconds)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == bool(words) and err.startswith(f"microgpt run: {words}" if words else "")


def test_a_usual_command_line_is_read_as_argparse_reads_it():
    for given in (["s.py"], ["--quiet", "s.py", "--quiet"], ["--explain", "--any-order", "s.py", "-x", "--rung", "0"]):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        assert vars(read(given)) == vars(parser.parse_args(given))
    for given in ([], ["--quiet"], ["--rung", "2", "s.py"], ["--check", "3", "s.py"], ["--", "s.py"], ["-h"]):
        assert read(given) is None


def test_check_works_where_the_class_stays(script):
    run = accelerated(script(("self.data = data", "self.data = float(data)")), flags=["--check", "2"])
    assert run.status == 0 and "check: 2 steps alike" in run.stderr


def test_check_names_the_first_line_that_differs(script):
    run = accelerated(
        script(('print(f"num params', 'import time\nprint(time.perf_counter_ns())\nprint(f"num params')),
        flags=["--check", "2"],
    )
    assert run.status == 1
    assert "check: line 3 differs" in run.stderr and "interpreted: " in run.stderr


def test_check_of_a_script_that_fails_says_so(script):
    path = script()
    path.write_text("1 / 0\n")
    run = accelerated(path, flags=["--check", "2"])
    assert run.status == 1 and "the script fails by itself: ZeroDivisionError" in run.stderr


@pytest.mark.parametrize("flags", [["--check", "0"], ["--check", "x"], ["--rung", "1"], ["--nonsense"]])
def test_options_that_make_no_sense_are_status_2(script, flags):
    run = accelerated(script(), flags=flags)
    assert run.status == 2 and run.stdout == b""


def test_explain_shows_the_lines_that_differ(script):
    changes = [
        ("max(0, self.data), (self,), (float(self.data > 0),)", "self.data * 0.5, (self,), (0.5,)"),
        ("scale = (ms + 1e-5) ** -0.5", "scale = (ms + 1e-6) ** -0.5"),
    ]
    said = accelerated(script(*changes), flags=["--explain"]).stderr
    assert "relu (line 44), the script's with -, this one with +:" in said
    assert "+     return Value(self.data * 0.5, (self,), (0.5,))" in said
    assert "scale = (ms + 1e-06) **" in said


def test_the_report_is_a_line_for_each_thing(script):
    said = accelerated(script()).stderr.splitlines()
    assert said == [
        "microgpt run: class Value (line 16): swapped",
        "microgpt run: matrix product (line 114): swapped",
        "microgpt run: softmax (line 117): swapped, the script's softmax",
        "microgpt run: rmsnorm (line 124): swapped, the script's rmsnorm",
        "microgpt run: sum of vectors (lines 133, 154, 160): swapped",
        "microgpt run: attention (line 144): swapped",
        "microgpt run: relu of a vector (line 158): swapped",
        "microgpt run: Adam (line 183): swapped",
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--check", "0"], "--check must be at least 1, not 0"),
        (["--check", "many"], "--check must be an integer, not 'many'"),
        (["--check", "1.5"], "--check must be an integer, not '1.5'"),
        (["--rung", "1"], "--rung: invalid choice: "),  # 1 or '1', as the Python has it
        (["--rung", "top"], "invalid int value: 'top'"),
        (["--loud"], "--loud"),
    ],
)
def test_options_that_make_no_sense_are_one_line_and_status_2(script, flags, words):
    run = accelerated(script(), flags=flags)
    assert (run.status, run.stdout, len(run.stderr.splitlines())) == (2, b"", 1)
    assert words in run.stderr


def test_check_of_a_script_that_the_compiled_class_cannot_hold_says_so(script):
    run = accelerated(script(("num_steps = 4\n", "num_steps = 4\nValue([1.0])\n")), flags=["--check", "2"])
    assert run.status == 1 and "run this script with --rung 0" in run.stderr


def test_a_script_too_deep_to_be_looked_through_runs_as_it_is(script):
    deep = "x = Value(1.0)\nprint((" + " + ".join(["x"] * 900) + ").data)\n"
    run = accelerated(script(("num_steps = 4\n", "num_steps = 4\n" + deep)))
    assert run.status == 0 and b"900.0" in run.stdout
    assert "it cannot be looked through (RecursionError)" in run.stderr
