"""What rewritten code calls: the compiled class in the place of the user's, and the compiled functions.

A compiled function answers None where it is not surely right, and the user's own code beside the call takes over.
"""

from __future__ import annotations

import builtins
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator

from ... import _engine, _functional
from ..recognise.value_class import MISSING, OURS_ONLY, ClassPlan
from ..rewrite import Rewritten
from ..syntax.calls import HELPER
from .frames import is_from_outside
from .param_loop import ParamLoop
from .refusal import refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


OURS: set[type] = {_engine.Value}
GIVEN = {"__hash__", "__lt__", "__gt__", "__le__", "__ge__"}  # what Python and functools.total_ordering give to a class


class Support:
    """The object behind the name `__microgpt__`."""

    def __init__(self) -> None:
        self.Value = _engine.Value
        self.math = math
        self.plans: dict[int, ClassPlan] = {}
        self.loops: dict[int, ParamLoop] = {}
        self.first_node = 0
        self.on_class: Callable[[type], None] = lambda kind: None
        for name, function in vector_functions().items():
            setattr(self, name, function)

    def expect(self, rewritten: Rewritten) -> None:
        """Know what the code of a script will ask for."""
        from ... import _adam

        setattr(builtins, HELPER, self)
        if rewritten.plan is not None:
            self.plans[rewritten.number] = rewritten.plan
        self.loops.update({n: ParamLoop(site, _engine.Value, _adam) for n, site in rewritten.sites.items()})

    def boxed(self, thing: Any) -> tuple[Any] | None:
        return None if thing is None else (thing,)

    def unseen(self, method: str) -> Any:
        """A method of dataclasses that reads the graph, which was exchanged since nobody seemed to use it."""
        refusals.shown(method)

    def loop(self, number: int, params: Any, arguments: Callable[[], tuple[Any, ...]]) -> Iterable[Any]:
        return self.loops[number].rest(params, arguments)

    def counted(self, number: int, step: int) -> int:
        """A counter of nodes, as the script would read it."""
        return number + step * (_engine.count_nodes() - self.first_node)

    def uncounted(self, number: int, step: int) -> int:
        """What a counter holds that reads as this number now."""
        return number - step * (_engine.count_nodes() - self.first_node)

    def switched(self, thing: Any, on: bool, local_grads: bool) -> Any:
        """What a flag is set to that decides whether nodes keep their children (see recognise/flags.py)."""
        if type(thing) is not bool:
            refusals.strange(thing, "a flag that switches the graph")
        _engine.set_graph(thing is on, local_grads)
        return thing

    def local_grads(self, compute: Callable[[], tuple[tuple[Any, ...]]]) -> tuple[Any, ...]:
        """What a closure would compute when backward runs."""
        try:
            return compute()[0]
        except Exception as error:
            refusals.late(f"a local gradient raises {type(error).__name__}, in yours only when backward() runs")
            raise

    def no_value(self, thing: Any, act: str) -> Any:
        """What the script pickles, or asks the id, the type or computed attributes of. Raises Refused where that is a
        Value or the class, or there is one in what is pickled, in lists and the like or in objects."""
        todo, seen = [thing], set()
        while todo:
            part = todo.pop()
            if type(part) in (float, int, str) or id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, _engine.Value) or (isinstance(part, type) and issubclass(part, _engine.Value)):
                refusals.shown(act)
            elif act != "pickle":
                break
            elif isinstance(part, dict):
                todo += [*part.keys(), *part.values()]
            elif isinstance(part, (list, tuple, set, frozenset)):
                todo += part
            todo += attributes(part)
        return thing

    def adopt(self, number: int) -> Callable[[type], type]:
        """The decorator of the user's class, whose body holds only what is the user's own."""
        plan = self.plans[number]

        def decorate(mine: type) -> type:
            for name in plan.stubs:
                delattr(mine, name)
            if not plan.shared:
                be_the_script_s(plan)
            kind = mine if plan.subclass else _engine.Value
            if plan.subclass or not plan.shared:
                shape(kind, mine, plan)
            for loop in self.loops.values():
                loop.kind = kind
            self.on_class(kind)
            self.first_node = _engine.count_nodes()
            return kind

        return decorate


def attributes(thing: object) -> Iterator[Any]:
    """What an object holds, without asking it: its own code is not run."""
    kinds = type(thing).__mro__
    for name in ["__dict__", *(slot for kind in kinds for slot in vars(kind).get("__slots__", ()))]:
        with contextlib.suppress(AttributeError, TypeError):
            yield object.__getattribute__(thing, name)


def be_the_script_s(plan: ClassPlan) -> None:
    """Our class belongs to one script from now on: it has its name, holds nothing but what the script's holds alike,
    and leaves to the script's own functions all that is not plain Values."""
    _engine.rename(plan.name)
    _engine.set_number_guard(refusals.strange)
    _functional.disable_fallback()
    if plan.older:
        _engine.set_late_grads(refusals.late)
    if plan.kinds:
        _engine.set_kinds(**dict.fromkeys(plan.kinds, True))


