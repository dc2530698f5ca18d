"""The program `microgpt`: finds the command, and turns whatever goes wrong into one line and an exit status.

A command is a module of `microgpt.commands` with two functions: `add_parser(commands)` declares its options,
`main(options)` runs it and returns the exit status. Only the module of the command that was asked for is imported.

Exit status: 0, 2 for what the user can put right, 130 and the like after a signal, 141 when nobody reads the output.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import __version__
from .commands import COMMANDS, Refused, describe, note, silence
from .commands.output import Output

WRONG = 2
INTERRUPTED = 130
NOBODY_READS = 141


class Parser(argparse.ArgumentParser):
    """Complains in one line, where argparse would print all options first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:
        Output().write(message)  # argparse would ignore a full disk


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments, by default those of the process, and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    try:
        status = _run(name, arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        silence()
        return NOBODY_READS
    except KeyboardInterrupt:
        silence()
        return INTERRUPTED
    except (Refused, OSError, MemoryError) as error:
        silence()
        note(f"{' '.join(filter(None, ('microgpt', name)))}: {describe(error)}")
        return WRONG


def _run(name: str | None, arguments: list[str]) -> int:
    parser, modules = _parser(COMMANDS if name is None else [name])
    try:
        options, unknown = parser.parse_known_args(arguments)
    except SystemExit as end:  # after --help and --version
        return int(end.code or 0)
    if unknown:
        raise Refused(f"unknown: {' '.join(unknown)} (see {' '.join(filter(None, ('microgpt', name)))} --help)")
    if options.command is None:
        parser.print_help()
        return 0
    return int(modules[options.command].main(options))


def _parser(names: Sequence[str]) -> tuple[Parser, dict[str, Any]]:
    parser = Parser(
        prog="microgpt",
        description="A tiny GPT, trained in seconds: Karpathy's microgpt.py, compiled, with the same bits.",
        epilog="`microgpt COMMAND --help` explains a command. Without a file of your own, it trains on names.",
    )
    parser.add_argument("--version", action="version", version=f"microgpt {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    modules = {name: importlib.import_module(f".commands.{name}", __package__) for name in names}
    for module in modules.values():
        module.add_parser(commands)
    return parser, modules
