"""Links, pipes, devices, forged checkpoints and logs: what is no regular file of ours is refused, nothing is lost."""

import json
import os
import stat

import pytest
from cli_program import TINY, is_one_line, lines_of, microgpt, refusal

from microgpt import checkpoint, files
from microgpt.checkpoint import FILE_NAME, load, save
from microgpt.cli import main

TRAIN = ["train", "--data", "documents.txt", "--samples", "0"]
with_links = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files on this system")


@pytest.fixture
def here(here):
    """A folder with documents, and a run of two steps in `run`."""
    assert main([*TRAIN, "--steps", "2", "--out", "run", *TINY]) == 0
    return here


# ---- temporary names ----


@with_links
def test_nobody_can_know_the_temporary_name(here):
    (here / "new").mkdir()
    (here / "victim").write_bytes(b"mine")
    os.mkfifo(here / "new" / f"{FILE_NAME}.tmp")
    os.symlink("../victim", here / "new" / f"{FILE_NAME}.tmp2")
    run = microgpt(*TRAIN, "--steps", 2, "--out", "new", *TINY, cwd=here)
    assert (run.returncode, run.stderr) == (0, "")
    assert load(here / "new").step == 2
    assert (here / "victim").read_bytes() == b"mine"


@with_links
def test_a_temporary_file_is_never_opened_through_a_link(here, monkeypatch):
    monkeypatch.setattr(files.os, "urandom", bytes)  # as if somebody could guess it
    (here / "victim").write_bytes(b"mine")
    os.symlink("../victim", here / "run" / f"{files.TEMPORARY}{'00' * 8}")
    with pytest.raises(OSError, match="File exists"):
        files.replace_file(str(here / "run" / "other"), b"content")
    assert (here / "victim").read_bytes() == b"mine"


# ---- links, modes, and what is no regular file ----


@with_links
def test_a_checkpoint_that_is_a_link_stays_one_and_its_target_is_written(here):
    (here / "elsewhere").mkdir()
    os.rename(here / "run" / FILE_NAME, here / "elsewhere" / "kept")
    os.symlink("../elsewhere/kept", here / "run" / FILE_NAME)
    assert main(["train", "--resume", "run", "--steps", "4"]) == 0
    assert (here / "run" / FILE_NAME).is_symlink()
    assert load(here / "elsewhere" / "kept").step == 4
    assert [path.name for path in (here / "elsewhere").iterdir()] == ["kept"]


