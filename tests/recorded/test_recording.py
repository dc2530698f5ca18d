"""What a recorded function may do, what ends its recording, and what a replayed result is."""

from __future__ import annotations

import gc
import math
import random
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from bits import bits
from effort import at_length

from microgpt import (
    NotRecorded,
    RecordedWarning,
    Value,
    attention,
    cross_entropy,
    linear,
    mean,
    memory,
    recorded,
    relu,
    softmax,
    table,
)
from microgpt.recording.function import MAX_SHAPES


@pytest.fixture
def rows() -> list[list[Value]]:
    rng = random.Random(4)
    return [[Value(rng.gauss(0, 1)) for _ in range(4)] for _ in range(5)]


def replays(function: Any) -> int:
    return sum(each["replayed"] for each in function.stats()["recordings"])


def step(values: list[Value], loss: Value) -> list[str]:
    loss.backward()
    found = [bits(loss.data), *(bits(each.grad) for each in values)]
    for each in values:
        each.data -= 0.1 * each.grad
        each.grad = 0
    return found


def same_as_python(function: Callable[..., Value], values: list[Value], *calls: tuple[Any, ...]) -> Any:
    """Train with the function recorded and as it is: the same bits. Returns the recorded function."""
    start = [each.data for each in values]
    fast = recorded(function)
    found = []
    for each in (function, fast):
        for value, data in zip(values, start):
            value.data, value.grad = data, 0
        found.append([step(values, each(*arguments)) for arguments in calls])
    assert found[0] == found[1]
    return fast


# ---- what is replayed -----------------------------------------------------------------------------------------------


def test_a_function_of_nothing(params: list[Value]) -> None:
    a, b, c, *_ = params
    fast = same_as_python(lambda: (a * b + c).tanh() ** 2 + sum(p * p for p in params) * 0.01, params, (), (), ())
    assert replays(fast) == 3


def test_numbers_among_the_arguments(params: list[Value]) -> None:
    a, b, c, *_ = params

    def error(x: float, y: float) -> Value:
        return (a * x + b - y) ** 2 + (x - c) / y + Value(x) * 2

    fast = same_as_python(error, params, (0.5, 1.0), (-2.0, 3.0), (0.1, -0.7))
    assert replays(fast) == 3
    with pytest.raises(ZeroDivisionError):
        fast(1.0, 0.0)


def test_what_isinstance_says_is_what_python_says(params: list[Value]) -> None:
    def loss(x: float, k: int) -> Value:
        if isinstance(x, float) and isinstance(k, int) and not isinstance(x, Value):
            return params[0] * x
        return params[1] * x

    fast = same_as_python(loss, params, (0.5, 1), (2.0, 3))
    assert replays(fast) == 2


def test_lists_of_numbers_and_their_lengths(params: list[Value]) -> None:
    def loss(xs: list[float]) -> Value:
        return sum(p * x for p, x in zip(params, xs)).exp()  # type: ignore[union-attr]

    fast = same_as_python(loss, params, ([1.0, 2.0],), ([0.5, 0.1],), ([1.0],), ([0.3],))
    assert [each["replayed"] for each in fast.stats()["recordings"]] == [2, 2]


def test_a_method_has_its_own_recordings() -> None:
    class Neuron:
        def __init__(self, w: float) -> None:
            self.w = Value(w)

        @recorded
        def loss(self, x: float) -> Value:
            return (self.w * x).tanh() * 1.0

    a, b = Neuron(0.5), Neuron(-1.0)
    for x in (1.0, 2.0):
        assert a.loss(x).data == math.tanh(0.5 * x) and b.loss(x).data == math.tanh(-x)
    assert len(Neuron.loss.stats()["recordings"]) == 2
    del a
    gc.collect()
    assert len(Neuron.loss.stats()["recordings"]) == 1


def test_tokens_and_targets(rows: list[list[Value]]) -> None:
    wte = table(rows)
    values = [each for row in rows for each in row]

    def loss(tokens: list[int]) -> Value:
        return mean([cross_entropy(linear(wte[a], rows), b) for a, b in zip(tokens, tokens[1:])])  # noqa: RUF007

    def chosen(tokens: list[int]) -> Value:
        return -softmax(linear(wte[tokens[0]], rows))[tokens[1]].log() * 1.0

    for function in (loss, chosen):
        fast = same_as_python(function, values, ([0, 1, 2],), ([3, 3, 3],), ([4, 0, 4],), ([1, 2, 3],))
        assert replays(fast) == 4
        with pytest.raises(IndexError):
            fast([0, 9, 1])
        assert fast([-1, -2, -3]).data == function([-1, -2, -3]).data


