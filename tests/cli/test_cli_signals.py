"""A run that is stopped: by Ctrl-C, by the system, by a reader that has seen enough, or by the plug being pulled."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time

import pytest
from cli_program import DOCUMENTS, TINY, lines_of, microgpt, started, until
from trained import everything, everything_kept

from microgpt.checkpoint import FILE_NAME, load
from microgpt.model import GPTConfig
from microgpt.trainer import Trainer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

LONG = ["train", "--data", "documents.txt", "--steps", str(10**8), "--schedule", "constant", *TINY]


def under_way(*arguments, cwd, **options):
    """A run that has taken its first steps. Its output goes to a file, so that it never waits for us."""
    output = cwd / "output"
    with open(output, "wb") as file:
        process = started(*arguments, cwd=cwd, stdout=file, **options)
    until(lambda: b"step    3" in output.read_bytes()[:4000], process)
    return process, output


def finished(process):
    """The exit status, and what it said on standard error."""
    _, stderr = process.communicate(timeout=120)
    return process.returncode, stderr.decode()


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_and_says_how_to_go_on(here, name, status):
    process, output = under_way(*LONG, "--out", "a run", "--log", "log", cwd=here)
    process.send_signal(getattr(signal, name))
    returncode, stderr = finished(process)
    assert returncode == status
    kept = load(here / "a run")
    says, _, command = stderr.partition("; go on with: microgpt ")
    assert says == f"stopped at step {kept.step} of {10**8}"
    assert lines_of(output.read_text())[-1].startswith(f"step {kept.step:4d} / ")
    last = json.loads((here / "log").read_text().splitlines()[-1])
    assert last["step"] == kept.step
    again = microgpt(*shlex.split(command), "--steps", kept.step + 2, cwd=here)
    assert again.returncode == 0, again.stderr
    assert [line.split("/")[0] for line in lines_of(again.stdout)[:2]] == [
        f"step {step:4d} " for step in (kept.step + 1, kept.step + 2)
    ]
    assert [json.loads(line)["step"] for line in (here / "log").read_text().splitlines()] == list(
        range(1, kept.step + 3)
    )


def test_the_output_of_interrupted_parts_joined_is_that_of_the_whole_run(here):
    """Ctrl-C at random moments of a run with a falling rate, resumed until it ends: stdout, log and checkpoint."""
    rng, steps = random.Random(2), 60_000
    run = ["train", "--data", "documents.txt", "--steps", steps, "--samples", 5, "--temperature", 0.9, *TINY]
    whole = microgpt(*run, "--out", "whole", "--log", "whole.jsonl", cwd=here)
    assert whole.returncode == 0, whole.stderr
    parts, arguments, status = [], [*run, "--out", "run"], 130
    while status == 130:
        output = here / f"part{len(parts)}"
        with open(output, "wb") as file:
            process = started(*arguments, "--log", "log", cwd=here, stdout=file)
        until(lambda: process.poll() is not None or output.stat().st_size)  # noqa: B023
        time.sleep(rng.uniform(0.0, 0.2))
        if len(parts) < 8:
            process.send_signal(signal.SIGINT)
        status, stderr = finished(process)
        assert "Traceback" not in stderr
        parts.append(output.read_bytes())
        arguments = ["train", "--resume", "run"]
    assert status in (0, -signal.SIGINT)  # a signal may come when all is done
    assert len(parts) >= 2
    head, mark, tail = whole.stdout.encode().partition(b"\n---")
    assert b"".join(part.partition(mark)[0] for part in parts) == head
    assert parts[-1].endswith(mark + tail)
    assert (here / "log").read_bytes() == (here / "whole.jsonl").read_bytes()
    assert everything_kept(load(here / "run")) == everything_kept(load(here / "whole"))


def test_without_a_folder_a_signal_says_that_nothing_was_saved(here):
    process, _ = under_way(*LONG, cwd=here)
    process.send_signal(signal.SIGINT)
    returncode, stderr = finished(process)
    assert returncode == 130
    assert "nothing was saved (--out DIR would)" in stderr
    assert stderr.count("\n") == 1


def test_many_signals_do_no_harm(here):
    process, _ = under_way(*LONG, "--out", "run", cwd=here)
    for _ in range(20):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
    returncode, stderr = finished(process)
    assert returncode == 130
    assert "Traceback" not in stderr
    assert load(here / "run").step > 0


def test_a_run_that_ignores_hangups_goes_on_after_one(here):
    process, output = under_way(*LONG, cwd=here, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    size = output.stat().st_size
    until(lambda: output.stat().st_size != size, process)
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 130


@pytest.mark.parametrize("command", [LONG, ["sample", "--from", "run", "--num", str(10**8), "--seed", "1"], ["--help"]])
def test_a_reader_that_goes_away_ends_it_silently(here, command):
    microgpt("train", "--data", "documents.txt", "--steps", 1, "--out", "run", *TINY, cwd=here)
    process = started(*command, cwd=here)
    process.stdout.read(5)
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(120) in (0, 141)
    assert stderr == b""


def test_a_reader_that_goes_away_costs_no_step(here):
    command = [sys.executable, "-m", "microgpt", *LONG, "--out", "run"]
    script = f"{shlex.join(command)} | head -n 5"
    run = subprocess.run(["sh", "-c", script], cwd=here, capture_output=True, text=True, timeout=120)
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == 5
    assert load(here / "run").step >= 2


def test_pulling_the_plug_at_any_moment_leaves_a_whole_checkpoint_and_the_same_bits(here):
    """kill -9 again and again; what is resumed from each checkpoint ends as the run that was never stopped."""
    rng, steps = random.Random(1), 3000
    common = ["--save-every", "1", "--schedule", "cosine", *TINY]
    process = started(*("train", "--data", "documents.txt", "--steps", steps, "--out", "run", *common), cwd=here)
    kills, seen, patience = 0, [0], 0.3  # on a busy machine it takes longer to get anywhere
    while kills < 20 or (seen[-1] == 0 and kills < 60):
        time.sleep(rng.uniform(0.0, patience))
        process.kill()
        process.communicate()
        kills += 1
        if (here / "run" / FILE_NAME).exists():
            seen.append(load(here / "run").step)
            if seen[-1] == steps:
                break
            arguments = ["train", "--resume", "run", "--save-every", "1"]
        else:
            arguments = ["train", "--data", "documents.txt", "--steps", steps, "--out", "run", *common]
        if seen[-1] == 0:
            patience *= 1.2
        process = started(*arguments, cwd=here)
    process.kill()
    process.communicate()
    assert seen == sorted(seen) and seen[-1] > 0
    end = seen[-1] + 20
    # the cosine of a run of `steps` steps: both go on to the same step of it, then stop
    resumed = trained_until(here, "run", min(end, steps))
    whole = trained_until(here, None, min(end, steps), steps)
    assert resumed == whole


def trained_until(folder, run, step, steps=None):
    """The bytes of all that a Trainer has learned at that step, resumed from a folder or trained in one go."""
    if run is not None:
        trainer = Trainer.resume(folder / run, DOCUMENTS)
    else:
        config = GPTConfig(10, n_embd=4, n_head=2, block_size=4)
        trainer = Trainer(DOCUMENTS, None, config, num_steps=steps, schedule="cosine")
    trainer.train(step - trainer.step)
    return everything(trainer)
