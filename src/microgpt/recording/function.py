"""The decorator: what is recorded, what is replayed, and what runs in Python."""

from __future__ import annotations

import functools
import gc
import random
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .._engine import Value, set_recorder
from .._recorded import NotRecorded, Recording, mark
from .arguments import Arguments, StandIns
from .recorder import Recorder, Stopped, line_of, sentence_of
from .results import Results, numbers_in

MAX_SHAPES = 256  # of one function: recorded or refused; and so many that are still to be tried
PATIENCE = 16 * MAX_SHAPES  # all of them are forgotten when so many calls had other shapes
MAX_UNUSED = 8  # with so many recordings that were never replayed, a shape is recorded when it comes the second time
MAX_TARGETS = 2  # so many targets are told apart by value where they decide the order of backward
MAX_TRIES = 10  # so many calls of a shape are tried where ints may become floats
_lock = threading.RLock()  # one recording at a time
_here = threading.local()


class RecordedWarning(UserWarning):
    """A function is not recorded, and runs in Python."""


class recorded:
    """Record what a function computes, and replay it bit for bit: see the module.

    @recorded
    @recorded(static=("n",), strict=False, check_every=0)

    static       names of parameters of which every value is a shape of its own
    strict       raise NotRecorded where a recording ends, instead of warning and running in Python
    check_every  run every so many calls in Python too, and raise AssertionError if a bit of the result differs

    The function returns a Value that it computed, or several in lists, tuples and dicts. Backward is replayed where it
    goes once through the first of them (the first on which no other depends); else the function runs in Python as well,
    with the numbers of that call. Methods work; each instance has its own recordings. A change that is no argument
    (another list of parameters, a rebound global) is not noticed: call `forget()` then.

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
        self.rebuilt = 0  # how often backward needed a graph
        self._later = ""  # why the last first call was not recorded, though another may be
        self._tries: dict[Any, int] = {}  # such calls of shapes that are neither recorded nor refused; 0: seen once
        self._targets: dict[Any, tuple[int, ...]] = {}  # by shape: the tokens of which each value is recorded
        self._names, by_name = _parameter_names(function)
        unknown = self.static - {*self._names, *by_name}
        if unknown:
            raise TypeError(f"recorded: {function.__name__} has no parameter {sorted(unknown)[0]!r}")
        self._shapes: dict[Any, Recording | str] = {}  # by the shape of arguments; or the reason why not
        self._kept: dict[Any, object] = {}
        self._others = 0  # calls of other shapes since there is no room for them

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<recorded {self.__name__}>"  # type: ignore[attr-defined]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_here, "active", False):  # a function that is being recorded calls this one
            return self.function(*args, **kwargs)
        arguments = Arguments()
        arguments.form = self._form(arguments, args, kwargs)
        shape = self._shape(arguments)
        self.calls += 1
        recording = self._shapes.get(shape)
        if type(recording) is Recording:
            made = recording.replay(arguments)
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
        self._tries.clear()
        self._targets.clear()
        self._others = 0

    def stats(self) -> dict[str, Any]:
        """What is recorded, as a dict:

        recordings    for each: nodes of its graph, instructions, bytes, and how often it was replayed
        not_recorded  for each shape that is not, the sentence why
        seen_once     how many shapes are recorded when they come again, since many recordings were never replayed
        rebuilt       how many calls ran in Python as well, since backward was called twice, or on another result than
                      the first
        """
        found = self._shapes.values()
        return {
            "recordings": [each.stats() for each in found if isinstance(each, Recording)],
            "not_recorded": [each for each in [*found, self._later] if isinstance(each, str) and each],
            "seen_once": sum(tries == 0 for tries in self._tries.values()),
            "rebuilt": self.rebuilt,
        }

    # ---- a call ----

    def _form(self, arguments: Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.static and not kwargs:
            return tuple(map(arguments.shape, args)), ()
        names = [*self._names[: len(args)], *[""] * (len(args) - len(self._names))]
        return (
            tuple(arguments.shape(value, name in self.static) for name, value in zip(names, args)),
            tuple((name, arguments.shape(value, name in self.static)) for name, value in kwargs.items()),
        )

    def _shape(self, arguments: Arguments) -> Any:
        """What each recording has its own of: the form, and the targets of which each value is recorded."""
        targets = self._targets.get(arguments.form)
        return (arguments.form, tuple(arguments.tokens[place] for place in targets)) if targets else arguments.form

    def _waits(self, shape: Any) -> bool:
        """Whether a new shape is not recorded: there is no room, or recordings do not pay so far. Then it is noted, and
        recorded when it comes again."""
        if shape in self._shapes or shape in self._tries:
            return False
        if len(self._shapes) >= MAX_SHAPES:  # those that are recorded stay, unless others come all the time
            self._others += 1
            if self._others < PATIENCE:
                return True
            self.forget()
        if len(self._tries) >= MAX_SHAPES:
            self._tries.clear()
        unused = [each for each in self._shapes.values() if isinstance(each, Recording) and each.n_replayed <= 1]
        if len(unused) >= MAX_UNUSED:
            self._tries[shape] = 0
        return shape in self._tries

    def _first_call(self, shape: Any, arguments: Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._waits(shape):
            return self.function(*args, **kwargs)
        if not _lock.acquire(blocking=False):  # another thread records
            return self.function(*args, **kwargs)
        state = random.getstate()
        try:
            recording = self._record(state, arguments, args, kwargs)
        except NotRecorded as no:
            random.setstate(state)
            reason, later = str(no), no.later
        else:
            self._tries.pop(shape, None)
            shape = self._shape(arguments)  # which may be another one now
            self._shapes[shape] = recording
            self._later = ""
            self._keep(shape, arguments)
            made = recording.replay(arguments)
            return recording.results.filled(made) if made else self.function(*args, **kwargs)
        finally:
            _lock.release()
        return self._not_recorded(shape, reason, later, arguments, args, kwargs)

    def _not_recorded(
        self,
        shape: Any,
        reason: str,
        later: bool,
        arguments: Arguments,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The result in Python. `later`: another call of this shape may be recorded, since ints become floats."""
        made = self.function(*args, **kwargs)  # what this raises is the function's own
        self._shapes.pop(shape, None)
        name = self.function.__name__
        if ", line " not in reason:
            name += line_of(self.function)
        if self.strict:
            raise NotRecorded(f"{name}: {reason}")
        self._tries[shape] = self._tries.get(shape, 0) + 1
        later = later and self._tries[shape] < MAX_TRIES
        self._later = reason if later else ""
        if not later:
            self._tries.pop(shape, None)
            self._shapes[shape] = reason
            self._keep(shape, arguments)
            warnings.warn(f"{name} runs in Python from here on: {reason}", RecordedWarning, stacklevel=4)
        return made

    def _record(self, state: object, arguments: Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
        """Run the function in Python, watched. NotRecorded where that cannot be replayed."""
        if arguments.opaque:
            raise NotRecorded(
                f"an argument is of type {arguments.opaque}, and may change unseen; pass lists, ints and floats"
            )
        recorder = Recorder()
        stand_ins = StandIns(recorder)
        names = [*self._names[: len(args)], *[""] * (len(args) - len(self._names))]
        new_args = [value if name in self.static else stand_ins.of(value) for name, value in zip(names, args)]
        new_kwargs = {name: value if name in self.static else stand_ins.of(value) for name, value in kwargs.items()}
        start = mark()
        set_recorder(recorder)
        _here.active = True
        try:
            made: Any = self.function(*new_args, **new_kwargs)
        except Stopped:
            made = None
        except Exception as error:
            raise NotRecorded(recorder.reason or sentence_of(error), recorder.later) from None
        finally:
            _here.active = False
            set_recorder(None)
        if recorder.reason:  # also if the function caught what ended the recording
            raise NotRecorded(recorder.reason, recorder.later)
        if random.getstate() != state:
            raise NotRecorded("it draws random numbers; draw them before the call and pass them")
        if stand_ins.changed():
            raise NotRecorded("it changes a list or dict among its arguments; make it inside")
        results = Results(made)
        del made, new_args, new_kwargs, stand_ins
        recording = self._read(recorder, *results.tops_first(), start, arguments)
        recording.results, recording.rebuild = results, weakref.WeakMethod(self._rebuild)
        return recording

    def _rebuild(self, arguments: Arguments) -> list[Value]:
        """The results of a call that was replayed, with a graph."""
        args, kwargs = arguments.again()
        self.rebuilt += 1
        if self.rebuilt == MAX_TRIES:
            warnings.warn(
                f"{self.function.__name__} also ran in Python in {MAX_TRIES} of its calls, since backward() was called"
                " twice, or on another result than the first; return the result that it is called on first, and call it"
                " once",
                RecordedWarning,
                stacklevel=2,
            )
        with _lock:
            _here.active = True
            try:
                made = self.function(*args, **kwargs)
            finally:
                _here.active = False
        return Results(made).tops_first()[0]

    def _read(
        self, recorder: Recorder, values: list[Value], n_tops: int, start: Any, arguments: Arguments
    ) -> Recording:
        """The recording; where a target decides the order of backward, of this value of it."""
        targets = self._targets.get(arguments.form, ())
        collected = False
        while True:
            recorder.choices = [choice for choice in recorder.choices if choice[0] not in targets]
            try:
                recording = Recording(values, n_tops, start, len(arguments.tokens), recorder)
            except NotRecorded as no:
                if no.target is not None and len(targets) < MAX_TARGETS:
                    targets = (*targets, no.target)
                elif "kept outside" in str(no) and not collected:
                    collected = True
                    gc.collect()  # a cycle of garbage may hold on to it
                else:
                    raise
            else:
                if targets:
                    self._targets[arguments.form] = targets
                return recording

    def _keep(self, shape: Any, arguments: Arguments) -> None:
        """The objects among the arguments whose id is part of the shape: recordings go when they go."""
        for reference in arguments.kept:
            thing = reference()
            key = shape, id(thing)
            try:
                self._kept[key] = weakref.ref(thing, functools.partial(self._drop, key, arguments.form))
            except TypeError:
                self._kept[key] = thing

    def _drop(self, key: tuple[Any, int], form: Any, _: object) -> None:
        self._kept.pop(key, None)
        self._shapes.pop(key[0], None)
        self._targets.pop(form, None)

    def _check(self, made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for ours, expected in zip(numbers_in(made), numbers_in(self.function(*args, **kwargs))):
            if repr(ours) != repr(expected):
                raise AssertionError(
                    f"{self.function.__name__}: a replay gives {ours!r}, Python {expected!r}; what it reads has"
                    f" changed since it was recorded: call forget() after such a change"
                )


def _parameter_names(function: Callable[..., Any]) -> tuple[list[str], list[str]]:
    """Those that arguments without a name go to, and those that need one."""
    code = getattr(function, "__code__", None)
    names = () if code is None else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    n = 0 if code is None else code.co_argcount
    return list(names[isinstance(function, types.MethodType) : n]), list(names[n:])
