"""`microgpt train`: the script's output to the byte, the log, and what was asked for beside it."""

import json
import os
from importlib.util import find_spec

import pytest
from cli_program import DOCUMENTS, TINY, is_one_line, lines_of, microgpt, write_documents
from recording import GOLDEN, same_libm

from microgpt.checkpoint import FILE_NAME, load
from microgpt.cli import main
from microgpt.commands.lossplot import running_mean
from microgpt.trainer import Trainer

with_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is an extra")


@pytest.fixture
def documents(tmp_path):
    return write_documents(tmp_path)


def read_log(path):
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


# ---- the script's run ----


@same_libm
def test_without_options_it_prints_what_the_script_prints_byte_for_byte(tmp_path):
    run = microgpt("train", "--log", "log.jsonl", cwd=tmp_path)
    assert run.stdout == "".join(line + os.linesep for line in GOLDEN["stdout"])
    assert run.stderr == "training on the names that come with microgpt\n"
    assert run.returncode == 0
    log = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in log] == list(range(1, 1001))
    assert [line["loss"].hex() for line in log] == GOLDEN["losses"]
    assert all(list(line) == ["step", "loss"] for line in log)


def test_input_txt_of_the_working_directory_comes_before_the_embedded_names(tmp_path):
    (tmp_path / "input.txt").write_text("ab\nba\n\nabba\n")
    run = microgpt("train", "--steps", 3, cwd=tmp_path)
    lines = lines_of(run.stdout)
    assert lines[:3] == ["num docs: 3", "vocab size: 3", "num params: 3424"]
    assert [line.split(" | ")[0] for line in lines[3:6]] == [f"step    {i} /    3" for i in (1, 2, 3)]
    assert lines[6:8] == ["", "--- inference (new, hallucinated names) ---"]
    assert [line.partition(":")[0] for line in lines[8:]] == [f"sample {i:2d}" for i in range(1, 21)]
    assert run.stderr == f"training on {tmp_path / 'input.txt'}\n"


def test_every_option_reaches_the_run(tmp_path, documents):
    run = microgpt(
        *("train", "--data", documents, "--steps", 5, "--seed", 9, "--n-layer", 2, "--n-embd", 6, "--n-head", 3),
        *("--block-size", 5, "--lr", 0.02, "--schedule", "cosine", "--batch-size", 2, "--clip-norm", 0.5),
        *("--holdout", 2, "--threads", 2, "--out", "run", "--samples", 2, "--temperature", 0.9),
        cwd=tmp_path,
    )
    assert (run.returncode, run.stderr) == (0, "")
    kept = load(tmp_path / "run")
    config = kept.config
    assert (config.n_layer, config.n_embd, config.n_head, config.block_size) == (2, 6, 3, 5)
    settings = {"num_steps": 5, "lr": 0.02, "schedule": "cosine", "batch_size": 2, "clip_norm": 0.5, "holdout": 2}
    assert kept.settings == {"seed": 9, **settings}
    trainer = Trainer(DOCUMENTS, None, config, 9, **settings)
    losses = trainer.train()
    expected = [f"step {i:4d} /    5 | loss {loss:.4f}" for i, loss in enumerate(losses, 1)]
    expected += ["", "--- inference (new, hallucinated names) ---"]
    expected += [f"sample {i:2d}: {trainer.sample(0.9)}" for i in (1, 2)]
    assert lines_of(run.stdout)[3:] == expected


def test_no_steps_and_no_samples_are_a_run_too(tmp_path, documents):
    run = microgpt("train", "--data", documents, "--steps", 0, "--samples", 0, cwd=tmp_path)
    assert lines_of(run.stdout)[3:] == ["", "--- inference (new, hallucinated names) ---"]


def test_letters_that_the_terminal_cannot_show_are_escaped(tmp_path):
    write_documents(tmp_path, ["é"] * 3)
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = microgpt("train", "--data", "documents.txt", "--steps", 30, "--lr", 0.1, cwd=tmp_path, env=env)
    assert (run.returncode, run.stderr) == (0, "")
    assert "\\xe9" in run.stdout


# ---- looking at held-out documents ----


def test_evaluations_stand_between_the_steps_and_in_the_log(tmp_path, documents):
    options = ["--data", documents, "--steps", 7, *TINY]
    plain = microgpt("train", *options, "--holdout", 3, cwd=tmp_path)
    run = microgpt("train", *options, "--holdout", 3, "--eval-every", 3, "--log", "log", cwd=tmp_path)
    lines = lines_of(run.stdout)
    seen = [line for line in lines if "held-out" in line]
    assert [line.split(" | ")[0] for line in seen] == ["step    3 /    7", "step    6 /    7"]
    assert [line for line in lines if "held-out" not in line] == lines_of(plain.stdout)
    evaluated = {line["step"]: line["eval_loss"] for line in read_log(tmp_path / "log") if "eval_loss" in line}
    assert list(evaluated) == [3, 6]
    assert [f"held-out loss {loss:.4f}" for loss in evaluated.values()] == [line.split(" | ")[1] for line in seen]


