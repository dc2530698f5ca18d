"""What `microgpt run` says on standard error: one line for each thing that was swapped or left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable

from .findings import OWN_BACKWARD, Finding

NAME = "microgpt run"


# How many times faster than interpreted the 200-line script trains with this left as it is and all else swapped.
ALL = 550
KEEPS = {"vectors": 50, "attention": 200, "softmax": 180, "rmsnorm": 350, "linear": 70, "loop over parameters": 50}
KEEPS_SO = 4  # with a backward of its own
# What to write instead, by a part of the reason.
INSTEAD = {
    "for which the compiled class has no room": "keep it in a list or dictionary beside the Values",
    "gives an instance the attribute": "keep it in a list or dictionary beside the Values",
    "number from another package": "write float(x) where it meets a Value",
    "asks for the id of": "number the Values, or compare them with `is`",
    "what may hold a Value": "pass x.data",
    "asks for attributes by computed names": "write their names",
    "looks at the graph": "draw the graph in a separate run",
    "its constructor differs": "store what the script's stores, or: from microgpt_engine import Value",
    "names of its loop are used elsewhere": "use another name there",
    "more than arithmetic": "move the rest into a loop of its own",
    "differs from the script's": "--explain shows in which lines",
    OWN_BACKWARD: "--explain shows in which lines",
}


def left(what: str, why: str) -> str:
    """What is said of a thing that was left: the reason, what to write instead, what it costs."""
    instead = next((f"; {words}" for part, words in INSTEAD.items() if part in why), "")
    keeps = KEEPS_SO if why.startswith(OWN_BACKWARD) else KEEPS.get(what)
    return f"left, {why}{instead}" + (f" (keeps about {keeps} of {ALL} times)" if keeps else "")


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
        done = left(what, why) if why else "swapped" + (f", {note}" if note else "")
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