@pytest.mark.skipif(os.name != "posix", reason="modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_the_mode_of_a_checkpoint_stays(here, mode):
    path = here / "run" / FILE_NAME
    path.chmod(mode)
    assert main(["train", "--resume", "run", "--steps", "4"]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == mode


@with_links
@pytest.mark.parametrize("option", ["--log", "--plot"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_file_to_be_written_must_be_a_regular_one(here, capsys, option, kind):
    pytest.importorskip("matplotlib")
    path = here / "out.png"
    os.mkfifo(path) if kind == "pipe" else os.symlink("/dev/null", path)
    before = path.lstat().st_ino
    assert "out.png: not a regular file" in refusal(capsys, *TRAIN, "--steps", 2, option, "out.png", *TINY)
    assert path.lstat().st_ino == before


@with_links
@pytest.mark.parametrize("command", [["train", "--resume"], ["sample", "--from"], ["info"], ["train", "--init-from"]])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_checkpoint_to_be_read_must_be_a_regular_file(here, capsys, command, kind):
    (here / "run" / FILE_NAME).unlink()
    path = here / "run" / FILE_NAME
    os.mkfifo(path) if kind == "pipe" else os.symlink("/dev/zero", path)
    assert "not a regular file" in refusal(capsys, *command, "run")
    assert "not a regular file" in refusal(capsys, *command, path)


@with_links
def test_a_checkpoint_replaced_by_a_pipe_while_training_is_not_written(here):
    path = here / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        save(str(path), load("run"))
    assert stat.S_ISFIFO(path.stat().st_mode)


# ---- forged checkpoints ----

NOTES = [
    *({"source": 5}, {"source": ["x"]}, {"temperature": "hot"}, {"temperature": -1}),
    *({"temperature": float("nan")}, {"save_every": 0}, {"save_every": "1"}, {"eval_every": 1.5}, {"samples": -1}),
    *({"samples": True}, {"cut": 3}, {"cut": [1, 2]}, {"best": [0, 1]}, {"best": "x"}, {"since_best": {}}),
    *({"keep_best": 1}, {"patience": 0}, {"source": {"http": 1}}),
]
SETTINGS = [
    *({"lr": "x"}, {"lr": -1}, {"seed": 1.5}, {"num_steps": "9"}, {"num_steps": -1}, {"schedule": 5}, {"lr": None}),
    *({"batch_size": 0}, {"clip_norm": []}, {"holdout": 10**13}, {"dropout": 0.5}, {"schedule": "wild"}),
]


def forge(folder, **fields):
    kept = load(folder)
    for name, value in fields.items():
        setattr(kept, name, value)
    save(checkpoint.checkpoint_file(folder), kept)


@pytest.mark.parametrize("notes", NOTES, ids=json.dumps)
def test_notes_of_a_checkpoint_are_not_believed(here, capsys, notes):
    forge("run", notes={**load("run").notes, **notes})
    assert "unexpected notes: " in refusal(capsys, "train", "--resume", "run", "--steps", "4")
    assert "unexpected notes" in refusal(capsys, "info", "run")


@pytest.mark.parametrize("settings", SETTINGS, ids=json.dumps)
def test_settings_of_a_checkpoint_are_not_believed(here, capsys, settings):
    forge("run", settings={**load("run").settings, **settings})
    for command in (["train", "--resume"], ["sample", "--from"], ["info"]):
        assert "settings unknown to this version: " in refusal(capsys, *command, "run")


@pytest.mark.parametrize("step", [-1, 10**13, "9" * 5000])
def test_the_step_of_a_checkpoint_is_not_believed(here, capsys, step):
    forge("run", step=step)
    assert FILE_NAME in refusal(capsys, "info", "run")


def test_the_names_in_a_checkpoint_cannot_move_the_cursor(here, capsys):
    forge("run", notes={"source": "a\x1b[2Jb\u202ec"})
    capsys.readouterr()
    assert main(["info", "run"]) == 0
    assert "a\\x1b[2Jb\\u202ec" in capsys.readouterr().out
    assert "\\x1b" in refusal(capsys, "train", "--resume", "run", "--steps", "3")


# ---- logs ----


@pytest.mark.parametrize(
    "line",
    [
        b'{"step": 1, "loss": 1' + b"0" * 400 + b"}",
        b'{"step": 1' + b"0" * 400 + b', "loss": 1}',
        b"[" * 200_000,
        b'{"step": 1, "loss": "x"}',
        b'{"step": 1.5, "loss": 1}',
        b'{"step": [], "loss": 1}',
        b'{"step": true, "loss": 1}',
        b"5",
        b"null",
        b"\xff\xfe",
        b"x" * 5000,
    ],
)
def test_a_log_that_is_none_is_refused_with_its_line(here, capsys, line):
    (here / "log").write_bytes(line + b"\n")
    told = refusal(capsys, "train", "--resume", "run", "--steps", 4, "--log", "log")
    assert "log: line 1 does not belong to such a log" in told
    assert (here / "log").read_bytes() == line + b"\n"


# ---- the instruction set ----


@pytest.mark.parametrize("command", [["train"], ["sample", "--from", "run"], ["info"], ["bench", "--quick"]])
def test_an_instruction_set_that_is_none_is_one_line_with_those_there_are(here, command):
    run = microgpt(*command, cwd=here, env={**os.environ, "MICROGPT_ISA": "nonsense"})
    assert run.returncode == 2
    assert is_one_line(run.stderr), run.stderr
    assert "MICROGPT_ISA=nonsense: this machine has baseline" in run.stderr


# ---- data ----


def test_standard_input_is_read_where_a_dash_stands(here):
    content = (here / "documents.txt").read_bytes()
    plain = microgpt(*TRAIN, "--steps", 3, *TINY, cwd=here)
    run = microgpt("train", "--data", "-", "--samples", 0, "--steps", 3, "--out", "new", *TINY, cwd=here, input=content)
    assert (run.returncode, run.stdout, run.stderr) == (0, plain.stdout, "")
    again = microgpt("train", "--resume", "new", "--steps", 4, cwd=here)
    assert again.returncode == 2
    assert "came from -: give it again, with --data" in again.stderr
    again = microgpt("train", "--resume", "new", "--steps", 4, "--data", "-", cwd=here, input=content)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"\0"])
def test_standard_input_without_documents_is_refused(here, content):
    run = microgpt("train", "--data", "-", cwd=here, input=content)
    assert run.returncode == 2
    assert is_one_line(run.stderr)
    assert "standard input: " in run.stderr


def test_standard_input_beyond_the_limit_is_refused(here):
    run = microgpt("train", "--data", "-", "--data-limit", 1, cwd=here, input=b"abc\n" * 300_000)
    assert run.returncode == 2
    assert run.stderr == "microgpt train: standard input: larger than 1,048,576 bytes\n"


def test_a_byte_order_mark_is_told_and_is_no_letter(here):
    (here / "documents.txt").write_text("\ufeffada\nbob\n", encoding="utf-8")
    run = microgpt(*TRAIN, "--steps", 1, "--out", "new", *TINY, cwd=here)
    assert lines_of(run.stdout)[1] == "vocab size: 5"
    assert run.stderr == (
        "documents.txt: invisible characters at the edges of 1 lines are left out (byte order marks and such)\n"
    )
    assert load(here / "new").tokenizer.characters == "abdo"


def test_documents_that_are_cut_are_told_and_stand_in_info(here):
    (here / "documents.txt").write_text("abcdef\nab\nabc\nabcdefgh\n", encoding="utf-8")
    told = "2 of 4 documents are longer than --block-size 4 and cut there: 32 % of all letters are never seen\n"
    run = microgpt(*TRAIN, "--steps", 1, "--holdout", 2, "--out", "new", *TINY, cwd=here)
    assert (run.returncode, run.stderr) == (0, told)
    info = microgpt("info", "new", cwd=here).stdout
    assert "2 documents, longer than block_size: 32 % of all letters are never seen" in info
    assert microgpt(*TRAIN, "--steps", 1, *TINY[:-1], 8, cwd=here).stderr == ""
