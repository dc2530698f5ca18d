"""What a function gets while it is recorded: its arguments, as objects that say where they are used."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from .._engine import Value
from .._recorded import cannot_rebuild

PLAIN, MINUS, INVERSE = range(3)  # the forms of a number: as in recorded/plan.pxi


class Watcher(Protocol):
    """Whom the arguments tell how they are used: a Recorder."""

    def stop(self, what: str, remedy: str) -> NoReturn: ...
    def look_up(self, rows: table, index: Index) -> list[Value]: ...
    def input(self, number: Number) -> Value: ...


class table(list):  # type: ignore[type-arg]
    """A matrix of parameters, rows of Values, whose rows tokens may choose while a function is recorded.

    table(rows): rows of one length. In all else it is a list. IndexError as a list's.
    """

    def __getitem__(self, index: Any) -> Any:
        if type(index) is Index:
            return index.recorder.look_up(self, index)
        return list.__getitem__(self, index)


class Argument:
    """An argument while a function is recorded. Whoever wants to know its number ends that."""

    __slots__ = ("number", "place", "recorder")
    what = ""
    remedy = ""

    def __init__(self, recorder: Watcher, number: Any, place: int) -> None:
        self.recorder = recorder
        self.number = number
        self.place = place

    def _ask(self, *_: object) -> NoReturn:
        self.recorder.stop(f"looks at {self.what}", self.remedy)


# Whatever a number can be asked. What an argument can do, its class defines again.
_ASKED = """
bool hash round trunc floor ceil abs neg pos invert lt le gt ge eq ne repr str format reduce copy deepcopy
add sub mul truediv floordiv mod divmod pow and or xor lshift rshift
radd rsub rmul rtruediv rfloordiv rmod rdivmod rpow rand ror rxor rlshift rrshift
"""
for _name in _ASKED.split():
    setattr(Argument, f"__{_name}__", Argument._ask)


class Index(Argument):
    """An int: a token."""

    __slots__ = ()
    what = "an int among the arguments other than as an index of a table or as a target"
    remedy = "wrap the matrix in table(...), or name the parameter in static=(...)"

    __int__ = __float__ = __complex__ = __index__ = Argument._ask
    __class__ = property(lambda self: int)  # what isinstance goes by


class Number(Argument):
    """A float. Beside a Value it becomes a leaf; it can be negated and inverted, as the script's expressions do."""

    __slots__ = ("form",)
    __class__ = property(lambda self: float)
    what = "a float among the arguments other than beside a Value"
    remedy = "compute with it before the call, or name the parameter in static=(...)"

    def __init__(self, recorder: Watcher, number: float, place: int, form: int = PLAIN) -> None:
        super().__init__(recorder, number, place)
        self.form = form

    def _as(self, form: int) -> Number:
        if self.form != PLAIN:
            self._ask()
        return Number(self.recorder, self.number, self.place, form)

    def data(self) -> float:
        data: float = self.number
        if self.form == INVERSE:
            return data**-1  # may raise: then Python does, too
        return -data if self.form == MINUS else data

    def _leaf(self, other: object) -> Value:
        if not isinstance(other, Value):
            self._ask()
        return self.recorder.input(self)

    def __neg__(self) -> Number:
        return self._as(MINUS)

    def __pow__(self, exponent: object) -> Number:
        if type(exponent) is not int or exponent != -1:
            self._ask()
        return self._as(INVERSE)

    def __add__(self, other: Value) -> Value:
        return other + self._leaf(other)

    __radd__ = __add__

    def __mul__(self, other: Value) -> Value:
        return other * self._leaf(other)

    __rmul__ = __mul__

    def __sub__(self, other: Value) -> Value:
        leaf = self._leaf(other)
        return -other + leaf

    def __truediv__(self, other: Value) -> Value:
        leaf = self._leaf(other)
        return other**-1 * leaf


# ---- the arguments of a call ----------------------------------------------------------------------------------------


class Arguments:
    """The arguments of a call: their form, which is hashable, and the numbers that vary."""

    __slots__ = ("form", "kept", "numbers", "opaque", "tokens")

    def __init__(self) -> None:
        self.form: Any = None  # of those without a name, and pairs of a name and a form
        self.tokens: list[int] = []
        self.numbers: list[float] = []
        self.kept: list[Callable[[], object]] = []  # references to objects that the shape knows by their id
        self.opaque = ""  # the type of one that may hold other numbers the next time

    def shape(self, argument: Any, static: bool = False) -> Any:
        kind = type(argument)
        if static:
            return Arguments, kind, repr(argument), _hashable(argument)
        if kind is int:
            self.tokens.append(argument)
            return int
        if kind is float:
            self.numbers.append(argument)
            return float
        if kind is list or kind is tuple:
            return kind, *map(self.shape, argument)
        if kind is dict:
            return kind, *[(type(key), key, self.shape(value)) for key, value in argument.items()]
        if kind in (str, bytes, bool, type(None)):
            return argument
        if (hasattr(kind, "__len__") and kind is not table) or hasattr(kind, "__index__") or hasattr(kind, "__float__"):
            self.opaque = kind.__name__
        self.kept.append(_reference(argument))
        return kind, id(argument)

    def again(self) -> tuple[list[Any], dict[str, Any]]:
        """The arguments, positional and named, as they were. RuntimeError if an object among them is gone."""
        positional, named = self.form
        numbers: dict[Any, Iterator[Any]] = {int: iter(self.tokens), float: iter(self.numbers)}
        kept = iter(self.kept)

        def argument(shape: Any) -> Any:
            if shape is int or shape is float:
                return next(numbers[shape])
            if type(shape) is not tuple:
                return shape
            kind, *content = shape
            if kind is Arguments:
                return content[-1]
            if kind is list or kind is tuple:
                return kind(map(argument, content))
            if kind is dict:
                return {key: argument(value) for _, key, value in content}
            found = next(kept)()
            if found is None:
                raise cannot_rebuild("an object among the arguments of that call is gone: keep a reference to it")
            return found

        return [argument(shape) for shape in positional], {name: argument(shape) for name, shape in named}


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"recorded: a static argument must be hashable, not {type(value).__name__!r}") from None
    return value


def _reference(thing: object) -> Callable[[], object]:
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: thing


class StandIns:
    """The arguments as the recorded function gets them."""

    def __init__(self, recorder: Watcher) -> None:
        self.recorder = recorder
        self.tokens = 0
        self.numbers = 0
        self.made: list[tuple[Any, Any]] = []  # containers that were copied, and what was in them

    def of(self, argument: Any) -> Any:
        kind = type(argument)
        if kind is int:
            self.tokens += 1
            return Index(self.recorder, argument, self.tokens - 1)
        if kind is float:
            self.numbers += 1
            return Number(self.recorder, argument, self.numbers - 1)
        if kind is list or kind is tuple:
            made: Any = kind(map(self.of, argument))
        elif kind is dict:
            made = {key: self.of(value) for key, value in argument.items()}
        else:
            return argument
        if kind is not tuple:
            self.made.append((made, contents(made)))
        return made

    def changed(self) -> bool:
        """Whether the function wrote to a list or dict among its arguments."""
        return any(list(map(id, contents(made))) != list(map(id, before)) for made, before in self.made)


def contents(made: Any) -> list[Any]:
    return [*made, *made.values()] if type(made) is dict else list(made)
