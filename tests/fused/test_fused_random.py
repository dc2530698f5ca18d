"""Random numbers drawn in C: those of random.Random, one for one, and its state afterwards."""

import pickle
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import GPT, GPTConfig
from microgpt._fused import shuffle_order

SEEDS = st.integers(-(2**70), 2**70)


def pair(seed, drawn, normal=0):
    """Two equal generators, some of whose numbers are gone."""
    found = random.Random(seed), random.Random(seed)
    for rng in found:
        for _ in range(drawn):
            rng.random()
        for _ in range(normal):
            rng.gauss(0, 1)
    return found


@given(
    SEEDS, st.integers(0, 700), st.one_of(st.integers(0, 70), st.sampled_from([255, 256, 257, 1023, 1024, 1025, 3000]))
)
def test_an_order_is_shuffled_as_random_does(seed, drawn, n):
    ours, theirs = pair(seed, drawn)
    order, expected = array("I", [7] * n), list(range(n))
    shuffle_order(order, ours)
    theirs.shuffle(expected)
    assert order.tolist() == expected
    assert ours.getstate() == theirs.getstate()


@given(SEEDS, st.integers(0, 700), st.integers(0, 3), st.sampled_from([(3, 1, 1), (2, 2, 3), (27, 4, 8)]))
def test_parameters_are_the_normal_numbers_of_random(seed, drawn, normal, sizes):
    """An odd number of them, too: the second of a pair is kept by the generator."""
    vocab_size, n_embd, block_size = sizes
    ours, theirs = pair(seed, drawn, normal)
    model = GPT(GPTConfig(vocab_size, n_layer=1, n_embd=n_embd, n_head=1, block_size=block_size), ours)
    drawn = [number.hex() for matrix in model.state_dict().values() for row in matrix.tolist() for number in row]
    assert drawn == [theirs.gauss(0, 0.08).hex() for _ in drawn]
    assert ours.getstate() == theirs.getstate()


@given(SEEDS, st.integers(0, 3), st.sampled_from([None, 0, 1, 300]))
def test_a_model_that_is_restarted_is_a_fresh_one(seed, normal, n):
    """Whatever it has learned; the order is shuffled before its parameters are drawn."""
    ours, theirs = pair(seed, 3, normal)
    config = GPTConfig(4, n_layer=1, n_embd=4, n_head=2, block_size=3)
    order, expected = None if n is None else array("I", bytes(4 * n)), list(range(n or 0))
    model = GPT(config, random.Random(1))
    model.train_step([3, 0, 1, 3])
    model.train_batch([[3, 0, 3], [3, 2, 1, 3]])
    model.restart(ours, order=order)
    theirs.shuffle(expected)
    fresh = GPT(config, theirs)
    assert order is None or order.tolist() == expected
    assert ours.getstate() == theirs.getstate()
    for each in (model, fresh):
        assert each.t == 0
        assert all(not any(matrix.cast("B")) for matrix in each.gradients().values())
    for step in range(3):
        both = [each.train_step([3, 1, 2, step, 3]).hex() for each in (model, fresh)]
        assert both[0] == both[1]
    assert pickle.dumps(model) == pickle.dumps(fresh)
    assert model.generate(random.Random(2)) == fresh.generate(random.Random(2))


def test_the_views_of_a_restarted_model_show_it():
    model = GPT(GPTConfig(4, n_layer=1, n_embd=4, n_head=2, block_size=3), random.Random(1))
    view = model.state_dict()["wte"]
    model.restart(random.Random(7))
    assert view == GPT(model.config, random.Random(7)).state_dict()["wte"]


class Constant(random.Random):
    def gauss(self, mu=0.0, sigma=1.0):
        return mu + 2 * sigma

    def shuffle(self, x):
        x.reverse()


def test_a_class_with_numbers_of_its_own_is_asked_for_each():
    model = GPT(GPTConfig(3, n_layer=1, n_embd=2, n_head=1, block_size=2), Constant(1))
    assert {number for matrix in model.state_dict().values() for row in matrix.tolist() for number in row} == {0.16}
    order = array("I", [5, 5, 5])
    shuffle_order(order, Constant(1))
    assert order.tolist() == [2, 1, 0]
    model.restart(Constant(1), order=array("I"))
    assert model.state_dict()["wte"].tolist() == [[0.16, 0.16]] * 3


def test_the_module_random_serves_as_a_generator():
    random.seed(5)
    model = GPT(GPTConfig(3, n_layer=1, n_embd=2, n_head=1, block_size=2), random)
    assert model.state_dict()["wte"][0, 0] == random.Random(5).gauss(0, 0.08)


def test_an_order_is_an_array_of_unsigned_ints():
    for wrong in (array("d", [1.0]), array("i", [1])):
        with pytest.raises(TypeError, match="typecode 'I'"):
            shuffle_order(wrong, random.Random(1))
    with pytest.raises(TypeError):
        shuffle_order([1, 2], random.Random(1))
