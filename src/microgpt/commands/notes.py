"""What a checkpoint of `microgpt train` remembers beside the run: where its data is, and what --resume may change."""

from __future__ import annotations

from .. import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..checkpoint import Checkpoint


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{name} must be text, not {type(value).__name__}")
    return value


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, not {type(value).__name__}")
    return value


def _integers(name: str, value: object) -> list[int]:
    if not isinstance(value, list) or len(value) != 3:
        raise TypeError(f"{name} must be three integers")
    return [checks.integer(name, each) for each in value]


def _best(name: str, value: object) -> list[float]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError(f"{name} must be a step and a loss")
    return [checks.at_least_one(name, value[0]), checks.not_negative(name, value[1])]


# Options that a resumed run takes over unless they are given anew, with their defaults.
DEFAULTS = {
    "samples": 20,
    "temperature": 0.5,
    "eval_every": None,
    "save_every": None,
    "keep_best": False,
    "patience": None,
}

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "samples": checks.integer,
    "temperature": checks.temperature,
    "eval_every": checks.at_least_one,
    "save_every": checks.at_least_one,
    "keep_best": _switch,
    "patience": checks.at_least_one,
    "source": _text,  # a file, an address, "-" for standard input, None for the embedded names
    "trimmed": _switch,  # invisible characters at the edges of documents were left out: they are since this is noted
    "cut": _integers,  # Trainer.cut
    "best": _best,  # step and loss of the lowest held-out loss
    "since_best": checks.integer,  # evaluations since then
}


def read(kept: Checkpoint) -> dict[str, Any]:
    """The notes of a checkpoint, of which nothing is believed: CheckpointError for what this program does not write."""
    from ..checkpoint import CheckpointError

    found = dict(kept.notes)
    for name, check in CHECKS.items():
        if found.get(name) is not None:
            try:
                found[name] = check(name, found[name])
            except (TypeError, ValueError) as error:
                raise CheckpointError(f"unexpected notes: {error}") from None
    return found
