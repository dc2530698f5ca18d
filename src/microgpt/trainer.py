"""Training as the script does it, with what a longer run needs: schedules, held-out documents, checkpoints.

    trainer = Trainer(documents)
    for step, loss in trainer:
        print(step, loss)
    print(trainer.sample())

The stream of random numbers is the script's: `seed`, the shuffle of the documents, one gauss a parameter, then one
number a sampled token. So the losses, the parameters and the samples are the script's too, to the bit.
"""

import math
import os
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import _memory
from ._files import checkpoint_file
from ._fused import GPT
from .data import Tokenizer, digest
from .model import GPTConfig
from .schedules import SCHEDULES

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, Matrices

BLOCK = 4096  # steps in one call of the model, so that their documents need not all be tokens at once


class Diverged(ArithmeticError):
    """Training has left the range of numbers.

    step     the first step whose loss is none
    losses   the losses of the steps before it that the call had taken
    """

    def __init__(self, step: int, losses: list[float], reason: str) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step, self.losses = step, losses


@dataclass(frozen=True)
class Settings:
    """What decides a run beside its documents and the sizes of the model; the defaults are the script's.

    seed: of all random numbers. num_steps: length of the whole run. lr: learning rate, of which `schedule` makes that
    of a step. batch_size: documents a step. clip_norm: longest gradient that Adam gets to see (2-norm over all
    parameters), or None. holdout: documents kept back for `evaluate`, the last ones of the shuffled order.

    Raises TypeError or ValueError for what cannot be.
    """

    seed: int = 42
    num_steps: int = 1000
    lr: float = 0.01
    schedule: str = "linear"
    batch_size: int = 1
    clip_norm: float | None = None
    holdout: int = 0

    def __post_init__(self) -> None:
        for name, least in (("seed", None), ("num_steps", 0), ("batch_size", 1), ("holdout", 0)):
            number = getattr(self, name)
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"{name} must be an int, not {type(number).__name__}")
            if least is not None and number < least:
                raise ValueError(f"{name} must be at least {least}, not {number}")
        for name in ("lr", "clip_norm"):
            rate = getattr(self, name)
            if rate is not None and not (isinstance(rate, (int, float)) and 0 < rate < math.inf):
                raise ValueError(f"{name} must be a number above 0, not {rate}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r}")


