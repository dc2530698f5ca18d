"""`microgpt train`: the script's whole run, with its lines on standard output; all else goes to standard error."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack, closing

from .. import sources
from ..data import documents_of, embedded_names, load_documents
from ..files import checkpoint_file
from ..model import GPTConfig
from ..schedules import SCHEDULES
from ..settings import Settings
from ..tokenizers import TOKENIZERS, Vocabulary, WordTokenizer
from ..trainer import Diverged, Trainer
from . import Refused, describe, note, notes, refusing
from .options import Option, Options, one_of, path, positive, temperature_option, whole
from .output import Output
from .session import BEST_NAME, Folder, Session
from .stopping import Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint import Checkpoint

# What belongs to a run for good, and so is not given anew when it is resumed; of SETTINGS, option -> field.
SIZES = GPTConfig._fields[1:]  # all but the number of tokens
SETTINGS = {"steps": "num_steps", **{name: name for name in Settings._fields if name != "num_steps"}}
MOST_HELD_OUT = 500  # documents, if --holdout does not say
MEBIBYTE = 1 << 20

ABOUT = {
    "help": "train a model on text, one document a line",
    "description": "Train a tiny GPT on a text file, one document (such as a name) a line, and generate more. "
    "Without options: the settings of the script microgpt.py, on input.txt if there is one here, else on the "
    "names that come with the program.",
    "epilog": "Examples: `microgpt train`, `microgpt train --data poems.txt --steps 5000 --out poems`, and after "
    "Ctrl-C `microgpt train --resume poems`.",
}
GROUPS = {
    "data": (
        Option("--data", "FILE|URL|-", path, "a text in UTF-8, one document a line; - for standard input"),
        Option("--holdout", "N", whole(0), "documents held out for --eval-every (default there: a tenth, at most 500)"),
        Option("--tokenizer", "KIND", one_of(TOKENIZERS), "a token for each: char or word (default: char)"),
        Option("--data-limit", "MIB", whole(1), "largest download or piped text (default: 1024)"),
        Option("--data-timeout", "SECONDS", positive, "longest that a download may take (default: 600)"),
    ),
    "size of the model": (
        Option("--n-layer", "N", whole(1), "layers (default: 1)"),
        Option("--n-embd", "N", whole(1), "width: numbers that represent a letter (default: 16)"),
        Option("--n-head", "N", whole(1), "attention heads a layer; divides --n-embd (default: 4)"),
        Option("--block-size", "N", whole(1), "longest context, in letters (default: 16)"),
    ),
    "training": (
        Option("--steps", "N", whole(0), "length of the run (default: 1000)"),
        Option("--seed", "N", whole(), "seed of all random numbers: same seed, same run (default: 42)"),
        Option("--lr", "RATE", positive, "initial learning rate (default: 0.01)"),
        Option("--schedule", "KIND", one_of(SCHEDULES), f"of the rate: {', '.join(SCHEDULES)} (default: linear, to 0)"),
        Option("--batch-size", "N", whole(1), "documents a step (default: 1)"),
        Option("--clip-norm", "NORM", positive, "scale longer gradients down to this norm (default: never)"),
        Option(
            "--threads", "N", whole(1), "threads that share a step's documents, or a large model's work (default: 1)", 1
        ),
        Option("--init-from", "DIR", path, "start from the parameters, tokens and sizes of the model saved there"),
    ),
    "results": (
        Option("--out", "DIR", path, "save the run in this folder: regularly, at the end, on Ctrl-C"),
        Option("--resume", "DIR", path, "continue the run saved there, as if it had never stopped"),
        Option("--save-every", "N", whole(1), "steps between checkpoints (default: 10 s)"),
        Option("--eval-every", "N", whole(1), "steps between evaluations on held-out documents"),
        Option("--keep-best", None, bool, f"also keep the model of the lowest held-out loss, in DIR/{BEST_NAME}", None),
        Option("--patience", "N", whole(1), "stop after N evaluations without a lower held-out loss"),
        Option("--log", "FILE", path, "write every loss here, a JSON line for each step"),
        Option("--plot", "FILE.png", path, "a picture of the losses (needs matplotlib)"),
        Option("--samples", "N", whole(0), "texts to generate at the end (default: 20)"),
        temperature_option(None),
    ),
}


def main(options: Options) -> int:
    if options.plot:
        from . import lossplot

        lossplot.check(options.plot)
    with ExitStack() as opened:
        session = _session(options, opened)
        try:
            with Stop() as stop:
                return _run(session, options, stop)
        except Diverged as error:
            raise Refused(f"{error}: training cannot go on, {session.saved}; a smaller --lr may help") from None


def _session(options: Options, opened: ExitStack) -> Session:
    """All that the run needs, made in such an order that a refusal has overwritten nothing."""
    folder = _resumed_folder(options, opened)
    trainer, noted = _resumed(options) if options.resume else _started(options)
    _check_looks(options, trainer, noted)
    if folder is None and options.out:
        folder = opened.enter_context(closing(Folder(options.out, resumed=False)))
    log = None
    if options.log:
        from .losslog import LossLog

        log = opened.enter_context(closing(LossLog(options.log, trainer.step if options.resume else None)))
    session = Session(trainer, Output(), folder=folder, log=log, notes=noted, plotted=options.plot is not None)
    return opened.enter_context(closing(session))


def given(options: Options, names: Iterable[str]) -> dict[str, Any]:
    """Of these options those that were given."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_looks(options: Options, trainer: Trainer, noted: dict[str, Any]) -> None:
    """Refuses looks at held-out documents where there are none, and what needs looks where there are none."""
    if noted["eval_every"] and not trainer.settings.holdout:
        if options.resume:
            raise Refused(f"--eval-every: the run in {options.resume} held out no documents")
        raise Refused("--eval-every needs held-out documents, and --holdout 0 leaves none")
    for name in ("keep_best", "patience"):
        if noted[name] and not noted["eval_every"]:
            raise Refused(f"{_flag(name)} needs --eval-every N, which evaluates held-out documents")
    if options.keep_best and not (options.out or options.resume):
        raise Refused("--keep-best needs --out DIR")


