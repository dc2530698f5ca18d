"""Options as data, so that a plain command line can be read without argparse, and the kinds of values they take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

from .. import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Options = SimpleNamespace  # the values of a command's options, as attributes


class Option:
    """An option of the command line: what is typed, `--flag METAVAR`, and what becomes of it.

    flag: without dashes for an argument that is known by its place. metavar: None for a switch, which takes no value.
    kind: turns the text of a value into the value, or says by ValueError what it must be. dest: the attribute that
    holds it, if that is not the flag's own name. many: it may be given again; the attribute is the list of the values.
    """

    def __init__(
        self,
        flag: str,
        metavar: str | None,
        kind: Callable[[str], Any],
        help: str,
        default: Any = None,
        *,
        required: bool = False,
        dest: str | None = None,
        many: bool = False,
    ) -> None:
        self.flag, self.metavar, self.kind, self.help = flag, metavar, kind, help
        self.default, self.required, self.many = [] if many else default, required, many
        self.dest = dest or flag.removeprefix("--").replace("-", "_")


def read_pairs(options: Iterable[Option], arguments: Sequence[str]) -> Options | None:
    """The values where the arguments are `--name value` and nothing else; None where argparse is to read or refuse."""
    known = {option.flag: option for option in options}
    values = {option.dest: option.default for option in known.values()}
    for flag, text in zip(arguments[::2], arguments[1::2]):
        option = known.get(flag) if flag.startswith("-") else None
        if option is None or option.metavar is None or option.many or text.startswith("-"):
            return None
        try:
            values[option.dest] = option.kind(text)
        except Exception:
            return None
    missing = any(option.required and values[option.dest] is None for option in known.values())
    return None if len(arguments) % 2 or missing else Options(**values)


def add_options(group: Any, options: Iterable[Option]) -> None:
    """Declare them to argparse."""
    for option in options:
        how = {"help": option.help, "default": option.default}
        if option.flag.startswith("-"):
            action = "store_true" if option.metavar is None else "append" if option.many else "store"
            how |= {"dest": option.dest, "required": option.required, "action": action}
        else:
            how["nargs"] = "*" if option.many else None if option.required else "?"
        if option.metavar is not None:
            how |= {"metavar": option.metavar, "type": _for_argparse(option.kind)}
        group.add_argument(option.flag, **how)


def _for_argparse(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """What ValueErrors say is lost on argparse."""
    from argparse import ArgumentTypeError

    def found(text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error).strip()) from None

    return found


# ---- kinds of values ----


def text(given: str) -> str:
    """Text as it was typed: where the locale is not the terminal's, as UTF-8 if it is that."""
    try:
        return os.fsencode(given).decode("utf-8")
    except UnicodeError:
        return given


def path(given: str) -> str:
    """The name of a file, as the system has it."""
    return given


def whole(minimum: int | None = None) -> Callable[[str], int]:
    """An integer, not below `minimum`."""

    def kind(text: str) -> int:
        number: int = _parsed(int, text, "an integer")
        return number if minimum is None else checks.integer("", number, minimum)

    return kind


def positive(text: str) -> float:
    """A finite number above 0."""
    return checks.positive("", _parsed(float, text, "a number"))


def temperature(text: str) -> float:
    """A finite number of at least 0."""
    return checks.temperature("", _parsed(float, text, "a number"))


def temperature_option(default: float | None) -> Option:
    """The option of `train` and `sample`; its default is None where a resumed run may have one."""
    explained = "0 for the likeliest letter each time, 1 for letters as often as in the data (default: 0.5)"
    return Option("--temperature", "T", temperature, explained, default)


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """One of some names."""
    return lambda text: checks.one_of("", text, names)


def _parsed(kind: Callable[[str], Any], text: str, what: str) -> Any:
    try:
        if len(text) <= checks.SHOWN:
            return kind(text)
    except ValueError:
        pass
    raise ValueError(f"must be {what}, not {text[: checks.SHOWN]!r}")
