"""What a recorded function returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._engine import Value
from .._recorded import NotRecorded, tops, where
from .recorder import Weights

_CONSTANT = (type(None), bool, int, float, str, bytes)


class Results:
    """What a function returned: Values that it computed, in lists, tuples and dicts, beside constants."""

    def __init__(self, made: Any) -> None:
        self.values: list[Value] = []  # each once
        self.form = self._form(made)
        if not self.values:
            raise NotRecorded("it returns no Value that it computed")

    def _form(self, made: Any) -> Any:
        kind = type(made)
        if kind is Value:
            return self._value(made)
        if kind in (list, tuple, Weights):
            return tuple if kind is tuple else list, [self._form(each) for each in made]
        if kind is dict:
            if not all(type(key) in _CONSTANT for key in made):
                raise NotRecorded("it returns a dict with keys that are neither text nor numbers; use such keys")
            return dict, [(key, self._form(each)) for key, each in made.items()]
        if kind not in _CONSTANT:
            raise NotRecorded(f"it returns a {kind.__name__}; return Values, in lists, tuples or dicts")
        return None, made

    def _value(self, value: Value) -> Any:
        if where(value)[1]:
            raise NotRecorded("it returns a Value that it did not compute; return what it computes from it")
        for number, known in enumerate(self.values):
            if known is value:
                return Value, number
        self.values.append(value)
        return Value, len(self.values) - 1

    def tops_first(self) -> tuple[list[Value], int]:
        """Those on which no other depends, and the others, the last one computed first; and how many the former are.
        They are not held here any more."""
        first = tops(self.values)
        rest = sorted((each for each in self.values if each not in first), key=where, reverse=True)
        places = {id(value): place for place, value in enumerate([*first, *rest])}
        self.order = [places[id(value)] for value in self.values]
        self.values.clear()
        return [*first, *rest], len(first)

    def filled(self, values: list[Value]) -> Any:
        """The same with these Values, the root and the others."""
        return self._filled(self.form, values)

    def _filled(self, form: Any, values: list[Value]) -> Any:
        kind, content = form
        if kind is None:
            return content
        if kind is Value:
            return values[self.order[content]]
        if kind is dict:
            return {key: self._filled(each, values) for key, each in content}
        return kind(self._filled(each, values) for each in content)


def numbers_in(made: Any) -> Iterator[Any]:
    """What results are to be compared by."""
    if isinstance(made, (list, tuple)):
        for each in made:
            yield from numbers_in(each)
    elif isinstance(made, dict):
        for key, each in made.items():
            yield key
            yield from numbers_in(each)
    else:
        yield made.data if isinstance(made, Value) else made
