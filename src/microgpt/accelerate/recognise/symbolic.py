"""Numbers known by the arithmetic that makes them: user's code is run on them, and what it computes is compared.

Two numbers are the same if their arithmetic is, by what IEEE 754 grants for every operand: a + b = b + a,
a * b = b * a, a - b = a + -b, 1 * a = a, -1 * a = -a, (-a) * b = -(a * b) for floats; and nothing else. Sums keep their
order, x * x is not x ** 2. Whether a number is an int belongs to it.

Each number also has a value, by which comparisons are decided; a comparison is noted down, and has to be the same.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RAISING = {"/", "**"}  # operations that may raise an exception, besides the functions of math


class Unknown(Exception):
    """The code does something that cannot be followed."""


class Tracer:
    """The expressions of one comparison, by number; what was compared, and what may have raised, in order."""

    def __init__(self) -> None:
        self.table: dict[Any, int] = {}
        self.keys: list[Any] = []
        self.conditions: list[Any] = []
        self.raising: list[int] = []

    def intern(self, *key: Any) -> int:
        number = self.table.setdefault(key, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
        return number

    def begin(self) -> None:
        self.conditions, self.raising = [], []

    def symbol(self, name: str, value: float) -> Number:
        return Number(self, self.intern("symbol", name, type(value) is int), value, type(value) is int)

    def constant(self, value: Any) -> Number:
        if type(value) not in (int, float):
            raise Unknown(f"{type(value).__name__} in arithmetic")
        return Number(self, self.intern("constant", repr(value)), value, type(value) is int)

    def number(self, value: Any) -> Number:
        if isinstance(value, Number):
            return value
        return getattr(value, "sb_symbol", None) or self.constant(value)

    def known(self, number: Number) -> float | int | None:
        """The value of a constant."""
        return number.sb_value if self.keys[number.sb_id][0] == "constant" else None

    def make(self, operation: str, value: float, is_int: bool, *operands: Number) -> Number:
        made = self.intern(operation, *(operand.sb_id for operand in operands))
        if operation in RAISING or operation.startswith("math."):
            self.raising.append(made)
        return Number(self, made, value, is_int)


def commutative(operation: str, a: Number, b: Number, value: float) -> Number:
    is_int = a.sb_is_int and b.sb_is_int
    if not is_int:
        a, b = as_float(a), as_float(b)
    first, second = (a, b) if a.sb_id <= b.sb_id else (b, a)
    return a.sb_tracer.make(operation, value, is_int, first, second)


def as_float(number: Number) -> Number:
    """What an int is beside a float. A constant is the float of the same value."""
    if not number.sb_is_int:
        return number
    known = number.sb_tracer.known(number)
    if known is not None:
        return number.sb_tracer.constant(float(known))
    return number.sb_tracer.make("float", float(number.sb_value), False, number)


def evaluate(function: Any, *values: Any) -> Any:
    result = function(*values)
    if type(result) not in (int, float):
        raise Unknown("a result that is no real number")
    return result


class Number:
    """A number in the making; see above. Its operators are those of Python's numbers."""

    __slots__ = ("sb_id", "sb_is_int", "sb_tracer", "sb_value")  # names that no field of a class has

    def __init__(self, tracer: Tracer, made: int, value: float, is_int: bool) -> None:
        self.sb_tracer, self.sb_id, self.sb_value, self.sb_is_int = tracer, made, value, is_int

    def __add__(self, other: Any) -> Number:
        if not is_number(other):
            return NotImplemented
        other = self.sb_tracer.number(other)
        if self.sb_tracer.keys[self.sb_id][0] == "zero":  # a gradient that nothing was added to yet
            return other if other.sb_is_int and self.sb_is_int else as_float(other)
        return commutative("+", self, other, self.sb_value + other.sb_value)

    __radd__ = __add__

    def __neg__(self) -> Number:
        key = self.sb_tracer.keys[self.sb_id]
        if key[0] == "-":
            return Number(self.sb_tracer, key[1], -self.sb_value, self.sb_is_int)
        known = self.sb_tracer.known(self)
        if known is not None:
            return self.sb_tracer.constant(-known)
        return self.sb_tracer.make("-", -self.sb_value, self.sb_is_int, self)

    def __pos__(self) -> Number:
        return self

    def __sub__(self, other: Any) -> Number:
        return self + -self.sb_tracer.number(other) if is_number(other) else NotImplemented

    def __rsub__(self, other: Any) -> Number:
        return self.sb_tracer.number(other) + -self if is_number(other) else NotImplemented

    def __mul__(self, other: Any) -> Number:
        if not is_number(other):
            return NotImplemented
        a, b = self, self.sb_tracer.number(other)
        for x, y in ((a, b), (b, a)):
            if x.sb_tracer.known(x) in (1, -1):
                made = y if x.sb_is_int else as_float(y)
                return made if x.sb_value == 1 else -made
        if not (a.sb_is_int or b.sb_is_int):
            for x, y in ((a, b), (b, a)):
                if x.sb_tracer.keys[x.sb_id][0] == "-":
                    return -(-x * y)
        return commutative("*", a, b, a.sb_value * b.sb_value)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Number:
        if not is_number(other):
            return NotImplemented
        a, b = as_float(self), as_float(self.sb_tracer.number(other))
        return self.sb_tracer.make("/", evaluate(lambda x, y: x / y, a.sb_value, b.sb_value), False, a, b)

    def __rtruediv__(self, other: Any) -> Number:
        return self.sb_tracer.number(other) / self if is_number(other) else NotImplemented

    def __pow__(self, other: Any) -> Number:
        if not is_number(other):
            return NotImplemented
        other = self.sb_tracer.number(other)
        value = evaluate(lambda x, y: x**y, self.sb_value, other.sb_value)
        a, b = (self, other) if type(value) is int else (as_float(self), as_float(other))
        return self.sb_tracer.make("**", value, type(value) is int, a, b)

    def __rpow__(self, other: Any) -> Number:
        return self.sb_tracer.number(other) ** self if is_number(other) else NotImplemented

    def __gt__(self, other: Any) -> Truth:
        return Truth(self, ">", self, self.sb_tracer.number(other))

    def __lt__(self, other: Any) -> Truth:
        return Truth(self, ">", self.sb_tracer.number(other), self)

    def __ge__(self, other: Any) -> Truth:
        return Truth(self, ">=", self, self.sb_tracer.number(other))

    def __le__(self, other: Any) -> Truth:
        return Truth(self, ">=", self.sb_tracer.number(other), self)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: Any) -> Any:
        raise Unknown("numbers compared for equality")

    def __bool__(self) -> bool:
        raise Unknown("a number as a condition")

    __float__ = __int__ = __index__ = __bool__


