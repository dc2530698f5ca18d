"""What `microgpt run` says on standard error: one line for each thing that was swapped or left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable

from .findings import Finding

NAME = "microgpt run"


def say(text: str) -> None:
    """One line on standard error, if there is one. That it cannot be written must not hinder the script."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(f"{NAME}: {text}", file=sys.stderr, flush=True)


def line(finding: Finding) -> str:
    place = f"{finding.what} (line {finding.line})" if finding.line else finding.what
    if finding.swapped:
        return f"{place}: swapped{', ' + finding.note if finding.note else ''}"
    return f"{place}: left, {finding.why}"


def grouped(findings: Iterable[Finding]) -> list[str]:
    """The lines of a report. The same thing at several places takes one line."""
    places: dict[tuple[str, str, str], list[int]] = {}
    for finding in findings:
        places.setdefault((finding.what, finding.why, finding.note), []).append(finding.line)
    lines = []
    for (what, why, note), numbers in places.items():
        if len(numbers) == 1:
            lines.append(line(Finding(numbers[0], what, why, note)))
        else:
            where = f"{what} (lines {', '.join(map(str, sorted(set(numbers))))})"
            lines.append(f"{where}: {'left, ' + why if why else 'swapped' + (', ' + note if note else '')}")
    return lines


def report(findings: list[Finding], explain: bool = False) -> None:
    """Say what was found, with the differing lines if asked to."""
    for text in grouped(findings):
        say(text)
    if not any(finding.swapped for finding in findings):
        say("nothing was swapped; the script runs as it is")
    if explain:
        for finding in findings:
            for text in finding.detail:
                say(f"    {text}")
