"""Recorded functions: the graph of a first call is kept, and replayed in C from then on, bit for bit.

    from microgpt import recorded, table

    wte = table(wte)                    # a matrix of parameters of which tokens choose rows

    @recorded
    def loss_of(tokens):
        ...                             # Python as before: wte[token], cross_entropy(logits, target), any scalar code
        return mean(losses)

    loss = loss_of(tokens)
    loss.backward()

The first call with arguments of a shape runs in Python and is recorded; later calls are replayed. What varies: the
parameters; ints among the arguments, as indices of a `table`, as targets of `cross_entropy` and as indices of what
`softmax` gives; floats among the arguments, in arithmetic with Values. What makes another recording: lengths,
strings, bools, None, other objects, and ints named in `static`.

What a function must not do is let Python decide by a number: read `.data`, compare, use a token in another way. The
recording ends there, with a warning that names the line and the remedy, and the function runs in Python from then on,
with the same result. What else it does (print, append to a list outside) happens when it is recorded, and not when it
is replayed.
"""

from __future__ import annotations

import functools
import gc
import linecache
import os
import random
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from ._engine import Value, set_recorder
from ._recorded import NotRecorded, Recording, Table, mark, numbers_of, where

__all__ = ["NotRecorded", "RecordedWarning", "recorded", "table"]

MAX_SHAPES = 256  # recordings of one function
_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PLAIN, _MINUS, _INVERSE = range(3)  # the forms of a number: as in recorded/plan.pxi
_lock = threading.Lock()  # one recording at a time


class RecordedWarning(UserWarning):
    """A function is not recorded, and runs in Python."""


class _Stopped(BaseException):
    """Ends a recording from inside the user's function; no `except Exception` may stop it."""


class table(list):  # type: ignore[type-arg]
    """A matrix of parameters, rows of Values, whose rows tokens may choose while a function is recorded.

    table(rows): rows of one length. In all else it is a list. IndexError as a list's.
    """

    def __getitem__(self, index: Any) -> Any:
        if type(index) is _Index:
            return index.recorder.look_up(self, index)
        return list.__getitem__(self, index)


class _Argument:
    """An argument while a function is recorded. Whoever wants to know its number ends that."""

    __slots__ = ("number", "place", "recorder")
    what = ""
    remedy = ""

    def __init__(self, recorder: _Recorder, number: Any, place: int) -> None:
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
    setattr(_Argument, f"__{_name}__", _Argument._ask)


class _Index(_Argument):
    """An int: a token."""

    __slots__ = ()
    what = "an int among the arguments other than as an index of a table or as a target"
    remedy = "wrap the matrix in table(...), or name the parameter in static=(...)"

    __int__ = __float__ = __complex__ = __index__ = _Argument._ask
    __class__ = property(lambda self: int)  # what isinstance goes by


class _Number(_Argument):
    """A float. Beside a Value it becomes a leaf; it can be negated and inverted, as the script's expressions do."""

    __slots__ = ("form",)
    __class__ = property(lambda self: float)
    what = "a float among the arguments other than beside a Value"
    remedy = "compute with it before the call, or name the parameter in static=(...)"

    def __init__(self, recorder: _Recorder, number: float, place: int, form: int = _PLAIN) -> None:
        super().__init__(recorder, number, place)
        self.form = form

    def _as(self, form: int) -> _Number:
        if self.form != _PLAIN:
            self._ask()
        return _Number(self.recorder, self.number, self.place, form)

    def data(self) -> float:
        data: float = self.number
        if self.form == _INVERSE:
            return data**-1  # may raise: then Python does, too
        return -data if self.form == _MINUS else data

    def _leaf(self, other: object) -> Value:
        if not isinstance(other, Value):
            self._ask()
        return self.recorder.input(self)

    def __neg__(self) -> _Number:
        return self._as(_MINUS)

    def __pow__(self, exponent: object) -> _Number:
        if type(exponent) is not int or exponent != -1:
            self._ask()
        return self._as(_INVERSE)

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


class _Weights(list[Value]):
    """What softmax gives while a function is recorded: a token may choose one weight of it."""

    def __init__(self, recorder: _Recorder, weights: list[Value]) -> None:
        super().__init__(weights)
        self.recorder = recorder

    def __getitem__(self, index: Any) -> Any:
        if type(index) is _Index:
            return self.recorder.choose(self, index)
        self.recorder.use(self)
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Value]:
        self.recorder.use(self)
        return super().__iter__()


