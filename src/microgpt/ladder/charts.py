"""Bar charts in HTML. The figures stand as text beside the bars; the bars themselves are hidden from screen readers.

A chart is a list whose rows are grids (report.css): on a wide screen name, bar and figures side by side, on a phone
the bar below its name and figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from . import figures
from .markup import Markup, markup, tag
from .results import Rung, Spread
from .scale import LogScale, for_bars

SHARES = {"forward": "forward", "backward": "backward", "adam": "Adam"}  # the parts of a step and what they are called
AXIS_LABELS = 6  # so many fit on a phone


def kind(rung: Rung) -> str:
    """The class that gives a rung its colour. Others than the five have one of their own."""
    return f"r{rung.number}" if rung.number in range(5) else "other"


def title(rung: Rung) -> Markup:
    """Number, name, and what a script holds."""
    shown = [] if rung.number is None else [tag("span", str(rung.number), class_="number"), " "]
    return markup(tag("span", *shown, rung.name, class_="title"), " ", tag("small", rung.holds))


def figure(text: str) -> Markup:
    """A figure in words, paler where there is none."""
    return tag("span", text, class_="missing") if text in (figures.MISSING, figures.NO_GRAPH) else markup(text)


def step(rung: Rung) -> Spread | None:
    """The time of a step, if it was measured."""
    found = rung.ms.get("step")
    return found if found is not None and figures.known(found.median) else None


def spread_words(spread: Spread | None) -> str:
    """From least to most, or nothing where nothing was measured."""
    if spread is None or not (figures.known(spread.least) and figures.known(spread.most)):
        return ""
    return figures.span(spread.least, spread.most)


def bits(same: bool) -> Markup:
    """Whether the losses are the interpreted script's, by a sign, in words, and last of all by colour."""
    sign, words = ("=", "same bits") if same else ("≠", "other bits")
    return tag(
        "span",
        tag("span", sign, class_="sign", aria_hidden="true"),
        " ",
        words,
        class_=f"bits {'same' if same else 'differ'}",
    )


def step_bars(rungs: Sequence[Rung], others: Sequence[Rung]) -> Markup:
    """A step's time on a logarithmic scale: the rungs from 0 up, below them what is no rung."""
    scale = for_bars(positive(each for rung in (*rungs, *others) for each in ends(step(rung))))
    lists = [tag("ol", *(_step_row(rung, scale) for rung in rungs), class_="bars steps", role="list")]
    if others:
        lists += [
            tag("h3", "Other programs that train the same model"),
            tag("ul", *(_step_row(rung, scale) for rung in others), class_="bars steps", role="list"),
        ]
    return tag("div", _axis(scale), *lists, class_="log", style=f"--decade: {_percent(1 / (scale.high - scale.low))}")


def _step_row(rung: Rung, scale: LogScale) -> Markup:
    spread = step(rung)
    median = spread.median if spread else None
    value: list[str] = [tag("strong", figure(figures.duration(median)))]
    if words := spread_words(spread):
        value += [" ", tag("small", words)]
    return tag(
        "li",
        tag("div", title(rung), class_="name"),
        tag("div", *_bar_and_spread(spread, scale), class_="track", aria_hidden="true"),
        tag("div", *value, class_="value"),
        tag("div", _gain(rung), " ", bits(rung.same_bits), class_="gain"),
        class_=kind(rung),
    )


def _gain(rung: Rung) -> Markup:
    if rung.number == 0:
        return tag("span", "the baseline")
    number, *words = figures.times_faster(rung.ratio).split(figures.SPACE)
    return tag("span", tag("strong", number), figures.SPACE, *words) if words else tag("span", figure(number))


def _bar_and_spread(spread: Spread | None, scale: LogScale) -> Iterable[Markup]:
    """Up to the median; over its end a thin line from least to most."""
    if spread is None or spread.median <= 0:
        return
    yield tag("span", class_="fill", style=f"width: {_percent(scale.at(spread.median))}")
    if len(found := positive(ends(spread))) == 3:
        left, right = scale.at(min(found)), scale.at(max(found))
        yield tag("span", class_="spread", style=f"left: {_percent(left)}; width: {_percent(right - left)}")


