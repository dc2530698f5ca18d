"""Where the time goes on each rung, from docs/profile.json: bars of one length, divided by groups of functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from microgpt.ladder.charts import LINE, ROW, WIDTH, _bar, _svg, _text, css
from microgpt.ladder.markup import Markup, tag

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


def in_words(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{group} {100 * shares[group]:.0f} %" for group in COLORS if group in shares)


def _row(name: str, shares: Mapping[str, float], y: float) -> Iterator[Markup]:
    x, whole = 0.0, sum(shares.values())
    yield _text(0, y + 12, name, class_="strong")
    for group, color in COLORS.items():
        width = WIDTH * shares.get(group, 0) / whole
        if width:
            yield _bar(x, y + 18, max(0.0, width - 1), 12, f"bar {color}")
        x += width


def _legend(groups: Mapping[str, str], y: float) -> Iterator[Markup]:
    """In two columns: group -> its words."""
    half = -(-len(groups) // 2)
    for k, (group, words) in enumerate(groups.items()):
        x, top = (k // half) * WIDTH / 2, y + (k % half) * LINE
        yield _bar(x, top, 10, 10, f"bar {COLORS[group]}")
        yield _text(x + 15, top + 9.5, words, class_="soft")


def figure(only: str | None = None) -> str:
    """All rungs, or one of them with its figures. KeyError for one that was not profiled."""
    found = saved()
    rungs = found["rungs"] if only is None else {only: found["rungs"][only]}
    content: list[Markup] = [tag("style", css())]
    for k, (name, shares) in enumerate(rungs.items()):
        content += _row(name, shares, k * ROW)
    used = [group for group in COLORS if any(group in shares for shares in rungs.values())]
    words = {group: f"{group} {100 * rungs[only][group]:.0f} %" if only else group for group in used}
    below = len(rungs) * ROW + 6
    content += _legend(words, below)
    said = "; ".join(f"{name}: {in_words(shares)}" for name, shares in rungs.items())
    svg = _svg(below + -(-len(used) // 2) * LINE, f"Share of processor time. {said}.", *content)
    caption = (
        f"Share of processor time by what functions are for. Sampled with perf by {found['command']} "
        f"on {found['cpu']}, {found['python']}, kernels for {found['instruction_set']}."
    )
    return str(tag("figure", svg, tag("figcaption", caption), class_="picture"))
