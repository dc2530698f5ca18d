"""The program `microgpt`: finds the command, and turns whatever goes wrong into one line and an exit status.

A command is a module of `microgpt.commands` with `main(options)`, which runs it and returns the exit status, and either
its options as data (ABOUT, GROUPS: see commands/options.py) or `read(arguments)` and `add_parser(commands)` of its own.
Only the module of the command that was asked for is imported, and argparse only where it is needed.

Exit status: 0, 2 for a usage error, 130 and the like after a signal, 141 when nobody reads the output.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from .commands import COMMANDS, Refused, describe, note, silence
from .version import __version__

USAGE_ERROR = 2
INTERRUPTED = 130
NOBODY_READS = 141


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
    except (Refused, OSError, MemoryError, ImportError) as error:
        silence()
        note(f"{' '.join(filter(None, ('microgpt', name)))}: {describe(error)}")
        return USAGE_ERROR


def _run(name: str | None, arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from .commands.output import Output

        Output().write(f"microgpt {__version__}\n")
        return 0
    modules = {
        each: importlib.import_module(f".commands.{each}", __package__) for each in ([name] if name else COMMANDS)
    }
    options: object = None
    if name is not None and hasattr(modules[name], "read"):
        options = modules[name].read(arguments[1:])
    elif name is not None:
        from .commands.options import read_pairs

        options = read_pairs([option for group in modules[name].GROUPS.values() for option in group], arguments[1:])
    if options is None:
        from .commands.parser import parser_of

        parser = parser_of(modules)
        try:
            options, unknown = parser.parse_known_args(arguments)
        except SystemExit as end:  # after --help and --version
            return int(end.code or 0)
        if unknown:
            raise Refused(f"unknown: {' '.join(unknown)} (see {' '.join(filter(None, ('microgpt', name)))} --help)")
        name = options.command
    if name is None:
        parser.print_help()
        return 0
    return int(modules[name].main(options))