class Trainer:
    """One model, the documents it learns from, and how far it has come.

    documents   strings, one a document, in the order in which they were read; they are shuffled here
    tokenizer   their characters by default; ValueError if it does not know all of theirs
    config      sizes of the model; the script's by default
    seed and what follows: see Settings
    threads     among which the documents of a step are shared; they change no bit of the result

    Step number s (from 0) takes the documents s * batch_size and following, beginning anew at the end. Each document's
    gradient is worked out on its own; they are added in the order of the documents and divided by their number, then
    clipped, then given to Adam. The loss of a step is the mean of its documents' losses before the update.

    Raises ValueError where there are no documents, or fewer than are asked for; MemoryError where the system says
    that it has not the memory for such a model.

    Thread-safety: one thread uses a Trainer at a time; different ones may train in parallel.
    """

    documents: list[str]  # trained on, shuffled
    held_out: list[str]  # evaluated on
    tokenizer: Tokenizer
    config: GPTConfig
    settings: Settings
    model: GPT
    rng: random.Random
    threads: int

    def __init__(
        self,
        documents: Iterable[str],
        tokenizer: Tokenizer | None = None,
        config: GPTConfig | None = None,
        seed: int = 42,
        *,
        threads: int = 1,
        **settings: Any,
    ) -> None:
        self.settings = Settings(seed=seed, **settings)
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        self.threads = threads
        if isinstance(documents, str):
            raise TypeError("documents must be several strings, not one; see microgpt.data.load_documents")
        shuffled = list(documents)
        _check_documents(shuffled, self.settings)
        self.tokenizer = tokenizer or Tokenizer(shuffled)
        if tokenizer is not None:
            tokenizer.tokens("".join(set("".join(shuffled))))
        self.config = config or GPTConfig(self.tokenizer.vocab_size)
        if self.config.vocab_size != self.tokenizer.vocab_size:
            model, vocabulary = self.config.vocab_size, self.tokenizer.vocab_size
            raise ValueError(f"a model of {model} tokens for a tokenizer of {vocabulary}")
        self._plain = self.settings.batch_size == 1 and self.settings.clip_norm is None
        longest = max(map(len, shuffled))
        _check_memory(self.config, longest + 1, 1 if self._plain else 1 + min(threads, self.settings.batch_size))
        self.rng = random.Random(seed)
        self.rng.shuffle(shuffled)
        kept = len(shuffled) - self.settings.holdout
        self.documents, self.held_out = shuffled[:kept], shuffled[kept:]
        self.model = GPT(self.config, self.rng)
        self._schedule = SCHEDULES[self.settings.schedule]

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return self.model.t

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.settings.num_steps

    # ---- training ----

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Take the steps that remain, one by one: the number of the step, from 1, and its loss."""
        while self.step < self.num_steps:
            (loss,) = self.train(1)
            yield self.step, loss

    def train(self, steps: int | None = None) -> list[float]:
        """Take some steps, or all that remain, and return their losses. Faster than one by one, with the same bits.

        Raises Diverged when a loss is no finite number; the model is of no use then.
        """
        end = self.num_steps if steps is None else min(self.step + steps, self.num_steps)
        losses: list[float] = []
        while self.step < end:
            self._train(range(self.step, min(self.step + BLOCK, end)), losses)
        return losses

    def _train(self, steps: range, losses: list[float]) -> None:
        """Take these steps and append their losses."""
        rates = [self._schedule(self.settings.lr, step, self.num_steps) for step in steps]
        if len(steps) < 2 or not self._plain:
            return self._one_by_one(steps, rates, losses)
        before = self._state()
        try:
            taken = self.model.train_steps([self._document(step) for step in steps], rates)
        except (ArithmeticError, ValueError):  # the losses so far are lost with it: work them out again
            self._restore(before)
            return self._one_by_one(steps, rates, losses)
        if not math.isfinite(sum(taken)):
            for step, loss in zip(steps, taken):
                _check_loss(step, loss, losses)
                losses.append(loss)
        losses.extend(taken)
        return None

    def _one_by_one(self, steps: range, rates: list[float], losses: list[float]) -> None:
        for step, rate in zip(steps, rates):
            try:
                loss = self._take(step, rate)
            except (ArithmeticError, ValueError) as error:
                raise Diverged(step + 1, losses, str(error)) from error
            _check_loss(step, loss, losses)
            losses.append(loss)

    def _take(self, step: int, rate: float) -> float:
        if self._plain:
            return self.model.train_step(self._document(step), rate)
        size, clip_norm = self.settings.batch_size, self.settings.clip_norm
        batch = [self._document(step * size + index) for index in range(size)]
        losses = self.model.train_batch(batch, rate, clip_norm=clip_norm, threads=self.threads)
        return sum(losses) / size

    def _document(self, index: int) -> list[int]:
        """The tokens of a document, as many as the model can see: a character more would not be looked at."""
        return self.tokenizer.encode(self.documents[index % len(self.documents)][: self.config.block_size])

    # ---- looking at the result ----

    def evaluate(self) -> float:
        """The mean loss of the held-out documents, in their order; infinite if one is impossible to the model.

        ValueError if none were held out.
        """
        if not self.held_out:
            raise ValueError("no documents were held out to evaluate on")
        limit = self.config.block_size
        try:
            losses = [self.model.loss(self.tokenizer.encode(document[:limit])) for document in self.held_out]
        except ValueError:  # the log of 0
            return math.inf
        return sum(losses) / len(losses)

    def sample(self, temperature: float = 0.5, *, top_k: int | None = None, prompt: str = "") -> str:
        """A new document, drawn with the run's own random numbers; see GPT.generate.

        prompt: how it begins; ValueError for characters outside the vocabulary.
        """
        start = self.tokenizer.tokens(prompt)
        return self.tokenizer.decode(self.model.generate(self.rng, temperature, top_k=top_k, prompt=start))

    # ---- keeping and resuming ----

    @cached_property
    def data_digest(self) -> str:
        """Tells these documents, in this order, from others."""
        return digest(self.documents + self.held_out)

    def save(self, where: str | os.PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint, a file or in a folder that exists; see `microgpt.checkpoint`.

        notes: anything of json's kinds that whoever loads the checkpoint may want to know.

        OSError where it cannot be written, Diverged where the parameters are no finite numbers; what was there before
        stays in both cases.
        """
        from .checkpoint import Checkpoint, save  # not before it is needed: a short run has nothing to save

        weights, (m, v) = self.model.state_dict(), self.model.moments()
        for name, matrix in weights.items():
            if not all(map(math.isfinite, matrix.cast("B").cast("d"))):
                raise Diverged(self.step, [], f"the parameters {name} are no longer finite numbers")
        kept = Checkpoint(
            self.config,
            self.tokenizer,
            self.step,
            weights,
            m,
            v,
            self.rng.getstate(),
            asdict(self.settings),
            self.data_digest,
            dict(notes or {}),
        )
        save(checkpoint_file(where), kept)

    @classmethod
    def resume(
        cls,
        where: str | os.PathLike[str],
        documents: Iterable[str],
        *,
        num_steps: int | None = None,
        threads: int = 1,
    ) -> "Trainer":
        """The Trainer that wrote a checkpoint, at the point where it did: the rest of the run has the same bits.

        documents: those of the run, in the same order. num_steps: another length of the whole run; it changes the
        learning rates from here on, unless the schedule is constant.

        Raises CheckpointError where the file is not whole or the documents are others, OSError where it can't be read.
        """
        from .checkpoint import load

        return cls.from_checkpoint(load(where), documents, num_steps=num_steps, threads=threads)

    @classmethod
    def from_checkpoint(
        cls, kept: "Checkpoint", documents: Iterable[str], *, num_steps: int | None = None, threads: int = 1
    ) -> "Trainer":
        """The same for a checkpoint that was read already."""
        from .checkpoint import CheckpointError

        settings = dict(kept.settings)
        if num_steps is not None:
            settings["num_steps"] = num_steps
        documents = list(documents)
        if Tokenizer(documents) != kept.tokenizer and not set("".join(documents)) <= set(kept.tokenizer.characters):
            raise CheckpointError("the documents have characters that the run's vocabulary has not")
        try:
            trainer = cls(documents, kept.tokenizer, kept.config, threads=threads, **settings)
        except TypeError as error:
            raise CheckpointError(f"the settings are not those of this version: {error}") from None
        if trainer.data_digest != kept.data_digest:
            raise CheckpointError("the documents are not those of the run, or in another order")
        if kept.step > trainer.num_steps:
            raise ValueError(f"{kept.step} steps are taken already, more than {trainer.num_steps}")
        trainer._restore((kept.weights, kept.step, kept.m, kept.v))
        trainer.rng.setstate(kept.rng_state)
        return trainer

    def _state(self) -> "tuple[Matrices, int, Matrices, Matrices]":
        """A copy of the model and of Adam's moments."""
        weights, (m, v) = self.model.state_dict(), self.model.moments()
        return self._copy(weights), self.step, self._copy(m), self._copy(v)

    def _copy(self, matrices: "Matrices") -> "Matrices":
        shapes = dict(self.config.shapes())
        return {name: memoryview(matrix.tobytes()).cast("d", shapes[name]) for name, matrix in matrices.items()}

    def _restore(self, state: "tuple[Matrices, int, Matrices, Matrices]") -> None:
        weights, step, m, v = state
        self.model.load_state_dict(weights, t=step, m=m, v=v)


def _check_documents(documents: list[str], settings: Settings) -> None:
    if not documents:
        raise ValueError("no documents to train on")
    kept = len(documents) - settings.holdout
    if kept < 1:
        raise ValueError(f"{settings.holdout} documents held out of {len(documents)} leave none to train on")
    if settings.batch_size > kept:
        raise ValueError(f"{settings.batch_size} documents a step, but there are {kept} to train on")


def _check_loss(step: int, loss: float, before: list[float]) -> None:
    if not math.isfinite(loss):
        raise Diverged(step + 1, before, f"the loss is {loss}")


def _check_memory(config: GPTConfig, positions: int, workers: int) -> None:
    needed, available = _memory.needed(config, positions, workers), _memory.available()
    if available is not None and needed > available:
        raise MemoryError(
            f"a model of {config.num_params:,} parameters needs {_memory.readable(needed)} of memory, "
            f"but only {_memory.readable(available)} is free"
        )
