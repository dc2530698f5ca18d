"""One program on both engines: the functions over lists of Values, and what the program shows of them, to the bit.

A program is a function of a `Bench`, which offers the class and the functions of one engine. It hands `show` every
Value that a user could hold on to. `agree` runs the program on the reference and on the compiled engine and compares
the data and gradients of all of them after every `backward`, and the types of all exceptions. The reference's graph has
more nodes; what has no name in the program is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bits import bits
from recursion import room_for_recursion

import microgpt
from microgpt import reference

BLOCK = 1024  # nodes a block of the arena
ERRORS = (ArithmeticError, ValueError, IndexError, TypeError)


class Bench:
    """The class `Value` and the functions of one engine, and a list of what was seen of them."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.compiled = module is microgpt
        self.Value = module.Value
        self.shown: list[Any] = []
        self.seen: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def leaves(self, numbers: Iterable[Any]) -> list[Any]:
        return self.show([self.Value(number) for number in numbers])

    def matrix(self, rows: Iterable[Iterable[Any]]) -> list[list[Any]]:
        return [self.leaves(row) for row in rows]

    def show(self, values: Any) -> Any:
        """Compare these from now on; a Value or a list of them, which is returned."""
        self.shown.extend(values if isinstance(values, (list, tuple)) else [values])
        return values

    def look(self) -> None:
        self.seen.append([(bits(value.data), bits(value.grad)) for value in self.shown])

    def backward(self, root: Any, times: int = 1) -> None:
        for _ in range(times):
            root.backward()
            self.look()

    def attempt(self, work: Callable[[], Any]) -> Any:
        """The result of the work, or None and the type of its exception noted."""
        try:
            return work()
        except ERRORS as error:
            self.seen.append(type(error).__name__)
            return None

    def fill(self, places: int) -> None:
        """Bring the arena's open block to a state with so many free places."""
        if self.compiled:
            seal(self.Value)
            one = self.Value(1.0)
            self.padding = [one * one for _ in range(BLOCK - places)]


def seal(cls: type) -> None:
    """Let the next result stand at the start of a block: backward ends a block that is worth it."""
    y = x = cls(1.0)
    for _ in range(BLOCK // 4):
        y = y * x
    y.backward()


def run(module: Any, program: Callable[[Bench], Any]) -> list[Any]:
    bench = Bench(module)
    with room_for_recursion():
        program(bench)
    bench.look()
    return bench.seen


def agree(program: Callable[[Bench], Any], places: Sequence[int | None] = (None,)) -> None:
    """The program shows the same on both engines, wherever in a block the compiled one begins."""
    expected = run(reference, program)
    for free in places:

        def placed(bench: Bench, free: int | None = free) -> None:
            if free is not None:
                bench.fill(free)
            program(bench)

        found = run(microgpt, placed)
        assert found == expected, f"with {free} free places" if free is not None else "differs"
