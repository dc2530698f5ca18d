"""The start of the program: a plain run imports nothing it does not need, and options mean the same however read."""

import pytest
from cli_program import TINY, write_documents
from processes import imported_by

from microgpt.cli import main
from microgpt.commands import sample, train
from microgpt.commands.options import read_pairs
from microgpt.commands.parser import parser_of

SLOW = {"argparse", "dataclasses", "inspect", "typing", "json", "hashlib", "rich", "safetensors", "urllib", "gettext"}
MAIN = "from microgpt.cli import main; main(sys.argv[1:])"


@pytest.mark.parametrize("arguments", [["train", "--steps", "2"], ["train", "--data", "documents.txt", "--lr", "0.1"]])
def test_a_plain_run_imports_nothing_slow(tmp_path, arguments):
    write_documents(tmp_path)
    found = imported_by(MAIN, *arguments, cwd=tmp_path)
    assert not found & SLOW
    assert "microgpt._fused" in found and "microgpt.checkpoint" not in found


def test_the_version_needs_no_module_that_is_compiled(tmp_path):
    found = imported_by(MAIN, "--version", cwd=tmp_path)
    assert not found & (SLOW | {"microgpt._engine", "microgpt._fused", "microgpt.commands.train"})


ARGUMENTS = [
    [],
    ["--steps", "5", "--lr", "0.5", "--schedule", "cosine"],
    ["--data", "x", "--out", "run", "--temperature", "0", "--threads", "2", "--seed", "7"],
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_options_that_are_read_quickly_are_those_of_argparse(arguments):
    every = [option for group in train.GROUPS.values() for option in group]
    quick = vars(read_pairs(every, arguments))
    slow = vars(parser_of({"train": train}).parse_args(["train", *arguments]))
    assert slow == {**quick, "command": "train"}


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--steps"], ["--steps", "x"], ["--steps", "-1"], ["--steps=5"], ["--keep-best"], ["--data", "-"], ["-h"]),
        *(["names.txt"], ["--fly", "5"], ["--steps", "5", "--lr"], ["--data", "--out"]),
    ],
)
def test_all_that_is_not_plain_is_left_to_argparse(arguments):
    assert read_pairs([option for group in train.GROUPS.values() for option in group], arguments) is None


def test_a_required_option_that_is_missing_is_left_to_argparse():
    assert read_pairs(sample.GROUPS[""], ["--num", "5"]) is None


def test_the_same_option_twice_counts_the_last_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_documents(tmp_path)
    for steps in (["--steps", "9", "--steps", "2"], ["--steps=9", "--steps=2"]):
        assert main(["train", "--data", "documents.txt", *TINY, *steps]) == 0
        assert capsys.readouterr().out.count("step ") == 2
