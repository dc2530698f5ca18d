"""A sweep on a Dask cluster: a scheduler and workers as processes of their own, on 127.0.0.1 alone."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from cli_program import TINY, is_one_line, microgpt, refusal, started, until, write_documents
from effort import mostly_slow
from sweeping import results, untimed

import microgpt as package

pytest.importorskip("distributed")

SWEEP = ["sweep", "--data", "documents.txt", "--keep", "none", *TINY, "--seed", "0:60"]
QUIET = {"DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "0", "DASK_LOGGING__DISTRIBUTED": "info"}

CALLBACKS_THAT_FAIL = """
import asyncio
from microgpt.sweeps.cluster import ClusterError, cluster
from tornado.ioloop import IOLoop

try:
    cluster("tcp://127.0.0.1:9", None).__enter__()
except ClusterError as error:
    print(error)


def fail(*nothing):
    raise asyncio.CancelledError


async def main():
    IOLoop.current().add_callback(lambda: {}["in a callback"])
    IOLoop.current().add_future(asyncio.ensure_future(asyncio.sleep(0)), fail)
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.05)


asyncio.run(main())
"""


class Cluster:
    """Processes that end with the test."""

    def __init__(self, folder):
        self._folder, self._processes = folder, []
        log = self._started("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.scheduler = self._processes[0]
        self.address = self._said(log, r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
        self.workers = []

    def add_worker(self, *prefix):
        where = ["--host", "127.0.0.1", "--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--no-nanny"]
        log = self._started("worker", self.address, *where, "--local-directory", str(self._folder), prefix=prefix)
        self.workers.append(self._processes[-1])
        self._said(log, r"(Registered to)")

    def _started(self, what, *arguments, prefix=()):
        log = self._folder / f"{what}{len(self._processes)}.log"
        command = [sys.executable, *(prefix or ["-m", f"distributed.cli.dask_{what}"]), *arguments]
        with open(log, "wb") as file:
            environment = {**os.environ, **QUIET}
            self._processes.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))
        return log

    def _said(self, log, pattern):
        return until(lambda: re.search(pattern, log.read_text()), self._processes[-1])[1]

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    write_documents(tmp_path)
    found = Cluster(tmp_path)
    yield found
    found.close()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(cluster, tmp_path):
    for _ in range(3):
        cluster.add_worker()
    long = [*SWEEP, "--steps", "4000"]
    process = started(*long, "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    until(lambda: results(tmp_path / "swept"))
    cluster.workers[0].kill()
    _, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (0, b"")
    assert sorted(result["run"] for result in results(tmp_path / "swept")) == list(range(60))
    assert microgpt(*long, "--out", "here", cwd=tmp_path, timeout=120).returncode == 0
    assert untimed(results(tmp_path / "swept")) == untimed(results(tmp_path / "here"))


@pytest.mark.slow
def test_a_worker_that_comes_later_gets_documents_and_runs(cluster, tmp_path):
    cluster.add_worker()
    process = started(*SWEEP, "--steps", "4000", "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    until(lambda: results(tmp_path / "swept"))
    cluster.add_worker()
    cluster.workers[0].kill()
    _, stderr = process.communicate(timeout=120)
    if process.returncode:  # the only one that had the documents was killed before it could pass them on
        assert is_one_line(stderr.decode())
        again = microgpt(
            *SWEEP, "--steps", "4000", "--cluster", cluster.address, "--out", "swept", cwd=tmp_path, timeout=120
        )
        assert again.returncode == 0, again.stderr
    assert sorted(result["run"] for result in results(tmp_path / "swept")) == list(range(60))


@pytest.mark.slow
def test_a_cluster_that_vanishes_is_one_line_and_it_goes_on_elsewhere(cluster, tmp_path):
    cluster.add_worker()
    process = started(*SWEEP, "--steps", "20000", "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    until(lambda: results(tmp_path / "swept"))
    cluster.close()
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert is_one_line(stderr.decode()), stderr.decode()
    assert stderr.decode().startswith("microgpt sweep: the cluster has gone")
    before = results(tmp_path / "swept")
    assert 0 < len(before) < 60
    again = microgpt(*SWEEP, "--steps", "20000", "--out", "swept", cwd=tmp_path, timeout=120)
    assert again.returncode == 0, again.stderr
    assert results(tmp_path / "swept")[: len(before)] == before
    assert sorted(result["run"] for result in results(tmp_path / "swept")) == list(range(60))


@pytest.mark.slow
def test_ctrl_c_ends_it_with_what_is_finished(cluster, tmp_path):
    cluster.add_worker()
    process = started(*SWEEP, "--steps", "20000", "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    until(lambda: results(tmp_path / "swept"))
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=120)
    assert time.monotonic() - began < 60  # a second on a machine that has nothing else to do
    assert process.returncode == 130
    count = len(results(tmp_path / "swept"))
    assert stderr.decode() == f"stopped at {count} of 60 runs; run the same command to continue\n"


@pytest.mark.slow
def test_a_worker_with_another_microgpt_is_refused(cluster, tmp_path):
    (tmp_path / "other.py").write_text(
        "from microgpt import version\nversion.__version__ = '9.9'\n"
        "from distributed.cli.dask_worker import main\nmain()\n"
    )
    cluster.add_worker(str(tmp_path / "other.py"))
    done = microgpt(*SWEEP, "--steps", "10", "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    assert done.returncode == 2
    assert is_one_line(done.stderr), done.stderr
    assert f"a worker has microgpt 9.9, and this is {package.__version__}" in done.stderr


@pytest.mark.slow
def test_a_cluster_without_workers_is_refused(cluster, tmp_path):
    done = microgpt(*SWEEP, "--cluster", cluster.address, "--out", "swept", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"microgpt sweep: --cluster {cluster.address}: the scheduler has no workers\n"


def test_nothing_that_a_client_runs_on_writes_beside_our_line(tmp_path):
    """A callback that fails in a client's event loop is told by tornado or asyncio."""
    (tmp_path / "loops.py").write_text(CALLBACKS_THAT_FAIL)
    done = subprocess.run([sys.executable, tmp_path / "loops.py"], capture_output=True, timeout=120, check=True)
    assert b"no Dask scheduler answers" in done.stdout
    assert done.stderr == b""


ADDRESSES = ["tcp://127.0.0.1:9", "127.0.0.1:9", "nonsense://x", "tcp://", "tcp://127.0.0.1:x"]


@pytest.mark.parametrize("address", mostly_slow(ADDRESSES))
def test_an_address_where_no_scheduler_is_is_refused(tmp_path, monkeypatch, capsys, address):
    write_documents(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("microgpt.sweeps.cluster.PATIENCE", 0.5)
    said = refusal(capsys, *SWEEP, "--cluster", address, "--out", "swept")
    assert f"--cluster {address}: no Dask scheduler answers" in said


def test_from_python_any_executor_of_a_client_will_do(cluster):
    from distributed import Client

    cluster.add_worker()
    space = {"n_embd": 4, "n_head": 2, "block_size": 4, "seed": range(20), "steps": 5}
    documents = ["ada", "bob", "cleo"]
    with Client(cluster.address, set_as_default=False) as client:
        found = list(package.sweep(space, documents, executor=client.get_executor(pure=False), workers=1))
    expected = list(package.sweep(space, documents, workers=1))
    assert untimed(found) == untimed(expected)