def test_a_replayed_result_goes_on(params: list[Value]) -> None:
    """Several results in one graph, and accumulation over calls."""
    a, b, c, *_ = params

    def loss(x: float) -> Value:
        return (a * x + b).exp() * c

    found = []
    for function in (loss, recorded(loss), recorded(loss)):
        for each in params:
            each.grad = 0
        total = (function(0.5) + function(1.5) * a) / 2
        total.backward()
        function(0.1).backward()
        found.append([bits(total.data), *(bits(each.grad) for each in params)])
    assert found[0] == found[1] == found[2]


def test_numbers_of_the_call_stay(params: list[Value]) -> None:
    """Local gradients are those of the call, whatever is written to the parameters afterwards."""
    a, b, *_ = params
    found = []
    for function in (lambda: a * b * a, recorded(lambda: a * b * a)):
        a.data, a.grad = 0.7, 0
        loss = function()
        a.data = 5.0
        loss.backward()
        found.append((bits(a.grad), bits(b.grad)))
        b.grad = 0
    assert found[0] == found[1]


def test_ints_read_back() -> None:
    a, b = Value(2.0), Value(3.0)
    fast = recorded(lambda: a.relu() + b.relu())
    for data in (2.0, -1.0, 0.5):
        a.data = b.data = data
        assert bits(fast().data) == bits((a.relu() + b.relu()).data)
    fast = recorded(lambda: a + b)
    loss = fast()
    loss.backward()
    assert bits(a.grad) == "1" and bits(loss.grad) == "1"
    bias = Value(0)
    fast = recorded(lambda: (a * b + bias) ** 2)
    for data in (0, 1.5):
        bias.data = data
        assert bits(fast().data) == bits(((a * b + bias) ** 2).data)


def test_errors_are_python_s(params: list[Value]) -> None:
    a, b, *_ = params
    fast = recorded(lambda: (a.log() + b.exp()) ** -1)
    fast()
    for data, error in ((0.0, ValueError), (-1.0, ValueError)):
        a.data = data
        with pytest.raises(error):
            fast()
        assert all(each.grad == 0 for each in params)
    a.data, b.data = 1.0, 1000.0
    with pytest.raises(OverflowError):
        fast()
    b.data = 0.0
    assert fast().data == 1.0


# ---- what ends a recording ------------------------------------------------------------------------------------------

threshold = 1.0


def looks_at_data(p: list[Value], _: int) -> Value:
    return p[0] * 2 if p[0].data > threshold else p[0] * 3


def looks_at_grad(p: list[Value], _: int) -> Value:
    return p[0] * p[1].grad


def prints(p: list[Value], _: int) -> Value:
    repr(p[0])
    return p[0] * 1.5


def uses_a_token_elsewhere(p: list[Value], k: int) -> Value:
    return p[k] * 1.5


def compares_a_token(p: list[Value], k: int) -> Value:
    return p[0] * 1.5 if k == 0 else p[1] * 1.5


def counts_by_a_token(p: list[Value], k: int) -> Value:
    return sum(p[i] for i in range(k + 1)) * 1.5  # type: ignore[return-value]


def looks_up_a_token(p: list[Value], k: int) -> Value:
    return p[{0: 1, 1: 0}[k]] * 1.5


def multiplies_by_a_token(p: list[Value], k: int) -> Value:
    return p[0] * k


def draws(p: list[Value], _: int) -> Value:
    return p[0] * random.random()


def goes_backward(p: list[Value], _: int) -> Value:
    loss = p[0] * p[1]
    loss.backward()
    return loss


def keeps(p: list[Value], _: int) -> Value:
    keeps.last = p[0] * p[1]  # type: ignore[attr-defined]
    return keeps.last * 2  # type: ignore[attr-defined, no-any-return]


def swallows(p: list[Value], k: int) -> Value:
    try:
        return p[0] * 2 if k else p[1] * 2
    except BaseException:
        return p[2] * 2


def returns_a_parameter(p: list[Value], _: int) -> Value:
    return p[0]


def uses_an_older_value(p: list[Value], _: int) -> Value:
    return older * p[0]


older = Value(2.0) * Value(3.0)
TRAPS = [
    looks_at_data,
    looks_at_grad,
    prints,
    uses_a_token_elsewhere,
    compares_a_token,
    counts_by_a_token,
    looks_up_a_token,
]
TRAPS += [multiplies_by_a_token, draws, goes_backward, keeps, swallows, returns_a_parameter, uses_an_older_value]


@pytest.mark.parametrize("function", TRAPS)
def test_a_trap_ends_the_recording_with_a_sentence_and_the_same_result(function: Any, params: list[Value]) -> None:
    fast = recorded(lambda k: function(params, k))
    random.seed(7)
    with pytest.warns(RecordedWarning) as caught:
        first = fast(1)
    assert len(caught) == 1
    random.seed(7)
    assert bits(first.data) == bits(function(params, 1).data)
    for k in (0, 1, 0):  # no further warning
        random.seed(k)
        found = fast(k)
        random.seed(k)
        assert bits(found.data) == bits(function(params, k).data)
    assert fast.stats()["recordings"] == [] and len(fast.stats()["not_recorded"]) == 1


