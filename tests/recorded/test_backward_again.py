"""Backward that goes through a replay again, or into one of several results: the same gradients, to the bit."""

from __future__ import annotations

import gc
import random
import threading
import warnings
import weakref
from itertools import chain
from typing import Any

import pytest
from bits import bits
from effort import at_length
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_recorded_programs import N_NUMBERS, N_TOKENS, WIDTH, Side, programs
from test_several_results import SideOfSeveral

import microgpt
from microgpt import RecordedWarning, Value, attention, cross_entropy, linear, mean, recorded, reference, softmax, table


def state(values: list[Any]) -> list[tuple[str, str]]:
    return [(bits(each.data), bits(each.grad)) for each in values]


def history(side: Side, actions: list[tuple[str, int, int]], seed: int) -> list[Any]:
    """Calls, backward from whatever is held, arithmetic with it and writes to parameters, in any order."""
    rng = random.Random(seed)
    held: list[Any] = []
    inner: list[Any] = []
    seen: list[Any] = []
    for action, i, k in [("call", 0, 0), *actions]:
        one, other = (held[i % len(held)], held[k % len(held)]) if held else (None, None)
        tokens = [rng.randrange(WIDTH) for _ in range(N_TOKENS)]
        numbers = [rng.choice([0.5, -1.25, 3.0]) for _ in range(N_NUMBERS)]
        if action == "call":
            try:
                made = side.loss_of(tokens, numbers)
            except (ArithmeticError, ValueError, IndexError) as error:
                return [*seen, type(error).__name__]
            if isinstance(made, dict):
                inner += [value for new in made["made"] for value in new]
                made = made["loss"][0]
            held += made if isinstance(made, list) else [made]
        elif action == "write":
            for each in side.all:
                each.data -= 0.01 * each.grad
                each.grad = 0
            if k % 2:
                held, inner = [], []  # a call that comes now has other parameters
                continue
            numbers_now = [each.data for each in side.all]
            for value in held:
                value.backward()
            assert [each.data for each in side.all] == numbers_now
            held, inner = [], []
        elif one is None:
            continue
        elif action == "backward":
            one.backward()
        elif action == "inner" and inner:
            inner[i % len(inner)].backward()
        elif action == "sum":
            held.append(one * 2.0 + other * other)
        elif action == "linear":
            held.append(side.ns.linear([one, other], [[other, side.params[0]]])[0])
        elif action == "drop":
            held.remove(one)
        elif action == "grad":
            one.grad = 0.5
            if inner:
                inner[k % len(inner)].grad = k
        seen.append(state([*held, *inner, *side.all]))
    return seen


class SideOfTops(Side):
    """The program of a Side, which returns two sums of its Values, of which none depends on the other."""

    def loss(self, tokens: Any, numbers: Any) -> Any:
        made = list(chain.from_iterable(self.computed(tokens, numbers)))
        return [sum(made) * 1.0 + made[-1], sum(made[::2], self.params[0]) * made[0]]


names = st.sampled_from(["call", *["backward"] * 4, "inner", "inner", "sum", "linear", "drop", "write", "grad"])
histories = st.lists(st.tuples(names, st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=12)


@settings(max_examples=at_length(60, 400), deadline=None)
@example([("add", 0, 0)], [("sum", 0, 0), ("call", 0, 0), ("backward", 2, 0)], 0, SideOfTops)  # a gradient stays an int
@given(programs, histories, st.integers(0, 10**6), st.sampled_from([Side, SideOfSeveral, SideOfTops]))
def test_random_histories(program: list[Any], actions: list[Any], seed: int, kind: type[Side]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", microgpt.RecordedWarning)
        ours, theirs = kind(microgpt, program, seed), kind(reference, program, seed)
        assert history(ours, actions, seed) == history(theirs, actions, seed)


# ---- one by one -----------------------------------------------------------------------------------------------------


def test_arguments_are_those_of_the_call(params: list[Value]) -> None:
    """Whatever they are, and whatever became of the lists meanwhile."""

    class Model:
        @recorded(static=("n",))
        def loss(self, xs: list[float], *rest: Any, n: int, **more: Any) -> Value:
            terms = [p * x for p, x in zip(params, xs)] + [params[0] * more["pair"][0] for _ in range(n)]
            return sum(terms, params[1] * rest[0]["x"]) * (2.0 if more["twice"] else 1.0)

    model, xs, seen = Model(), [1.0, 2.0, 3.0], []
    for function in (Model.loss.function, Model.loss):
        for each in params:
            each.grad = 0
        for _ in range(2):
            loss = function(model, xs, {"x": 0.5}, 7.0, n=2, pair=(0.25, None), twice=True)
        xs.append(4.0)
        for _ in range(3):
            loss.backward()
        xs.pop()
        seen.append(state([loss, *params]))
    assert seen[0] == seen[1]


def test_a_replay_is_an_operand_of_linear_and_attention(params: list[Value]) -> None:
    """Also when nobody holds it any more."""
    a, b, *_ = params
    for use in (
        lambda x: linear([x, b], [[a, b]])[0],
        lambda x: linear([a, b], [[x, b]])[0],
        lambda x: attention([x, b], [[x, b]], [[b, x]], 1)[0],
    ):
        seen = []
        for function in (lambda: a * b, recorded(lambda: a * b)):
            function()
            a.grad = b.grad = 0
            made = use(function())
            for _ in range(3):
                made.backward()
            seen.append(state([made, a, b]))
        assert seen[0] == seen[1]


def test_targets_and_tables() -> None:
    rng = random.Random(4)
    rows = table([[Value(rng.gauss(0, 1)) for _ in range(4)] for _ in range(5)])
    params = [each for row in rows for each in row]

    def losses(tokens: list[int]) -> Any:
        logits = [linear(rows[token], rows) for token in tokens[:-1]]
        return mean([cross_entropy(row, token) for row, token in zip(logits, tokens[1:])]), logits

    fast, seen = recorded(losses), []
    fast([1, 2, 3])
    for function in (losses, fast):
        for each in params:
            each.grad = 0
        loss, logits = function([0, 4, 2])
        other, _ = function([3, 3, 1])
        values = [value for row in logits for value in row]
        for each in (loss, other * 2.0 + loss, logits[0][1], loss, other):
            each.backward()
            seen.append(state([loss, other, *values, *params]))
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]


def nothing_changes(params: list[Value], again: Value, words: str) -> None:
    before = state(params)
    with pytest.raises(RuntimeError, match=words):
        again.backward()
    assert state(params) == before


def test_what_cannot_be_rebuilt_is_said(params: list[Value]) -> None:
    a, b, *_ = params
    factor = [2.0]
    fast = recorded(lambda: (lambda inner: (inner.tanh() * factor[0], inner))(a * b))
    fast()
    loss, inner = fast()
    loss.backward()
    factor[0] = 3.0
    nothing_changes([*params, inner], loss, "call forget()")
    factor[0] = 2.0
    used = inner + 1.0
    for each in (loss, used, used + loss):
        nothing_changes([*params, inner], each, "do these inside")
    loss, inner = fast()
    loss.backward()
    a.data = 0.25
    loss.backward()  # the numbers of the call are still there
    loss, inner = fast()
    loss.backward()
    a.data = 0.5
    fast()
    nothing_changes([*params, inner], loss, "was called again since")
    loss, inner = fast()
    loss.backward()
    del fast
    nothing_changes([*params, inner], loss, "function is gone")


def test_a_result_that_its_own_model_holds_goes_with_it() -> None:
    class Neuron:
        def __init__(self) -> None:
            self.w = Value(0.5)
            self.last = Value(0.0)

        @recorded
        def loss(self, x: float) -> Value:
            return (self.w * x).tanh() * 1.0

    neuron = Neuron()
    for x in (1.0, 2.0):
        neuron.last = neuron.loss(x)
    neuron.last.backward()
    loss, gone = neuron.last, weakref.ref(neuron)
    del neuron
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="among the arguments of that call is gone"):
        loss.backward()


