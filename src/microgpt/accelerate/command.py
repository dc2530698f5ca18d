"""The subcommand `run` of the program: options, and the order of things."""

from __future__ import annotations

import gc
import os
import time
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

DESCRIPTION = """\
Run a variant of the 200-line microgpt.py, unchanged, with the same output, byte for byte, many times faster.
Code that is proved equal is swapped for compiled code; everything else runs as it is.
"""


SWITCHES = {
    "--quiet": "do not report what was swapped and left",
    "--explain": "also report where the script differs, line by line",
    "--any-order": "also swap a class of the older form, with _prev as a set, whose sums have no defined order: "
    "the last bits of its results change from run to run anyway",
}
DEFAULTS = {"rung": 3, "check": None}
NO_SCRIPTS = {
    **dict.fromkeys((".safetensors", ".pt", ".pth", ".npz", ".npy", ".pkl", ".pickle", ".json"), "a file of data"),
    **dict.fromkeys((".zip", ".pyz", ".whl"), "an archive"),
}


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add `run` to a program's subcommands."""
    import argparse

    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run",
        help="run your own variant of microgpt.py, unchanged, many times faster",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [options] script.py [its arguments]",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    import argparse

    from ..commands.options import Option, add_options, whole

    for flag, help_text in SWITCHES.items():
        parser.add_argument(flag, action="store_true", help=help_text)
    parser.set_defaults(**DEFAULTS)
    parser.add_argument(
        "--rung",
        type=int,
        choices=(0, 2, 3),
        help="the highest rung: 0 as it is, 2 the class alone, 3 vectors and Adam too (the default)",
    )
    about_check = "run N steps both ways instead, and compare every printed line and the bits of every loss"
    add_options(parser, [Option("--check", "N", whole(1), about_check)])
    parser.add_argument("script", help="the script to run")
    arguments = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its own arguments")
    arguments.required = False  # so that a missing script is all that is complained of


def read(arguments: list[str]) -> SimpleNamespace | None:
    """The options of a usual command line; None for argparse, whose import takes longer than most scripts' own."""
    switches = {flag: flag[2:].replace("-", "_") for flag in SWITCHES}
    options = SimpleNamespace(**DEFAULTS, **dict.fromkeys(switches.values(), False))
    for k, argument in enumerate(arguments):
        if argument in switches:
            setattr(options, switches[argument], True)
        elif argument.startswith("-"):
            return None
        else:
            options.script, options.arguments = argument, arguments[k + 1 :]
            return options
    return None


def main(args: argparse.Namespace | SimpleNamespace) -> int:
    """Run the script. Returns the exit status; what the script itself raises to end the process passes through."""
    from . import hook
    from .report import report, say, say_time

    hook.remove()
    source = source_of(args.script)
    if isinstance(source, str):
        say(source)
        return 2
    from .runtime.script import by_interpreter, is_text

    if not is_text(source):
        return by_interpreter(args.script, args.arguments)
    if args.check:
        from .check import check

        return check(args)
    gc.disable()  # trees are many objects, none of them garbage
    from .runtime.prepare import prepare

    code, findings = prepare(source, args.script, args.rung, args.any_order)
    gc.enable()
    if code is None:
        return 1
    if not args.quiet:
        report(findings, args.explain)
    from .runtime.script import execute

    start = time.process_time()
    try:
        return execute(code, args.script, args.arguments)
    finally:
        if not args.quiet:
            say_time(time.process_time() - start)


def source_of(path: str) -> bytes | str:
    """The script's source, or what is wrong with its path."""
    from .runtime.script import is_archive, read

    if os.path.isdir(path):
        inner = os.path.join(path, "__main__.py")
        return f"{path} is a folder; name the script in it" + (f": {inner}" if os.path.isfile(inner) else "")
    if path == "-":
        return "a script is read from a file; - is none"
    ending = os.path.splitext(path)[1].lower()
    if ending == ".ipynb":
        return f"{path} is a notebook: begin it with %load_ext microgpt, or export it as a script"
    if ending in NO_SCRIPTS:
        return f"{path} is {NO_SCRIPTS[ending]}, not a script"
    try:
        source = read(path)
        return f"{path} is an archive, not a script" if is_archive(path, source) else source
    except FileNotFoundError:
        return f"there is no file {path or repr(path)} here ({os.getcwd()})"
    except OSError as error:
        return f"cannot read {path}: {error.strerror or error}"
