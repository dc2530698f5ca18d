"""What a run of `microgpt bench` found: plain dataclasses, read and written as bench.json.

All times are milliseconds, all sizes bytes. A figure that could not be measured is None. A loss is kept as `float.hex`,
because the claim is about bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 2  # of bench.json; a reader refuses others

PARTS = ("step", "forward", "backward", "adam")  # what is timed; a step is the other three together


class UnreadableResults(ValueError):
    """A file is no bench.json, or one of another format; the message is one line and names it."""


@dataclass(frozen=True)
class Spread:
    """Milliseconds over the rounds of a run."""

    median: float
    min: float
    max: float


@dataclass(frozen=True)
class Rung:
    """One rung, or another program that trains the same model.

    number      of the rung, from 0; None for a program that is no rung
    name        one word, such as interpreted
    holds       what a script has to hold to stand on this rung
    ms          milliseconds of a step and of its parts, by PARTS; a part that cannot be measured by itself is missing
    ratio       how many times faster than rung 0 a step is, in the same run
    steps       in one round
    same_bits   whether every loss has the bits of rung 0
    nodes       Values of one step's graph as the rung holds it (mean of the steps); None where it holds none
    ns_per_node     nanoseconds of a step for each of rung 0's nodes: what one scalar operation costs in all
    bytes_per_node  memory of the graph for each of its nodes
    peak_bytes  peak memory of training in a process of its own, above one that has only made the model
    """

    number: int | None
    name: str
    holds: str
    ms: Mapping[str, Spread]
    ratio: float
    steps: int
    same_bits: bool
    nodes: float | None = None
    ns_per_node: float | None = None
    bytes_per_node: float | None = None
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Size:
    """A model of another size: milliseconds a step by the name of the rung."""

    n_layer: int
    n_embd: int
    n_head: int
    block_size: int
    parameters: int
    ms: Mapping[str, float]


@dataclass(frozen=True)
class Results:
    """One run of `microgpt bench`.

    command     as it was typed
    made        when, in UTC, as 2026-01-31T12:00:00+00:00
    machine     cpu, cores, system, pinned (to this core, or None), load (average when it began)
    software    microgpt, python, compiler, flags, libc, instruction_set
    model       n_layer, n_embd, n_head, block_size, vocab_size, parameters
    documents   what was trained on, and how many there are
    rounds      each rung was measured so many times, in turns
    losses      of the steps that every rung took, as float.hex
    """

    command: str
    made: str
    machine: Mapping[str, Any]
    software: Mapping[str, Any]
    model: Mapping[str, int]
    documents: str
    rounds: int
    losses: list[str]
    rungs: list[Rung]
    others: list[Rung] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)

    def rung(self, name: str) -> Rung:
        """The rung of that name. KeyError if it was not measured."""
        for rung in self.rungs:
            if rung.name == name:
                return rung
        raise KeyError(name)

    def to_json(self) -> str:
        """The text of bench.json."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"


def load(path: str | os.PathLike[str]) -> Results:
    """The results in a bench.json. OSError where it can't be read, UnreadableResults for any other file."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        form = found.pop("format")
        if form != FORMAT:
            raise UnreadableResults(f"{path}: format {form!r} of bench.json is unknown, this version reads {FORMAT}")
        found["rungs"], found["others"] = ([_rung(each) for each in found[kind]] for kind in ("rungs", "others"))
        found["sizes"] = [Size(**size) for size in found["sizes"]]
        return Results(**found)
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UnreadableResults(f"{path}: not a bench.json of microgpt ({error})") from error


def _rung(found: dict[str, Any]) -> Rung:
    ms = {part: Spread(**spread) for part, spread in found.pop("ms").items()}
    return Rung(ms=ms, **found)
