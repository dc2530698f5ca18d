"""`microgpt run --check N`: N steps in both ways, and every printed line and every loss compared.

Both runs are processes of their own. In them, a call of the class's `backward` counts as a step and notes the bits of
the loss; the call after the N-th ends the process, so that all of N steps' output is there.
"""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from .report import say
from .syntax.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from types import SimpleNamespace
    from typing import Any

START = (
    "import sys; sys.path[:0] = [sys.argv.pop(1)]; from microgpt.accelerate.check import recorded; sys.exit(recorded())"
)
ENOUGH = 0  # the status of a process that was ended after its steps


class Outcome(Record):
    """What one of the two runs did."""

    status: int
    lines: list[bytes]
    losses: list[str]
    seconds: float
    error: str


def check(args: argparse.Namespace | SimpleNamespace) -> int:
    """Compare the runs and say how it went. Returns 0 if they are alike, 1 if not."""
    with tempfile.TemporaryDirectory() as folder:
        plain, fast = (record(args, rung, os.path.join(folder, str(rung))) for rung in (0, args.rung))
    if plain.status == fast.status == 1 and not plain.lines and "Error" in plain.error:
        say(f"check: the script fails by itself: {plain.error.splitlines()[-1]}")
        return 1
    wrong = first_difference(plain, fast)
    if wrong:
        for line in wrong:
            say(f"check: {line}")
        return 1
    steps = len(plain.losses)
    say(f"check: {steps} steps alike, {len(plain.lines)} printed lines and the bits of {steps} losses")
    say(f"check: {plain.seconds:.2f} s interpreted, {fast.seconds:.2f} s swapped, start included{by_step(plain)}")
    return 0


def by_step(plain: Outcome) -> str:
    """What a step takes, in words; nothing where there are too few to tell."""
    n = len(plain.losses)
    return f"; a step takes about {1e3 * plain.seconds / n:.0f} ms interpreted" if n > 1 else ""


def record(args: argparse.Namespace | SimpleNamespace, rung: int, file: str) -> Outcome:
    """Run the script on one rung for so many steps."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    settings = [str(rung), str(args.check), file, str(int(args.any_order))]
    command = [sys.executable, "-c", START, package, *settings, args.script, *args.arguments]
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    losses: list[str] = []
    if os.path.exists(file):
        with open(file, encoding="utf-8") as written:
            losses = written.read().split()
    return Outcome(done.returncode, done.stdout.splitlines(), losses, seconds, done.stderr.decode("utf-8", "replace"))


def first_difference(plain: Outcome, fast: Outcome) -> list[str]:
    for number, (a, b) in enumerate(zip(plain.lines, fast.lines), 1):
        if a != b:
            return [f"line {number} differs", f"  interpreted: {shown(a)}", f"  swapped:     {shown(b)}"]
    for number, (one, other) in enumerate(zip(plain.losses, fast.losses), 1):
        if one != other:
            return [f"loss {number} differs in its bits: {one} interpreted, {other} swapped"]
    for one_s, other_s, words in (
        (len(plain.lines), len(fast.lines), "{} lines interpreted, but {} swapped"),
        (len(plain.losses), len(fast.losses), "{} steps interpreted, but {} swapped"),
        (plain.status, fast.status, "exit status {} interpreted, but {} swapped"),
    ):
        if one_s != other_s:
            last = [f"  {each.error.splitlines()[-1]}" for each in (plain, fast) if each.error]
            return [words.format(one_s, other_s), *last]
    return []


def shown(line: bytes) -> str:
    return line.decode("utf-8", "replace")


# ---- in the processes -----------------------------------------------------------------------------------------------


def recorded() -> int:
    """The main function of the two processes: rung, steps, file for the losses, any_order, script, its arguments."""
    rung, steps, file, any_order, path, *arguments = sys.argv[1:]
    from .runtime.prepare import prepare
    from .runtime.script import execute, read
    from .runtime.support import install

    watch = watcher(int(steps), file)
    install().on_class = watch  # a class that is swapped
    builtins.__build_class__ = showing(builtins.__build_class__, watch)  # one that stays
    code, _ = prepare(read(path), path, int(rung), bool(int(any_order)))
    return 1 if code is None else execute(code, path, arguments)


def showing(build: Callable[..., Any], watch: Callable[[Any], None]) -> Callable[..., Any]:
    """What makes classes, and shows those that look like the script's Value."""

    def made(function: Any, name: str, *bases: Any, **keywords: Any) -> Any:
        kind = build(function, name, *bases, **keywords)
        if vars(kind).keys() >= {"__init__", "__add__", "__mul__", "backward"}:
            watch(kind)
        return kind

    return made


def watcher(steps: int, file: str) -> Callable[[Any], None]:
    """What is done to the class: its `backward` notes the loss, and ends the process when there were enough."""
    losses: list[str] = []

    def watch(kind: Any) -> None:
        backward = kind.backward
        if getattr(backward, "__name__", "") == "noted":
            return

        def noted(self: Any) -> None:
            if len(losses) == steps:
                end()
            losses.append(bits(self))
            with open(file, "w", encoding="utf-8") as out:
                out.write("\n".join(losses))
            backward(self)

        kind.backward = noted

    return watch


def bits(loss: Any) -> str:
    """The bits of a loss, whatever its number is called; "?" where there is none."""
    for name in ("data", "val", "value"):
        number = getattr(loss, name, None)
        if isinstance(number, (float, int)):
            return float(number).hex()
    return "?"


def end() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ENOUGH)