def _axis(scale: LogScale) -> Markup:
    """The powers of ten above the bars. The first begins at its line, the last ends there: none sticks out."""
    labels = []
    for exponent in scale.decades(AXIS_LABELS):
        place = _percent(scale.at_power(exponent))
        labels.append(tag("span", figures.tick(exponent), style=f"left: {place}; transform: translateX(-{place})"))
    return tag("div", tag("div", *labels, class_="axis"), class_="row", aria_hidden="true")


def shares(rung: Rung) -> dict[str, float]:
    """What part of a step its parts take, as far as they were told apart; they sum to 1 only where all three were.

    Medians need not add up, so the whole is the sum of the three where there are three, else the step.
    """
    found = {part: rung.ms[part].median for part in SHARES if part in rung.ms and figures.known(rung.ms[part].median)}
    total = sum(found.values())
    if len(found) < len(SHARES):
        spread = step(rung)
        total = max(total, spread.median) if spread else 0
    return {part: ms / total for part, ms in found.items()} if total > 0 else {}


def share_bars(rungs: Sequence[Rung]) -> Markup:
    """Where the time of a step goes: bars of the same length, divided into forward, backward and Adam."""
    key = [tag("span", tag("i", class_=f"swatch {part}"), name) for part, name in SHARES.items()]
    legend = tag("div", tag("div", *key, class_="key"), class_="row", aria_hidden="true")
    return tag("div", legend, tag("ul", *map(_share_row, rungs), class_="bars shares", role="list"))


def _share_row(rung: Rung) -> Markup:
    found = shares(rung)
    segments = [tag("span", class_=f"segment {part}", style=f"flex-grow: {share:.5f}") for part, share in found.items()]
    if found and (rest := 1 - sum(found.values())) > 1e-6:
        segments.append(tag("span", class_="segment rest", style=f"flex-grow: {rest:.5f}"))
    texts = [_share_text(part, rung, found) for part in SHARES] if found else [figure(figures.MISSING)]
    name = tag("div", _name(rung), class_="name")
    track = tag("div", *segments, class_="track" if found else "track empty", aria_hidden="true")
    return tag("li", name, track, tag("div", *texts, class_="parts"))


def _share_text(part: str, rung: Rung, found: dict[str, float]) -> Markup:
    label = tag("span", tag("i", class_=f"swatch {part}", aria_hidden="true"), SHARES[part], " ", class_="label")
    if part not in found:
        return tag("span", label, figure(figures.MISSING), class_="part")
    time = tag("small", figures.duration(rung.ms[part].median))
    return tag("span", label, tag("strong", figures.percent(found[part])), " ", time, class_="part")


def plain_bars(rungs: Sequence[Rung], value: Callable[[Rung], float | None], words: Callable[[Rung], str]) -> Markup:
    """Bars from 0 on a linear scale, one for each rung; `words` is the figure beside it."""
    longest = max([1e-300, *(found for rung in rungs if (found := value(rung)) is not None and figures.known(found))])
    rows = []
    for rung in rungs:
        found = value(rung)
        width = max(0.0, found / longest) if found is not None and figures.known(found) else None
        bar = [] if width is None else [tag("span", class_="fill", style=f"width: {_percent(width)}")]
        track = tag("div", *bar, class_="track", aria_hidden="true")
        text = tag("div", tag("strong", figure(words(rung))), class_="value")
        rows.append(tag("li", tag("div", _name(rung), class_="name"), track, text, class_=kind(rung)))
    return tag("ul", *rows, class_="bars plain", role="list")


def _name(rung: Rung) -> Markup:
    shown = [] if rung.number is None else [tag("span", str(rung.number), class_="number"), " "]
    return tag("span", *shown, rung.name, class_="title")


def ends(spread: Spread | None) -> tuple[float, ...]:
    """The figures of a spread, from the least to the most; none where nothing was measured."""
    return (spread.least, spread.median, spread.most) if spread else ()


def positive(values: Iterable[float]) -> list[float]:
    """Those that a logarithmic scale has a place for."""
    return [value for value in values if figures.known(value) and value > 0]


def _percent(part: float) -> str:
    return f"{100 * part:.3f}%"
