"""What decides a run beside its documents and the sizes of the model."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

from . import checks
from .schedules import SCHEDULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "seed": checks.any_integer,
    "num_steps": checks.integer,
    "lr": checks.positive,
    "schedule": lambda name, value: checks.one_of(name, value, SCHEDULES),
    "batch_size": checks.at_least_one,
    "clip_norm": checks.optional_positive,
    "holdout": checks.integer,
}


# A dataclass would cost the import of inspect.
_Fields = namedtuple(
    "_Fields",
    "seed num_steps lr schedule batch_size clip_norm holdout",
    defaults=(42, 1000, 0.01, "linear", 1, None, 0),
)


class Settings(_Fields):
    """The settings of a run; the defaults are the script's. A named tuple: immutable, compared by its values.

    seed: of all random numbers. num_steps: length of the whole run. lr: learning rate, of which `schedule` makes that
    of a step. batch_size: documents a step. clip_norm: longest gradient that Adam gets to see (2-norm over all
    parameters), or None. holdout: documents kept back for `evaluate`, the last ones of the shuffled order.

    Raises TypeError for a setting that does not exist or is of the wrong type, ValueError for one out of range.
    """

    __slots__ = ()
    seed: int
    num_steps: int
    lr: float
    schedule: str
    batch_size: int
    clip_norm: float | None
    holdout: int

    def __new__(cls, *given: Any, **named: Any) -> Settings:
        for name in named:
            if name not in CHECKS:
                raise TypeError(f"there is no setting {name!r}; there are {', '.join(CHECKS)}")
        fields = super().__new__(cls, *given, **named)
        return super().__new__(cls, *(check(name, value) for (name, check), value in zip(CHECKS.items(), fields)))

    @classmethod
    def _make(cls, values: Any) -> Settings:  # type: ignore[override]  # what _replace calls
        return cls(*values)
