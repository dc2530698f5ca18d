"""One run of a sweep, as a worker does it: a model trained as `microgpt train` would, and what is told of it."""

import math
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from os.path import join
from typing import Any

from ..checkpoint import little_endian
from ..data import digest
from ..errors import Refused
from ..files import FILE_NAME
from ..model import GPTConfig
from ..tokenizers import TOKENIZERS
from ..trainer import Diverged, Settings, Trainer
from ..version import __version__
from .space import SIZES, Run, settings

TAIL = 10  # the loss of a run is the mean of the last tenth of its steps

Result = dict[str, Any]


class WrongWorker(Refused, RuntimeError):
    """A worker that would not give the same results; the message is one line."""


class Corpus:
    """The documents of a sweep and their tokenizer, sent to a worker once and checked there by their digest.

    tokenizer: one of microgpt's, "char" or "word".
    """

    def __init__(self, documents: Iterable[str], tokenizer: str = "char") -> None:
        self.documents, self.kind = list(documents), tokenizer
        if not self.documents:
            raise ValueError("no documents to train on")
        self.tokenizer = TOKENIZERS[tokenizer](self.documents)
        self.digest = digest([tokenizer, *self.documents])
        self.fault: str | None = None  # why runs on this copy would not give the same results

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (__version__, self.digest, self.documents, self.kind)


_arrivals: dict[str, Corpus] = {}  # of this process, by digest


def _arrived(version: str, expected: str, documents: list[str], tokenizer: str) -> Corpus:
    if expected not in _arrivals:
        corpus = Corpus(documents, tokenizer)
        if version != __version__:
            corpus.fault = f"a worker has microgpt {__version__}, and this is {version}"
        elif corpus.digest != expected:
            corpus.fault = "the documents reached a worker altered"
        _arrivals[expected] = corpus
    return _arrivals[expected]


def config(corpus: Corpus, run: Run) -> GPTConfig:
    """The sizes of the model of a run."""
    return GPTConfig(corpus.tokenizer.vocab_size, **{name: run[name] for name in SIZES})


def configs(corpus: Corpus, runs: Iterable[tuple[int, Run]]) -> list[GPTConfig]:
    """The different sizes of models in these runs."""
    return [config(corpus, run) for run in {tuple(run[name] for name in SIZES): run for _, run in runs}.values()]


# Of each thread's last run: the digest of its documents and its Trainer, since reading documents costs more than a run.
_local = threading.local()


def trainer(corpus: Corpus, run: Run) -> Trainer:
    """As `Trainer(...)` with the settings of this run; until the next call in this thread."""
    sizes, wanted = config(corpus, run), settings(run)
    known: tuple[str, Trainer] | None = getattr(_local, "trainer", None)
    _local.trainer = None  # what cannot be restarted is not whole any more
    if known is not None and known[0] == corpus.digest:
        found = known[1]
        found.restart(corpus.documents, sizes, Settings(**wanted))
    else:
        known = None  # two large models need not fit
        found = Trainer(corpus.documents, corpus.tokenizer, sizes, **wanted)
    _local.trainer = corpus.digest, found
    return found


def train(corpus: Corpus, number: int, run: Run, keep: Mapping[str, Any] | None = None) -> Result:
    """Train this run to its end: what runs.jsonl tells of it.

    keep: notes for a checkpoint, which is then "checkpoint" in the result, unless the run diverged.
    """
    training = trainer(corpus, run)
    diverged = None
    began = time.thread_time()
    try:
        losses = training.train()
    except Diverged as error:
        losses, diverged = error.losses, error.step
    seconds = time.thread_time() - began
    tail = losses[-max(1, len(losses) // TAIL) :] if diverged is None else []
    result = {
        "run": number,
        **run,
        "params": training.config.num_params,
        "positions": training.positions,
        "loss": _mean(tail),
        "last_loss": _mean(losses[-1:]),
        "mean_loss": _mean(losses),
        "holdout_loss": _finite(training.evaluate()) if run["holdout"] and diverged is None else None,
        "diverged": diverged,
        "seconds": round(seconds, 6),
        "digest": weights_digest(training),
    }
    if keep is not None and diverged is None:
        result["checkpoint"] = _checkpoint(training, keep)
    return result


def _mean(losses: Sequence[float]) -> float | None:
    return _finite(sum(losses) / len(losses)) if losses else None


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def weights_digest(training: Trainer) -> str:
    """SHA-256 of the weights, all matrices in their order as little-endian doubles."""
    found = sha256()
    for matrix in training.model.state_dict().values():
        found.update(little_endian(matrix.tobytes()))
    return found.hexdigest()


def _checkpoint(training: Trainer, notes: Mapping[str, Any]) -> bytes:
    """The file that `Trainer.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        training.save(folder, {**notes, "cut": list(training.cut)})
        with open(join(folder, FILE_NAME), "rb") as file:
            return file.read()