def test_a_tenth_of_the_documents_is_held_out_for_evaluations(tmp_path):
    write_documents(tmp_path, [f"{number:b}" for number in range(100)])
    options = ["--data", "documents.txt", "--steps", 2, "--eval-every", 1, "--out", "run", *TINY]
    assert microgpt("train", *options, cwd=tmp_path).returncode == 0
    assert load(tmp_path / "run").settings["holdout"] == 10


# ---- stopping and resuming ----


def test_a_finished_run_resumed_generates_the_same_again(tmp_path, documents):
    run = microgpt("train", "--data", documents, "--steps", 3, "--out", "run", *TINY, cwd=tmp_path)
    again = microgpt("train", "--resume", "run", cwd=tmp_path)
    assert lines_of(again.stdout) == lines_of(run.stdout)[6:]


def test_the_log_of_a_resumed_run_loses_what_was_taken_back(tmp_path, documents):
    microgpt("train", "--data", documents, "--steps", 4, "--schedule", "constant", "--out", "run", *TINY, cwd=tmp_path)
    log = tmp_path / "log"
    log.write_text('{"step": 3, "loss": 1.5}\n{"step": 4, "loss": 1.25}\n{"step": 5, "loss": 7.0}\n{"step": 6, "lo')
    run = microgpt("train", "--resume", "run", "--steps", 6, "--log", "log", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert [line["step"] for line in read_log(log)] == [3, 4, 5, 6]
    assert [line["loss"] for line in read_log(log)][:2] == [1.5, 1.25]
    assert 7.0 not in [line["loss"] for line in read_log(log)]


def test_the_embedded_names_are_found_again(tmp_path):
    assert microgpt("train", "--steps", 2, "--out", "run", *TINY, cwd=tmp_path).returncode == 0
    (tmp_path / "input.txt").write_text("other\n")
    again = microgpt("train", "--resume", "run", "--steps", 3, cwd=tmp_path)
    assert again.returncode == 0, again.stderr


def test_a_resumed_run_can_be_kept_elsewhere_and_by_the_name_of_its_file(tmp_path, documents):
    microgpt("train", "--data", documents, "--steps", 2, "--out", "old", *TINY, cwd=tmp_path)
    before = (tmp_path / "old" / FILE_NAME).read_bytes()
    run = microgpt("train", "--resume", f"old/{FILE_NAME}", "--steps", 4, "--out", "new", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "old" / FILE_NAME).read_bytes() == before
    assert load(tmp_path / "new").step == 4


def test_checkpoints_come_as_often_as_asked_for(here, monkeypatch):
    """An alarm in the place of the disk: the number of times that a checkpoint takes its name."""
    real, seen = os.replace, []
    monkeypatch.setattr(os, "replace", lambda *names: (seen.append(names), real(*names)))
    assert main(["train", "--data", "documents.txt", "--steps", "10", "--save-every", "4", "--out", "run", *TINY]) == 0
    assert len(seen) == 4  # at the start, after 4, after 8, at the end


# ---- the picture ----


@with_matplotlib
def test_plot_makes_a_picture(tmp_path, documents):
    options = ["--data", documents, "--steps", 30, "--holdout", 2, "--eval-every", 10, *TINY]
    run = microgpt("train", *options, "--plot", "loss.png", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert microgpt("train", *options, "--plot", "loss.svg", cwd=tmp_path).returncode == 0
    assert b"<svg" in (tmp_path / "loss.svg").read_bytes()


def test_running_mean_looks_back_over_its_window():
    assert running_mean([1.0, 2.0, 3.0, 4.0], 2) == [1.0, 1.5, 2.5, 3.5]
    assert running_mean([5.0, 7.0], 10) == [5.0, 6.0]
    assert running_mean([], 3) == []


def test_plot_without_matplotlib_says_so_before_training(tmp_path, documents):
    (tmp_path / "hidden").mkdir()
    blocker = "import sys; sys.modules['matplotlib'] = None\n"
    (tmp_path / "hidden" / "sitecustomize.py").write_text(blocker)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")])}
    run = microgpt("train", "--data", documents, "--plot", "loss.png", cwd=tmp_path, env=env)
    assert run.returncode == 2
    assert run.stdout == ""
    assert is_one_line(run.stderr)
    assert "pip install 'microgpt-engine[plot]'" in run.stderr
