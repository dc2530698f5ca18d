"""`microgpt bench` as it is typed: its table, its files, and what it says of mistakes."""

from __future__ import annotations

import os
import re

import pytest
from cli_program import is_one_line, lines_of, microgpt

from microgpt.ladder.results import load
from microgpt.ladder.rungs import LADDER

SMALL = ("bench", "--quick", "--steps", "1", "--rounds", "1", "--n-embd", "4", "--n-head", "2", "--block-size", "4")
RUNGS = list(LADDER)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return folder, microgpt(*SMALL, "--out", "ladder", cwd=folder)


def test_it_prints_a_row_for_each_rung_and_that_the_losses_are_the_same(done):
    _, run = done
    assert run.returncode == 0, run.stderr
    lines = lines_of(run.stdout)
    assert [re.match(r"(\d) (\w+) ", line).groups() for line in lines[1 : 1 + len(RUNGS)]] == [
        (str(number), name) for number, name in enumerate(RUNGS)
    ]
    assert f"The losses are the same on all {len(LADDER)} rungs, to the last bit (steps: 1)." in lines


def test_it_writes_the_page_the_picture_and_the_figures(done):
    folder, run = done
    assert sorted(os.listdir(folder / "ladder")) == ["bench.json", "ladder.svg", "report.html"]
    assert lines_of(run.stderr) == ["written to ladder: bench.json, report.html, ladder.svg"]
    assert (folder / "ladder" / "ladder.svg").read_text("utf-8").startswith("<svg ")
    assert "</html>" in (folder / "ladder" / "report.html").read_text("utf-8")


def test_bench_json_holds_what_was_measured(done):
    folder, _ = done
    results = load(folder / "ladder" / "bench.json")
    assert [rung.name for rung in results.rungs] == RUNGS
    assert all(rung.same_bits for rung in results.rungs)
    assert results.command == "microgpt " + " ".join([*SMALL, "--out", "ladder"])
    assert (results.model["n_embd"], results.model["block_size"], results.rounds) == (4, 4, 1)
    assert [size.n_embd for size in results.sizes] == [16, 32, 64, 128]
    assert "-ffp-contract=off" in results.software["flags"] or results.software["flags"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--n-embd", "10"], "10 is none of 4"),
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--rounds", "many"], "--rounds must be an integer, not 'many'"),
        (["--out", "file"], "--out file: File exists"),
        (["--out", "file/folder"], "--out file/folder: Not a directory"),
        (["--n-embd", "100000"], "the interpreted rungs need about"),
        (
            ["--n-layer", "2000", "--n-embd", "1", "--n-head", "1", "--block-size", "1", "--steps", "1"],
            "too deep for the interpreted rungs",
        ),
        (["--slowly"], "unknown: --slowly (see microgpt bench --help)"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_measured(arguments, complaint, tmp_path):
    (tmp_path / "file").write_text("mine")
    run = microgpt("bench", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert is_one_line(run.stderr), run.stderr
    assert complaint in run.stderr
    assert (tmp_path / "file").read_text() == "mine"


OWN = "from microgpt.reference import Value as Script\n\n\nclass Value(Script):\n    pass\n"


@pytest.mark.slow
def test_a_class_of_ones_own_has_a_row_beside_the_ladder_and_without_a_folder_nothing_is_written(tmp_path):
    (tmp_path / "mine.py").write_text(OWN, "utf-8")
    done = microgpt(*SMALL, "--with", "mine.py", cwd=tmp_path)
    (row,) = [line for line in lines_of(done.stdout) if line.startswith("mine ")]
    assert "a class Value of your own" in row
    assert (done.returncode, done.stderr) == (0, "")
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == {"mine.py"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "mine.py: FileNotFoundError"),
        ("x = 1", "mine.py: there is no class Value in it"),
        ("class Value:", "mine.py: IndentationError"),
        ("class Value:\n    def __init__(self, data): self.data = data", "the class Value of mine: TypeError"),
    ],
)
def test_a_module_that_cannot_stand_on_the_ladder_is_refused_in_a_line(tmp_path, text, words):
    if text is not None:
        (tmp_path / "mine.py").write_text(text, "utf-8")
    done = microgpt(*SMALL, "--with", "mine.py", cwd=tmp_path)
    assert done.returncode == 2
    assert is_one_line(done.stderr) and words in done.stderr