def shape(kind: Any, mine: type, plan: ClassPlan) -> None:
    """A class, ours or one derived from it, made to answer as the user's does: with its additional methods, other names
    of the attributes, operators that must fail, without the methods it lacks."""
    absent = {*OURS_ONLY, *(name for name in plan.missing if not name.startswith("__"))} - plan.kept.keys()
    if plan.subclass:
        for name in absent:
            setattr(kind, name, not_absolute if name == "__abs__" else Absent(name))
    else:
        # the compiled functions need not mind these changes: vectors.NEEDS says on which methods each of them stands,
        # and it is called only where those are the script's; none is where backward is not
        ignored = {*OURS_ONLY, *plan.kept, *plan.missing, *plan.patched, *plan.shown, *GIVEN, "__repr__", "__rpow__"}
        _engine.ignore_changes({*ignored, "backward"})
        for name in absent & vars(kind).keys():
            delattr(kind, name)
    if "__repr__" not in plan.kept:
        kind.__repr__ = bare_repr
    for name in {*plan.kept, *plan.shown, *(GIVEN & {*vars(mine)})}:
        setattr(kind, name, vars(mine)[name])
    for ours, theirs in plan.fields.items():
        if ours != theirs:
            setattr(kind, theirs, vars(_engine.Value)[ours])
    for name, first in plan.beside.items():
        setattr(kind, name, Beside(name, first))
    for name in (*plan.missing, *(["__rpow__"] if plan.shared and "__rpow__" not in plan.kept else [])):
        if name.startswith("__"):
            setattr(kind, name, not_negative if name == "__neg__" else not_implemented)
    if plan.float_root and "backward" not in (*plan.kept, *plan.shown):
        kind.backward = backward_from_float(_engine.Value.backward)


def not_implemented(*operands: Any) -> Any:
    """An operator that the user's class lacks."""
    return NotImplemented


def not_negative(value: Any) -> Any:
    raise TypeError(f"bad operand type for unary -: {type(value).__name__!r}")


def not_absolute(value: Any) -> Any:
    raise TypeError(f"bad operand type for abs(): {type(value).__name__!r}")


def backward_from_float(backward: Callable[[Any], None]) -> Callable[[Any], None]:
    """`backward` with 1.0 as the root's gradient: it gets it from a node above it, multiplied by the local gradient."""
    new_value = _engine.Value

    def from_float(self: Any) -> None:
        kept = _engine.set_graph(True)
        try:
            self.grad = 0
            backward(new_value(0.0, (self,), (1.0,)))
        finally:
            _engine.set_graph(kept)

    from_float.__name__ = "backward"
    return from_float


def bare_repr(self: object) -> str:
    """What object's own repr would show, were the class the user's."""
    kind = type(self)
    module = "__main__" if kind is _engine.Value else kind.__module__
    return f"<{module}.{kind.__name__} object at {id(self):#x}>"


class Beside:
    """An attribute for which the compiled class has no room: those that have it, and what it holds. They stay alive."""

    def __init__(self, name: str, first: Any) -> None:
        self.name, self.first = name, first
        self.held: dict[int, tuple[Any, Any]] = {}

    def __get__(self, instance: Any, owner: type) -> Any:
        found = self.held.get(id(instance), (instance, self.first))[1]
        if instance is None or found is MISSING:
            kind = f"type object {owner.__name__!r}" if instance is None else f"{owner.__name__!r} object"
            raise AttributeError(f"{kind} has no attribute {self.name!r}")
        return found

    def __set__(self, instance: Any, thing: Any) -> None:
        self.held[id(instance)] = instance, thing


class Absent:
    """An attribute that a subclass must not inherit."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}")


# ---- vectors --------------------------------------------------------------------------------------------------------


def vector_functions() -> dict[str, Callable[..., Any]]:
    """Helpers around the compiled functions. Each is given a function that evaluates the arguments, and returns None
    where the compiled one does not take them."""
    made = {name: of_values(getattr(_functional, name)) for name in ("linear", "softmax", "rmsnorm", "relu")}
    made |= {"add": of_values(add), "attention": of_values(attention), "dot": dot, "squares": squares}
    made |= {"dot_range": dot_range, "dot_length": dot_length, "dot_column": dot_column}
    return {name: attempted(function) for name, function in made.items()}


def attempted(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(arguments: Any) -> Any:
        try:
            return function(*arguments())
        except Exception as error:  # the user's own code will raise it, but for what a signal's handler raised
            if is_from_outside(error.__traceback__, arguments.__code__):
                raise
            return None

    return call


def are_values(x: Any) -> bool:
    return type(x) is list and set(map(type, x)) == OURS


def of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(x: Any, *others: Any) -> Any:
        return function(x, *others) if are_values(x) else None

    return checked


def add(x: Any, y: Any) -> Any:
    return _functional.add(x, y) if type(y) is list and len(x) == len(y) else None


def attention(q: Any, keys: Any, values: Any, n_head: Any, head_dim: Any, softmax: Any, scale: Any) -> Any:
    if type(n_head) is not int or type(head_dim) is not int or n_head * head_dim != len(q):
        return None
    if type(scale) is not float or scale != (head_dim**0.5) ** -1:
        return None
    if type(keys) is not list or type(values) is not list or len(keys) != len(values):
        return None
    return _functional.attention(q, keys, values, n_head)


def dot(x: Any, y: Any) -> Any:
    """sum(x * y) in its various spellings, as a matrix product with one row."""
    if type(x) is not list or not are_values(y) or len(x) != len(y):
        return None
    return _functional.linear(y, [x])[0]


def squares(x: Any) -> Any:
    return dot(x, x)


def dot_range(x: Any, y: Any, n: Any) -> Any:
    return dot(x, y) if type(x) is list and type(n) is int and len(x) == n else None


def dot_length(x: Any, y: Any, like: Any) -> Any:
    return dot(x, y) if type(x) is type(like) is list and len(x) == len(like) else None


def dot_column(x: Any, rows: Any, j: Any, like: Any) -> Any:
    if not (type(x) is type(rows) is type(like) is list and len(x) == len(rows) == len(like) and type(j) is int):
        return None
    return dot(x, [row[j] for row in rows])


present: Support | None = None


def install() -> Support:
    """The one Support of this process, known to all rewritten code."""
    global present
    if present is None:
        present = Support()
    return present
