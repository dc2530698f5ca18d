"""Training as the script does it, with what a longer run needs: schedules, held-out documents, checkpoints.

    trainer = Trainer(documents)
    for step, loss in trainer:
        print(step, loss)
    print(trainer.sample())

The stream of random numbers is the script's: `seed`, the shuffle of the documents, one gauss a parameter, then one
number a sampled token. So the losses, the parameters and the samples are the script's too, to the bit.
"""

from __future__ import annotations

import math
import random
from array import array
from itertools import takewhile

from . import checks, memory
from ._fused import GPT, shuffle_order
from .files import checkpoint_file
from .model import GPTConfig
from .schedules import SCHEDULES
from .settings import Settings
from .tokenizers import Tokenizer, as_tokenizer

TYPE_CHECKING = False  # type checkers take it for True; typing's own would cost the import of typing
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from .checkpoint import Checkpoint
    from .tokenizers import TokenizerAdapter, Vocabulary

__all__ = ["BLOCK", "Diverged", "Settings", "Trainer"]

BLOCK = 4096  # steps in one call of the model, so that their documents need not all be tokens at once


class Diverged(ArithmeticError):
    """Training has left the range of numbers.

    step     the first step whose loss is none
    losses   the losses of the steps before it that the call had taken
    """

    def __init__(self, step: int, losses: list[float], reason: str) -> None:
        super().__init__(f"step {step}: {reason}")
        self.step, self.losses = step, losses


