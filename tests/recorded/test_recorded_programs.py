"""Random programs, recorded and replayed, against the reference: every result and every gradient to the bit, every
exception by type, over calls with other parameters, tokens and numbers."""

from __future__ import annotations

import random
import warnings
from itertools import chain
from types import ModuleType
from typing import Any

import pytest
from bits import bits
from effort import at_length
from hypothesis import given, settings
from hypothesis import strategies as st

import microgpt
from microgpt import recorded, reference, table

N_PARAMS, N_ROWS, WIDTH, N_TOKENS, N_NUMBERS = 8, 5, 4, 3, 2
METHODS = ["log", "exp", "relu", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu"]
BINARY = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b}
EXPONENTS = [-1, 2, 3, 0.5, -0.5, 2.0, 1.5, 1, 0]

places = st.integers(0, 40)
vectors = st.lists(places, min_size=WIDTH, max_size=WIDTH)
some = st.lists(places, min_size=1, max_size=6)
factors = st.sampled_from([-1, 1, 2, 3.0, -0.5, 1e-3, 0, 0.0])
instructions = st.one_of(
    st.tuples(st.sampled_from(sorted(BINARY)), places, places),
    st.tuples(st.sampled_from(["add", "mul", "mul", "sub"]), places, places),
    st.tuples(st.sampled_from(["plus", "times", "minus", "over", "from", "into"]), places, factors),
    st.tuples(st.sampled_from(METHODS), places),
    st.tuples(st.just("pow"), places, st.sampled_from(EXPONENTS)),
    st.tuples(st.just("rpow"), places, st.sampled_from([2, 0.5, 1.0])),
    st.tuples(st.just("sum"), some),
    st.tuples(st.just("dot"), vectors, vectors, st.sampled_from(["zero", "start"])),
    st.tuples(st.just("value"), st.sampled_from([0, 1, 0.5, -2.0])),
    st.tuples(st.just("by_hand"), some),
    st.tuples(st.just("linear"), vectors, st.sampled_from(["rows", "table"])),
    st.tuples(st.sampled_from(["softmax", "rmsnorm", "relus"]), vectors),
    st.tuples(st.just("attention"), vectors, st.lists(vectors, min_size=1, max_size=3), st.integers(0, 3)),
    st.tuples(st.just("mean"), some),
    st.tuples(st.just("look_up"), st.integers(0, N_TOKENS - 1)),
    st.tuples(st.just("cross_entropy"), vectors, st.integers(0, N_TOKENS - 1)),
    st.tuples(
        st.just("logits"), vectors, st.integers(0, N_TOKENS - 1), st.sampled_from(["plain", "tanh", "bias", "scalar"])
    ),
    st.tuples(st.just("choose"), vectors, st.integers(0, N_TOKENS - 1)),
    st.tuples(st.just("number"), places, st.integers(0, N_NUMBERS - 1), st.sampled_from(sorted(BINARY)), st.booleans()),
)
programs = st.lists(instructions, min_size=1, max_size=14)


def pick(slots: list[Any], place: int) -> Any:
    return slots[-1 - place % len(slots)]


def apply(ns: Any, slots: list[Any], model: dict[str, Any], instruction: Any, tokens: Any, numbers: Any) -> list[Any]:
    """The Values that an instruction makes of those in the slots."""
    name, *given_ = instruction

    def vector(chosen: list[int]) -> list[Any]:
        return [pick(slots, place) for place in chosen]

    if name == "value":
        return [ns.Value(given_[0])]
    if name == "look_up":
        return list(model["table"][tokens[given_[0]]])
    if name in ("sum", "mean"):
        terms = vector(given_[0])
        return [sum(terms) if name == "sum" else ns.mean(terms)]
    if name == "dot":
        start = [pick(slots, given_[0][0])] if given_[2] == "start" else []
        return [sum((a * b for a, b in zip(vector(given_[0]), vector(given_[1]))), *start)]
    if name == "by_hand":
        children = vector(given_[0])
        return [ns.Value(1.5, tuple(children), tuple(0.5 + k for k in range(len(children))))]
    if name == "linear":
        return ns.linear(vector(given_[0]), model[given_[1]])
    if name == "relus":
        return ns.relu(vector(given_[0]))
    if name in ("softmax", "rmsnorm"):
        return list(getattr(ns, name)(vector(given_[0])))
    if name == "attention":
        keys = [vector(each) for each in given_[1]]
        return ns.attention(vector(given_[0]), keys, keys[::-1], 2)
    if name == "cross_entropy":
        return [ns.cross_entropy(vector(given_[0]), tokens[given_[1]])]
    if name == "choose":
        return [ns.softmax(vector(given_[0]))[tokens[given_[1]]]]
    if name == "logits":
        return [ns.cross_entropy(logits_of(ns, vector(given_[0]), model, given_[2]), tokens[given_[1]])]
    value = pick(slots, given_[0])
    if name in BINARY:
        return [BINARY[name](value, pick(slots, given_[1]))]
    if name == "pow":
        raised = value ** given_[1]
        if ns is reference and isinstance(raised.data, complex):
            raise ValueError("complex")  # as documented
        return [raised]
    if name == "rpow":
        return [given_[1] ** value]
    if name == "number":
        number, operation = numbers[given_[1]], BINARY[given_[2]]
        return [operation(value, number) if given_[3] else operation(number, value)]
    if name in METHODS:
        return [getattr(value, name)()]
    number = given_[1]
    return [
        {
            "plus": lambda: value + number,
            "times": lambda: number * value,
            "minus": lambda: value - number,
            "over": lambda: value / number,
            "from": lambda: number - value,
            "into": lambda: number / value,
        }[name]()
    ]


