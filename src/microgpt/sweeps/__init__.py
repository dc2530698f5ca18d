"""Sweeps: many models that differ in some options, trained side by side.

    for result in microgpt.sweep({"n_embd": [8, 16], "lr": "0.003..0.03:log:5", "seed": range(10)}, documents):
        print(result["n_embd"], result["lr"], result["loss"])

space: values and their combinations. runs: one combination trained. executors: all of them, on processes of this
machine or whatever executor is given. cluster: Dask. results: the folder they are kept in. summary: what was found.
page: the same to look at.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from typing import Any

from .executors import Engine, Numbered, cores, local, results
from .runs import Corpus, Result
from .space import Space

__all__ = ["Corpus", "Result", "Space", "plan", "sweep"]


def sweep(
    space: Mapping[str, object] | Space,
    documents: Iterable[str],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    random: int | None = None,
    random_seed: int = 42,
) -> Iterator[Result]:
    """Train every combination in `space` on these documents, and yield a result for each as it comes.

    space: option -> its values; see `microgpt.sweeps.space`. Options left out are the script's. random: so many
    combinations, drawn at random, in place of all. executor: anything with the interface of `concurrent.futures`, such
    as a Dask client's `get_executor()`; by default processes of this machine. workers: how many the executor has (it is
    kept supplied with batches for so many), by default a process for each core.

    A result is a dict: "run", the number of the combination; the options; "params"; "loss" (mean of the last tenth of
    the steps), "last_loss", "mean_loss", "holdout_loss", in nats per letter, None where there is none; "diverged", the
    step that it diverged at, or None; "positions", letters trained on; "seconds" of processor time; "digest" of the
    weights, SHA-256. Each has the bits that `Trainer` alone gives.

    Raises TypeError or ValueError at once for a space or documents that cannot be.
    """
    whole = space if isinstance(space, Space) else Space(space, random, random_seed)
    corpus = Corpus(documents)
    runs, _ = plan(whole, corpus)
    return _swept(runs, corpus, executor, workers or cores())


def _swept(runs: list[Numbered], corpus: Corpus, executor: Executor | None, workers: int) -> Iterator[Result]:
    engine: Any = local(workers, corpus) if executor is None else nullcontext(Engine(executor, corpus, lambda: workers))
    with engine as there:
        for some in results(there, runs):
            yield from some


def plan(space: Space, corpus: Corpus) -> tuple[list[Numbered], int]:
    """The runs of a sweep with their numbers, and how many combinations were left out since heads don't divide width.

    Raises ValueError where all are left out, or a run wants more documents than there are.
    """
    runs = [(number, space[number]) for number in space.numbers()]
    fitting = [(number, run) for number, run in runs if run["n_embd"] % run["n_head"] == 0]
    if not fitting:
        raise ValueError("n_embd must be a multiple of n_head, and is in no combination")
    holdout, batch_size = max(space.axes["holdout"]), max(space.axes["batch_size"])
    if holdout + batch_size > len(corpus.documents):
        raise ValueError(
            f"to hold out {holdout} and train on {batch_size} a step takes {holdout + batch_size} documents; "
            f"the data has {len(corpus.documents)}"
        )
    return fitting, len(runs) - len(fitting)
