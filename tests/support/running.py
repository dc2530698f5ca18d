"""Runs of a script in both ways, for comparison: by the interpreter as it is, and by `microgpt run`.

Where the system can fork, a run is a child of the test process, in which our class may be reshaped without leaving a
trace; elsewhere it is a process of its own.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import random
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# What the console script `microgpt` does: unlike `python -m`, it does not look for modules in the working directory.
START = """import os, sys
sys.path[0] = os.path.dirname(sys.executable)
from microgpt.cli import main
sys.exit(main())"""
ACCELERATED = (sys.executable, "-c", START, "run")
TIME_LIMIT = 300  # seconds, of a process of its own
CPU_LIMIT, MEMORY_LIMIT = 10, 3 * 2**30  # of a child: seconds, bytes
VARIANTS = Path(__file__).parent.parent / "run" / "variants"


class Run(NamedTuple):
    """How a script ended, and what it said."""

    status: int
    stdout: bytes
    stderr: str


def interpreted(script: Path, arguments: Sequence[str] = (), **options) -> Run:
    return run_process([sys.executable, script.name, *arguments], script.parent, **options)


def accelerated(script: Path, arguments: Sequence[str] = (), flags: Sequence[str] = (), **options) -> Run:
    return run_process([*ACCELERATED, *flags, script.name, *arguments], script.parent, **options)


def run_process(command: Sequence[str], folder: Path, **options) -> Run:
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIME_LIMIT, check=False, **options)
    return Run(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def forked(action, folder: Path) -> Run:
    """Call `action`, which returns an exit status, in a child with its output caught."""
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            os.chdir(folder)
            random.seed(1)  # a child begins with a seed of its own, a script without one too
            limit()
            warnings.simplefilter("ignore")  # the script's warnings are no errors, whatever pytest makes of its own
            status = act(action)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)
    _, waited = os.waitpid(child, 0)
    texts = []
    for file in (out, err):
        file.seek(0)
        texts.append(file.read())
        file.close()
    return Run(os.waitstatus_to_exitcode(waited), texts[0], texts[1].decode("utf-8", "replace"))


def limit() -> None:
    """A script that was broken on purpose may run for ever, or grow for ever."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def act(action) -> int:
    try:
        return action() or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException as error:
        error.__traceback__ = script_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)  # with its suggestions, as the interpreter has them
        return 1


def script_frames(frames):
    """Without the frames of this file, as the interpreter would have it."""
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return frames


def plainly(source: str, name: str) -> None:
    """A script as the interpreter runs it, as far as its output goes."""
    import types

    path = os.path.abspath(name)
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=builtins, __cached__=None)
    module.__dict__.update(__loader__=importlib.machinery.SourceFileLoader("__main__", path))
    module.__dict__.update({} if sys.version_info >= (3, 14) else {"__annotations__": {}})
    sys.argv = [name]
    sys.modules["__main__"] = module
    sys.setrecursionlimit(20_000)
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)


def swapped(source: str, name: str, rung: int = 3) -> int:
    """The same through the swaps, with the report on standard error."""
    from microgpt.accelerate.report import report
    from microgpt.accelerate.runtime.prepare import prepare
    from microgpt.accelerate.runtime.script import execute

    code, findings = prepare(source.encode(), name, rung)
    if code is None:  # its SyntaxError has been shown
        return 1
    report(findings)
    sys.setrecursionlimit(20_000)
    return execute(code, name, [])


def decided(source: str) -> tuple[str, tuple]:
    """(report, decision) of `microgpt run` about a script, without running it: decisions are the same if the same was
    swapped, with the same methods left, whatever stands in which line."""
    from microgpt.accelerate.report import grouped
    from microgpt.accelerate.rewrite import Options, rewrite

    found = rewrite(source.encode(), "script.py", Options())
    lines = grouped(found.findings)
    if not found.swapped:
        lines.append("nothing was swapped; the script runs as it is")
    plan = found.plan
    methods = (plan.ours, plan.kept, plan.missing, plan.kinds, plan.numbers_only, plan.patched) if plan else ()
    what = {(one.what, one.swapped, re.sub(r"\d+", "", one.why + one.note)) for one in found.findings}
    return "\n".join(lines), (frozenset(what), *map(frozenset, methods))


def in_both_ways(source: str, folder: Path, rung: int = 3) -> tuple[Run, Run]:
    """The runs of a script, as it is and with swaps."""
    (folder / "script.py").write_text(source, "utf-8")
    if hasattr(os, "fork"):
        plain = forked(lambda: plainly(source, "script.py"), folder)
        return plain, forked(lambda: swapped(source, "script.py", rung), folder)
    script = folder / "script.py"
    return interpreted(script), accelerated(script, flags=["--rung", str(rung)])


class Variant(NamedTuple):
    """Changes to the small script: (text, what stands there instead); and what the report has to say and not to say."""

    name: str
    changes: list[tuple[str, str]]
    said: list[str]
    not_swapped: list[str]


def read_variants(file: str) -> list[Variant]:
    """Those of variants/FILE.txt, in which a line `@@ ...` begins each part."""
    variants: list[Variant] = []
    parts = re.split(r"^@@ (.*)\n", (VARIANTS / f"{file}.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]
    for head, body in zip(parts[::2], parts[1::2]):
        text = body[:-1]  # the last line's end belongs to the file
        if head.startswith("variant "):
            variants.append(Variant(head.removeprefix("variant "), [], [], []))
        elif head == "find":
            find = text
        elif head == "replace":
            variants[-1].changes.append((find, text))
        else:
            {"said": variants[-1].said, "not swapped": variants[-1].not_swapped}[head].extend(text.split("\n"))
    return variants


def read_scripts(file: str) -> dict[str, str]:
    """Those of variants/FILE.txt by their names, each after a line `@@ script NAME`."""
    parts = re.split(r"^@@ script (.*)\n", (VARIANTS / f"{file}.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def small_gpt(*changes: tuple[str, str]) -> str:
    """The small script with some of its text replaced; every text must be there."""
    source = (VARIANTS / "small_gpt.py").read_text("utf-8")
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


def same_text(text: str) -> str:
    """Text without the addresses of objects, which no two runs have in common, and with one word for what a class has
    under the name of an attribute, be it from __slots__ or from C."""
    return re.sub(r" at 0x[0-9a-f]+>", " at 0x>", text).replace("getset_descriptor", "member_descriptor")


def assert_same(source: str, folder: Path, rung: int = 3) -> str:
    """Both ways print the same bytes and end alike. Returns the report."""
    plain, fast = in_both_ways(source, folder, rung)
    assert fast.stdout.decode().splitlines() == plain.stdout.decode().splitlines(), fast.stderr
    assert fast.stdout == plain.stdout
    assert fast.status == plain.status, fast.stderr
    return fast.stderr