class _Recorder:
    """Watches a function while it runs: the engine calls it (set_recorder), and so do the arguments."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.reason = ""
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
        self.used: set[int] = set()
        self.chosen: set[int] = set()
        self.weights: list[_Weights] = []  # alive, so that no id() is given twice

    def here(self) -> bool:
        return threading.get_ident() == self.thread

    def stop(self, what: str, remedy: str) -> NoReturn:
        """End the recording, with a sentence about the line of the user's that is running."""
        if not self.reason:
            self.reason = f"{_line_of_user()} {what}; {remedy}"
        raise _Stopped

    # ---- what the engine tells ----

    def watch(self, value: Value, what: str) -> None:
        if self.here():
            remedy = "compute with Values, and look at numbers outside of the function"
            if what == "reads .data of a Value":
                remedy = "import softmax from this package if that is for its maximum, else look at numbers outside"
            self.stop(what, remedy)

    def power(self, value: Value, number: Any) -> None:
        if self.here():
            if type(number) not in (int, float):
                self.stop(f"has a {type(number).__name__} in a power", "use an int or a float")
            self.powers.append((value, number))

    def leaf(self, value: Value, number: Any) -> Any:
        if not isinstance(number, _Argument) or not self.here():
            return number
        if type(number) is _Index:
            number._ask()
        assert isinstance(number, _Number)
        self.inputs.append((number.place, number.form, value))
        return number.data()

    def choice(self, weights: list[Value]) -> list[Value]:
        if not self.here():
            return weights
        self.weights.append(_Weights(self, weights))
        return self.weights[-1]

    def is_index(self, target: object) -> bool:
        return type(target) is _Index and self.here()

    def cross_entropy(self, logits: Any, target: _Index) -> Value:
        from ._functional import cross_entropy

        made: Value = cross_entropy(logits, target.number)
        self.choices.append((target.place, made))
        return made

    # ---- what arguments do ----

    def look_up(self, rows: table, index: _Index) -> list[Value]:
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

    def input(self, number: _Number) -> Value:
        key = number.place, number.form
        if key not in self.leaves:
            self.leaves[key] = Value(number.data())
            self.inputs.append((*key, self.leaves[key]))
        return self.leaves[key]

    def choose(self, weights: _Weights, index: _Index) -> Value:
        if id(weights) in self.used:
            self.stop_both()
        self.chosen.add(id(weights))
        chosen: Value = list.__getitem__(weights, index.number)
        self.choices.append((index.place, chosen))
        return chosen

    def use(self, weights: _Weights) -> None:
        if id(weights) in self.chosen:
            self.stop_both()
        self.used.add(id(weights))

    def stop_both(self) -> NoReturn:
        self.stop("uses a softmax by a token and in another way as well", "call softmax twice")


def _line_of_user() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_FOLDER):
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line, frame.f_globals).strip()
    return f"{os.path.basename(name)}, line {line} ({text})" if text else f"{os.path.basename(name)}, line {line}"


