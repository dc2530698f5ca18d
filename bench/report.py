"""Prints a run of the benchmarks as one table: `report.py FILE.json`.

Every line compares the reference (the script's own class, in pure Python) with the compiled engine, as medians of
rounds that were measured in turns. If a saved run of the same kind of machine lies beside the file, its ratios have a
column of their own. Where plain floats can do the same without a graph, the last columns have them, and how far the
compiled engine is above them.

Exit status: 0, or 2 with one line on stderr if the file cannot be read as such a run.
"""

import sys

from runs import TITLES, Record, Run, Unreadable, load, ratio, saved_beside

ALONE = "command"  # compared with Python alone: the difference counts


def time(ns: float | None) -> str:
    """Nanoseconds in the unit that suits them."""
    if ns is None:
        return ""
    unit, size = next(((u, s) for u, s in (("ns", 1), ("us", 1e3), ("ms", 1e6)) if abs(ns) < 1000 * s), ("s", 1e9))
    return f"{ns / size:.3g} {unit}"


def gain(record: Record | None) -> str:
    """How many times faster than the reference; of the kernels, the part of the peak; of a step without gradients, the
    part of an ordinary one."""
    if record is None:
        return ""
    if (found := ratio(record, "ordinary")) is not None:
        return f"{found:.2f} of a step"
    if record["layer"] == ALONE:
        return time(record["ns"] - record["reference_ns"])
    if (found := ratio(record, "reference")) is not None:
        return f"{1 / found:,.1f} x"
    found = ratio(record, "peak")
    return f"{found**-1:.0%} of peak" if found is not None else ""


def line(*cells: str) -> str:
    return f"  {cells[0]:<52}" + "".join(f"{cell:>14}" for cell in cells[1:])


def rows(run: Run, saved: Run | None) -> list[str]:
    lines = [line("", "reference", "compiled", "ratio", "saved ratio", "plain floats", "above floats")]
    measured = dict.fromkeys(key[:2] for key in run.records)
    for layer, title in TITLES.items():
        of_layer = [what for each, what in measured if each == layer]
        lines += ["", title] if of_layer else []
        for what in of_layer:
            of = {variant: run.records.get((layer, what, variant)) for variant in ("compiled", "reference", "floats")}
            record = of["compiled"] or of["reference"] or of["floats"] or {}
            ns, floats = of["compiled"] and of["compiled"]["ns"], record.get("floats_ns")
            before = saved.records.get((layer, what, "compiled")) if saved else None
            above = time(ns - floats) if ns and floats else ""
            times = time(record.get("reference_ns")), time(ns)
            lines.append(line(what, *times, gain(of["compiled"]), gain(before), time(floats), above))
            if of["compiled"] and (found := ratio(of["compiled"], "bytes")) is not None:
                mine, other = of["compiled"]["bytes_per_node"], of["compiled"]["reference_bytes_per_node"]
                lines.append(line("  bytes a node", f"{other:.1f}", f"{mine:.1f}", f"{1 / found:.1f} x"))
    return lines


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: report.py FILE.json", file=sys.stderr)
        return 2
    try:
        run = load(arguments[0])
    except Unreadable as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    saved = saved_beside(run)
    print("\n".join([run.heading(), *([f"saved: {saved.heading()}"] if saved else []), "", *rows(run, saved)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
