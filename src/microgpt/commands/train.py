"""`microgpt train`: the script's whole run, with its lines on standard output; all else goes to standard error."""

import argparse
import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from .._files import checkpoint_file
from ..data import Tokenizer, embedded_names, load_documents
from ..model import GPTConfig
from ..schedules import SCHEDULES
from ..trainer import Diverged, Trainer
from . import Refused, describe, lossplot, note
from .losslog import LossLog
from .options import positive, whole
from .output import Output
from .sampling import add_temperature, drawn
from .session import Folder, Session
from .stopping import Stop

if TYPE_CHECKING:
    from ..checkpoint import Checkpoint

# what belongs to a run for good, and so is not given anew when it is resumed; of SETTINGS, option -> field
SIZES = ("n_layer", "n_embd", "n_head", "block_size")
SETTINGS = {
    "seed": "seed",
    "steps": "num_steps",
    "lr": "lr",
    "schedule": "schedule",
    "batch_size": "batch_size",
    "clip_norm": "clip_norm",
    "holdout": "holdout",
}
NOTED = {"samples": 20, "temperature": 0.5, "eval_every": None, "save_every": None}  # kept for --resume, free to change
MOST_HELD_OUT = 500  # documents, if --holdout does not say


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train a model on text, one document a line",
        description="Train a tiny GPT on a text file, one document (such as a name) a line, and let it invent more. "
        "Without options: the settings of the script microgpt.py, on input.txt if there is one here, else on the "
        "names that come with the program.",
        epilog="Examples: `microgpt train`, `microgpt train --data poems.txt --steps 5000 --out poems`, and after "
        "Ctrl-C `microgpt train --resume poems`.",
    )
    _add_data(parser.add_argument_group("data"))
    _add_model(parser.add_argument_group("size of the model"))
    _add_training(parser.add_argument_group("training"))
    _add_results(parser.add_argument_group("results"))


def _add_data(group: Any) -> None:
    group.add_argument("--data", metavar="FILE|URL", help="a text in UTF-8, one document a line")
    group.add_argument(
        "--holdout",
        metavar="N",
        type=whole(0),
        help="documents kept back for --eval-every (then: a tenth, at most 500)",
    )


def _add_model(group: Any) -> None:
    for name, default, what in (
        ("--n-layer", 1, "layers"),
        ("--n-embd", 16, "width: numbers by which the model knows a letter"),
        ("--n-head", 4, "attention heads a layer; divides --n-embd"),
        ("--block-size", 16, "letters that it sees at a time"),
    ):
        group.add_argument(name, metavar="N", type=whole(1), help=f"{what} (default: {default})")


def _add_training(group: Any) -> None:
    group.add_argument("--steps", metavar="N", type=whole(0), help="training steps, all in all (default: 1000)")
    group.add_argument(
        "--seed", metavar="N", type=whole(), help="of all random numbers: same seed, same run (default: 42)"
    )
    group.add_argument("--lr", metavar="RATE", type=positive, help="learning rate at the beginning (default: 0.01)")
    group.add_argument("--schedule", choices=SCHEDULES, help="how the learning rate goes on (default: linear, to 0)")
    group.add_argument("--batch-size", metavar="N", type=whole(1), help="documents a step (default: 1)")
    group.add_argument("--clip-norm", metavar="NORM", type=positive, help="longest gradient (default: any)")
    group.add_argument(
        "--threads", metavar="N", type=whole(1), default=1, help="that share the documents of a step (default: 1)"
    )


def _add_results(group: Any) -> None:
    group.add_argument("--out", metavar="DIR", help="save the run in this folder: regularly, at the end, on Ctrl-C")
    group.add_argument("--resume", metavar="DIR", help="go on with the run saved there, as if it had never stopped")
    group.add_argument("--save-every", metavar="N", type=whole(1), help="steps between checkpoints (default: 10 s)")
    group.add_argument("--eval-every", metavar="N", type=whole(1), help="steps between looks at held-out documents")
    group.add_argument("--log", metavar="FILE", help="every loss, as a json line a step")
    group.add_argument("--plot", metavar="FILE.png", help="a picture of the losses (needs matplotlib)")
    group.add_argument("--samples", metavar="N", type=whole(0), help="texts to invent at the end (default: 20)")
    add_temperature(group, default=None)


def main(options: argparse.Namespace) -> int:
    if options.plot:
        lossplot.check(options.plot)
    with ExitStack() as opened:
        session = _session(options, opened)
        try:
            with Stop() as stop:
                return _run(session, options, stop)
        except Diverged as error:
            raise Refused(f"{error}: training cannot go on, {session.saved}; a smaller --lr may help") from None


def _session(options: argparse.Namespace, opened: ExitStack) -> Session:
    """All that the run needs, made in such an order that a refusal has overwritten nothing."""
    folder = _resumed_folder(options, opened)
    trainer, notes = _resumed(options) if options.resume else _started(options)
    if folder is None and options.out:
        folder = opened.enter_context(closing(Folder(options.out, resumed=False)))
    log = None
    if options.log:
        log = opened.enter_context(closing(LossLog(options.log, trainer.step if options.resume else None)))
    session = Session(trainer, Output(), folder=folder, log=log, notes=notes, plotted=options.plot is not None)
    return opened.enter_context(closing(session))


