"""Excerpts of the sources for the pages in docs/: found by name, or by the text of a line, and never pasted.

A page asks for them in a block of its own, a file on the first line and below it what to show, one after the other:

    ```{excerpt} src/microgpt/engine/handles.pxd
    result_with_handle
    ```

    multiply                a function, class, struct or enum, whole; in C with the comment above it
    Value.backward          a method
    from: POSIX_FLAGS =     the one line with this text, and the block that hangs on it
    to: MSVC_FLAGS          after a `from:`, up to and including the next line with this text instead

What is not there, or there more than once, is an ExcerptError: a page can't go on showing code that has gone.

    python docs/_ext/excerpts.py src/microgpt/reference.py Value.backward      shows one
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {".py": "python", ".pyx": "cython", ".pxd": "cython", ".pxi": "cython", ".h": "c", ".c": "c"}
FENCE = re.compile(r"^```\{excerpt\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PYTHON_DEFINITION = (
    r"^ *(?:(?:async )?def|cdef|cpdef) (?:[^(]*[ *])?{name}\("
    r"|^ *(?:cdef |ctypedef )?(?:class|struct|enum|union) {name}\b"
)
C_DEFINITION = r"^[A-Za-z].*?(?:\bISA\({name}\)|[ *]{name})\((?!.*\);$)|^\}} (?:ISA\({name}\)|{name});"


class ExcerptError(LookupError):
    """An excerpt cannot be made; the message names the file and what was looked for."""


@dataclass(frozen=True)
class Excerpt:
    """Lines of a file, counted from 1, both ends included; text is what they say, less the indentation they share."""

    path: str
    first: int
    last: int
    text: str


def language_of(path: str) -> str:
    """What a highlighter calls the language of a file."""
    return LANGUAGES.get(Path(path).suffix, "text")


def excerpts_in(page: str) -> Iterator[tuple[str, list[str]]]:
    """The path and the anchors of every excerpt that the text of a page asks for."""
    for path, body in FENCE.findall(page):
        yield path, body.splitlines()


def find(path: str, anchors: list[str], root: Path = ROOT) -> list[Excerpt]:
    """The excerpts of one block. ExcerptError for a file, a name or a text that is not there or not the only one."""
    source = root / path
    if not source.is_file():
        raise ExcerptError(f"{path}: there is no such file")
    lines = source.read_text("utf-8").splitlines()
    found: list[Excerpt] = []
    for anchor in filter(None, map(str.strip, anchors)):
        if anchor.startswith("to:"):
            if not found:
                raise ExcerptError(f"{path}: {anchor!r} stands behind no `from:`")
            found[-1] = _up_to(lines, found[-1], anchor[3:].strip())
        else:
            found.append(_excerpt(path, lines, *_range_of(path, lines, anchor)))
    if not found:
        raise ExcerptError(f"{path}: an excerpt names nothing to show")
    return found


def _excerpt(path: str, lines: list[str], first: int, end: int) -> Excerpt:
    """Lines first to end, counted from 0 and without the end, but for blank ones at the end."""
    while not lines[end - 1].strip():
        end -= 1
    return Excerpt(path, first + 1, end, textwrap.dedent("\n".join(lines[first:end])))


def _up_to(lines: list[str], excerpt: Excerpt, text: str) -> Excerpt:
    for k in range(excerpt.first, len(lines)):
        if text in lines[k]:
            return _excerpt(excerpt.path, lines, excerpt.first - 1, k + 1)
    raise ExcerptError(f"{excerpt.path}: no line with {text!r} follows line {excerpt.first}")


def _range_of(path: str, lines: list[str], anchor: str) -> tuple[int, int]:
    in_c = language_of(path) == "c"
    if anchor.startswith("from:"):
        pattern = re.escape(anchor[5:].strip())
        start, end = 0, len(lines)
    else:
        *outer, name = anchor.split(".")
        start, end = _range_of(path, lines, ".".join(outer)) if outer else (0, len(lines))
        pattern = (C_DEFINITION if in_c else PYTHON_DEFINITION).format(name=re.escape(name))
    matches = [k for k in range(start, end) if re.search(pattern, lines[k])]
    if len(matches) != 1:
        times = f"{len(matches)} times" if matches else "nowhere"
        raise ExcerptError(f"{path}: {anchor!r} is found {times}, and has to be found once")
    return (_c_block if in_c else _python_block)(lines, matches[0])


def _python_block(lines: list[str], first: int) -> tuple[int, int]:
    """A line with its decorators above it, and what is indented below it."""
    indent = _indent(lines[first])
    end = first + 1
    while end < len(lines) and (
        not lines[end].strip() or _indent(lines[end]) > indent or lines[end].lstrip()[0] in ")]}"
    ):
        end += 1
    while first > 0 and lines[first - 1].strip().startswith("@"):
        first -= 1
    return first, end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _c_block(lines: list[str], first: int) -> tuple[int, int]:
    """A line up to where the braces opened in it, or in the next, are closed; with the comment above it."""
    if lines[first].startswith("}"):  # the end of a typedef
        end = first + 1
        while not lines[first].startswith("typedef"):
            first -= 1
    else:
        end = _closed(lines, first)
    if first > 0 and lines[first - 1].rstrip().endswith("*/"):
        first -= 1
        while not lines[first].lstrip().startswith("/*"):
            first -= 1
    return first, end


def _closed(lines: list[str], first: int) -> int:
    depth, end = 0, first
    while end < len(lines):
        depth += lines[end].count("{") - lines[end].count("}")
        opened = "{" in "".join(lines[first : end + 1])
        end += 1
        if depth == 0 and (opened or lines[end - 1].rstrip().endswith((";", "*/"))):
            break
    return end


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit("usage: excerpts.py FILE ANCHOR...")
    try:
        print("\n\n".join(each.text for each in find(sys.argv[1], sys.argv[2:])))
    except ExcerptError as error:
        raise SystemExit(f"excerpts: {error}") from None


if __name__ == "__main__":
    main()
