"""Which calls of a recorded function share a recording, and how many recordings are made."""

from __future__ import annotations

import gc
import math
import random
from typing import Any

import pytest
from bits import bits

from microgpt import RecordedWarning, Value, cross_entropy, linear, recorded, softmax
from microgpt.recording import function as recording

SIZE = 4


class Classifier:
    """A hidden vector, and the ways to make logits of it in which a target decides the order of backward."""

    def __init__(self) -> None:
        rng = random.Random(7)
        self.x = [Value(rng.gauss(0, 1)) for _ in range(SIZE)]
        self.rows = [[Value(rng.gauss(0, 1)) for _ in range(SIZE)] for _ in range(SIZE)]
        self.params = [*self.x, *(each for row in self.rows for each in row)]

    def logits(self) -> list[Value]:
        return linear([each.tanh() for each in self.x], self.rows)

    def used_again(self, target: int) -> Value:
        logits = self.logits()
        return cross_entropy(logits, target) + logits[0] * 0.1

    def softmax_beside_it(self, target: int) -> Value:
        logits = self.logits()
        return cross_entropy(logits, target) + cross_entropy(logits, 0) * 0.5

    def mixed(self, target: int) -> Value:
        logits = self.logits()
        return cross_entropy([a + b for a, b in zip(logits, [*logits[1:], logits[0]])], target)

    def no_linear(self, target: int) -> Value:
        return cross_entropy([a * b for a, b in zip(self.x, self.rows[0])], target)

    def one_from_another(self, target: int) -> Value:
        hidden = [self.x[0].tanh()]
        for each in self.x[1:]:
            hidden.append(each + hidden[-1])
        return cross_entropy(linear(hidden, self.rows), target)

    def the_same_twice(self, target: int) -> Value:
        x = self.x[0].exp()
        return cross_entropy(linear([x, self.x[1], x, self.x[2]], self.rows), target)

    def distances(self, target: int) -> Value:
        return cross_entropy(
            [-sum(((a - b) ** 2 for a, b in zip(row, self.x)), Value(0.0)) for row in self.rows], target
        )

    def a_weight(self, target: int) -> Value:
        weights = softmax([each * 2.0 for each in self.logits()])
        return weights[target].log() * self.x[0]

    def another_weight(self, target: int) -> Value:
        weights = softmax(self.logits())
        return weights[target].log() * self.x[0] + weights[0]

    def all_weights(self, target: int) -> Value:
        weights = softmax(self.logits())
        return weights[target].log() + sum(w * x for w, x in zip(weights, self.x))


WAYS = [name for name in vars(Classifier) if name not in ("__init__", "logits") and not name.startswith("__")]


def trained(function: Any, params: list[Value], targets: list[int]) -> list[str]:
    found = []
    for target in targets:
        loss = function(target)
        loss.backward()
        found += [bits(loss.data), *(bits(each.grad) for each in params)]
        for each in params:
            each.data -= 0.1 * each.grad
            each.grad = 0
    return found


@pytest.mark.parametrize("way", WAYS)
def test_a_target_that_decides_the_order_has_a_recording_for_each_value(way: str) -> None:
    targets = [random.Random(3).randrange(SIZE) for _ in range(40)]
    plain, model = Classifier(), Classifier()
    fast = recorded(getattr(model, way))
    assert trained(getattr(plain, way), plain.params, targets) == trained(fast, model.params, targets)
    made = fast.stats()["recordings"]
    assert len(made) in (1, SIZE) and sum(each["replayed"] for each in made) == len(targets)


def test_a_target_out_of_range_is_python_s_error() -> None:
    fast = recorded(Classifier().used_again)
    for target in (1, SIZE, 1, -1, 2):
        if target == SIZE:
            with pytest.raises(IndexError):
                fast(target)
        else:
            fast(target)


def test_two_targets_are_told_apart_and_three_are_not() -> None:
    model = Classifier()

    def loss(targets: list[int]) -> Value:
        return sum((model.used_again(target) for target in targets), Value(0.0))

    fast = recorded(loss)
    for targets in ([1, 2], [2, 1], [1, 2]):
        assert bits(fast(targets).data) == bits(loss(targets).data)
    assert [each["replayed"] for each in fast.stats()["recordings"]] == [2, 1]
    with pytest.warns(RecordedWarning, match="more than two targets.*static="):
        fast([1, 2, 3])


def test_recordings_that_do_not_pay_make_shapes_wait() -> None:
    """However many shapes come once, few of them cost a recording; one that comes again is recorded then."""
    w = Value(0.5)
    calls = []

    @recorded
    def loss(xs: list[float]) -> Value:
        calls.append(len(xs))
        return sum((w * x for x in xs), w) * 1.0

    for n in range(100):
        assert loss([1.0] * n).data == 0.5 + 0.5 * n
    assert len(loss.stats()["recordings"]) == recording.MAX_UNUSED
    assert loss.stats()["seen_once"] == 100 - recording.MAX_UNUSED
    assert calls == list(range(100))
    for _ in range(3):
        loss([2.0] * 50)
    assert calls[100:] == [50] and loss.stats()["recordings"][-1]["replayed"] == 3
    for n in range(recording.MAX_UNUSED):
        loss([1.0] * n)  # now they paid
    loss([1.0] * 200)
    assert len(loss.stats()["recordings"]) == recording.MAX_UNUSED + 2


def test_recordings_stay_where_there_is_no_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_SHAPES", 5)
    monkeypatch.setattr(recording, "PATIENCE", 20)
    w = Value(0.5)
    loss = recorded(lambda xs: sum((w * x for x in xs), w) * 1.0)
    for k in range(60):
        n = k % 12
        assert loss([2.0] * n).data == 0.5 + 1.0 * n
        made = loss.stats()["recordings"]
        assert len(made) <= 5 and loss.stats()["seen_once"] <= 5
    assert len(made) == 5 and sum(each["replayed"] for each in made) > 5  # forgotten once, after 20 others


def test_all_shapes_of_an_object_go_with_it() -> None:
    """Another object may get its id."""

    class Neuron:
        def __init__(self, w: float) -> None:
            self.w = Value(w)

        @recorded
        def loss(self, xs: list[float]) -> Value:
            return sum((self.w * x for x in xs), Value(0.0)).tanh()

    for w in (0.5, 0.25, -1.0, 2.0):
        neuron = Neuron(w)
        for xs in ([1.0], [1.0, 1.0], [1.0]):
            assert neuron.loss(xs).data == math.tanh(w * len(xs))
        assert len(Neuron.loss.stats()["recordings"]) == 2
        del neuron
        gc.collect()
    assert Neuron.loss.stats()["recordings"] == [] and not Neuron.loss._kept
    assert not Neuron.loss._targets


def test_what_is_done_to_a_vector_is_one_instruction() -> None:
    x = [Value(0.1 * k) for k in range(16)]
    fast = recorded(lambda: sum(each.tanh().exp() for each in x))
    fast().backward()
    assert fast.stats()["recordings"][0]["instructions"] <= 30  # 51 where none are joined
