"""A sweep that is stopped: by Ctrl-C, or killed at any moment; what was finished is kept, and nothing is done twice."""

import os
import random
import signal
import time

import pytest
from cli_program import TINY, microgpt, started, until
from effort import at_length
from sweeping import results, untimed

psutil = pytest.importorskip("psutil")  # comes with distributed

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

KILLS = at_length(4, 20)
RUNS = ["--seed", "0:200", "--steps", "2000", *TINY]
SWEEP = ["sweep", "--data", "documents.txt", "--jobs", "2", "--keep", "none", *RUNS]
LONGER = ["--steps", "4000"]  # some seconds, so that it is not over before it is stopped


def lines(folder):
    path = folder / "runs.jsonl"
    return path.read_bytes().split(b"\n") if path.exists() else [b""]


def workers_of(process):
    return psutil.Process(process.pid).children()


def at_work(workers):
    """Whether there are two, in the middle of a run: what they did before it takes less than that."""
    return len(workers) == 2 and all(worker.cpu_times().user > 0.2 for worker in workers)


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_every_result_once(here):
    rng = random.Random(4)
    whole = microgpt(*SWEEP, "--out", "whole", cwd=here)
    assert whole.returncode == 0, whole.stderr
    rounds = killed = 0
    while killed < KILLS:
        rounds += 1
        before = [b""]
        status = None
        while status != 0 and killed < KILLS:
            process = started(*SWEEP, "--out", f"run{rounds}", cwd=here)
            time.sleep(rng.uniform(0.0, 1.5))
            process.kill()
            process.communicate(timeout=120)
            status = process.returncode
            killed += status == -signal.SIGKILL
            now = lines(here / f"run{rounds}")
            assert now[: len(before) - 1] == before[:-1]
            before = now
        done = microgpt(*SWEEP, "--out", f"run{rounds}", cwd=here)
        assert done.returncode == 0, done.stderr
        assert untimed(results(here / f"run{rounds}")) == untimed(results(here / "whole"))


def test_workers_end_when_the_sweep_is_killed(here):
    process = started(*SWEEP, "--n-embd", "64", "--steps", "10000000", "--out", "swept", cwd=here)
    until(lambda: len(workers_of(process)) == 2)
    workers = workers_of(process)
    process.kill()
    process.communicate(timeout=120)
    assert psutil.wait_procs(workers, timeout=60)[1] == []


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("steps", ["20000", "10000000"])
def test_a_signal_ends_it_at_once_with_what_is_finished(here, name, status, steps):
    """Also where a single run would take minutes."""
    process = started(*SWEEP, "--steps", steps, "--out", "swept", cwd=here, start_new_session=True)
    if steps == "20000":
        until(lambda: len(lines(here / "swept")) > 3)
    else:
        until(lambda: at_work(workers_of(process)))
    began = time.monotonic()
    os.killpg(process.pid, getattr(signal, name))  # as a terminal does: all of its processes
    _, stderr = process.communicate(timeout=120)
    took = time.monotonic() - began
    assert process.returncode == status
    count = len(lines(here / "swept")) - 1
    assert stderr.decode() == f"stopped at {count} of 200 runs; run the same command to continue\n"
    assert took < 60  # a second on a machine that has nothing else to do


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line_and_the_same_again_goes_on(here):
    process = started(*SWEEP, *LONGER, "--out", "swept", cwd=here)
    until(lambda: len(lines(here / "swept")) > 3)
    workers_of(process)[0].kill()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert stderr.decode() == (
        "microgpt sweep: a worker was killed, perhaps for lack of memory; run the same command to continue\n"
    )
    assert microgpt(*SWEEP, *LONGER, "--out", "swept", cwd=here).returncode == 0
    assert microgpt(*SWEEP, *LONGER, "--out", "whole", cwd=here).returncode == 0
    assert untimed(results(here / "swept")) == untimed(results(here / "whole"))
