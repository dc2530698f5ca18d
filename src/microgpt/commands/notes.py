"""What a checkpoint of `microgpt train` remembers beside the run: where its data is, and what --resume may change."""

from __future__ import annotations

from collections.abc import Callable

from .. import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint import Checkpoint


def _of(kind: type, what: str) -> Callable[[str, object], Any]:
    def check(name: str, value: object) -> Any:
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {what}, not {type(value).__name__}")
        return value

    return check


def _several(*each: Callable[[str, Any], Any]) -> Callable[[str, Any], list[Any]]:
    """A list, with a check for each of its items."""
    return lambda name, value: [check(name, item) for check, item in zip(each, value, strict=True)]


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
    "keep_best": _of(bool, "true or false"),
    "patience": checks.at_least_one,
    "source": _of(str, "text"),  # a file, an address, "-" for standard input, None for the embedded names
    "cut": _several(*[checks.integer] * 3),  # Trainer.cut
    "best": _several(checks.at_least_one, checks.not_negative),  # step and loss of the lowest held-out loss
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
