"""What was found in a script: the material of the report, and of --explain."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One thing that was swapped, or left for a reason.

    line: where it stands. what: "class Value", "softmax", ... why: the reason for leaving it, "" where it was swapped.
    detail: lines that show the difference.
    """

    line: int
    what: str
    why: str = ""
    note: str = ""
    detail: tuple[str, ...] = field(default=())

    @property
    def swapped(self) -> bool:
        return not self.why