class Trainer:
    """One model, the documents it learns from, and how far it has come.

    documents   strings, one a document, in the order in which they were read; they are shuffled here
    tokenizer   their characters by default; a `WordTokenizer`, or any object with `encode` and `decode`, see
                `microgpt.data.TokenizerAdapter`. ValueError if it does not know all of the documents
    config      sizes of the model: a GPTConfig, or a mapping such as {"n_layer": 2}; the script's where it says nothing
    seed and what follows: see Settings
    threads     that share the documents of a step, or a large model's work on a single one; they change no bit
    init_from   a checkpoint, its file or its folder: begin with its parameters, its tokenizer and its sizes instead of
                fresh ones. Steps and Adam's moments begin at 0, and documents and settings may be others

    Step number s (from 0) takes the documents s * batch_size and following, beginning anew at the end. Each document's
    gradient is worked out on its own; they are added in the order of the documents and divided by their number, then
    clipped, then given to Adam. The loss of a step is the mean of its documents' losses before the update.

    Raises TypeError for documents that are not strings, ValueError if there are none, or fewer than the settings need,
    MemoryError if the model would not fit, and for `init_from` what `microgpt.checkpoint.load` raises.

    It can be pickled and copied, and goes on with the same bits. A copy, even by `copy.copy`, shares nothing
    that training changes.

    Thread-safety: use a Trainer from one thread at a time; different ones may train in parallel.
    """

    tokenizer: Vocabulary | TokenizerAdapter
    config: GPTConfig
    settings: Settings
    model: GPT
    rng: random.Random
    threads: int
    positions: int  # tokens predicted in the steps whose losses this object has returned
    cut: tuple[
        int, int, int
    ]  # documents longer than block_size, their tokens beyond it, and the tokens of all documents

    def __init__(
        self,
        documents: Iterable[str],
        tokenizer: Any = None,
        config: GPTConfig | Mapping[str, int] | None = None,
        seed: int = 42,
        *,
        threads: int = 1,
        init_from: str | os.PathLike[str] | Checkpoint | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(seed=seed, **settings)
        self.threads = checks.at_least_one("threads", threads)
        if isinstance(documents, str):
            raise TypeError("documents must be several strings, not one; see microgpt.data.load_documents")
        self._everyone = list(documents)
        _check_documents(self._everyone, self.settings)
        kept = None if init_from is None else _loaded(init_from)
        if kept is not None:
            tokenizer, config = _continued(kept, tokenizer, config)
        self.tokenizer = Tokenizer(self._everyone) if tokenizer is None else as_tokenizer(tokenizer)
        lengths = _lengths(self._everyone, self.tokenizer, check=tokenizer is not None)
        if not isinstance(config, GPTConfig):
            config = GPTConfig(**{"vocab_size": self.tokenizer.vocab_size, **(config or {})})
        self._fit(config, lengths)
        self._order = array("I")
        self._begin()
        if kept is not None:
            self.model.load_state_dict(kept.weights)

    def _fit(self, config: GPTConfig, lengths: list[int]) -> None:
        """Take these sizes, if they fit the tokenizer and the memory. lengths: of the documents."""
        if config.vocab_size != self.tokenizer.vocab_size:
            model, vocabulary = config.vocab_size, self.tokenizer.vocab_size
            raise ValueError(f"a model of {model} tokens for a tokenizer of {vocabulary}")
        self.config = config
        self.cut = _cut(lengths, config.block_size)
        workers = 1 if self._plain else 1 + min(self.threads, self.settings.batch_size)
        needed = memory.needed(config, max(lengths) + 1, workers)
        memory.check(needed, f"a model of {config.num_params:,} parameters needs")

    def _begin(self, model: GPT | None = None) -> None:
        """What the seed decides, in the script's order: shuffle the documents and draw the parameters.

        model: one of the same sizes whose memory may be used again.
        """
        self.rng = random.Random(self.settings.seed)
        if len(self._order) != len(self._everyone):
            self._order = array("I", [0]) * len(self._everyone)
        self._digest: str | None = None
        self.positions = 0
        if model is None:
            shuffle_order(self._order, self.rng)
            self.model = GPT(self.config, self.rng)
        else:
            model.restart(self.rng, order=self._order)

    def restart(self, documents: list[str], config: GPTConfig, settings: Settings) -> None:
        """Be what Trainer(documents, tokenizer, config, settings) is, for the cost of a shuffle and fresh parameters.

        documents: those it was made of, in their first order; the tokenizer is the one it has. Raises what that would.
        """
        _check_number(documents, settings)
        self.settings, self._everyone = settings, documents
        if config == self.config:
            self._begin(self.model)
        else:
            del self.model  # two large models need not fit
            self._fit(config, _lengths(documents, self.tokenizer, check=False))
            self._begin()

    @property
    def documents(self) -> list[str]:
        """Those trained on, shuffled."""
        return self._at(0, self.num_documents)

    @property
    def held_out(self) -> list[str]:
        """Those evaluated on, shuffled."""
        return self._at(self.num_documents, len(self._order))

    @property
    def num_documents(self) -> int:
        """How many are trained on."""
        return len(self._everyone) - self.settings.holdout

    def _at(self, start: int, end: int) -> list[str]:
        """These of the shuffled documents."""
        everyone = self._everyone
        return [everyone[index] for index in self._order[start:end]]

    def __copy__(self) -> Trainer:
        from copy import deepcopy

        return deepcopy(self)

    @property
    def _plain(self) -> bool:
        """Steps as the script takes them: one document, any gradient."""
        return self.settings.batch_size == 1 and self.settings.clip_norm is None

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

        Raises Diverged when a loss is not finite; the model is of no use then. ValueError for steps below 0.
        """
        end = self.num_steps
        if steps is not None:
            end = min(self.step + checks.integer("steps", steps), end)
        losses: list[float] = []
        while self.step < end:
            self._train(range(self.step, min(self.step + max(1, BLOCK // self.settings.batch_size), end)), losses)
        return losses

    def _train(self, steps: range, losses: list[float]) -> None:
        """Take these steps and append their losses."""
        schedule, size = SCHEDULES[self.settings.schedule], self.settings.batch_size
        clip, threads = self.settings.clip_norm, self.threads
        rates = [schedule(self.settings.lr, step, self.num_steps) for step in steps]
        tokens = list(self._tokens(steps))  # what a tokenizer of the user's raises is raised here
        taken: list[float] = []
        failure: ArithmeticError | ValueError | None = None
        try:
            if self._plain:
                self.model.train_steps(tokens, rates, losses=taken, threads=threads)
            else:
                for place, rate in zip(range(0, len(tokens), size), rates):
                    batch = tokens[place : place + size]
                    taken.append(sum(self.model.train_batch(batch, rate, clip_norm=clip, threads=threads)) / size)
        except (ArithmeticError, ValueError) as error:
            failure = error
        finite = list(takewhile(math.isfinite, taken))
        losses += finite
        self.positions += sum(min(len(each) - 1, self.config.block_size) for each in tokens[: len(finite) * size])
        if len(finite) < len(taken):
            raise Diverged(steps[len(finite)] + 1, losses, f"the loss is {taken[len(finite)]}")
        if failure is not None:
            raise Diverged(steps[len(taken)] + 1, losses, _why(failure)) from failure

    def _tokens(self, steps: range) -> Iterator[list[int]]:
        """The documents of these steps, as tokens."""
        size = self.settings.batch_size
        return self._encode(self._taken(steps.start * size, len(steps) * size))

    def _taken(self, first: int, count: int) -> list[str]:
        """The documents that training takes, from number `first` on; after the last one it begins anew."""
        number = self.num_documents
        first %= number
        found = self._at(first, min(first + count, number))
        while len(found) < count:
            found += self._at(0, min(count - len(found), number))
        return found

    def _encode(self, documents: Iterable[str]) -> Iterator[list[int]]:
        """The tokens of documents, as many as the model can see: a character more would not be looked at."""
        if type(self.tokenizer) is Tokenizer:
            seen = self.config.block_size
            documents = (document[:seen] for document in documents)
        return map(self.tokenizer.encode, documents)

    # ---- looking at the result ----

    def evaluate(self) -> float:
        """The mean loss of the held-out documents, in their order; infinite if one is impossible to the model.

        ValueError if none were held out.
        """
        held_out = self.held_out
        if not held_out:
            raise ValueError("no documents were held out to evaluate on")
        tokens = list(self._encode(held_out))  # what a tokenizer of the user's raises is raised here
        try:
            losses = list(map(self.model.loss, tokens))
        except ValueError:  # the log of 0
            return math.inf
        return sum(losses) / len(losses)

    def sample(self, temperature: float = 0.5, *, top_k: int | None = None, prompt: str = "") -> str:
        """A new document, drawn with the run's own random numbers; see GPT.generate.

        prompt: how it begins; ValueError for characters outside the vocabulary. temperature: 0 for the likeliest token
        at each step, for which no random number is taken.
        """
        start = self.tokenizer.tokens(prompt)
        return self.tokenizer.decode(self.model.generate(self.rng, temperature, top_k=top_k, prompt=start))

    # ---- keeping and resuming ----

    @property
    def data_digest(self) -> str:
        """A digest of the documents in their order."""
        if self._digest is None:
            from .data import digest

            self._digest = digest(self._at(0, len(self._order)))
        return self._digest

    def save(self, where: str | os.PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint to a file, or into a folder that exists; see `microgpt.checkpoint`.

        notes: anything JSON can hold that whoever loads the checkpoint may want to know.

        OSError where it cannot be written, Diverged where a parameter is not finite; what was there before
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
            self.settings._asdict(),
            self.data_digest,
            dict(notes or {}),
        )
        save(checkpoint_file(where), kept)

    @classmethod
    def resume(
        cls,
        where: str | os.PathLike[str] | Checkpoint,
        documents: Iterable[str],
        *,
        num_steps: int | None = None,
        threads: int = 1,
        tokenizer: Any = None,
    ) -> Trainer:
        """The Trainer that wrote a checkpoint, at the point where it did: the rest of the run has the same bits.

        where: the checkpoint, its file or its folder. documents: those of the run, in the same order. num_steps:
        another length of the whole run; it changes the learning rates from here on, unless the schedule is constant.
        tokenizer: the run's, if it is an object of the user's own, which a checkpoint cannot hold.

        Raises CheckpointError where the file is not whole or the documents are others, OSError where it can't be read.
        """
        from .checkpoint import CheckpointError
        from .tokenizers import Vocabulary

        kept = _loaded(where)
        settings = kept.settings | ({} if num_steps is None else {"num_steps": num_steps})
        documents = list(documents)
        _check_documents(documents, Settings(**settings))
        known = kept.tokenizer
        if tokenizer is not None:
            known = as_tokenizer(tokenizer)
            if tuple(known.texts) != tuple(kept.tokenizer.texts):
                raise CheckpointError("the tokenizer is not that of the run")
        elif isinstance(known, Vocabulary) and known.unknown(documents):
            raise CheckpointError("the documents have characters or words that are not in the run's vocabulary")
        trainer = cls(documents, known, kept.config, threads=threads, **settings)
        if trainer.data_digest != kept.data_digest:
            raise CheckpointError("the documents are not those of the run, or in another order")
        if kept.step > trainer.num_steps:
            raise ValueError(f"{kept.step} steps are already done, more than {trainer.num_steps}")
        trainer.model.load_state_dict(kept.weights, t=kept.step, m=kept.m, v=kept.v)
        trainer.rng.setstate(kept.rng_state)
        return trainer


def _check_documents(documents: list[str], settings: Settings) -> None:
    if not documents:
        raise ValueError("no documents to train on")
    for kind in set(map(type, documents)):
        if not issubclass(kind, str):
            raise TypeError(f"documents must be strings, not {kind.__name__}")
    _check_number(documents, settings)


def _check_number(documents: list[str], settings: Settings) -> None:
    kept = len(documents) - settings.holdout
    if kept < 1:
        raise ValueError(f"{settings.holdout} documents held out of {len(documents)} leave none to train on")
    if settings.batch_size > kept:
        raise ValueError(f"{settings.batch_size} documents a step, but there are {kept} to train on")


def _loaded(source: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    from .checkpoint import Checkpoint, load

    return source if isinstance(source, Checkpoint) else load(source)


def _continued(kept: Checkpoint, tokenizer: Any, config: Any) -> tuple[Any, GPTConfig]:
    """Tokenizer and sizes of a run that begins with a checkpoint's parameters. ValueError where others are given."""
    if tokenizer is None:
        tokenizer = kept.tokenizer
    elif tuple(as_tokenizer(tokenizer).texts) != tuple(kept.tokenizer.texts):
        raise ValueError("the tokenizer is not that of the checkpoint")
    if config is not None and config != kept.config:
        raise ValueError(f"the model of the checkpoint has the sizes {kept.config}, not {config}")
    return tokenizer, kept.config


def _lengths(documents: list[str], tokenizer: Vocabulary | TokenizerAdapter, check: bool) -> list[int]:
    """Tokens of each document, its ends left out. check: raise ValueError for characters that are not tokens."""
    if type(tokenizer) is not Tokenizer:
        return [len(tokenizer.tokens(document)) for document in documents]
    if check:
        tokenizer.tokens("".join(set("".join(documents))))
    return list(map(len, documents))


def _cut(lengths: list[int], block_size: int) -> tuple[int, int, int]:
    """Documents longer than block_size, their tokens beyond it, and the tokens of all documents."""
    beyond = [length - block_size for length in lengths if length > block_size]
    return len(beyond), sum(beyond), sum(lengths)


def _why(error: ArithmeticError | ValueError) -> str:
    """Why a step cannot be taken, in more words than Python has for it."""
    if isinstance(error, ValueError):
        return "the probability of a token in the document has become 0, and its loss infinite"
    if isinstance(error, OverflowError):
        return "the square of a gradient is past the range of numbers"
    return str(error)
