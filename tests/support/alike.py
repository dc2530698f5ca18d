"""Two runs of a script compared to the last word: what they print, how they end, and from which lines."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from running import Run, in_both_ways, same_text

FRAME = re.compile(r'  File ".*script.py", line (\d+), in (.*)')
REFUSED = "run this script with --rung 0"


def frames(source: str, stderr: str) -> list[tuple[str, str]]:
    """(line, function) of all frames outside classes: methods of ours have no frames."""
    kinds = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    inside = {line for kind in kinds for line in range(kind.lineno, (kind.end_lineno or 0) + 1)}
    found = [FRAME.match(line) for line in stderr.splitlines()]
    return [(each[1], each[2]) for each in found if each and int(each[1]) not in inside]


def last_words(stderr: str) -> str:
    """The last line of what is said, the report left out: mostly the exception."""
    lines = [line for line in stderr.splitlines() if not line.startswith("microgpt run:")]
    return same_text(lines[-1]) if lines else ""


def is_beyond(plain: Run) -> bool:
    """Whether it ran out of time, stack or memory, where the swapped run need not."""
    return plain.status < 0 or any(
        word in plain.stderr or word.encode() in plain.stdout for word in ("MemoryError", "RecursionError")
    )


def assert_alike(source: str, folder: Path) -> Run:
    """Both ways do the same; or the swapped run ended where the compiled class cannot hold something, and said so."""
    plain, fast = in_both_ways(source, folder)
    if is_beyond(plain):
        return fast
    said, said_fast = same_text(plain.stdout.decode()), same_text(fast.stdout.decode())
    if REFUSED in fast.stderr:
        assert fast.status == 1
        assert said.startswith(said_fast)
        return fast
    assert said_fast == said, fast.stderr
    assert fast.status == plain.status, fast.stderr
    assert frames(source, fast.stderr) == frames(source, plain.stderr)
    assert last_words(fast.stderr) == last_words(plain.stderr)
    return fast
