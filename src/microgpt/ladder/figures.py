"""How figures are written: three digits and a unit. What was not measured says so, and is never 0."""

from __future__ import annotations

import math

MISSING = "not measured"
NO_NODES = "no nodes"
SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit

TIMES = (("ns", 1e-6), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3))  # in milliseconds
SIZES = (("bytes", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))


def known(value: float | None) -> bool:
    """Whether there is such a figure. NaN and infinities are none."""
    return value is not None and math.isfinite(value)


def significant(value: float) -> str:
    """Three digits, or all those before the point: 0.0123, 4.21, 12,345."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e12:
        return f"{value:.2e}"
    exponent = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{value:,.{max(0, 2 - exponent)}f}"


def _in_units(value: float, units: tuple[tuple[str, float], ...]) -> str:
    """The number in the largest unit that leaves at least 1, rounded to three digits."""
    rounded = abs(float(f"{value:.2e}"))
    name, size = next(((name, size) for name, size in reversed(units) if rounded >= size), units[0])
    return significant(value / size) + SPACE + name


def duration(ms: float | None) -> str:
    """Milliseconds as 11.0 µs, 4.21 ms, 5.54 s."""
    return _in_units(ms, TIMES) if ms is not None and known(ms) else MISSING


def span(shortest: float, longest: float) -> str:
    """From one time to another; the unit once where it is the same: 105 to 136 ms."""
    low, high = duration(shortest), duration(longest)
    if low.rpartition(SPACE)[2] == high.rpartition(SPACE)[2]:
        low = low.rpartition(SPACE)[0]
    return f"{low} to {high}"


def tick(exponent: int) -> str:
    """A power of ten of milliseconds on an axis: 1 µs, 10 µs, 100 µs, 1 ms."""
    unit, of_unit = next(
        ((unit, power) for unit, power in (("s", 3), ("ms", 0), ("µs", -3)) if exponent >= power), ("ns", -6)
    )
    power = exponent - of_unit
    return (f"{10**power:,}" if 0 <= power <= 5 else f"1e{power}") + SPACE + unit


def memory(size: float | None) -> str:
    """Bytes as 189 bytes, 900 kB, 14.0 MB; a kB is 1,000 bytes."""
    if size is None or not known(size):
        return MISSING
    return f"{size:.0f}{SPACE}bytes" if size < 1000 and size == int(size) else _in_units(size, SIZES)


def count(value: float | None) -> str:
    """How many, as a whole number."""
    return f"{value:,.0f}" if value is not None and known(value) else MISSING


def ratio(value: float | None) -> str:
    """How many times: 1, 26.8, 10,273."""
    if value is None or not known(value):
        return MISSING
    return "1" if value == 1 else significant(value)


def times(value: float | None) -> str:
    """The same with its sign: 26.8 x."""
    return f"{ratio(value)} x" if known(value) else MISSING


def times_faster(value: float | None) -> str:
    """The same in words. Slower is not called faster."""
    if value is None or not known(value):
        return MISSING
    if value == 1:
        return "as fast"
    return f"{ratio(value)}{SPACE}times faster" if value > 1 else f"{ratio(value)}{SPACE}times as fast"


def fraction(part: float) -> str:
    """A part of 1 as 1/27, 1/10,273."""
    return f"1/{ratio(1 / part)}" if 0 < part < 1 else f"{part:.0f}"


def percent(share: float) -> str:
    """A part of 1 as 71 %, 2.7 %."""
    if 0 < share < 0.001:
        return f"<{SPACE}0.1{SPACE}%"
    digits = 0 if share >= 0.0995 or share == 0 else 1
    return f"{100 * share:.{digits}f}{SPACE}%"


def compact(value: float) -> str:
    """A count where there is little room: 27, 4.2k, 54k, 12M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            shown = float(f"{value / size:.1e}") if value < 100 * size else value / size
            return f"{shown:.{0 if shown >= 10 else 1}f}{unit}"
    return f"{value:.0f}"


def cut(name: str, max_letters: int) -> str:
    """A name in one line of at most so many letters."""
    line = " ".join(name.split())
    return line if len(line) <= max_letters else f"{line[: max_letters - 1]}…"
