"""Functions that return several Values: the same numbers, and the same gradients of intermediate ones, to the bit."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
from bits import bits
from effort import at_length
from hypothesis import given, settings
from hypothesis import strategies as st
from test_recorded_programs import Side, assert_same_calls, programs

import microgpt
from microgpt import RecordedWarning, Value, cross_entropy, linear, mean, recorded, reference, table


class SideOfSeveral(Side):
    """The program of a Side, which returns its Values as well, in a structure."""

    def loss(self, tokens: Any, numbers: Any) -> Any:
        made = self.computed(tokens, numbers)
        if self.program[0][0] == "look_up":
            made[0] = [value * 1.0 for value in made[0]]
        total = sum(sum(new) for new in made) * 1.0
        return {"made": made, "loss": (total, 3, "x")}

    def call(self, tokens: list[int], numbers: list[float]) -> list[str]:
        try:
            found = self.loss_of(tokens, numbers)
        except (ArithmeticError, ValueError, IndexError) as error:
            return [type(error).__name__, *(bits(each.grad) for each in self.all)]
        loss = found["loss"][0]
        values = [value for new in found["made"] for value in new]
        before = [bits(value.data) for value in values]
        if len(values) % 2:
            values[0].grad = 0.25  # backward adds to it
        loss.backward()
        assert found["loss"][1:] == (3, "x") and list(found) == ["made", "loss"]
        grads = [bits(value.grad) for value in values]
        return [bits(loss.data), bits(loss.grad), *before, *grads, *(bits(each.grad) for each in self.all)]


@settings(max_examples=at_length(40, 200))
@given(programs, st.integers(0, 10**6))
def test_random_programs(program: list[Any], seed: int) -> None:
    ours, theirs = SideOfSeveral(microgpt, program, seed), SideOfSeveral(reference, program, seed)
    assert_same_calls(ours, theirs, seed, 4, [0.5, -1.25, 0.0])


def test_a_loss_and_its_logits_with_targets_that_vary() -> None:
    rng = random.Random(4)
    rows = table([[Value(rng.gauss(0, 1)) for _ in range(4)] for _ in range(5)])
    params = [each for row in rows for each in row]

    def losses(tokens: list[int]) -> Any:
        found, logits = [], []
        for a, b in zip(tokens, tokens[1:]):  # noqa: RUF007
            logits.append(linear(rows[a], rows))
            found.append(cross_entropy(logits[-1], b))
        return mean(found), found, logits

    fast = recorded(losses)
    for tokens in ([0, 1, 2], [3, 3, 4], [4, 0, 1]):
        seen = []
        for function in (losses, fast):
            for each in params:
                each.grad = 0
            loss, found, logits = function(tokens)
            loss.backward()
            values = [*found, *(each for row in logits for each in row)]
            seen.append([(bits(each.data), bits(each.grad)) for each in [loss, *values, *params]])
        assert seen[0] == seen[1]
    assert fast.stats()["recordings"][0]["replayed"] == 3 and fast.stats()["not_recorded"] == []


def test_the_same_value_twice_is_one_value(params: list[Value]) -> None:
    a, b, *_ = params

    @recorded
    def twice() -> Any:
        product = a * b
        return product, [product, product + 1]

    for _ in range(2):
        first, (second, _) = twice()
        assert first is second


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda a, b: (a * b, a), "did not compute"),
        (lambda a, b: (a * b, Value(1.0)), "did not compute"),
        (lambda a, b: (a * b, {1.5, 2.5}), "returns a set"),
        (lambda a, b: [], "no Value that it computed"),
        (lambda a, b: None, "no Value that it computed"),
    ],
)
def test_what_cannot_be_returned_runs_in_python(params: list[Value], returned: Any, words: str) -> None:
    a, b, *_ = params
    fast = recorded(lambda: returned(a, b))
    with pytest.warns(RecordedWarning, match=words):
        found = fast()
    assert type(found) is type(returned(a, b)) and type(fast()) is type(found)


def test_a_result_kept_outside_as_well_is_refused(params: list[Value]) -> None:
    kept = []

    @recorded
    def keeps() -> Any:
        kept.append(params[0] * params[1])
        return kept[-1] * 2, kept[-1]

    with pytest.warns(RecordedWarning, match="kept outside"):
        keeps()
    keeps()
    assert len(kept) == 3  # while it was recorded, then in Python


def test_results_live_as_long_as_anybody_holds_them(params: list[Value]) -> None:
    fast = recorded(lambda x: (lambda h: (h.tanh() * params[2], h))(params[0] * x + params[1]))
    fast(0.5)
    rng = random.Random(5)
    held: list[Any] = []
    for k in range(2000):
        loss, inner = fast(float(k))
        if rng.random() < 0.5:
            loss.backward()
        held.append(rng.choice([loss, inner, (loss, inner), inner + 1, loss + 1]))
        if len(held) > 5:
            held.pop(rng.randrange(len(held)))
    assert fast.stats()["recordings"][0]["bytes"] < 200_000  # a block of nodes is let go as a whole
    loss, inner = fast(0.25)
    fast.forget()
    del fast
    gc.collect()
    held.clear()
    loss.backward()
    del loss
    gc.collect()
    assert inner.data == params[0].data * 0.25 + params[1].data


def test_check_every_compares_all_results(params: list[Value]) -> None:
    factor = [1.0]

    def several() -> Any:
        inner = params[0] * factor[0]
        return {"loss": inner * 0.0, "inner": inner}

    fast = recorded(several, check_every=1)
    fast()
    factor[0] = 2.0
    with pytest.raises(AssertionError, match="forget"):
        fast()