def _run(session: Session, options: argparse.Namespace, stop: Stop) -> int:
    trainer, output = session.trainer, session.output
    session.save()  # at once: a folder that cannot be written should be known before it matters
    if options.data is None:
        note(f"training on {session.notes['source'] or 'the names that come with microgpt'}")
    if options.resume:
        note(f"going on at step {trainer.step} of {trainer.num_steps}")
    else:
        output.write(
            f"num docs: {len(trainer.documents) + len(trainer.held_out)}\n"
            f"vocab size: {trainer.tokenizer.vocab_size}\n"
            f"num params: {trainer.config.num_params}\n"
        )
    session.run(stop)
    if trainer.step == trainer.num_steps:
        _sample(trainer, output, session.notes, stop)
    elif stop.signum is not None:
        note(f"stopped at step {trainer.step} of {trainer.num_steps}; {_how_to_resume(session, options)}")
    if options.plot:
        losses = session.log.before + session.losses if session.log else session.losses
        lossplot.draw(options.plot, trainer.step - len(losses) + 1, losses, session.evaluated)
    return stop.status if stop.signum else 0


def _sample(trainer: Trainer, output: Output, notes: dict[str, Any], stop: Stop) -> None:
    output.write("\n--- inference (new, hallucinated names) ---\n")
    temperature = notes["temperature"]
    for index in range(notes["samples"]):
        if stop.signum is not None:
            return
        text = drawn(lambda: trainer.sample(temperature), temperature)
        output.write(f"sample {index + 1:2d}: {text}\n")


def _how_to_resume(session: Session, options: argparse.Namespace) -> str:
    if session.folder is None:
        return session.saved
    again = ["microgpt", "train", "--resume", session.folder.path]
    for name in ("log", "plot"):
        if getattr(options, name):
            again += [f"--{name}", getattr(options, name)]
    from shlex import join

    return f"go on with: {join(again)}"


# ---- a new run ----


def _started(options: argparse.Namespace) -> tuple[Trainer, dict[str, Any]]:
    notes = {name: _first(getattr(options, name), default) for name, default in NOTED.items()}
    documents, notes["source"] = _read(options.data)
    tokenizer = Tokenizer(documents)
    settings = {field: getattr(options, name) for name, field in SETTINGS.items() if getattr(options, name) is not None}
    if options.eval_every:
        settings.setdefault("holdout", min(MOST_HELD_OUT, max(1, len(documents) // 10)))
    if options.eval_every and not settings["holdout"]:
        raise Refused("--eval-every needs documents to look at, and --holdout 0 leaves none")
    sizes = {name: getattr(options, name) for name in SIZES if getattr(options, name) is not None}
    try:
        config = GPTConfig(tokenizer.vocab_size, **sizes)
        return Trainer(documents, tokenizer, config, threads=options.threads, **settings), notes
    except ValueError as error:
        raise Refused(str(error)) from None


def _first(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _read(data: str | None) -> tuple[list[str], str | None]:
    """The documents, and where they are to be found again; None stands for the embedded names."""
    source = "input.txt" if data is None and os.path.exists("input.txt") else data
    if source is None:
        return embedded_names(), None
    remote = source.startswith(("http://", "https://"))
    try:
        return load_documents(source), source if remote else os.path.abspath(source)
    except ValueError as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(f"{source}: {error}" if remote else describe(error)) from None


# ---- a resumed one ----


def _resumed(options: argparse.Namespace) -> tuple[Trainer, dict[str, Any]]:
    from ..checkpoint import CheckpointError, load

    try:
        kept = load(options.resume)
    except CheckpointError as error:
        raise Refused(str(error)) from None
    _refuse_changes(options, kept)
    notes = {name: _first(getattr(options, name), kept.notes.get(name, default)) for name, default in NOTED.items()}
    documents, notes["source"] = _read_again(options.data, kept)
    try:
        trainer = Trainer.from_checkpoint(kept, documents, num_steps=options.steps, threads=options.threads)
    except ValueError as error:
        raise Refused(f"--resume {options.resume}: {error}") from None
    if notes["eval_every"] and not trainer.held_out:
        raise Refused(f"--eval-every: the run in {options.resume} has held out no documents to look at")
    return trainer, notes


def _read_again(data: str | None, kept: "Checkpoint") -> tuple[list[str], str | None]:
    if data is None and "source" not in kept.notes:
        raise Refused("the checkpoint does not say where its documents are; name them with --data")
    source = kept.notes["source"] if data is None else data
    return (embedded_names(), None) if source is None else _read(source)


def _refuse_changes(options: argparse.Namespace, kept: "Checkpoint") -> None:
    fields = {name: getattr(kept.config, name) for name in SIZES}
    fields |= {name: kept.settings.get(field) for name, field in SETTINGS.items() if name != "steps"}
    for name, value in fields.items():
        given = getattr(options, name)
        if given is not None and given != value:
            option = f"--{name.replace('_', '-')}"
            raise Refused(f"{option} {given}: the run in {options.resume} has {value}, and goes on with it")


def _resumed_folder(options: argparse.Namespace, opened: ExitStack) -> Folder | None:
    """The folder of the run that is resumed, if it goes on there: locked before it is read."""
    if not options.resume or not os.path.isfile(file := checkpoint_file(options.resume)):
        return None
    old = os.path.dirname(file) or "."
    if options.out and not (os.path.isdir(options.out) and os.path.samefile(options.out, old)):
        return None
    return opened.enter_context(closing(Folder(old, resumed=True)))
