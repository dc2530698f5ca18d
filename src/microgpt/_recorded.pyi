from collections.abc import Iterable
from typing import Any

from typing_extensions import disjoint_base

from ._engine import Value

class NotRecorded(Exception):
    later: bool
    target: int | None
    def __init__(self, reason: str, later: bool = False, target: int | None = None) -> None: ...

@disjoint_base
class Table:
    rows: list[list[Value]]
    def __init__(self, rows: Iterable[Iterable[Value]]) -> None: ...

@disjoint_base
class Recording:
    results: Any
    rebuild: Any
    def __init__(
        self,
        results: list[Value],
        n_tops: int,
        start: tuple[int, int],
        tables: list[Table],
        lookups: list[tuple[int, int, list[Value]]],
        choices: list[tuple[int, Value]],
        inputs: list[tuple[int, int, Value]],
        powers: list[tuple[Value, float]],
        n_tokens: int,
    ) -> None: ...
    def replay(self, arguments: Any) -> list[Value] | bool | None: ...
    @property
    def n_replayed(self) -> int: ...
    def stats(self) -> dict[str, int]: ...

def cannot_rebuild(why: str) -> RuntimeError: ...
def mark() -> tuple[int, int]: ...
def where(value: Value) -> tuple[tuple[int, int], bool]: ...
def tops(values: list[Value]) -> list[Value]: ...
def numbers_of(values: Iterable[Value]) -> list[float]: ...
