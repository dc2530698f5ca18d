"""`microgpt sweep` as people use it: what it writes, how it goes on, and the line that each wrong input gets."""

import json
import os

import pytest
from cli_program import DOCUMENTS, TINY, is_one_line, microgpt
from sweeping import results, untimed

from microgpt import __version__
from microgpt.checkpoint import load
from microgpt.cli import main
from microgpt.sweeps import Space

SMALL = ["--data", "documents.txt", "--jobs", "1", *TINY]
SWEEP = ["sweep", *SMALL, "--seed", "0:3", "--lr", "0.01,0.1", "--steps", "5"]


@pytest.fixture
def swept(here, capsys):
    """A sweep of six runs in `swept`, and files that are none."""
    assert main([*SWEEP, "--out", "swept"]) == 0
    (here / "other.txt").write_text("xyz\nabc\n")
    (here / "one.txt").write_text("a\n")
    (here / "runs").mkdir()
    (here / "runs" / "runs.jsonl").write_text('{"run": 0}\n')
    (here / "strange").mkdir()
    (here / "strange" / "sweep.json").write_text('{"format": "microgpt sweep 1"}')
    (here / "older").mkdir()
    (here / "older" / "sweep.json").write_text('{"format": "microgpt sweep 0"}')
    (here / "damaged").mkdir()
    (here / "damaged" / "sweep.json").write_bytes((here / "swept" / "sweep.json").read_bytes())
    (here / "damaged" / "runs.jsonl").write_text('{"run": 0}\n{"run": 0}\n')
    another = json.loads((here / "swept" / "sweep.json").read_text())
    (here / "version").mkdir()
    (here / "version" / "sweep.json").write_text(json.dumps({**another, "microgpt": "0.0.1"}))
    for name, text in TOML.items():
        (here / f"{name}.toml").write_text(text)
    capsys.readouterr()
    return here


TOML = {
    "unknown": "n-embedding = [8]\n",
    "typed": 'n-embd = "wide"\n',
    "table": "[model]\nn-embd = 8\n",
    "empty": "lr = []\n",
    "broken": "lr = = 3\n",
    "nested": "lr = [[0.1]]\n",
    "again": 'space = "again.toml"\n',
    "dates": "lr = 2020-01-01\n",
}


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


WRONG = [
    ([], "--out DIR is missing"),
    (["--n-embd", "0"], "--n-embd must be at least 1"),
    (["--n-embd", "8,-4"], "--n-embd must be at least 1"),
    (["--n-embd", "8,,16"], "--n-embd must be an integer, not ''"),
    (["--n-embd", "8..16"], "--n-embd: 8..16: expected FIRST"),
    (["--n-layer", "3:1"], "--n-layer: 3:1: no values"),
    (["--n-layer", "0:3"], "--n-layer must be at least 1"),
    (["--n-layer", "1:2:0"], "--n-layer: 1:2:0: no values"),
    (["--n-head", "x"], "--n-head must be an integer, not 'x'"),
    (["--block-size", "1.5"], "--block-size must be an integer"),
    (["--steps", "0:10000000000"], "too many values"),
    (["--steps", "-5"], "--steps must be at least 0"),
    (["--lr", "0.1..0:log:3"], "--lr must be a number above 0"),
    (["--lr", "0.1..0.2:log:1"], "a count from 2"),
    (["--lr", "0.1..0.2:cubic:3"], "--lr: 0.1..0.2:cubic:3: expected FIRST"),
    (["--lr", "fast"], "--lr must be a number, not 'fast'"),
    (["--lr", "inf"], "--lr must be a number above 0"),
    (["--schedule", "linear,wild"], "--schedule must be one of linear, cosine, constant, not 'wild'"),
    (["--schedule", "linear..cosine:log:2"], "--schedule: linear..cosine:log:2: a scale has two numbers"),
    (["--clip-norm", "-1"], "--clip-norm must be a number above 0"),
    (["--batch-size", "1,9"], "takes 9 documents; the data has 8"),
    (["--holdout", "8"], "to hold out 8 and train on 1 a step takes 9 documents; the data has 8"),
    (["--objective", "holdout"], "--objective holdout needs --holdout"),
    (["--objective", "beauty"], "--objective must be one of"),
    (["--keep", "some"], "--keep must be one of"),
    (["--jobs", "0"], "--jobs must be at least 1"),
    (["--random", "0"], "--random must be at least 1"),
    (["--random", "7", "--seed", "0:3", "--lr", "0.1,0.2"], "7 combinations cannot be drawn from 6"),
    (["--seed", "0:1000", "--lr", "0.1..0.2:linear:1000"], "1,000,000 runs: --yes allows so many"),
    (["--n-head", "3"], "n_embd must be a multiple of n_head"),
    (["--n-embd", "4000000", "--n-layer", "1000"], "of memory, but only"),
    (["--threads", "2"], "unknown: --threads"),
    (["--fly"], "unknown: --fly"),
    (["--data", "nothing.txt"], "nothing.txt: No such file"),
    (["--data", "one.txt", "--batch-size", "2"], "takes 2 documents; the data has 1"),
    (["--space", "nothing.toml"], "nothing.toml: No such file"),
    (["--space", "unknown.toml"], "unknown.toml: unknown: --n-embedding"),
    (["--space", "typed.toml"], "typed.toml: --n-embd must be an integer, not 'wide'"),
    (["--space", "table.toml"], "table.toml: model: expected a number, a text or a list of these"),
    (["--space", "empty.toml"], "empty.toml: lr: expected a number, a text or a list of these"),
    (["--space", "broken.toml"], "sweep: broken.toml: not TOML"),
    (["--space", "nested.toml"], "sweep: nested.toml: lr: expected a number, a text or a list"),
    (["--space", "again.toml"], "sweep: again.toml: space: a file of options cannot name another"),
    (["--space", "dates.toml"], "dates.toml: lr: expected a number, a text or a list"),
    (["--out", "swept", "--seed", "0:4"], "swept: holds a sweep of another search space (seed, steps, lr)"),
    (["--out", "swept", "--seed", "0:3", "--lr", "0.01,0.1", "--steps", "5", "--random", "3"], "the random draw"),
    (["--out", "swept", "--data", "other.txt"], "swept: holds a sweep over other documents"),
    (["--out", "documents.txt"], "documents.txt: File exists"),
    (["--out", "runs"], "runs: has runs.jsonl, but no sweep.json"),
    (["--out", "strange"], "not the description of a sweep"),
    (["--out", "older"], "of another version of microgpt (microgpt sweep 0)"),
    (["--out", "version"], f"started with microgpt 0.0.1, and this is {__version__}"),
    (
        ["--out", "damaged", "--seed", "0:3", "--lr", "0.01,0.1", "--steps", "5"],
        "runs.jsonl: line 2 does not belong to a sweep",
    ),
    (["--cluster", "tcp://127.0.0.1:9", "--jobs", "2"], "--jobs is for this machine"),
]


