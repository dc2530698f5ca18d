"""The parser of the command line: loaded only where it has something to explain, to refuse or to work out."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from ..version import __version__
from . import Refused
from .options import add_options
from .output import Output


class Parser(argparse.ArgumentParser):
    """Complains in one line, where argparse would print all options first."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        option, colon, complaint = message.removeprefix("argument ").partition(": ")
        if colon and complaint.startswith("must "):  # as the checks say it, with a name before it
            raise Refused(f"{option} {complaint}")
        raise Refused(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:
        Output().write(message)  # argparse would ignore a full disk


def parser_of(modules: dict[str, Any]) -> Parser:
    """The parser of these commands, name -> module."""
    parser = Parser(
        prog="microgpt",
        description="A tiny GPT, trained in seconds: Karpathy's microgpt.py, compiled, with the same bits.",
        epilog="`microgpt COMMAND --help` explains a command. Without a file of your own, it trains on names.",
    )
    parser.add_argument("--version", action="version", version=f"microgpt {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, module in modules.items():
        if hasattr(module, "add_parser"):
            module.add_parser(commands)
            continue
        command = commands.add_parser(name, **module.ABOUT)
        for title, options in module.GROUPS.items():
            add_options(command.add_argument_group(title) if title else command, options)
    return parser