class _Arguments:
    """The arguments of a call: its shape, which is hashable, and the numbers that vary."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.numbers: list[float] = []
        self.kept: list[object] = []  # objects that the shape knows by their id
        self.opaque = ""  # the type of one that may hold other numbers the next time

    def shape(self, argument: Any) -> Any:
        kind = type(argument)
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
        self.kept.append(argument)
        return kind, id(argument)


class _StandIns:
    """The arguments as the recorded function gets them."""

    def __init__(self, recorder: _Recorder) -> None:
        self.recorder = recorder
        self.tokens = 0
        self.numbers = 0
        self.made: list[tuple[Any, Any]] = []  # containers that were copied, and what was in them

    def of(self, argument: Any) -> Any:
        kind = type(argument)
        if kind is int:
            self.tokens += 1
            return _Index(self.recorder, argument, self.tokens - 1)
        if kind is float:
            self.numbers += 1
            return _Number(self.recorder, argument, self.numbers - 1)
        if kind is list or kind is tuple:
            made: Any = kind(map(self.of, argument))
        elif kind is dict:
            made = {key: self.of(value) for key, value in argument.items()}
        else:
            return argument
        if kind is not tuple:
            self.made.append((made, list(made.items()) if kind is dict else list(made)))
        return made

    def changed(self) -> bool:
        """Whether the function wrote to a list or dict among its arguments."""
        for made, before in self.made:
            now = list(made.items()) if type(made) is dict else made
            if len(now) != len(before) or any(a is not b for a, b in zip(_flat(now), _flat(before))):
                return True
        return False


class _Results:
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
        if kind in (list, tuple, _Weights):
            return tuple if kind is tuple else list, [self._form(each) for each in made]
        if kind is dict and all(type(key) in _CONSTANT for key in made):
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

    def root_first(self) -> tuple[Value, list[Value]]:
        """The last one computed, on which the others may depend, and these. They are not held here any more."""
        order = sorted(range(len(self.values)), key=lambda number: where(self.values[number])[0], reverse=True)
        root, *others = [self.values[number] for number in order]
        self.order = [order.index(number) for number in range(len(order))]
        self.values.clear()
        return root, others

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


_CONSTANT = (type(None), bool, int, float, str, bytes)


def _flat(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        if type(item) is tuple and len(item) == 2:
            yield from item
        else:
            yield item


class recorded:
    """Record what a function computes, and replay it bit for bit: see the module.

    @recorded
    @recorded(static=("n",), strict=False, check_every=0)

    static       names of parameters of which every value is a shape of its own
    strict       raise NotRecorded where a recording ends, instead of warning and running in Python
    check_every  run every so many calls in Python too, and raise AssertionError if a bit of the result differs

    The function returns a Value that it computed, or several in lists, tuples and dicts: then one depends on all
    others, and backward goes through that one; of the others, data and grad are there to be read. Methods work; each
    instance has its own recordings. A change that is no argument (another list of parameters, a rebound global) is not
    noticed: call `forget()` then.

    Thread-safety: as for Value; while one thread records, others run their functions in Python.
    """

    def __new__(cls, function: Callable[..., Any] | None = None, **settings: Any) -> Any:
        if function is None:
            return functools.partial(cls, **settings)
        return super().__new__(cls)

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        static: Iterable[str] = (),
        strict: bool = False,
        check_every: int = 0,
    ) -> None:
        if not callable(function):
            raise TypeError(f"recorded: {type(function).__name__!r} is not a function")
        functools.update_wrapper(self, function)
        self.function = function
        self.static = frozenset([static] if isinstance(static, str) else static)
        self.strict = strict
        self.check_every = check_every
        self.calls = 0
        self._later = ""  # why the last first call was not recorded, though another may be
        self._names = _parameter_names(function)
        unknown = self.static - set(self._names)
        if unknown:
            raise TypeError(f"recorded: {function.__name__} has no parameter {sorted(unknown)[0]!r}")
        self._shapes: dict[Any, Recording | str] = {}  # by the shape of arguments; or the reason why not
        self._kept: dict[Any, object] = {}

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<recorded {self.__name__}>"  # type: ignore[attr-defined]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_here, "active", False):  # a function that is being recorded calls this one
            return self.function(*args, **kwargs)
        arguments = _Arguments()
        shape = self._shape(arguments, args, kwargs)
        self.calls += 1
        recording = self._shapes.get(shape)
        if type(recording) is Recording:
            made = recording.replay(arguments.tokens, arguments.numbers)
            if made is None:
                return self.function(*args, **kwargs)
            if made is not False:
                found = recording.results.filled(made)
                if self.check_every and self.calls % self.check_every == 0:
                    self._check(found, args, kwargs)
                return found
        elif recording is not None:
            return self.function(*args, **kwargs)
        return self._first_call(shape, arguments, args, kwargs)

    def forget(self) -> None:
        """Drop all recordings; the next calls record anew."""
        self._shapes.clear()
        self._kept.clear()

    def stats(self) -> dict[str, Any]:
        """What is recorded, as a dict:

        recordings    for each: nodes of its graph, instructions, bytes, and how often it was replayed
        not_recorded  for each shape that is not, the sentence why
        """
        found = self._shapes.values()
        return {
            "recordings": [each.stats() for each in found if isinstance(each, Recording)],
            "not_recorded": [each for each in [*found, self._later] if isinstance(each, str) and each],
        }

    # ---- a call ----

    def _shape(self, arguments: _Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.static and not kwargs:
            return tuple(map(arguments.shape, args))
        names = [*self._names[: len(args)], *[""] * (len(args) - len(self._names)), *kwargs]
        return tuple(
            (name, type(value), repr(value), _frozen(value)) if name in self.static else (name, arguments.shape(value))
            for name, value in zip(names, [*args, *kwargs.values()])
        )

    def _first_call(self, shape: Any, arguments: _Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if shape not in self._shapes and len(self._shapes) >= MAX_SHAPES:
            self.forget()
        if not _lock.acquire(blocking=False):  # another thread records
            return self.function(*args, **kwargs)
        state = random.getstate()
        try:
            recording = self._record(state, arguments, args, kwargs)
        except NotRecorded as no:
            random.setstate(state)
            reason, later = str(no), no.later
        else:
            self._shapes[shape] = recording
            self._keep(shape, arguments)
            made = recording.replay(arguments.tokens, arguments.numbers)
            return recording.results.filled(made) if made else self.function(*args, **kwargs)
        finally:
            _lock.release()
        return self._not_recorded(shape, reason, later, arguments, args, kwargs)

    def _not_recorded(
        self,
        shape: Any,
        reason: str,
        later: bool,
        arguments: _Arguments,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The result in Python. `later`: another call of this shape may be recorded, since ints become floats."""
        made = self.function(*args, **kwargs)  # what this raises is the function's own
        self._shapes.pop(shape, None)
        name = self.function.__name__
        if self.strict:
            raise NotRecorded(f"{name}: {reason}")
        self._later = reason if later else ""
        if not later:
            self._shapes[shape] = reason
            self._keep(shape, arguments)
            warnings.warn(f"{name} runs in Python from here on: {reason}", RecordedWarning, stacklevel=4)
        return made

    def _record(self, state: object, arguments: _Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
        """Run the function in Python, watched. NotRecorded where that cannot be replayed."""
        if arguments.opaque:
            raise NotRecorded(
                f"an argument is of type {arguments.opaque}, and may change unseen; pass lists, ints and floats"
            )
        recorder = _Recorder()
        stand_ins = _StandIns(recorder)
        names = [*self._names[: len(args)], *[""] * (len(args) - len(self._names))]
        new_args = [value if name in self.static else stand_ins.of(value) for name, value in zip(names, args)]
        new_kwargs = {name: value if name in self.static else stand_ins.of(value) for name, value in kwargs.items()}
        start = mark()
        set_recorder(recorder)
        _here.active = True
        try:
            made: Any = self.function(*new_args, **new_kwargs)
        except _Stopped:
            made = None
        except Exception as error:
            raise NotRecorded(recorder.reason or _sentence(error)) from None
        finally:
            _here.active = False
            set_recorder(None)
        if recorder.reason:  # also if the function caught what ended the recording
            raise NotRecorded(recorder.reason)
        if random.getstate() != state:
            raise NotRecorded("it draws random numbers; draw them before the call and pass them")
        if stand_ins.changed():
            raise NotRecorded("it changes a list or dict among its arguments; make it inside")
        results = _Results(made)
        del made, new_args, new_kwargs, stand_ins
        recorder.weights.clear()
        root, kept = results.root_first()
        try:
            recording = self._recording(recorder, root, kept, start, arguments)
        except NotRecorded as no:
            if "kept outside" not in str(no):
                raise
            gc.collect()  # a cycle of garbage may hold on to it
            recording = self._recording(recorder, root, kept, start, arguments)
        recording.results = results
        return recording

    def _recording(
        self, recorder: _Recorder, root: Value, kept: list[Value], start: Any, arguments: _Arguments
    ) -> Recording:
        return Recording(
            root,
            kept,
            start,
            recorder.tables,
            recorder.lookups,
            recorder.choices,
            recorder.inputs,
            recorder.powers,
            len(arguments.tokens),
        )

    def _keep(self, shape: Any, arguments: _Arguments) -> None:
        """The objects among the arguments whose id is part of the shape: recordings go when they go."""
        for thing in arguments.kept:
            try:
                self._kept[id(thing)] = weakref.ref(thing, functools.partial(self._drop, shape))
            except TypeError:
                self._kept[id(thing)] = thing

    def _drop(self, shape: Any, _: object) -> None:
        self._shapes.pop(shape, None)

    def _check(self, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for ours, expected in zip(_numbers(made), _numbers(self.function(*args, **kwargs))):
            if repr(ours) != repr(expected):
                raise AssertionError(
                    f"{self.function.__name__}: a replay gives {ours!r}, Python {expected!r}; what it reads has"
                    f" changed since it was recorded: call forget() after such a change"
                )


_here = threading.local()


def _numbers(made: Any) -> Iterator[Any]:
    """What results are to be compared by."""
    if isinstance(made, (list, tuple)):
        for each in made:
            yield from _numbers(each)
    elif isinstance(made, dict):
        for key, each in made.items():
            yield key
            yield from _numbers(each)
    else:
        yield made.data if isinstance(made, Value) else made


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    code = getattr(function, "__code__", None)
    names = [] if code is None else list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    return names[1:] if isinstance(function, types.MethodType) else names


def _frozen(value: Any) -> Any:
    """A static argument as a part of the shape."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"recorded: a static argument must be hashable, not {type(value).__name__!r}") from None
    return value


def _sentence(error: Exception) -> str:
    """What was raised while recording, and where, though Python on its own did not raise it."""
    trace = error.__traceback__
    where = ""
    while trace is not None:
        name, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        if not name.startswith(_FOLDER):
            where = f"{os.path.basename(name)}, line {line} ({linecache.getline(name, line).strip()}) "
        trace = trace.tb_next
    return f"{where}raised {type(error).__name__}: {error}"