class Truth:
    """What a comparison gave. It is noted down as soon as something depends on it."""

    __slots__ = ("sb_key", "sb_result", "sb_tracer")

    def __init__(self, number: Number, operation: str, a: Number, b: Number) -> None:
        self.sb_tracer = number.sb_tracer
        self.sb_result = a.sb_value > b.sb_value if operation == ">" else a.sb_value >= b.sb_value
        self.sb_key = (operation, as_float(a).sb_id, as_float(b).sb_id)

    def __bool__(self) -> bool:
        if self.sb_key not in self.sb_tracer.conditions:
            self.sb_tracer.conditions.append(self.sb_key)
        return self.sb_result

    def __mul__(self, other: Any) -> Any:
        return (1 if self else 0) * other

    __rmul__ = __mul__


def is_number(thing: Any) -> bool:
    return isinstance(thing, Number) or type(thing) in (int, float) or hasattr(thing, "sb_symbol")


class Mathematics:
    """The module math, for numbers in the making."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def __getattr__(self, name: str) -> Any:
        real = getattr(math, name)
        if isinstance(real, float):
            return self.tracer.constant(real)

        def function(*arguments: Any) -> Number:
            numbers = [as_float(self.tracer.number(argument)) for argument in arguments]
            value = evaluate(real, *(number.sb_value for number in numbers))
            return self.tracer.make(f"math.{name}", float(value), type(value) is int, *numbers)

        return function


class Kind(type):
    """`float` and `int` as user's code finds them: called as functions, and asked by isinstance."""

    def __instancecheck__(cls, thing: Any) -> bool:
        wanted = cls.__name__ == "int"
        return (isinstance(thing, Number) and thing.sb_is_int is wanted) or type(thing) is (int if wanted else float)


def kinds(tracer: Tracer) -> dict[str, Any]:
    """Stand-ins for `float` and `int`."""

    def to_float(cls: Any, thing: Any = 0.0) -> Any:
        if isinstance(thing, Truth):
            return 1.0 if thing else 0.0
        if isinstance(thing, bool):
            return float(thing)
        return as_float(tracer.number(thing))

    def to_int(cls: Any, thing: Any = 0) -> Any:
        if isinstance(thing, (Truth, bool)):
            return 1 if thing else 0
        if not tracer.number(thing).sb_is_int:
            raise Unknown("a float made an int")
        return thing

    return {"float": Kind("float", (), {"__new__": to_float}), "int": Kind("int", (), {"__new__": to_int})}
