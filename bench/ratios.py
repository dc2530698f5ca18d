"""Reads the json of a benchmark run and prints one table: `ratios.py FILE.json`.

Every line holds the reference (the script's own class, in pure Python) against the compiled engine, as medians of
rounds that were measured in turns. Where plain floats can do the same without a graph, they stand in a third column,
and the last one says how far the compiled engine is above them. Below the table: the figures the project is judged by.

Exit status: 0, or 2 with one line on stderr if the file cannot be read as such a run.
"""

import sys

from figures import figures
from layers import TITLES
from runs import Record, Rows, Unreadable, load, machine, rows_of, time


def line(cells: tuple[str, ...]) -> str:
    what, *numbers = cells
    return f"  {what:<46}" + "".join(f"{number:>14}" for number in numbers)


def cells(what: str, variants: dict[str, Record]) -> tuple[str, ...]:
    compiled = variants.get("compiled", {})
    anything = compiled or next(iter(variants.values()))
    ns, reference, floats = compiled.get("ns"), anything.get("reference_ns"), anything.get("floats_ns")
    ratio = f"{reference / ns:,.1f} x" if ns and reference else ""
    if ns and not reference and "peak_ns" in anything:
        ratio = f"{anything['peak_ns'] / ns:.0%} of peak"
    above = time(ns - floats) if ns and floats else ""
    if anything["layer"] in ("import", "command"):  # the interpreter alone is no rival: the difference counts
        ratio, above = "", time(ns - reference) if ns and reference else ""
    return what, time(reference), time(ns), ratio, time(floats), above


def memory_cells(variants: dict[str, Record]) -> list[tuple[str, ...]]:
    """The bytes that a memory benchmark keeps beside its time."""
    found: list[tuple[str, ...]] = []
    for what, key in (("resident, bytes", "bytes_per_node"), ("peak with backward, bytes", "peak_bytes_per_node")):
        reference, compiled = (variants.get(name, {}).get(key) for name in ("reference", "compiled"))
        if reference and compiled:
            found.append((what, f"{reference:.1f}", f"{compiled:.1f}", f"{reference / compiled:.1f} x"))
    return found


def table(rows: Rows) -> list[str]:
    lines = [line(("", "reference", "compiled", "ratio", "plain floats", "above floats"))]
    layers = list(TITLES)
    shown = None
    for (layer, what), variants in sorted(rows.items(), key=lambda row: layers.index(row[0][0])):
        if layer != shown:
            shown = layer
            lines += ["", TITLES[layer]]
        lines.append(line(cells(what, variants)))
        if layer == "memory":
            lines += [line(found) for found in memory_cells(variants)]
    return lines


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: ratios.py FILE.json", file=sys.stderr)
        return 2
    try:
        run = load(arguments[0])
        rows = rows_of(run, arguments[0])
    except Unreadable as error:
        print(f"ratios.py: {error}", file=sys.stderr)
        return 2
    print("\n".join([*machine(run), "", *table(rows)]))
    print("\nThe figures (and what is asked of them)")
    for what, value, aim in figures(rows):
        print(f"  {what:<52}{value:>20}  {aim}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