@pytest.mark.parametrize("function", TRAPS)
def test_strict_raises(function: Any, params: list[Value]) -> None:
    with pytest.raises(NotRecorded):
        recorded(lambda k: function(params, k), strict=True)(1)


def test_the_sentence_names_the_line_and_the_remedy(params: list[Value]) -> None:
    with pytest.warns(
        RecordedWarning, match=r"test_recording.py, line \d+ \(return p\[0\] \* 2 if.*reads .data.*softmax"
    ):
        recorded(lambda: looks_at_data(params, 0))()
    with pytest.warns(RecordedWarning, match=r"line \d+ \(return p\[k\].*static="):
        recorded(lambda k: uses_a_token_elsewhere(params, k))(1)
    with pytest.warns(
        RecordedWarning, match=r"line \d+ \(loss.backward\(\)\) calls .*call it on what the function returns"
    ):
        recorded(lambda: goes_backward(params, 0))()
    with pytest.warns(
        RecordedWarning, match=r"draws \(test_recording.py, line \d+\) runs.*random numbers; draw them before"
    ):
        recorded(draws)(params, 0)


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "attention"])
def test_an_int_that_reaches_a_function_of_ours_is_told(name: str, params: list[Value]) -> None:
    """relu gives the int 0: no number that C could take the maximum of. The next call may be recorded."""
    a, b = params[:2]

    @recorded
    def loss() -> Value:
        x = relu([a, b])
        if name == "cross_entropy":
            return cross_entropy(x, 1)
        made = softmax(x) if name == "softmax" else attention(x, [x, [b, a]], [x, x], 1)
        return made[0] * a

    def expected() -> str:
        return bits(loss.function().data)

    a.data = -1.0
    assert bits(loss().data) == expected()
    (sentence,) = loss.stats()["not_recorded"]
    assert re.search(rf"test_recording.py, line \d+ \(.*{name}\(.*gives {name} an int", sentence)
    assert "import" not in sentence
    a.data = 2.0
    for _ in range(2):
        assert bits(loss().data) == expected()
    assert replays(loss) == 2 and loss.stats()["not_recorded"] == []


def test_ints_that_stay_are_tried_ten_times(params: list[Value]) -> None:
    calls = [0]

    @recorded
    def loss() -> Value:
        calls[0] += 1
        return softmax([params[0], Value(0)])[0] * 1.5

    for _ in range(9):
        loss()
    assert calls == [18]  # each time watched, and then in Python
    with pytest.warns(RecordedWarning, match="gives softmax an int"):
        loss()
    loss()
    assert calls == [21]


def test_what_is_still_to_be_tried_takes_no_more_room_than_recordings(params: list[Value]) -> None:
    @recorded(static="n")
    def loss(n: int) -> Value:
        return softmax([params[0], Value(0)])[0] * float(n)

    for n in range(3 * MAX_SHAPES):
        loss(n)
        assert len(loss._tries) <= MAX_SHAPES


@pytest.mark.parametrize("width", [1, 7, 8, 9, 20])
@pytest.mark.parametrize("n_rows", [7, 8, 19])
@pytest.mark.parametrize("how", ["linear", "scalar", "vector first", "bias"])
def test_matrices_of_any_size(width: int, n_rows: int, how: str) -> None:
    """Eight rows at a time stand in lanes, and whole registers of terms: rows and terms that are left over, too."""
    rng = random.Random(width)
    matrix = [[Value(rng.gauss(0, 1)) for _ in range(width)] for _ in range(n_rows)]
    vectors = [[Value(rng.gauss(0, 1)) for _ in range(width)] for _ in range(2)]
    bias = [Value(rng.gauss(0, 1)) for _ in range(n_rows)]
    params = [each for row in [*matrix, *vectors, bias] for each in row]

    def products(x: list[Value]) -> list[Value]:
        if how == "linear":
            return linear(x, matrix)
        if how == "vector first":
            return [sum(xi * wi for wi, xi in zip(row, x)) for row in matrix]  # type: ignore[misc]
        starts = bias if how == "bias" else [0] * n_rows
        return [sum((wi * xi for wi, xi in zip(row, x)), start) for row, start in zip(matrix, starts)]  # type: ignore[misc]

    @recorded
    def loss() -> Value:
        made = [each.tanh() for x in vectors for each in products(softmax(x))]
        return sum(a * b for a, b in zip(made, reversed(made))) * 0.5

    for _ in range(2):
        seen = []
        for function in (loss.function, loss):
            for each in params:
                each.grad = 0
            found = function()
            found.backward()
            seen.append([bits(found.data), *(bits(each.grad) for each in params)])
        assert seen[0] == seen[1]
        for each in params:
            each.data += 0.25
    assert replays(loss) == 2 and loss.stats()["not_recorded"] == []


