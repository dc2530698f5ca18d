"""What `train` and `sample` share where text is generated."""

from __future__ import annotations

from . import Refused
from .options import Option, temperature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def temperature_option(default: float | None) -> Option:
    """The option --temperature; its default is None where a resumed run may have one."""
    explained = "0 for the likeliest letter each time, 1 for letters as often as in the data (default: 0.5)"
    return Option("--temperature", "T", temperature, explained, default)


def drawn(draw: Callable[[], str], temperature: float) -> str:
    """A new text. Refused where the numbers overflow, as they do when divided by next to nothing."""
    try:
        return draw()
    except (ArithmeticError, ValueError) as error:
        raise Refused(f"no text can be sampled at --temperature {temperature}: {error}") from None
