"""`microgpt bench`: the same training run on every rung of the ladder, measured, in one table and as a report."""

import os
import shlex
import sys
from typing import TYPE_CHECKING

from .. import memory
from ..files import replace_file
from ..model import GPTConfig
from . import Refused, note, refusing, train
from .options import Option, Options, path, whole
from .output import Output
from .progress import bench_bar

if TYPE_CHECKING:
    from ..ladder.measure import Plan
    from ..ladder.others import OwnClass
    from ..ladder.results import Results

STEPS, ROUNDS = 12, 5
QUICK_STEPS, QUICK_ROUNDS = 4, 2
PAGE, PICTURE, FIGURES = "report.html", "ladder.svg", "bench.json"
NODES_PER_PARAMETER, BYTES_PER_NODE = 2, 250  # a product and a sum at each position; as Python objects
WIDTH = 200  # columns of the table where standard output is no terminal


ABOUT = {
    "help": "compare the rungs of the ladder: interpreted, compiled, typed, bulk, recorded, fused",
    "description": "Train the same model on the same names on every rung of the ladder, in turns, check that all "
    "losses have the same bits, and print what a step takes on each.",
    "epilog": f"Example: `microgpt bench --out ladder` also writes ladder/{PAGE}, {PICTURE} and {FIGURES}",
}
GROUPS = {
    "": (
        Option("--quick", None, bool, "fewer steps and rounds: takes less than 20 seconds", False),
        Option("--out", "DIR", path, f"write {PAGE}, {PICTURE} and {FIGURES} into this folder"),
        Option(
            "--with",
            "MODULE",
            path,
            "a row for the class Value of your own module, such as value.so; may be given again",
            dest="own",
            many=True,
        ),
        Option("--steps", "N", whole(1), f"number of names to train on, one step each (default: {STEPS})"),
        Option("--rounds", "N", whole(1), f"how often to measure every rung (default: {ROUNDS})"),
    ),
    "size of the model": train.GROUPS["size of the model"],
}


def main(options: Options) -> int:
    if options.out:
        _check_folder(options.out)
    plan = _plan(options)
    _check_memory(plan)
    from ..ladder.others import check_own_class, load_own_class

    try:
        own = [load_own_class(path) for path in options.own]
        for each in own:
            check_own_class(plan, each)
        results = _measured(plan, own)
    except RecursionError:
        raise Refused("this model is too deep for the interpreted rungs; fewer or narrower layers fit") from None
    output = Output()
    from ..ladder import table

    width = os.get_terminal_size(sys.stdout.fileno()).columns if output.terminal else WIDTH
    output.write(table.text(results, width))
    if options.out:
        _write(options.out, results)
    return 0 if all(rung.same_bits for rung in results.rungs) else 1


def _plan(options: Options) -> "Plan":
    from ..ladder.measure import Plan
    from ..ladder.rungs import script_documents

    vocab_size, documents = script_documents(options.steps or (QUICK_STEPS if options.quick else STEPS))
    with refusing():
        config = GPTConfig(vocab_size, **train.given(options, train.SIZES))
    if options.quick:
        return Plan(config, documents, options.rounds or QUICK_ROUNDS, pass_scale=0.1, max_step_seconds=0.5)
    return Plan(config, documents, options.rounds or ROUNDS)


def _check_memory(plan: "Plan") -> None:
    """MemoryError where the graph of one step would not fit into memory as Python objects."""
    longest = max(map(len, plan.documents))
    nodes = NODES_PER_PARAMETER * plan.config.num_params * min(longest, plan.config.block_size)
    memory.check(nodes * BYTES_PER_NODE, "the interpreted rungs need about")


def _measured(plan: "Plan", own: "list[OwnClass]") -> "Results":
    from datetime import datetime, timezone

    from ..ladder import machine, measure
    from ..ladder.others import others
    from ..ladder.results import Results

    with machine.pinned_to_one_core() as core, bench_bar(plan.work) as progress:
        where = machine.machine(core)
        rungs, losses = measure.ladder(plan, progress)
        sizes = measure.sizes(plan, progress)
        beside = others(plan, progress, rungs[0], losses, own)
    config = plan.config
    return Results(
        command=shlex.join(["microgpt", *sys.argv[1:]]),
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=where,
        software=machine.software(),
        model={**config._asdict(), "parameters": config.num_params},
        documents=f"{len(plan.documents)} of the names that come with microgpt",
        rounds=plan.rounds,
        losses=losses,
        rungs=rungs,
        others=beside,
        sizes=sizes,
    )


# ---- the folder -----------------------------------------------------------------------------------------------------


def _check_folder(path: str) -> None:
    """Refused before measuring rather than after it, if nothing could be written there."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise Refused(f"--out {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK):
        raise Refused(f"--out {path}: cannot be written")


def _write(folder: str, results: "Results") -> None:
    from ..ladder.charts import ladder_svg
    from ..ladder.report import report_html
    from ..ladder.results import Results

    files = {FIGURES: Results.to_json, PAGE: report_html, PICTURE: ladder_svg}
    for name, text_of in files.items():
        replace_file(os.path.join(folder, name), text_of(results).encode())
    note(f"written to {folder}: {', '.join(files)}")
