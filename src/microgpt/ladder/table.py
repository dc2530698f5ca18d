"""The results in a terminal: one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .results import Results, Rung

UNKNOWN = "-"
COLUMNS = ("rung", "a script holds", "ms a step", "faster", "forward", "backward", "Adam", "nodes", "ns/node")
COLUMNS_OF_MEMORY = ("bytes/node", "peak")


def text(results: Results, width: int | None = None) -> str:
    """The table, and below it what was measured. width: of the terminal, or None where lines may be long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate((*COLUMNS, *COLUMNS_OF_MEMORY)):
        table.add_column(title, justify="left" if number < 2 else "right", no_wrap=number != 1)
    for rung in (*results.rungs, *results.others):
        table.add_row(*map(Text, cells(rung)))
    console = Console(width=width or 1000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*lines, "", *below(results), ""])


def cells(rung: Rung) -> tuple[str, ...]:
    """What stands in the rung's row."""
    label = f"{'' if rung.number is None else f'{rung.number} '}{rung.name}"
    parts = (
        milliseconds(rung.ms[part].median) if part in rung.ms else UNKNOWN for part in ("forward", "backward", "adam")
    )
    return (
        label,
        rung.holds,
        milliseconds(rung.ms["step"].median),
        times(rung.ratio),
        *parts,
        optional(rung.nodes, "{:,.0f}"),
        optional(rung.ns_per_node, "{:,.3g}"),
        optional(rung.bytes_per_node, "{:,.0f}"),
        UNKNOWN if rung.peak_bytes is None else f"{rung.peak_bytes / 1e6:,.1f} MB",
    )


def below(results: Results) -> Iterator[str]:
    model, machine, software = results.model, results.machine, results.software
    odd = [rung.name for rung in results.rungs if not rung.same_bits]
    if odd:
        yield f"LOSSES DIFFER from those of the interpreted rung: {', '.join(odd)}"
    else:
        count = len(results.losses)
        yield f"The losses of {count} steps are the same on all {len(results.rungs)} rungs, to the last bit."
    yield (
        f"{model['parameters']:,} parameters (n_layer {model['n_layer']}, n_embd {model['n_embd']}, "
        f"n_head {model['n_head']}, block_size {model['block_size']}), {results.documents}; "
        f"medians of {results.rounds} rounds in turns"
    )
    yield (
        f"{machine['cpu']}, {software['instruction_set']}; {software['python']}; {software['compiler']}; "
        f"load {optional(machine['load'], '{}')} at the start"
    )


def milliseconds(ms: float) -> str:
    """Three digits that count."""
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}" if ms >= 0.1 else f"{ms:.4f}"


def times(ratio: float) -> str:
    return f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.2g} x"


def optional(value: Any, form: str) -> str:
    return UNKNOWN if value is None else form.format(value)


def markdown(results: Results) -> str:
    """The rungs as a table of a README."""
    rows = [("rung", "what a script holds", "a step takes", "faster"), ("---", "---", "---:", "---:")]
    for rung in results.rungs:
        name = f"{rung.number} {rung.name}"
        rows.append((name, rung.holds, f"{milliseconds(rung.ms['step'].median)} ms", times(rung.ratio)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
