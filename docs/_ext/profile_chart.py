"""Where the time goes on each rung, from docs/profile.json: bars of one length, divided by groups of functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from microgpt.ladder.charts import divided
from microgpt.ladder.markup import css, tag

PROFILE = Path(__file__).resolve().parents[1] / "profile.json"
COLORS = {  # the groups of tools/profile_rungs.py -> classes, from what is overhead to what is work
    "interpreter": "interpreter",
    "look-ups and dispatch": "lookups",
    "objects made and freed": "objects",
    "collector": "collector",
    "exp, log and powers": "libm",
    "matrix products": "forward",
    "backward, in C": "backward",
    "Adam, in C": "adam",
    "other C of ours": "other",
}


def saved() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PROFILE.read_text("utf-8"))
    return found


def ordered(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares of the whole, in the order of COLORS."""
    whole = sum(shares.values())
    return {group: shares[group] / whole for group in COLORS if group in shares}


def in_words(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{group} {100 * shares[group]:.0f} %" for group in ordered(shares))


def figure(only: str | None = None) -> str:
    """All rungs, or one of them with its figures. KeyError for one that was not profiled."""
    found = saved()
    rungs = found["rungs"] if only is None else {only: found["rungs"][only]}
    used = [group for group in COLORS if any(group in shares for shares in rungs.values())]
    words = {group: f"{group} {100 * rungs[only][group]:.0f} %" if only else group for group in used}
    rows = [
        ([tag("tspan", name, class_="strong")], "", {COLORS[group]: share for group, share in ordered(shares).items()})
        for name, shares in rungs.items()
    ]
    said = "; ".join(f"{name}: {in_words(shares)}" for name, shares in rungs.items())
    chart = divided(f"Share of processor time. {said}.", rows, {COLORS[group]: words[group] for group in used})
    svg = chart._replace(content=[tag("style", css("charts.css")), *chart.content]).svg()
    caption = (
        f"Share of processor time by what functions are for. Sampled with perf by {found['command']} "
        f"on {found['cpu']}, {found['python']}, kernels for {found['instruction_set']}."
    )
    return str(tag("figure", svg, tag("figcaption", caption), class_="picture"))
