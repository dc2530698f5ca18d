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


def say_time(seconds: float) -> None:
    """The last line of a run that took long enough to ask how long."""
    if seconds >= 1:
        say(f"{seconds:.1f} s of processor time (--check N runs N steps in both ways and compares the times)")


def grouped(findings: Iterable[Finding]) -> list[str]:
    """The lines of a report. The same thing at several places takes one line."""
    places: dict[tuple[str, str, str, str], list[int]] = {}
    for finding in findings:
        places.setdefault((finding.what, finding.why, finding.note, finding.file), []).append(finding.line)
    lines = []
    for (what, why, note, file), numbers in places.items():
        found = sorted(set(numbers) - {0})
        where = f"line{'s' * (len(found) > 1)} {', '.join(map(str, found))}" if found else ""
        place = ", ".join(filter(None, (file, where)))
        done = f"left, {why}" if why else "swapped" + (f", {note}" if note else "")
        lines.append(f"{what}{f' ({place})' if place else ''}: {done}")
    return lines


def report(findings: list[Finding], explain: bool = False) -> None:
    """Say what was found, with the differing lines if asked to."""
    for text in grouped(findings):
        say(text)
    if not any(finding.swapped for finding in findings):
        say("nothing was swapped; the script runs as it is")
    if not explain:
        return
    details = [text for finding in findings for text in finding.detail]
    for text in details or ["nothing in it differs from the script's, as far as that was looked at"]:
        say(f"    {text}")