def test_an_argument_that_is_changed(params: list[Value]) -> None:
    def loss(cache: list[Any]) -> Value:
        cache.append(params[0] * 2)
        return cache[0] * 1.5  # type: ignore[no-any-return]

    cache: list[Any] = []
    with pytest.warns(RecordedWarning, match="list or dict among its arguments"):
        recorded(loss)(cache)
    assert len(cache) == 1


def test_an_argument_that_cannot_be_seen_into(params: list[Value]) -> None:
    array = pytest.importorskip("array")
    xs = array.array("d", [1.0, 2.0])
    fast = recorded(lambda xs: params[0] * xs[0])
    with pytest.warns(RecordedWarning, match="type array"):
        fast(xs)
    xs[0] = 5.0
    assert fast(xs).data == params[0].data * 5.0


def test_static_arguments(params: list[Value]) -> None:
    @recorded(static="n")
    def loss(n: int) -> Value:
        return sum(params[:n]) * 1.5  # type: ignore[no-any-return, call-overload]

    for n in (1, 3, 1, 3, 3):
        assert loss(n).data == sum(p.data for p in params[:n]) * 1.5
    assert [each["replayed"] for each in loss.stats()["recordings"]] == [2, 3]


def test_changes_outside_need_forget_and_check_every_tells(params: list[Value]) -> None:
    global threshold
    fast = recorded(lambda: params[0] * threshold, check_every=2)
    threshold = 1.0
    fast()
    threshold = 2.0
    try:
        with pytest.raises(AssertionError, match="forget"):
            fast()
        fast.forget()
        assert fast().data == params[0].data * 2.0
    finally:
        threshold = 1.0


def test_ctrl_c_leaves_nothing_behind(params: list[Value]) -> None:
    interrupt = True

    @recorded
    def loss() -> Value:
        if interrupt:
            raise KeyboardInterrupt
        return params[0] * 2

    with pytest.raises(KeyboardInterrupt):
        loss()
    assert params[0].data > 0  # nobody watches any more
    interrupt = False
    loss()
    assert replays(loss) == 1


def test_other_threads_go_on(params: list[Value]) -> None:
    """While one thread records, another reads numbers and runs recorded functions."""
    inside, leave = threading.Event(), threading.Event()

    @recorded
    def slow() -> Value:
        inside.set()
        leave.wait(10)
        return params[0] * params[1]

    other = recorded(lambda: params[2] * params[3])
    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(10)
    assert params[0].data > 0 and (params[0] ** 2).data > 0
    assert other().data == params[2].data * params[3].data
    leave.set()
    thread.join()
    assert slow.stats()["not_recorded"] == [] and replays(slow) == 1


def test_a_recorded_function_inside_another(params: list[Value]) -> None:
    inner = recorded(lambda x: params[0] * x)
    outer = recorded(lambda x: inner(x) + params[1])
    for x in (1.0, 2.0):
        assert outer(x).data == params[0].data * x + params[1].data
    assert replays(outer) == 2 and inner.stats()["recordings"] == []


def test_memory_stays_flat(params: list[Value]) -> None:
    fast = recorded(lambda x: sum(p * x for p in params))
    kept = [fast(0.5)]
    for k in range(3000):
        kept[0] = fast(float(k))
        if k % 2:
            kept[0].backward()
    assert fast.stats()["recordings"][0]["bytes"] < 20_000


@pytest.mark.slow  # and so not under sanitizers, which keep what is freed
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from the kernel's account of the process")
def test_many_replays_leave_the_process_as_large_as_it_was(params: list[Value]) -> None:
    fast = recorded(lambda x: (lambda y: (y.tanh(), y))(sum(p * x for p in params)))
    replays, sizes = at_length(40_000, 1_000_000), []
    for k in range(replays):
        loss, inner = fast(0.001 * (k % 1000))
        if k % 3:
            loss.backward()
        if k in (replays // 10, replays - 1):
            sizes.append(memory.resident())
    assert bits(inner.data) == bits(sum(p.data * (0.001 * (k % 1000)) for p in params))
    assert sizes[1] - sizes[0] < 2_000_000  # bytes


def test_a_result_outlives_its_recording(params: list[Value]) -> None:
    fast = recorded(lambda: params[0] * params[1])
    loss = fast()
    fast.forget()
    del fast
    gc.collect()
    loss.backward()
    assert params[0].grad == params[1].data