def _run(session: Session, options: Options, stop: Stop) -> int:
    session.save()  # at once: a folder that cannot be written should be known before it matters
    _tell(session, options)
    session.run(stop)
    if session.finished:
        _sample(session, stop)
    elif stop.signum is not None and not session.failure:
        note(f"stopped at {session.reached}; {_how_to_resume(session, options)}")
    if session.failure:
        raise Refused(session.failure)
    if options.plot:
        _plot(options.plot, session)
    return stop.status if stop.signum else 0


def _tell(session: Session, options: Options) -> None:
    """What is worth knowing before the first step."""
    trainer, source = session.trainer, session.notes["source"]
    documents = trainer.num_documents + trainer.settings.holdout
    if options.data is None:
        note(f"training on {source or 'the names that come with microgpt'}")
    if options.resume:
        note(f"resuming at {session.reached}")
    cut, beyond, tokens = trainer.cut
    if cut:
        size, share = trainer.config.block_size, f"{100 * beyond / tokens:.2g} % of all letters"
        note(
            f"{cut} of {documents} documents are longer than --block-size {size} and cut there: {share} are never seen"
        )
    if not options.resume:
        session.output.write(
            f"num docs: {documents}\n"
            f"vocab size: {trainer.tokenizer.vocab_size}\n"
            f"num params: {trainer.config.num_params}\n"
        )


def _sample(session: Session, stop: Stop) -> None:
    trainer, noted = session.trainer, session.notes
    if trainer.step < trainer.num_steps:
        step, loss = noted["best"] or (0, float("inf"))
        looks = f"{noted['patience']} looks at held-out documents without a loss below {loss:.4f}, that of step {step}"
        note(f"stopped at step {trainer.step}: {looks}")
    session.output.write("\n--- inference (new, hallucinated names) ---\n")
    temperature = noted["temperature"]
    for index in range(noted["samples"]):
        if stop.signum is not None:
            return
        with refusing(f"no text can be sampled at --temperature {temperature}: ", ArithmeticError):
            session.output.write(f"sample {index + 1:2d}: {trainer.sample(temperature)}\n")


def _plot(path: str, session: Session) -> None:
    from . import lossplot

    losses = session.log.before + session.losses if session.log else session.losses
    try:
        lossplot.draw(path, session.trainer.step - len(losses) + 1, losses, session.evaluated)
    except OSError as error:
        raise Refused(f"{describe(error)}; {session.saved}") from None


def _how_to_resume(session: Session, options: Options) -> str:
    if session.folder is None:
        return session.saved
    again = ["microgpt", "train", "--resume", session.folder.path]
    if _comes_once(session.notes["source"]):
        again += ["--data", session.notes["source"]]
    for name in ("log", "plot"):
        if getattr(options, name):
            again += [f"--{name}", getattr(options, name)]
    from shlex import join

    return f"go on with: {join(again)}"


# ---- documents ----


def _comes_once(source: str | None) -> bool:
    """Whether documents from there are to be had only where they are asked for again."""
    return source is not None and (source == sources.STANDARD_INPUT or sources.is_address(source))