def test_results_of_which_none_depends_on_another() -> None:
    """Backward goes through the first one by the recording; where it comes from others, the graph is built."""
    rng = random.Random(5)
    rows = table([[Value(rng.gauss(0, 1)) for _ in range(4)] for _ in range(5)])
    params = [each for row in rows for each in row]

    def losses(a: int, b: int) -> Any:
        logits = linear(rows[a], rows)
        right = softmax([each * 0.5 for each in logits])[b]
        return {"loss": cross_entropy(logits, b), "right": right, "other": [sum(logits), right.log()], "logits": logits}

    fast, seen = recorded(losses), []
    for a, b in ((0, 1), (0, 3), (2, 2), (4, 0)):
        for function in (losses, fast):
            for each in params:
                each.grad = 0
            made = function(a, b)
            made["loss"].backward()
            seen.append(state([made["loss"], made["right"], *made["other"], *made["logits"], *params]))
    assert seen[::2] == seen[1::2] and fast.stats()["rebuilt"] == 0 and fast.stats()["not_recorded"] == []
    seen.clear()
    for function in (losses, fast):
        for each in params:
            each.grad = 0
        made = function(1, 2)
        total = made["other"][1] * 2.0 + made["loss"]
        for each in (total, made["other"][0], made["right"], made["loss"], total):
            each.backward()
            seen.append(state([total, made["loss"], made["right"], *made["other"], *made["logits"], *params]))
    assert seen[:5] == seen[5:] and fast.stats()["rebuilt"] == 1


def test_a_loop_that_rebuilds_every_call_is_told(params: list[Value]) -> None:
    a, b, *_ = params
    fast = recorded(lambda: (a * b, a + b))

    def loop() -> None:
        for _ in range(20):
            one, other = fast()
            (one + other).backward()

    with pytest.warns(RecordedWarning, match=r"in 10 of its calls.*return the result") as caught:
        loop()
    assert len(caught) == 1 and fast.stats()["rebuilt"] == 20


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_on_the_way_leaves_all_as_it_was(params: list[Value], error: type[BaseException]) -> None:
    a, b, *_ = params
    raises = []

    def product() -> Value:
        if raises:
            raise raises.pop()
        return (a * b).tanh() * a

    seen = []
    for function in (product, recorded(product)):
        a.data, a.grad, b.grad = 0.75, 0, 0
        function()
        loss = function()
        loss.backward()
        a.data = 0.25
        if function is not product:
            raises.append(error())
            before = state(params)
            with pytest.raises(error):
                loss.backward()
            assert state(params) == before
        loss.backward()
        seen.append(state([loss, *params]))
    assert seen[0] == seen[1]


def test_threads_that_rebuild_at_once(params: list[Value]) -> None:
    """Each its own results; what the parameters receive is as many times the same."""
    a, b, *_ = params
    fast = recorded(lambda: a * b)
    results = [fast() for _ in range(9)]
    for loss in results:
        loss.backward()

    def again(mine: list[Value]) -> None:
        for loss in mine:
            loss.backward()

    threads = [threading.Thread(target=again, args=(results[k::3],)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fast.stats()["rebuilt"] == 9
    sums = [0.0, 0.0]
    for _ in range(18):
        sums = [sums[0] + b.data, sums[1] + a.data]
    assert [a.grad, b.grad] == sums
