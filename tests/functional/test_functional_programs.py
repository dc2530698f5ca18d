"""Random programs of functions over lists, scalar operators and backwards: the same bits as the reference."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from bulk import Bench, agree
from hypothesis import given
from hypothesis import strategies as st
from processes import printed

# An instruction is a plain tuple. Operands are places in the pool of vectors or in that of scalars, modulo its size,
# and a vector of another length is repeated or cut to fit, so every list of instructions is a valid program.
Instruction = tuple[Any, ...]

places = st.integers(0, 9)
few_places = st.lists(places, min_size=1, max_size=6)
tame = st.floats(-2, 2)
odd = st.sampled_from([0, 1, -2, 3, 0.0, -0.0, 1e-160, 1e160, math.inf, -math.inf, math.nan])
numbers = st.one_of(tame, tame, tame, tame, odd)
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv")
}

one_instruction = st.one_of(
    st.tuples(st.just("leaves"), st.lists(tame, min_size=1, max_size=9)),
    st.tuples(st.just("leaves"), st.lists(numbers, min_size=1, max_size=9)),
    st.tuples(st.just("linear"), places, few_places),
    st.tuples(st.just("linear"), places, few_places),
    st.tuples(st.sampled_from(["softmax", "rmsnorm", "relu"]), places),
    st.tuples(st.just("add"), places, places),
    st.tuples(st.just("attention"), places, few_places, few_places, st.integers(1, 3)),
    st.tuples(st.just("cross_entropy"), places, places),
    st.tuples(st.just("mean"), places),
    st.tuples(st.just("turn"), places),
    st.tuples(st.just("gather"), st.lists(st.tuples(places, places), min_size=1, max_size=9)),
    st.tuples(st.just("scalars"), few_places),
    st.tuples(st.just("pick"), places, places),
    st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), places, places),
    st.tuples(st.just("binary_number"), st.sampled_from(sorted(BINARY)), places, numbers),
    st.tuples(st.just("power"), places, st.sampled_from([2, -1, 0.5, 3.0])),
    st.tuples(st.sampled_from(["exp", "log", "relu_of"]), places),
    st.tuples(st.sampled_from(["set_data", "set_grad"]), places, places, numbers),
    st.tuples(st.just("zero_grads"), places),
    st.tuples(st.sampled_from(["backward", "backward_of"]), places, places),
    st.tuples(st.just("backward"), places, places),
    st.tuples(st.just("forget"), places),
)
programs = st.lists(one_instruction, min_size=1, max_size=30)


def pick(pool: list[Any], place: int) -> Any:
    return pool[-1 - place % len(pool)]


def fit(vector: list[Any], n: int) -> list[Any]:
    """The vector itself where it has n elements, else repeated and cut."""
    return vector if len(vector) == n else (vector * (n // len(vector) + 1))[:n]


class Machine:
    """Carries out a program on one engine."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.vectors = [bench.leaves([0.5, -1.0, 2.0])]
        self.scalars = [bench.show(bench.Value(0.75))]

    def vector(self, place: int) -> list[Any]:
        return pick(self.vectors, place)

    def rows(self, chosen: list[int], n: int) -> list[list[Any]]:
        return [fit(self.vector(place), n) for place in chosen]

    def step(self, instruction: Instruction) -> None:
        name, *arguments = instruction
        made = self.bench.attempt(lambda: getattr(self, name, self.function)(*arguments, **self.named(name)))
        if isinstance(made, list):
            self.vectors.append(self.bench.show(made))
        elif isinstance(made, self.bench.Value):
            self.scalars.append(self.bench.show(made))

    def named(self, name: str) -> dict[str, str]:
        return {} if hasattr(type(self), name) else {"name": name}

    # ---- vectors ----

    def function(self, place: int, name: str) -> Any:
        return getattr(self.bench, name)(self.vector(place))

    def leaves(self, data: list[Any]) -> list[Any]:
        return [self.bench.Value(number) for number in data]

    def linear(self, x: int, w: list[int]) -> list[Any]:
        return self.bench.linear(self.vector(x), self.rows(w, len(self.vector(x))))

    def add(self, a: int, b: int) -> list[Any]:
        return self.bench.add(self.vector(a), fit(self.vector(b), len(self.vector(a))))

    def attention(self, q: int, keys: list[int], values: list[int], n_head: int) -> list[Any]:
        n = n_head * -(-len(self.vector(q)) // n_head)
        return self.bench.attention(
            fit(self.vector(q), n), self.rows(keys, n), self.rows((values * len(keys))[: len(keys)], n), n_head
        )

    def turn(self, place: int) -> list[Any]:
        return self.vector(place)[::-1]

    def gather(self, where: list[tuple[int, int]]) -> list[Any]:
        return [pick(self.vector(a), b) for a, b in where]

    def scalars_(self, chosen: list[int]) -> list[Any]:
        return [pick(self.scalars, place) for place in chosen]

    # ---- scalars ----

    def cross_entropy(self, place: int, target: int) -> Any:
        return self.bench.cross_entropy(self.vector(place), target % len(self.vector(place)))

    def pick(self, vector: int, element: int) -> Any:
        return pick(self.vector(vector), element)

    def binary(self, name: str, a: int, b: int) -> Any:
        return BINARY[name](pick(self.scalars, a), pick(self.scalars, b))

    def binary_number(self, name: str, a: int, number: Any) -> Any:
        return BINARY[name](pick(self.scalars, a), number)

    def power(self, a: int, exponent: Any) -> Any:
        base = pick(self.scalars, a)
        return None if base.data < 0 and exponent == 0.5 else base**exponent

    def exp(self, a: int) -> Any:
        return pick(self.scalars, a).exp()

    def log(self, a: int) -> Any:
        return pick(self.scalars, a).log()

    def relu_of(self, a: int) -> Any:
        return pick(self.scalars, a).relu()

    # ---- changes ----

    def set_data(self, vector: int, element: int, number: Any) -> None:
        self.pick(vector, element).data = number

    def set_grad(self, vector: int, element: int, number: Any) -> None:
        self.pick(vector, element).grad = number

    def zero_grads(self, vector: int) -> None:
        for value in self.vector(vector):
            value.grad = 0

    def backward(self, scalar: int, _: int) -> None:
        self.bench.backward(pick(self.scalars, scalar))

    def backward_of(self, vector: int, element: int) -> None:
        self.bench.backward(self.pick(vector, element))

    def forget(self, vector: int) -> None:
        """Drop a vector and every Value that nobody else shows, so that the compiled engine may free it."""
        if len(self.vectors) > 1:
            gone = self.vectors.pop(-1 - vector % len(self.vectors))
            kept = {id(value) for other in self.vectors for value in other} | {id(value) for value in self.scalars}
            going = {id(value) for value in gone} - kept
            self.bench.shown[:] = [value for value in self.bench.shown if id(value) not in going]


def carry_out(bench: Bench, program: list[Instruction]) -> None:
    machine = Machine(bench)
    for name, *arguments in program:
        machine.step(("scalars_" if name == "scalars" else name, *arguments))
    bench.backward(machine.scalars[-1])
    bench.backward(machine.vectors[-1][0])


@given(program=programs)
def test_a_random_program(program):
    agree(lambda bench: carry_out(bench, program))


@given(program=programs, places=st.integers(0, 60))
def test_a_random_program_across_the_end_of_a_block(program, places):
    agree(lambda bench: carry_out(bench, program), places=[places])


FRESH = """
import effort, test_functional, test_functional_programs
effort.load_profile()
test_functional_programs.test_a_random_program()
test_functional_programs.test_a_random_program_across_the_end_of_a_block()
for sharing in test_functional.SHARINGS:
    test_functional.test_shared_operands(sharing)
"""


def test_the_same_where_no_children_were_ever_assigned():
    """As in tests/engine/test_programs.py."""
    assert printed(FRESH) == ""