def read_documents(data: str | None, options: Options) -> tuple[list[str], str | None]:
    """The documents, and where they are to be found again; None stands for the embedded names."""
    source = "input.txt" if data is None and os.path.exists("input.txt") else data
    if source is None:
        return embedded_names(), None
    limit = options.data_limit * MEBIBYTE if options.data_limit else None
    with refusing():
        if source == sources.STANDARD_INPUT:
            return documents_of(sources.read_standard_input(limit), "standard input", note=note), source
        documents = load_documents(source, max_bytes=limit, max_seconds=options.data_timeout, note=note)
    return documents, source if sources.is_address(source) else os.path.abspath(source)


def _read_again(options: Options, noted: dict[str, Any]) -> tuple[list[str], str | None]:
    """The documents of a run that is resumed. Nothing is fetched but what this command line names."""
    source = options.data
    if source is None:
        if "source" not in noted:
            raise Refused("the checkpoint does not say where its documents are; name them with --data")
        source = noted["source"]
        if source is None:
            return embedded_names(), None
        if _comes_once(source):
            raise Refused(f"the documents of this run came from {source}: give it again, with --data")
        if not os.path.isfile(source):
            raise Refused(f"{source}: the documents of this run are no longer there; name them with --data")
    return read_documents(source, options)


# ---- a new run, and one that is resumed ----


def _started(options: Options) -> tuple[Trainer, dict[str, Any]]:
    noted = {**notes.DEFAULTS, **given(options, notes.DEFAULTS), "best": None}
    kept = _loaded(options.init_from) if options.init_from else None
    if kept is not None:
        _refuse_others(options, kept, f"the model in {options.init_from} has", SIZES)
    documents, noted["source"] = read_documents(options.data, options)
    settings = {SETTINGS[name]: value for name, value in given(options, SETTINGS).items()}
    if options.eval_every:
        settings.setdefault("holdout", min(MOST_HELD_OUT, max(1, len(documents) // 10)))
    if kept is not None and isinstance(kept.tokenizer, Vocabulary) and (new := kept.tokenizer.unknown(documents)):
        names = ", ".join(map(repr, new[:20]))
        raise Refused(f"--init-from {options.init_from}: its model does not know {names}, which the documents have")
    with refusing():
        tokenizer = WordTokenizer(documents) if options.tokenizer == "word" and kept is None else None
        sizes = None if kept else given(options, SIZES)
        trainer = Trainer(documents, tokenizer, sizes, threads=options.threads, init_from=kept, **settings)
    noted["cut"] = list(trainer.cut)
    return trainer, noted


def _resumed(options: Options) -> tuple[Trainer, dict[str, Any]]:
    if options.init_from:
        raise Refused("--init-from starts a run and --resume continues one: give only one of them")
    kept = _loaded(options.resume)
    _refuse_others(options, kept, f"the run in {options.resume} has", (*SIZES, *SETTINGS))
    noted = notes.read(kept)
    documents, noted["source"] = _read_again(options, noted)
    for name, value in {**notes.DEFAULTS, **given(options, notes.DEFAULTS)}.items():
        if getattr(options, name) is not None or noted.get(name) is None:
            noted[name] = value
    with refusing(f"--resume {options.resume}: "):
        trainer = Trainer.resume(kept, documents, num_steps=options.steps, threads=options.threads)
    return trainer, noted


def _loaded(where: str) -> Checkpoint:
    from ..checkpoint import load

    kept = load(where)
    notes.read(kept)
    return kept


def _refuse_others(options: Options, kept: Checkpoint, what: str, names: Iterable[str]) -> None:
    """Refuses, of these options, what is not as a checkpoint has it; the length of a run may be another."""
    values = {**kept.config._asdict(), **{name: kept.settings.get(field) for name, field in SETTINGS.items()}}
    for name, value in given(options, names).items():
        if value != values[name] and name != "steps":
            raise Refused(f"{_flag(name)} {value}: {what} {values[name]}, and keeps it")
    if options.tokenizer and not isinstance(kept.tokenizer, TOKENIZERS[options.tokenizer]):
        raise Refused(f"--tokenizer {options.tokenizer}: {what} another, and keeps it")


def _resumed_folder(options: Options, opened: ExitStack) -> Folder | None:
    """The folder of the run that is resumed, if it goes on there: locked before it is read."""
    if not options.resume or not os.path.isfile(file := checkpoint_file(options.resume)):
        return None
    old = os.path.dirname(file) or "."
    if options.out and not (os.path.isdir(options.out) and os.path.samefile(options.out, old)):
        return None
    return opened.enter_context(closing(Folder(old, resumed=True)))
