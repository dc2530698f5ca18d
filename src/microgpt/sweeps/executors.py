"""Many runs on any `concurrent.futures.Executor`: in batches, a few of them ahead of every worker.

A batch takes about BATCH seconds, so that sending it costs little beside it; how many runs that is, is learned from
those that came back. A worker gets documents only where the executor has no way to hand them out once: see `local`.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, connection, get_context, parent_process
from typing import Any, NamedTuple

from .runs import Corpus, Result, WrongWorker, train
from .space import Run

BATCH = 0.25  # seconds
AHEAD = 2  # batches a worker has before it, the one it works on included
LOOK = 0.1  # seconds between two looks at whether to stop

Numbered = tuple[int, Run]


class Engine(NamedTuple):
    """What trains."""

    executor: Executor
    source: Any  # what stands for the documents there
    workers: Callable[[], int]  # how many there are now
    ends: bool = False  # with the sweep, at once


_corpora: dict[str, Corpus] = {}  # of a worker process of `local`: by digest, so that a batch need not carry them


def batch(source: Any, runs: list[Numbered], keep: Mapping[str, Any] | None) -> list[Result]:
    """Train these runs one after the other. source: the Corpus, or the digest of one that the process has."""
    corpus = _corpora[source] if isinstance(source, str) else source
    if corpus.fault:
        raise WrongWorker(corpus.fault)
    return [train(corpus, number, run, keep) for number, run in runs]


def results(
    engine: Engine,
    runs: Sequence[Numbered],
    *,
    keep: Mapping[str, Any] | None = None,
    stopped: Callable[[], object] = lambda: None,
) -> Iterator[list[Result]]:
    """The results of all runs, a batch at a time, in the order in which they come; or until `stopped()` is true.

    keep: notes for checkpoints, if the results are to have them. What a run raises is raised here.
    """
    executor, source, workers, ends = engine
    batches = _Batches(runs)
    pending: set[Future[list[Result]]] = set()
    try:
        while not stopped():
            there = workers()
            while len(pending) < AHEAD * there and (some := batches.take(there)):
                pending.add(executor.submit(batch, source, some, keep))
            if not pending:
                return
            done, pending = wait(pending, LOOK, FIRST_COMPLETED)
            for future in done:
                found = future.result()
                batches.took(found)
                yield found
    finally:
        if not ends:  # a pool whose workers die trips over cancelled futures: InvalidStateError in its thread
            for future in pending:
                future.cancel()


class _Batches:
    """Cuts the runs into batches by what they cost; towards the end shorter ones, so that all workers end together."""

    def __init__(self, runs: Sequence[Numbered]) -> None:
        self._runs, self._left = iter(runs), len(runs)
        self._work, self._seconds = 0.0, 0.0  # of all that came back

    def take(self, workers: int) -> list[Numbered]:
        """The next batch; empty at the end."""
        found: list[Numbered] = []
        most, seconds = max(1, self._left // (AHEAD * workers)), 0.0
        while len(found) < most and seconds < BATCH and (numbered := next(self._runs, None)):
            found.append(numbered)
            seconds += _work(numbered[1]) * self._seconds / self._work if self._seconds else BATCH
        self._left -= len(found)
        return found

    def took(self, found: list[Result]) -> None:
        """Learn from the results of a batch."""
        self._work += sum(map(_work, found))
        self._seconds += sum(result["seconds"] for result in found)


def _work(run: Run) -> float:
    """Of a run, in a unit of its own: small models cost more than their parameters say."""
    parameters = 12 * run["n_layer"] * run["n_embd"] ** 2 + 64 * run["n_embd"]
    return float((1 + run["steps"] * run["batch_size"]) * (1000 + parameters))


# ---- processes of this machine ----


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def local(jobs: int, corpus: Corpus) -> Iterator[Engine]:
    """So many processes that have the documents.

    When it ends, they end at once, whatever they are at; also when this process is killed.
    """
    listen, speak = Pipe(duplex=False)
    # The helpers of the other methods (fork server, resource tracker) would die of a terminal's SIGHUP, and say so.
    method = get_context("fork" if sys.platform == "linux" else None)
    executor = ProcessPoolExecutor(jobs, method, _prepare, (corpus, listen))
    try:
        yield Engine(executor, corpus.digest, lambda: jobs, ends=True)
    finally:
        speak.send(None)  # nobody takes it away, so that each of them sees it
        executor.shutdown(wait=True, cancel_futures=True)
        listen.close()
        speak.close()


def _prepare(corpus: Corpus, listen: Any) -> None:
    _corpora[corpus.digest] = corpus
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a terminal tells all of its processes; the first one decides
        with suppress(AttributeError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(listen,), daemon=True).start()


def _end_with_parent(listen: Any) -> None:
    parent = parent_process()
    connection.wait([listen, *([parent.sentinel] if parent else [])])
    os._exit(1)
