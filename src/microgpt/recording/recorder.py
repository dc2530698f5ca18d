"""Who watches a function while it is recorded, and ends that with a sentence about the user's line."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from typing import Any, NoReturn

from .._engine import Value
from .._recorded import Table, numbers_of
from .arguments import Argument, Index, Number, table

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # whose lines are not the user's
REMEDIES = {
    "reads .data of a Value": "import softmax from this package if that is for its maximum, else look at numbers"
    " outside",
    "calls backward()": "call it on what the function returns",
}


class Stopped(BaseException):
    """Ends a recording from inside the user's function; no `except Exception` may stop it."""


class Weights(list[Value]):
    """What softmax gives while a function is recorded: a token may choose one weight of it."""

    def __init__(self, recorder: Recorder, weights: list[Value]) -> None:
        super().__init__(weights)
        self.recorder = recorder

    def __getitem__(self, index: Any) -> Any:
        if type(index) is not Index:
            return super().__getitem__(index)
        chosen: Value = super().__getitem__(index.number)
        self.recorder.choices.append((index.place, chosen))
        return chosen


class Recorder:
    """Watches a function while it runs: the engine calls it (set_recorder), and so do the arguments."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.reason = ""
        self.later = False  # another call may be recorded
        self.interpreted = False  # a function of ours was, since its arguments were not what its C is for
        self.tables: list[Table] = []
        self.table_numbers: dict[tuple[int, ...], int] = {}  # by the ids of the elements
        self.table_ids: dict[int, int] = {}
        self.held_tables: list[table] = []  # so that no id is given twice
        self.rows: dict[tuple[int, int], list[Value]] = {}
        self.lookups: list[tuple[int, int, list[Value]]] = []
        self.choices: list[tuple[int, Value]] = []
        self.inputs: list[tuple[int, int, Value]] = []
        self.leaves: dict[tuple[int, int], Value] = {}
        self.powers: list[tuple[Value, float]] = []

    def here(self) -> bool:
        return threading.get_ident() == self.thread

    def stop(self, what: str, remedy: str) -> NoReturn:
        """End the recording, with a sentence about the line of the user's that is running."""
        if not self.reason:
            self.reason = f"{line_of_user()} {what}; {remedy}"
        raise Stopped

    # ---- what the engine tells ----

    def watch(self, value: Value, what: str) -> None:
        if self.here():
            ours = name_of_ours() if self.interpreted else ""
            if ours:
                self.later = True
                self.stop(f"gives {ours} an int, or a Value of a subclass", "make it a float, or a Value")
            self.stop(what, REMEDIES.get(what, "compute with Values, and look at numbers outside of the function"))

    def fell_back(self) -> None:
        if self.here():
            self.interpreted = True

    def power(self, value: Value, number: Any) -> None:
        if self.here():
            if isinstance(number, Value):
                self.stop("has a Value as an exponent", "write (b * a.log()).exp() for a ** b")
            if type(number) not in (int, float):
                self.stop(f"has a {type(number).__name__} in a power", "use an int or a float")
            self.powers.append((value, number))

    def leaf(self, value: Value, number: Any) -> Any:
        if not isinstance(number, Argument) or not self.here():
            return number
        if type(number) is Index:
            number._ask()
        assert isinstance(number, Number)
        self.inputs.append((number.place, number.form, value))
        return number.data()

    def choice(self, weights: list[Value]) -> list[Value]:
        return Weights(self, weights) if self.here() else weights

    def is_index(self, target: object) -> bool:
        return type(target) is Index and self.here()

    def cross_entropy(self, logits: Any, target: Index) -> Value:
        from .._functional import cross_entropy

        made: Value = cross_entropy(logits, target.number)
        self.choices.append((target.place, made))
        return made

    # ---- what arguments do ----

    def look_up(self, rows: table, index: Index) -> list[Value]:
        number = self.table_number(rows)
        known = self.rows.get((number, index.place))
        if known is None:
            known = [Value(number) for number in numbers_of(list.__getitem__(rows, index.number))]
            self.rows[number, index.place] = known
            self.lookups.append((index.place, number, known))
        return list(known)

    def table_number(self, rows: table) -> int:
        if id(rows) in self.table_ids:
            return self.table_ids[id(rows)]
        for row in list.__iter__(rows):
            if not isinstance(row, (list, tuple)) or not all(type(value) is Value for value in row):
                self.stop("takes a row of a table that holds other things than Values", "make it of lists of Values")
        key = tuple(id(value) for row in list.__iter__(rows) for value in row)
        self.table_ids[id(rows)] = self.table_numbers.get(key, len(self.tables))
        self.held_tables.append(rows)
        if key not in self.table_numbers:
            self.table_numbers[key] = len(self.tables)
            self.tables.append(Table(list.__iter__(rows)))
        return self.table_numbers[key]

    def input(self, number: Number) -> Value:
        key = number.place, number.form
        if key not in self.leaves:
            self.leaves[key] = Value(number.data())
            self.inputs.append((*key, self.leaves[key]))
        return self.leaves[key]


def name_of_ours() -> str:
    """The function of ours that the user's line called and that reads a number now; "" if the line itself does."""
    frame, name = sys._getframe(2), ""
    while frame.f_code.co_filename.startswith(PACKAGE) and frame.f_back is not None:
        frame, name = frame.f_back, frame.f_code.co_name
    return name


def line_of_user() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line, frame.f_globals).strip()
    return f"{os.path.basename(name)}, line {line} ({text})" if text else f"{os.path.basename(name)}, line {line}"


def line_of(function: Any) -> str:
    """Where a function stands, in brackets."""
    code = getattr(function, "__code__", None)
    return f" ({os.path.basename(code.co_filename)}, line {code.co_firstlineno})" if code is not None else ""


def sentence_of(error: Exception) -> str:
    """What was raised while recording, and where, though Python on its own did not raise it."""
    trace = error.__traceback__
    where = ""
    while trace is not None:
        name, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        if not name.startswith(PACKAGE):
            where = f"{os.path.basename(name)}, line {line} ({linecache.getline(name, line).strip()}) "
        trace = trace.tb_next
    return f"{where}raised {type(error).__name__}: {error}"
