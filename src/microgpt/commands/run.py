"""`microgpt run`: the user's own script, swapped where that is safe. All of it is in microgpt.accelerate."""

import argparse
from typing import NoReturn

from ..accelerate import command
from ..accelerate.command import add_parser

__all__ = ["add_parser", "main"]


def main(options: argparse.Namespace) -> NoReturn:
    """Run the script, and end the process at once: nothing of the program's own comes after it."""
    raise SystemExit(command.main(options))
