"""What was found in a script: the material of the report, and of --explain."""

from __future__ import annotations

from .syntax.record import Record

OWN_BACKWARD = "backward is the script's own"  # the reason that is told, and by which the report knows it


class Finding(Record):
    """One thing that was swapped, or left for a reason.

    line: where it stands. what: "class Value", "softmax", ... why: the reason for leaving it, "" where it was swapped.
    detail: lines that show the difference. file: the module beside the script that it stands in, "" for the script.
    """

    line: int
    what: str
    why: str = ""
    note: str = ""
    detail: tuple[str, ...] = ()
    file: str = ""

    @property
    def swapped(self) -> bool:
        return not self.why