def logits_of(ns: Any, x: list[Any], model: dict[str, Any], how: str) -> list[Any]:
    if how == "scalar":
        return [sum(wi * xi for wi, xi in zip(row, x)) for row in model["rows"]]
    logits = ns.linear(x, model["rows"])
    if how == "tanh":
        return [(logit * 0.5).tanh() * 2.0 for logit in logits]
    if how == "bias":
        return [logit + bias for logit, bias in zip(logits, model["bias"])]
    return list(logits)


class Side:
    """One engine with its parameters, and the program as a function."""

    def __init__(self, ns: ModuleType, program: list[Any], seed: int) -> None:
        rng = random.Random(seed)

        def value() -> Any:
            return ns.Value(rng.gauss(0, 1))

        self.ns = ns
        self.program = program
        self.params = [value() for _ in range(N_PARAMS)]
        matrix = [[value() for _ in range(WIDTH)] for _ in range(N_ROWS)]
        self.model: dict[str, Any] = {
            "rows": [[value() for _ in range(WIDTH)] for _ in range(N_ROWS)],
            "bias": [value() for _ in range(N_ROWS)],
            "table": table(matrix) if ns is microgpt else matrix,
        }
        self.all = [*self.params, *self.model["bias"]]
        self.all += [each for row in [*self.model["rows"], *matrix] for each in row]
        self.loss_of = recorded(self.loss) if ns is microgpt else self.loss

    def computed(self, tokens: Any, numbers: Any) -> list[list[Any]]:
        """The Values that each instruction of the program makes."""
        slots, made = list(self.params), []
        for instruction in self.program:
            made.append(apply(self.ns, slots, self.model, instruction, tokens, numbers))
            slots.extend(made[-1])
        return made

    def loss(self, tokens: Any, numbers: Any) -> Any:
        made = list(chain.from_iterable(self.computed(tokens, numbers)))
        return sum(made) * 1.0 + made[-1]  # all of it: what nothing depends on is not replayed, nor are its errors

    def call(self, tokens: list[int], numbers: list[float]) -> list[str]:
        try:
            loss = self.loss_of(tokens, numbers)
        except (ArithmeticError, ValueError, IndexError) as error:
            return [type(error).__name__, *(bits(each.grad) for each in self.all)]
        loss.backward()
        return [bits(loss.data), *(bits(each.grad) for each in self.all)]


def assert_same(program: list[Any], seed: int, calls: int = 5) -> Any:
    ours, theirs = Side(microgpt, program, seed), Side(reference, program, seed)
    assert_same_calls(ours, theirs, seed, calls, [0.5, -1.25, 3.0, 0.0])
    return ours.loss_of


def assert_same_calls(ours: Side, theirs: Side, seed: int, calls: int, numbers_of: list[float]) -> None:
    """Call both with the same random arguments, and change their Values after every other call."""
    rng = random.Random(seed + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", microgpt.RecordedWarning)
        for k in range(calls):
            tokens = [rng.randrange(WIDTH) for _ in range(N_TOKENS)]
            numbers = [rng.choice(numbers_of) for _ in range(N_NUMBERS)]
            assert ours.call(tokens, numbers) == theirs.call(tokens, numbers)
            for a, b in zip(ours.all, theirs.all):
                if k % 2:
                    a.data -= 0.01 * a.grad
                    b.data -= 0.01 * b.grad
                    a.grad = b.grad = 0


@settings(max_examples=at_length(60, 300))
@given(programs, st.integers(0, 10**6))
def test_random_programs(program: list[Any], seed: int) -> None:
    assert_same(program, seed)


@pytest.mark.parametrize("how", ["plain", "tanh", "bias", "scalar"])
@pytest.mark.parametrize("seed", range(6))
def test_targets_that_vary_are_replayed(how: str, seed: int) -> None:
    """Logits of a hidden vector that has other uses before it: the order of backward depends on the target."""
    program = [
        ("look_up", 0),
        ("rmsnorm", [0, 1, 2, 3]),
        ("linear", [0, 1, 2, 3], "table"),
        ("logits", [0, 1, 2, 3], 1, how),
        ("logits", [1, 2, 3, 4], 2, how),
    ]
    loss_of = assert_same(program, seed, calls=8)
    assert loss_of.stats()["not_recorded"] == []
    assert loss_of.stats()["recordings"][0]["replayed"] == 8
