"""The figures of a rung, the columns that all tables have, and the table of a terminal and of a README."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from . import figures
from .results import Results, Rung

UNKNOWN = "-"


def _ms(part: str) -> Callable[[Rung], str]:
    return lambda rung: figures.duration(rung.ms[part].median if part in rung.ms else None)


def _of_graph(figure: Callable[[Rung], str]) -> Callable[[Rung], str]:
    """A figure about the graph: a rung that was measured and has no figure has no nodes."""

    def found(rung: Rung) -> str:
        measured = "step" in rung.ms and figures.known(rung.ms["step"].median)
        no_nodes = rung.number is not None and rung.nodes is None and measured
        said = figure(rung)
        return figures.NO_NODES if said == figures.MISSING and no_nodes else said

    return found


COLUMNS: Mapping[str, Callable[[Rung], str]] = {
    "a step": _ms("step"),
    "faster": lambda rung: figures.times(rung.ratio),
    "forward": _ms("forward"),
    "backward": _ms("backward"),
    "Adam": _ms("adam"),
    "nodes": _of_graph(lambda rung: figures.count(rung.nodes)),
    "time a node": lambda rung: figures.duration(None if rung.ns_per_node is None else rung.ns_per_node / 1e6),
    "memory a node": _of_graph(lambda rung: figures.memory(rung.bytes_per_node)),
    "peak": lambda rung: figures.memory(rung.peak_bytes),
}


def text(results: Results, width: int | None = None) -> str:
    """The table, and below it what was measured. width: of the terminal, or None where lines may be long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(("rung", "how you get it", *COLUMNS)):
        table.add_column(title, justify="left" if number < 2 else "right", no_wrap=number != 1)
    for rung in (*results.rungs, *results.others):
        table.add_row(*map(Text, cells(rung)))
    console = Console(width=width or 1000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*lines, "", *conditions(results), ""])


def cells(rung: Rung) -> tuple[str, ...]:
    """What stands in the rung's row."""
    found = (figure(rung) for figure in COLUMNS.values())
    unknown = (figures.MISSING, figures.NO_NODES)
    return label(rung), rung.holds, *(UNKNOWN if each in unknown else plain(each) for each in found)


def label(rung: Rung) -> str:
    return rung.name if rung.number is None else f"{rung.number} {rung.name}"


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(figures.SPACE, " ")


def differing(results: Results) -> list[str]:
    """The rungs whose losses have other bits."""
    return [rung.name for rung in results.rungs if not rung.same_bits]


def conditions(results: Results) -> Iterator[str]:
    """Whether the losses are the same, what was trained, and where."""
    model, machine, software = results.model, results.machine, results.software
    if wrong := differing(results):
        yield f"LOSSES DIFFER from those of the interpreted rung: {', '.join(wrong)}"
    else:
        steps = len(results.losses)
        yield f"The losses are the same on all {len(results.rungs)} rungs, to the last bit (steps: {steps})."
    yield (
        f"{model['parameters']:,} parameters (n_layer {model['n_layer']}, n_embd {model['n_embd']}, "
        f"n_head {model['n_head']}, block_size {model['block_size']}), {results.documents}; "
        f"medians of {results.rounds} rounds in turns"
    )
    yield (
        f"{machine['cpu']}, {software['instruction_set']}; {software['python']}; {software['compiler']}; "
        f"load {UNKNOWN if machine['load'] is None else machine['load']} at the start"
    )


def markdown(results: Results) -> str:
    """The rungs and the other programs as a table of a README."""
    rows = [("rung", "how you get it", "a step takes", "faster", "same bits"), ("---", "---", "---:", "---:", "---")]
    for rung in (*results.rungs, *results.others):
        time = plain(COLUMNS["a step"](rung))
        rows.append((label(rung), rung.holds, time, COLUMNS["faster"](rung), "yes" if rung.same_bits else "no"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def source(results: Results) -> str:
    """Where the figures are from, a sentence below that table."""
    machine, software = results.machine, results.software
    where = f"{machine['cpu']}, {software['instruction_set']}, {software['python']}"
    return (
        f"Measured by `{results.command}` on {where}, saved in [docs/bench.json](docs/bench.json):\n"
        "processor time, medians of rounds in turns. The losses are the same on every rung, to the last bit."
    )