@pytest.mark.parametrize(("arguments", "complaint"), WRONG, ids=[" ".join(row[0])[:60] for row in WRONG])
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_lost(swept, capsys, arguments, complaint):
    before = contents(swept)
    out = [] if "--out" in arguments or not arguments else ["--out", "new"]
    assert main(["sweep", "--data", "documents.txt", *TINY, *arguments, *out]) == 2
    stderr = capsys.readouterr().err
    assert is_one_line(stderr), stderr
    assert stderr.startswith("microgpt sweep: ")
    assert complaint in stderr
    assert contents(swept) == before


def test_a_sweep_writes_a_line_a_run_what_it_is_and_its_best(here, capsys):
    assert main([*SWEEP, "--out", "swept", "--holdout", "2"]) == 0
    shown, said = capsys.readouterr()
    assert said == ""
    found = results(here / "swept")
    assert sorted(result["run"] for result in found) == list(range(6))
    assert {(result["seed"], result["lr"]) for result in found} == {(s, lr) for s in range(3) for lr in (0.01, 0.1)}
    best = min(found, key=lambda result: (result["holdout_loss"], result["run"]))
    assert shown.splitlines()[0] == "6 runs, the best by holdout_loss:"
    assert shown.splitlines()[2].split()[0] == str(best["run"])
    about = json.loads((here / "swept" / "sweep.json").read_text())
    assert about["microgpt"] == __version__ and about["documents"] == len(DOCUMENTS)
    kept = load("swept/best")
    assert (kept.settings["seed"], kept.settings["lr"], kept.step) == (best["seed"], best["lr"], 5)
    assert main(["sample", "--from", "swept/best", "--num", "2"]) == 0
    assert main(["train", "--resume", "swept/best", "--steps", "7", "--samples", "0"]) == 0


@pytest.mark.parametrize(("objective", "key"), [("loss", "loss"), ("seconds", "seconds"), ("holdout", "holdout_loss")])
def test_the_best_is_that_with_the_least(here, objective, key):
    assert main([*SWEEP, "--out", "swept", "--holdout", "2", "--objective", objective]) == 0
    found = results(here / "swept")
    best = min(found, key=lambda result: result[key])
    kept = load("swept/best").settings
    assert (kept["seed"], kept["lr"]) == (best["seed"], best["lr"])


@pytest.mark.parametrize("keep", ["all", "none"])
def test_keep_says_whose_checkpoints_are_written(here, keep):
    assert main([*SWEEP, "--out", "swept", "--keep", keep]) == 0
    there = {path.parent.relative_to(here / "swept").as_posix() for path in here.rglob("*.safetensors")}
    assert there == ({"best", *(f"runs/{number}" for number in range(6))} if keep == "all" else set())


