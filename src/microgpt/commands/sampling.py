"""What `train` and `sample` share where texts are invented."""

from collections.abc import Callable
from typing import Any

from . import Refused
from .options import positive


def add_temperature(group: Any, default: float | None) -> None:
    """The option --temperature; its default is None where a resumed run may have one."""
    group.add_argument(
        "--temperature",
        metavar="T",
        type=positive,
        default=default,
        help="how daring: near 0 the likeliest letters, at 1 as often as in the data (default: 0.5)",
    )


def drawn(draw: Callable[[], str], temperature: float) -> str:
    """A new text. Refused where the numbers overflow, as they do when divided by next to nothing."""
    try:
        return draw()
    except (ArithmeticError, ValueError) as error:
        raise Refused(f"no text can be drawn at --temperature {temperature}: {error}") from None
