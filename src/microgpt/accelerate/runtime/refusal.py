"""What the compiled class cannot hold, while the script's class would: the end of the run, in so many words.

A TypeError instead could be caught by the script, which would go on with another result. A BaseException passes
through `except Exception`; where even that is caught, the run still ends with a message and exit status 1.
"""

from __future__ import annotations

from ..report import say

LINKS = ("children", "local gradients")
ACTS = {
    "pickle": "pickles a Value",
    "id": "asks for the id of a Value",
    "type": "asks for the type of a Value",
    "attributes": "looks up attributes of a Value by computed names",
    "__repr__": "prints a Value with the fields of a dataclass",
    "__eq__": "compares two Values by the fields of a dataclass",
}


class Refused(BaseException):
    """The script put something into a Value that the compiled one has no room for."""


class Refusals:
    """Refused since the start of the process, with the words for it; said once."""

    def __init__(self) -> None:
        self.words = ""
        self.said = False

    def strange(self, thing: object, what: str) -> None:
        """The engine asks about whatever is not simply a number (see _engine.set_number_guard). Raises Refused."""
        if what in LINKS and isinstance(thing, (set, frozenset)):
            return  # has an order of its own, which a tuple of it keeps
        if what == "a local gradient" and type(thing) is bool:
            return  # is only multiplied with
        self.words = f"{what} is {description(thing)}, which the compiled class cannot hold as yours does"
        raise Refused(self.words)

    def late(self, why: str) -> None:
        """A graph that closures would differentiate otherwise (see recognise/micrograd.py). Raises Refused."""
        self.words = f"your closures compute local gradients in backward(), the compiled class does before, and {why}"
        raise Refused(self.words)

    def shown(self, act: str) -> None:
        """A Value on its way into a file, or to id() or type() (see support.Support.no_value). Raises Refused."""
        self.words = f"it {ACTS[act]}, which would show that its class is not yours"
        raise Refused(self.words)

    def say(self) -> bool:
        """Whether something was refused; it is said now, unless it was before."""
        if self.words and not self.said:
            self.said = True
            say(f"{self.words}; run this script with --rung 0")
        return bool(self.words)


def description(thing: object) -> str:
    if type(thing) is int:
        return "an int of 2**53 or more"
    name = type(thing).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


refusals = Refusals()
