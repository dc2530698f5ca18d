"""The space of a sweep: values for every option of a run, and all their combinations or a random draw from them.

    n_embd = 8,16,32              these values
    seed = 0:10                   0 to 9, as Python's range; 0:10:2 every other
    lr = 0.003..0.03:log:5        5 values from the one to the other, each the same factor above the one before
    steps = 100..500:linear:3     100, 300, 500

Several of these with commas between them are one list. A combination is known by its number: its place in the product
of all lists, in which the last option changes fastest.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any

from .. import checks
from ..model import GPTConfig
from ..trainer import Settings

# Option -> what its text is. Slowest first: neighbours differ in what costs little to change.
OPTIONS: dict[str, Callable[[str], Any]] = {
    "holdout": int,
    "seed": int,
    "n_layer": int,
    "n_embd": int,
    "n_head": int,
    "block_size": int,
    "batch_size": int,
    "clip_norm": float,
    "schedule": str,
    "steps": int,
    "lr": float,
}
SIZES = GPTConfig._fields[1:]  # all but the number of tokens
MOST_VALUES = 100_000  # of one option
MOST_COMBINATIONS = 10**15  # of which --random may still draw
RANGE = re.compile(r"(-?\d{1,18}):(-?\d{1,18})(?::(-?\d{1,18}))?")
SCALE = re.compile(r"(.+)\.\.(.+):(log|linear):(\d{1,9})")

Run = dict[str, Any]  # option -> value, all of OPTIONS


def values(text: str, parse: Callable[[str], Any]) -> tuple[Any, ...]:
    """The values that `text` stands for, each once. parse: one value from its text; ValueError says what is wrong."""
    found = dict.fromkeys(value for item in text.split(",") for value in _item(item.strip(), parse))
    return tuple(found)


def _item(item: str, parse: Callable[[str], Any]) -> Iterable[Any]:
    if scale := SCALE.fullmatch(item):
        return _scale(item, parse(scale[1]), parse(scale[2]), scale[3], int(scale[4]))
    if span := RANGE.fullmatch(item):
        first, end, step = int(span[1]), int(span[2]), int(span[3] or 1)
        numbers = range(first, end, step) if step else range(0)
        if not 0 < len(numbers) <= MOST_VALUES:
            raise ValueError(f"{item}: {'no' if not numbers else 'too many'} values (FIRST:END:STEP, without END)")
        return [parse(str(number)) for number in numbers]
    if ":" in item or ".." in item:
        raise ValueError(f"{item}: expected FIRST:END, FIRST:END:STEP, LEAST..MOST:log:COUNT or :linear:COUNT")
    return [parse(item)]


def _scale(item: str, first: Any, last: Any, kind: str, count: int) -> Iterator[Any]:
    """Both ends and what is between them, to six digits; whole numbers where the ends are."""
    if isinstance(first, str) or not 2 <= count <= MOST_VALUES:
        raise ValueError(f"{item}: a scale has two numbers and a count from 2 to {MOST_VALUES}")
    if kind == "log" and min(first, last) <= 0:
        raise ValueError(f"{item}: a log scale needs numbers above 0")
    yield first
    for place in range(1, count - 1):
        part = place / (count - 1)
        number = first * (last / first) ** part if kind == "log" else first + (last - first) * part
        short = round(number) if isinstance(first, int) else float(f"{number:.6g}")
        yield min(max(short, min(first, last)), max(first, last))
    yield last


FIELDS = {"steps": "num_steps"}  # options that Settings knows under another name


def default(option: str) -> Any:
    """What a run has where nothing is said: the script's."""
    if option in SIZES:
        return getattr(GPTConfig(1), option)
    return getattr(Settings(), FIELDS.get(option, option))


def settings(run: Run) -> dict[str, Any]:
    """What Trainer takes beside documents, tokenizer and config."""
    return {FIELDS.get(name, name): value for name, value in run.items() if name not in SIZES}


class Space:
    """axes: option -> values (a text as above, one value, or several); options left out have their default.

    draw: so many different combinations, drawn by `draw_seed`, in place of all.

    Raises TypeError or ValueError for options there are none of, values that cannot be, and too many to draw.
    """

    def __init__(self, axes: Mapping[str, object], draw: int | None = None, draw_seed: int = 42) -> None:
        given = {_option(name): value for name, value in axes.items()}
        self.axes = {name: _values(name, given[name]) if name in given else (default(name),) for name in OPTIONS}
        self.size = prod(map(len, self.axes.values()))
        self.draw, self.draw_seed = draw, draw_seed
        if self.size > MOST_COMBINATIONS:
            raise ValueError(f"{self.size:,} combinations are more than can be numbered ({MOST_COMBINATIONS:,})")
        if draw is not None and not 1 <= draw <= self.size:
            raise ValueError(f"{draw:,} combinations cannot be drawn from {self.size:,}")

    @property
    def varied(self) -> list[str]:
        """The options with more than one value."""
        return [name for name, found in self.axes.items() if len(found) > 1]

    def __len__(self) -> int:
        return self.size if self.draw is None else self.draw

    def __getitem__(self, number: int) -> Run:
        """The combination of that number."""
        run = {}
        for name, found in reversed(self.axes.items()):
            number, place = divmod(number, len(found))
            run[name] = found[place]
        return {name: run[name] for name in OPTIONS}

    def numbers(self) -> Iterable[int]:
        """Of the combinations, ascending."""
        if self.draw is None:
            return range(self.size)
        return sorted(random.Random(self.draw_seed).sample(range(self.size), self.draw))

    def to_json(self) -> dict[str, Any]:
        """What tells this space from another."""
        drawn = None if self.draw is None else [self.draw, self.draw_seed]
        return {"axes": {name: list(found) for name, found in self.axes.items()}, "draw": drawn}


def _option(name: str) -> str:
    known = name.replace("-", "_")
    known = {"num_steps": "steps"}.get(known, known)
    if known not in OPTIONS:
        raise ValueError(f"no option {name!r} of a run; there are {', '.join(OPTIONS)}")
    return known


def _values(name: str, given: object) -> tuple[Any, ...]:
    if isinstance(given, str):
        found = values(given, OPTIONS[name])
    else:
        found = tuple(given if isinstance(given, Iterable) else [given])
    if not found:
        raise ValueError(f"{name}: no values")
    return tuple(dict.fromkeys(_checked(name, value) for value in found))


def _checked(name: str, value: Any) -> Any:
    """The value in the type it has in a run. TypeError or ValueError, by those who know what can be."""
    if name in SIZES:  # whether heads divide the width is asked of each combination
        return checks.at_least_one(name, value)
    field = FIELDS.get(name, name)
    return getattr(Settings(**{field: value}), field)
