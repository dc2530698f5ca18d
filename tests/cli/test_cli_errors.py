"""Whatever is wrong is one line on standard error and exit status 2, and nothing that existed is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_program import TINY, is_one_line, microgpt, started

from microgpt.checkpoint import FILE_NAME
from microgpt.cli import main

not_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
has_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")


@pytest.fixture
def here(here):
    """With a run in `run`, and files that are of no use."""
    (here / "folder").mkdir()
    (here / "empty.txt").write_bytes(b" \n\n")
    (here / "latin.txt").write_bytes(b"h\xe9l\xe8ne\n")
    (here / "binary").write_bytes(b"\x00\x01\x02")
    (here / "other.txt").write_text("xyz\n")
    assert main(["train", "--data", "documents.txt", "--steps", "2", "--samples", "0", "--out", "run", *TINY]) == 0
    return here


def everything_in(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(capsys, folder, *arguments):
    """What a command says that must be refused: one line, and no file is another than before."""
    capsys.readouterr()
    before = everything_in(folder)
    status = main([str(argument) for argument in arguments])
    stderr = capsys.readouterr().err
    assert status == 2
    assert is_one_line(stderr), stderr
    assert stderr.startswith("microgpt")
    assert everything_in(folder) == before
    return stderr


TRAIN = ["train", "--data", "documents.txt", "--steps", "3"]

TABLE = [
    (["fly"], "invalid choice: 'fly'"),
    (["--fly"], "unknown: --fly (see microgpt --help)"),
    (["train", "--fly"], "unknown: --fly (see microgpt train --help)"),
    (["train", "--step", "3"], "unknown: --step 3"),
    (["train", "names.txt"], "unknown: names.txt"),
    (["train", "--steps"], "--steps: expected one argument"),
    (["train", "--steps", "-1"], "--steps must be at least 0, not -1"),
    (["train", "--steps", "many"], "--steps must be an integer, not 'many'"),
    (["train", "--steps", "1.5"], "--steps must be an integer, not "),
    (["train", "--steps", "9" * 5000], "--steps must be an integer, not "),
    (["train", "--steps", "9" * 30], "--steps must be at most 1000000000000"),
    (["train", "--samples", "-1"], "--samples must be at least 0"),
    (["train", "--seed", "x"], "--seed must be an integer, not 'x'"),
    (["train", "--n-embd", "0"], "--n-embd must be at least 1"),
    (["train", "--n-layer", "-2"], "--n-layer must be at least 1"),
    ([*TRAIN, "--n-embd", "10"], "n_embd must be a multiple of n_head, but 10 is none of 4"),
    ([*TRAIN, "--n-embd", "1000000", "--n-layer", "1000000"], "parameters needs"),
    ([*TRAIN, "--n-layer", "1000000000000"], "of memory, but only"),
    ([*TRAIN, "--block-size", "1000000000000"], "of memory, but only"),
    (["train", "--temperature", "-1"], "--temperature must be a number of at least 0"),
    (["train", "--temperature", "nan"], "--temperature must be a number of at least 0"),
    (["train", "--temperature", "warm"], "--temperature must be a number, not 'warm'"),
    (["train", "--lr", "0"], "--lr must be a number above 0"),
    (["train", "--lr", "inf"], "--lr must be a number above 0"),
    (["train", "--schedule", "wild"], "--schedule must be one of linear, cosine, constant, not 'wild'"),
    ([*TRAIN, "--batch-size", "9"], "9 documents a step, but there are 8"),
    ([*TRAIN, "--holdout", "8"], "leave none to train on"),
    ([*TRAIN, "--eval-every", "1", "--holdout", "0"], "--holdout 0 leaves none"),
    (["train", "--data", "empty.txt"], "empty.txt: no documents"),
    (["train", "--data", "latin.txt"], "latin.txt: not a text file in UTF-8 (byte 1)"),
    (["train", "--data", "binary"], "binary: not a text file"),
    (["train", "--data", "nothing.txt"], "nothing.txt: No such file"),
    (["train", "--data", "folder"], "folder: Is a directory"),
    (["train", "--data", "http://127.0.0.1:9/names.txt"], "refused"),
    (["train", "--data", "http://"], "http://"),
    (["train", "--data", ""], "No such file"),
    ([*TRAIN, "--out", "run"], "--out run: holds a checkpoint already; go on with it by --resume run"),
    ([*TRAIN, "--out", "documents.txt"], "documents.txt"),
    ([*TRAIN, "--out", "documents.txt/run"], "documents.txt"),
    ([*TRAIN, "--log", "other.txt"], "--log other.txt: this file is not empty"),
    ([*TRAIN, "--log", "folder"], "folder: Is a directory"),
    ([*TRAIN, "--log", "nowhere/log"], "nowhere/log: No such file"),
    (["train", "--resume", "nothing"], "nothing: No such file"),
    (["train", "--resume", "folder"], "folder/checkpoint.safetensors: No such file"),
    (["train", "--resume", "documents.txt"], "documents.txt: not a checkpoint"),
    (["train", "--resume", "run", "--data", "other.txt"], "vocabulary"),
    (["train", "--resume", "run", "--n-embd", "8"], "--n-embd 8: the run in run has 4"),
    (["train", "--resume", "run", "--seed", "8"], "--seed 8: the run in run has 42"),
    (["train", "--resume", "run", "--eval-every", "1"], "the run in run held out no documents"),
    (["train", "--resume", "run", "--steps", "1"], "2 steps are already done"),
    (["train", "--resume", "run", "--log", "other.txt"], "--log other.txt: line 1 does not belong to such a log"),
    (["sample"], "required: --from"),
    (["sample", "--from", "nothing"], "nothing: No such file"),
    (["sample", "--from", "other.txt"], "other.txt: not a checkpoint"),
    (["sample", "--from", "run", "--temperature", "1e-320"], "--temperature must be 0 or at least 6e-309, not 1e-320"),
    (["sample", "--from", "run", "--top-k", "0"], "--top-k must be at least 1"),
    (["sample", "--from", "run", "--num", "-1"], "--num must be at least 0"),
    (["sample", "--from", "run", "--prompt", "bob!"], "--prompt 'bob!': not in the vocabulary: '!'"),
    (["sample", "--from", "run", "--prompt", "bobo"], "--prompt: 4 letters, but the model's context is 4"),
    (["info", "other.txt"], "other.txt: not a checkpoint"),
    (["info", "nothing"], "nothing: No such file"),
]


@pytest.mark.parametrize(("arguments", "complaint"), TABLE, ids=[" ".join(row[0])[:60] for row in TABLE])
def test_what_is_wrong_is_said_in_one_line(here, capsys, arguments, complaint):
    assert complaint in refused(capsys, here, *arguments)


@pytest.mark.parametrize("name", ["loss", "loss.xyz", "nowhere/loss.png", "folder.png"])
def test_a_picture_that_cannot_be_made_is_refused_before_training(here, capsys, name):
    pytest.importorskip("matplotlib")
    (here / "folder.png").mkdir()
    assert f"--plot {name}: " in refused(capsys, here, *TRAIN, "--plot", name)


@pytest.mark.parametrize("command", [["train", "--resume"], ["sample", "--from"], ["info"]])
@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_checkpoint_is_refused(here, capsys, command, damage):
    path = here / "run" / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[:-100] if damage == "cut" else content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert "cut short or altered" in refused(capsys, here, *command, "run")


@not_root
def test_a_folder_that_cannot_be_written_is_refused(here, capsys):
    (here / "folder").chmod(0o500)
    try:
        assert "folder" in refused(capsys, here, *TRAIN, "--out", "folder/run")
    finally:
        (here / "folder").chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder in which even root can make nothing")
@pytest.mark.parametrize("option", ["--out", "--log"])
def test_a_place_where_nothing_can_be_made_is_refused(here, capsys, option):
    assert "/proc/run" in refused(capsys, here, *TRAIN, option, "/proc/run")


@pytest.mark.parametrize("lr", ["1e155", "1e300"])
@pytest.mark.parametrize("often", [[], ["--save-every", "1"]])
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(here, capsys, lr, often):
    """The step whose loss is none; or the one before, if its parameters were to be saved."""
    capsys.readouterr()
    status = main([*TRAIN[:-1], "50", "--lr", lr, "--schedule", "constant", "--out", "new", *often, *TINY])
    out, err = capsys.readouterr()
    assert status == 2
    assert is_one_line(err)
    last = int([line for line in out.splitlines() if line.startswith("step ")][-1].split()[1])
    assert f"step {last if often else last + 1}: " in err
    assert f"the last checkpoint in new is of step {last - 1 if often else 0}" in err
    assert main(["info", "new"]) == 0


# ---- full disks ----


@has_full_device
@pytest.mark.parametrize("command", [TRAIN, ["sample", "--from", "run", "--seed", "1"], ["info"], ["--help"]])
def test_standard_output_on_a_full_disk_is_one_line(here, command):
    with open("/dev/full", "wb") as full:
        run = microgpt(*command, cwd=here, stdout=full)
    assert run.returncode == 2
    assert is_one_line(run.stderr), run.stderr
    assert "No space left" in run.stderr


def with_little_room(here, limit, *arguments):
    """Run a command; the limit for the size of a file stands for the disk: what is above it cannot be written."""
    resource = pytest.importorskip("resource")
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
    run = microgpt(*arguments, cwd=here, **limits)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    return run


def test_a_log_on_a_full_disk_is_named_and_the_run_is_saved(here):
    options = ["--steps", 5000, "--log", "log", "--out", "new", *TINY]
    run = with_little_room(here, 40_000, *TRAIN[:3], *options)
    assert run.stderr.splitlines()[-1].startswith(
        "microgpt train: log: File too large; the last checkpoint in new is of"
    )
    assert main(["info", "new"]) == 0


def test_a_disk_that_fills_up_keeps_the_last_checkpoint_and_names_it_after_the_samples(here):
    before = (here / "run" / FILE_NAME).read_bytes()
    run = with_little_room(here, len(before) // 2, *("train", "--resume", "run", "--steps", 9, "--samples", 3))
    complaint = f"microgpt train: run/{FILE_NAME}: File too large; the last checkpoint in run is of step 2"
    assert run.stderr.splitlines()[-1] == complaint
    assert everything_in(here / "run") == {here / "run" / FILE_NAME: before}
    assert [line.partition(":")[0] for line in run.stdout.splitlines()[-3:]] == ["sample  1", "sample  2", "sample  3"]


# ---- two at once, and no streams ----


def test_two_cannot_train_into_one_folder(here):
    pytest.importorskip("fcntl")
    first = started("train", "--resume", "run", "--steps", 10**7, cwd=here, stderr=subprocess.DEVNULL)
    try:
        assert first.stdout.read(10)  # it is under way
        second = microgpt("train", "--resume", "run", "--steps", 10**7, cwd=here)
        assert second.returncode == 2
        assert is_one_line(second.stderr)
        assert "another microgpt is training into this folder" in second.stderr
    finally:
        first.kill()
        first.communicate()


@pytest.mark.skipif(os.name != "posix", reason="shell redirections")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_are_no_reason_to_fail(here, closed):
    (here / "input.txt").write_bytes((here / "documents.txt").read_bytes())  # so that there is something to note
    command = f'"{sys.executable}" -m microgpt train --steps 3 {" ".join(TINY)}'
    plain = subprocess.run(["sh", "-c", command], cwd=here, capture_output=True, text=True)
    run = subprocess.run(["sh", "-c", f"{command} {closed}"], cwd=here, capture_output=True, text=True)
    assert run.returncode == 0
    assert run.stdout == ("" if closed.startswith(">") else plain.stdout)
    assert run.stderr == ("" if "2>" in closed else plain.stderr)
