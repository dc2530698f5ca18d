"""A sweep under way: its results go to the folder and to the bar as they come, the best model at the end."""

import os
import shlex
import sys
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from ..files import FILE_NAME, replace_file
from ..sweeps import summary
from ..sweeps.cluster import ClusterError, cluster
from ..sweeps.executors import Engine, Numbered, local, results
from ..sweeps.folder import Folder, description
from ..sweeps.runs import Corpus
from ..sweeps.space import Space
from . import Refused, note
from .output import Output
from .progress import TrainBar
from .stopping import Stop


@dataclass
class Sweep:
    """objective: the part of a result that is to be least. keep: best, all or none. notes: for checkpoints."""

    space: Space
    corpus: Corpus
    runs: list[Numbered]
    objective: str
    keep: str
    notes: dict[str, Any]

    def into(self, path: str, address: str | None, jobs: int) -> int:
        """Train what has no result in that folder yet, here or on the cluster at `address`; the exit status."""
        about = description(
            self.space,
            self.corpus,
            objective=self.objective,
            source=self.notes["source"],
            command=shlex.join(["microgpt", *sys.argv[1:]]),
        )
        with ExitStack() as opened:
            folder = opened.enter_context(closing(Folder(path, about)))
            todo = [numbered for numbered in self.runs if numbered[0] not in folder.done]
            if folder.done:
                note(f"{len(folder.done):,} of {len(self.runs):,} runs are already done")
            stop = opened.enter_context(Stop())
            if todo or self.keep != "none":
                engine = cluster(address, self.corpus) if address else local(jobs, self.corpus)
                self._train(folder, todo, opened.enter_context(engine), stop)
            if stop.signum is not None:
                note(f"stopped at {len(folder.done):,} of {len(self.runs):,} runs; run the same command to continue")
                return stop.status
            Output().write(summary.text(list(folder.done.values()), self.objective, self.space.varied))
        return 0

    def _train(self, folder: Folder, todo: list[Numbered], engine: Engine, stop: Stop) -> None:
        bar = TrainBar(len(folder.done), len(self.runs), what="sweep", loss="best", unit="runs")
        notes = self.notes if self.keep == "all" else None
        best = summary.best(folder.done.values(), self.objective)
        try:
            with closing(bar):
                for some in results(engine, todo, keep=notes, stopped=lambda: stop.signum):
                    for result in some:
                        if kept := result.pop("checkpoint", None):  # before its line: what has a line is complete
                            _write(os.path.join(folder.path, "runs", str(result["run"])), kept)
                    folder.add(some)
                    best = summary.best([*some, *([best] if best else [])], self.objective)
                    bar.update(len(folder.done), [best[self.objective]] if best else [])
            if self.keep != "none" and stop.signum is None:
                self._keep_best(folder, engine, stop)
        except BrokenExecutor:
            if stop.signum is not None:
                return
            raise Refused("a worker was killed, perhaps for lack of memory; run the same command to continue") from None
        except (CancelledError, ConnectionError) as error:
            what = f"the cluster has gone, or all workers that had the documents ({type(error).__name__})"
            raise ClusterError(f"{what}; run the same command to continue") from None

    def _keep_best(self, folder: Folder, engine: Engine, stop: Stop) -> None:
        """Train the best once more, for its checkpoint: sending those of all would take longer."""
        if (best := summary.best(folder.done.values(), self.objective)) is None:
            return
        again = [numbered for numbered in self.runs if numbered[0] == best["run"]]
        for (result,) in results(engine, again, keep=self.notes, stopped=lambda: stop.signum):
            if result["digest"] != best["digest"]:
                note(f"run {best['run']} has other bits when it is repeated: workers with different C libraries?")
            _write(os.path.join(folder.path, "best"), result["checkpoint"])


def _write(folder: str, checkpoint: bytes) -> None:
    os.makedirs(folder, exist_ok=True)
    replace_file(os.path.join(folder, FILE_NAME), checkpoint)