def test_the_same_again_trains_what_is_missing(here, capsys):
    assert main([*SWEEP, "--out", "swept"]) == 0
    whole = (here / "swept" / "runs.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (here / "swept" / "runs.jsonl").write_bytes(b"".join(lines[:2]) + lines[3][:40])
    capsys.readouterr()
    assert main([*SWEEP, "--out", "swept"]) == 0
    assert "2 of 6 runs are already done" in capsys.readouterr().err
    again = results(here / "swept")
    assert (here / "swept" / "runs.jsonl").read_bytes().startswith(b"".join(lines[:2]))
    assert untimed(again) == untimed(map(json.loads, lines))


def test_a_toml_file_says_what_the_command_line_says(here):
    (here / "space.toml").write_text(
        'data = "documents.txt"\nn-embd = 4\nn_head = 2\nblock-size = [4]\nseed = "0:3"\nlr = [0.01, 0.1]\nsteps = 9\n'
        'keep = "none"\njobs = 1\nyes = true\ndry-run = false\n'
    )
    assert main([*SWEEP, "--out", "one"]) == 0
    assert main(["sweep", "--space", "space.toml", "--out", "two", "--steps", "5"]) == 0
    assert untimed(results(here / "one")) == untimed(results(here / "two"))
    assert not (here / "two" / "best").exists()


def test_a_random_draw_is_part_of_the_whole(here):
    assert main([*SWEEP, "--out", "all"]) == 0
    assert main([*SWEEP, "--out", "some", "--random", "3", "--random-seed", "1"]) == 0
    some, whole = untimed(results(here / "some")), untimed(results(here / "all"))
    assert len(some) == 3 and set(some) < set(whole)


def test_a_dry_run_counts_and_writes_nothing(here, capsys):
    before = contents(here)
    assert main([*SWEEP, "--dry-run", "--n-embd", "4,8"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["runs"] == "12"
    assert shown["n_embd"] == "4, 8 (2)"
    assert shown["steps"] == "60 in all"
    assert shown["parameters"] == "288 to 960"
    assert shown["time"].startswith("about 1 s on 1 ")
    assert contents(here) == before


def test_combinations_that_cannot_be_are_left_out_with_a_line(here, capsys):
    assert main(["sweep", *SMALL, "--n-embd", "6,8", "--n-head", "3,4", "--steps", "1", "--out", "swept"]) == 0
    assert capsys.readouterr().err == "2 combinations left out: n_embd must be a multiple of n_head\n"
    assert len(results(here / "swept")) == 2


def test_runs_that_diverge_are_results(here, capsys):
    arguments = ["--lr", "0.01,1e300", "--schedule", "constant", "--steps", "50", "--seed", "0:2"]
    assert main(["sweep", *SMALL, *arguments, "--out", "swept"]) == 0
    found = results(here / "swept")
    assert {result["lr"] for result in found if result["diverged"]} == {1e300}
    assert "2 runs diverged, at steps" in capsys.readouterr().out
    arguments[1] = "1e300"
    assert main(["sweep", *SMALL, *arguments, "--out", "lost"]) == 0
    assert not (here / "lost" / "best").exists()


def test_a_run_without_steps_has_no_loss(here):
    assert main(["sweep", *SMALL, "--steps", "0,1", "--out", "swept"]) == 0
    assert sorted(str(result["loss"]) for result in results(here / "swept"))[-1] == "None"


def test_all_options_of_train_that_decide_a_run_are_there(capsys):
    assert main(["sweep", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')} " in shown for name in Space({})[0])


def test_two_cannot_sweep_into_one_folder(here):
    pytest.importorskip("fcntl")
    from microgpt.files import FolderLock

    assert main([*SWEEP, "--out", "swept"]) == 0
    lock = FolderLock("swept", "training")
    second = microgpt(*SWEEP, "--out", "swept", cwd=here)
    lock.close()
    assert (second.returncode, is_one_line(second.stderr)) == (2, True)
    assert "another microgpt is sweeping into this folder" in second.stderr


def test_a_disk_that_fills_up_is_one_line_and_the_rest_is_done_later(here):
    """The limit for the size of a file stands for the disk: what is above it cannot be written."""
    resource = pytest.importorskip("resource")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))  # noqa: E731
    done = microgpt(*SWEEP, "--out", "swept", cwd=here, preexec_fn=limit)
    assert done.returncode == 2
    assert is_one_line(done.stderr), done.stderr
    assert "swept/runs.jsonl: File too large" in done.stderr
    assert main([*SWEEP, "--out", "swept"]) == 0
    assert main([*SWEEP, "--out", "whole"]) == 0
    assert untimed(results(here / "swept")) == untimed(results(here / "whole"))


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
@pytest.mark.parametrize("name", ["runs.jsonl", "sweep.json"])
def test_what_is_no_file_is_not_waited_for(here, name):
    assert main([*SWEEP, "--out", "swept", "--keep", "none"]) == 0
    (here / "swept" / name).unlink()
    os.mkfifo(here / "swept" / name)
    done = microgpt(*SWEEP, "--out", "swept", cwd=here)
    assert (done.returncode, is_one_line(done.stderr)) == (2, True)
    assert f"{name}: not a file" in done.stderr
