"""`microgpt sweep`: every combination of some options trained, on all cores or a Dask cluster, and what is best."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from ..sweeps.space import OPTIONS, Space, values
from . import Refused, note, notes, refusing, train
from .options import Option, Options, one_of, path, text, whole
from .output import Output
from .parser import parser_of

if TYPE_CHECKING:
    from ..sweeps.executors import Numbered
    from ..sweeps.runs import Corpus

UNASKED = 100_000  # runs that are begun without --yes
DEFAULTS = {"random_seed": 42, "keep": "best", "tokenizer": "char"}
OBJECTIVES = {"loss": "loss", "holdout": "holdout_loss", "seconds": "seconds"}


def _several(option: Option, help: str | None = None) -> Option:
    """An option of `train` that takes many values at once."""
    metavar = f"{option.metavar},..."
    return Option(option.flag, metavar, lambda text: values(text, option.kind), help or option.help)


_of_train = {option.dest: option for options in train.GROUPS.values() for option in options}
ABOUT = {
    "help": "train every combination of some options, and compare",
    "description": "Train a model for every combination of the values given, each with the bits of `microgpt train`. "
    "Values: 8,16,32 (a list), 0:10 (0 to 9), 0.003..0.03:log:5 (a scale of 5; or :linear:5), or several of these "
    "with commas between them.",
    "epilog": "Examples: `microgpt sweep --out rates --lr 0.003..0.03:log:5 --n-embd 8,16,32 --seed 0:10`, after "
    "Ctrl-C the same again, and then `microgpt sweep report rates`.",
}
GROUPS = {
    "": (
        Option("report", "report DIR", text, "write DIR/sweep.html and DIR/sweep.csv", many=True),
        Option("--out", "DIR", path, "save the results here; runs already saved are not repeated"),
        Option("--space", "FILE.toml", path, "a file with these options, such as n-embd = [8, 16]"),
    ),
    "data": tuple(_of_train[name] for name in ("data", "data_limit", "data_timeout", "tokenizer")),
    "size of the model, one value or many": tuple(map(_several, train.GROUPS["size of the model"])),
    "training, one value or many": (
        *(_several(option) for option in train.GROUPS["training"] if option.dest in OPTIONS),
        _several(_of_train["holdout"], "documents held out to evaluate on (default: 0)"),
    ),
    "the sweep": (
        Option("--random", "N", whole(1), "train N of the combinations, drawn at random"),
        Option("--random-seed", "N", whole(), "seed of that draw (default: 42)"),
        Option("--jobs", "N", whole(1), "processes (default: one per core)"),
        Option("--cluster", "tcp://HOST:8786", text, "train on a Dask cluster instead"),
        Option("--keep", "WHICH", one_of(("best", "all", "none")), "checkpoints: best, all or none (default: best)"),
        Option(
            "--objective",
            "WHAT",
            one_of(OBJECTIVES),
            "what to minimise: loss, holdout or seconds (default: holdout if there is any, else loss)",
        ),
        Option("--dry-run", None, bool, "say how many runs that is, and how long"),
        Option("--yes", None, bool, f"allow more than {UNASKED:,} runs"),
    ),
}


def main(options: Options) -> int:
    return _report(options) if options.report else _sweep(_with_file(options))


# ---- what is asked for ----


def _with_file(options: Options) -> Options:
    """With the options of --space, where the command line does not say them itself."""
    if options.space is not None:
        try:
            found, unknown = parser_of({"sweep": sys.modules[__name__]}).parse_known_args(
                ["sweep", *_arguments(options.space)]
            )
        except Refused as error:
            raise Refused(f"{options.space}: {error}") from None
        if unknown or found.report:
            raise Refused(f"{options.space}: unknown: {' '.join(unknown or found.report)}")
        for name, value in vars(options).items():
            if value is None:
                setattr(options, name, getattr(found, name))
    for name, value in DEFAULTS.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _arguments(path: str) -> Iterator[str]:
    """A TOML file as the command line that says the same."""
    try:
        tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        raise Refused("--space needs tomli, which is not installed: pip install 'microgpt-engine[sweep]'") from None
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"not TOML: {error}") from None
    if "space" in table:
        raise Refused("space: a file of options cannot name another")
    for name, value in table.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value is not False:
            items = value if isinstance(value, list) else [value]
            if not items or not all(
                isinstance(item, (str, int, float)) and not isinstance(item, bool) for item in items
            ):
                raise Refused(f"{name}: expected a number, a text or a list of these")
            yield f"{option}={','.join(map(str, items))}"


def _objective(options: Options, space: Space) -> str:
    held_out = min(space.axes["holdout"]) > 0
    if options.objective == "holdout" and not held_out:
        raise Refused("--objective holdout needs --holdout N, above 0 in every run")
    return OBJECTIVES[options.objective or ("holdout" if held_out else "loss")]


# ---- the sweep ----


def _sweep(options: Options) -> int:
    from ..sweeps import plan
    from ..sweeps.executors import cores
    from ..sweeps.runs import Corpus
    from . import sweeping

    if options.out is None and not options.dry_run:
        raise Refused("--out DIR is missing: where to keep the results (see microgpt sweep --help)")
    if options.jobs and options.cluster:
        raise Refused("--jobs is for this machine; with --cluster, the number of workers counts")
    documents, source = train.read_documents(options.data, options)
    corpus = Corpus(documents, options.tokenizer)
    with refusing(also=TypeError):
        space = Space(train.given(options, OPTIONS), options.random, options.random_seed)
        objective = _objective(options, space)
        if len(space) > UNASKED and not options.yes:
            raise Refused(f"{len(space):,} runs: --yes allows so many, --random N draws some of them")
        runs, left_out = plan(space, corpus)
    if left_out:
        note(f"{left_out:,} combinations left out: n_embd must be a multiple of n_head")
    jobs = min(options.jobs or cores(), len(runs))
    if not options.cluster:
        _check_memory(corpus, runs, jobs)
    if options.dry_run:
        from ..sweeps.estimate import estimate

        Output().write(estimate(space, corpus, runs, jobs))
        return 0
    noted = {**notes.DEFAULTS, "source": source, "best": None}
    sweep = sweeping.Sweep(space, corpus, runs, objective, options.keep, noted)
    return sweep.into(options.out, options.cluster, jobs)


def _check_memory(corpus: Corpus, runs: list[Numbered], jobs: int) -> None:
    """MemoryError for models of which not `jobs` at once fit, before any is trained."""
    from .. import memory
    from ..sweeps.runs import configs

    largest = max(configs(corpus, runs), key=lambda config: config.num_params)
    needed = jobs * memory.needed(largest, max(map(len, corpus.documents)) + 1, 2)
    memory.check(needed, f"{jobs} models of {largest.num_params:,} parameters need")


def _report(options: Options) -> int:
    from ..sweeps import page
    from ..sweeps.folder import SweepError, read_about, read_runs

    if len(options.report) != 2 or options.report[0] != "report":
        raise Refused(f"unknown: {' '.join(options.report)} (see microgpt sweep --help)")
    folder = options.report[1]
    about, (results, _) = read_about(folder), read_runs(folder)
    objective = OBJECTIVES[options.objective] if options.objective else about.get("objective", "loss")
    if not results:
        raise Refused(f"{folder}: no run is finished yet")
    try:
        written = page.write(folder, about, list(results.values()), objective)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SweepError(f"{folder}: not the results of a sweep ({type(error).__name__}: {error})") from None
    note(f"written to {folder}: {', '.join(written)}")
    return 0
