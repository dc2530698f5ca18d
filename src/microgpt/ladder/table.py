"""The results in a terminal: one table."""

from __future__ import annotations

from collections.abc import Iterator

from . import figures
from .results import Results, Rung

UNKNOWN = "-"
COLUMNS = (
    *("rung", "how you get it", "a step", "faster", "forward", "backward", "Adam"),
    *("nodes", "time a node", "memory a node", "peak"),
)


def text(results: Results, width: int | None = None) -> str:
    """The table, and below it what was measured. width: of the terminal, or None where lines may be long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(COLUMNS):
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
    parts = (rung.ms[part].median if part in rung.ms else None for part in ("forward", "backward", "adam"))
    found = (
        figures.duration(rung.ms["step"].median),
        times(rung.ratio),
        *map(figures.duration, parts),
        figures.count(rung.nodes),
        figures.duration(None if rung.ns_per_node is None else rung.ns_per_node / 1e6),
        figures.memory(rung.bytes_per_node),
        figures.memory(rung.peak_bytes),
    )
    return label(rung), rung.holds, *(UNKNOWN if each == figures.MISSING else plain(each) for each in found)


def label(rung: Rung) -> str:
    return rung.name if rung.number is None else f"{rung.number} {rung.name}"


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(figures.SPACE, " ")


def conditions(results: Results) -> Iterator[str]:
    """Whether the losses are the same, what was trained, and where."""
    model, machine, software = results.model, results.machine, results.software
    differing = [rung.name for rung in results.rungs if not rung.same_bits]
    if differing:
        yield f"LOSSES DIFFER from those of the interpreted rung: {', '.join(differing)}"
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


def times(ratio: float) -> str:
    return f"{figures.ratio(ratio)} x"


def markdown(results: Results) -> str:
    """The rungs and the other programs as a table of a README."""
    rows = [("rung", "how you get it", "a step takes", "faster", "same bits"), ("---", "---", "---:", "---:", "---")]
    for rung in (*results.rungs, *results.others):
        time = plain(figures.duration(rung.ms["step"].median))
        rows.append((label(rung), rung.holds, time, times(rung.ratio), "yes" if rung.same_bits else "no"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def source(results: Results) -> str:
    """Where the figures are from, a sentence below that table."""
    machine, software = results.machine, results.software
    where = f"{machine['cpu']}, {software['instruction_set']}, {software['python']}"
    return (
        f"Measured by `{results.command}` on {where}, saved in [docs/bench.json](docs/bench.json):\n"
        "processor time, medians of rounds in turns. The losses are the same on every rung, to the last bit."
    )
