"""The fused GPT against the script's graph of scalars: losses, gradients, parameters and samples, to the bit."""

from __future__ import annotations

import math
import random

import pytest
from bits import all_bits, bits, outcome
from hypothesis import given
from hypothesis import strategies as st
from script_gpt import Script, flat, random_document

from microgpt import GPT, GPTConfig, _fused


@st.composite
def configs(draw, most_features=24, most_positions=20):
    heads = draw(st.integers(1, 4))
    return GPTConfig(
        vocab_size=draw(st.integers(1, 19)),
        n_layer=draw(st.integers(1, 3)),
        n_embd=heads * draw(st.integers(1, most_features // heads)),
        n_head=heads,
        block_size=draw(st.integers(1, most_positions)),
    )


def same_model(engine, config, seed):
    """A GPT, and the script with the same parameters."""
    model = GPT(config, random.Random(seed))
    return model, Script(engine, config, {name: view.tolist() for name, view in model.state_dict().items()})


def assert_same_training(engine, config, documents, seed=0, lr=0.01):
    model, script = same_model(engine, config, seed)
    for step, tokens in enumerate(documents):
        lr_t = lr * (1 - step / len(documents))
        assert bits(model.backward(tokens)) == bits(script.backward(tokens))
        assert all_bits(flat(model.gradients())) == all_bits(script.gradients())
        script.adam.step(lr_t)
        model.train_step(tokens, lr_t)
        assert all_bits(flat(model.state_dict())) == all_bits(script.numbers())
    state = script.adam.state_dict()
    first, second = model.moments()
    assert (model.t, all_bits(flat(first)), all_bits(flat(second))) == (
        state["t"],
        all_bits(state["m"]),
        all_bits(state["v"]),
    )
    return model, script


@pytest.mark.parametrize("isa", _fused._instruction_sets())
@given(data=st.data(), config=configs(), seed=st.integers(0, 2**32))
def test_training_equals_the_script_for_any_sizes_and_documents(isa, compiled, data, config, seed):
    rng = random.Random(seed)
    lengths = data.draw(st.lists(st.integers(1, config.block_size + 3), min_size=1, max_size=3))
    documents = [random_document(rng, config.vocab_size, n) for n in lengths]
    with _fused._use_instruction_set(isa):
        model, script = assert_same_training(compiled, config, documents, seed)
        temperature = data.draw(st.sampled_from([0.5, 1.0, 1, 3.25, 0.1]))
        ours, theirs = random.Random(seed), random.Random(seed)
        assert model.generate(ours, temperature) == script.sample(theirs, temperature)
        assert ours.getstate() == theirs.getstate()


# Sizes around the lanes of the registers, single positions, heads as wide as the model and one feature wide.
@pytest.mark.parametrize("isa", _fused._instruction_sets())
@pytest.mark.parametrize(
    "sizes",
    [
        (27, 1, 16, 4, 16),
        (1, 1, 1, 1, 1),
        (3, 1, 5, 1, 4),
        (9, 2, 8, 8, 33),
        (17, 1, 15, 3, 17),
        (4, 1, 40, 2, 24),
        (33, 1, 7, 7, 9),
    ],
)
def test_training_equals_the_script_around_the_width_of_registers(isa, compiled, sizes):
    config = GPTConfig(*sizes)
    rng = random.Random(str(sizes))
    lengths = [1, 2, 3, 7, 8, 9, 15, 16, 17, config.block_size, config.block_size + 1]
    documents = [random_document(rng, config.vocab_size, n) for n in lengths]
    with _fused._use_instruction_set(isa):
        assert_same_training(compiled, config, documents)


# Sizes at which products are taken in parts that fit the cache: wide matrices, many tokens times many positions, and
# large matrices with few positions.
@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(5, 1, 64, 2, 27), (1000, 1, 16, 1, 50), (5, 1, 256, 2, 3)])
def test_large_products_equal_the_script(compiled, sizes):
    config = GPTConfig(*sizes)
    document = random_document(random.Random(1), config.vocab_size, config.block_size)
    script = None
    for isa in _fused._instruction_sets():
        with _fused._use_instruction_set(isa):
            model = GPT(config, random.Random(2))
            if script is None:
                script = Script(compiled, config, {name: view.tolist() for name, view in model.state_dict().items()})
                expected = bits(script.backward(document))
            assert bits(model.backward(document)) == expected
            assert all_bits(flat(model.gradients())) == all_bits(script.gradients())


def test_training_equals_the_interpreted_reference(reference):
    config = GPTConfig(7, n_layer=1, n_embd=4, n_head=2, block_size=4)
    rng = random.Random(3)
    model, script = assert_same_training(reference, config, [random_document(rng, 7, n) for n in (4, 1, 3)])
    assert model.generate(random.Random(1)) == script.sample(random.Random(1), 0.5)


@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_many_steps_keep_the_bits(isa, compiled):
    config = GPTConfig(6, n_layer=2, n_embd=6, n_head=3, block_size=5)
    rng = random.Random(8)
    documents = [random_document(rng, 6, rng.randint(1, 6)) for _ in range(150)]
    lrs = [0.02 * (1 - i / 150) for i in range(150)]
    model, script = same_model(compiled, config, 5)
    with _fused._use_instruction_set(isa):
        losses = model.train_steps(documents, lrs, betas=(0.85, 0.99), eps=1e-8)
    assert all_bits(losses) == [bits(script.train_step(tokens, lr)) for tokens, lr in zip(documents, lrs)]
    assert all_bits(flat(model.state_dict())) == all_bits(script.numbers())


# ---- numbers out of range -------------------------------------------------------------------------------------------

EXTREMES = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e308, -1e308, 1e200, 1e160, -1e154, 1e-160, 5e-324, -1e-310]


@pytest.mark.parametrize("isa", _fused._instruction_sets())
@given(data=st.data(), config=configs(8, 10), seed=st.integers(0, 2**32))
def test_overflow_nan_and_zeros_take_the_same_course(isa, compiled, data, config, seed):
    """Some parameters extreme, or all large: the same numbers, or the same exception and nothing changed by it."""
    rng = random.Random(seed)
    model = GPT(config, rng)
    scale = data.draw(st.sampled_from([1.0, 1.0, 30.0, 1e4, 1e100, 1e155, 1e-170]))
    changed = data.draw(st.dictionaries(st.integers(0, config.num_params - 1), st.sampled_from(EXTREMES), max_size=4))
    place = 0
    for view in model.state_dict().values():
        for i in range(view.shape[0]):
            for j in range(view.shape[1]):
                view[i, j] = changed.get(place, view[i, j] * scale)
                place += 1
    script = Script(compiled, config, {name: view.tolist() for name, view in model.state_dict().items()})
    tokens = random_document(rng, config.vocab_size, data.draw(st.integers(1, config.block_size)))
    with _fused._use_instruction_set(isa):
        before = flat(model.state_dict())
        ours, theirs = outcome(model.backward, tokens), outcome(script.backward, tokens)
        assert ours == theirs
        if isinstance(theirs, str):
            assert all_bits(flat(model.gradients())) == all_bits(script.gradients())
            ours, theirs = outcome(model.train_step, tokens, 0.01), outcome(lambda: script.adam.step(0.01) or 0.0)
            assert (ours == theirs) or (isinstance(ours, str) and isinstance(theirs, str))
        if isinstance(theirs, str):
            assert all_bits(flat(model.state_dict())) == all_bits(script.numbers())
        else:
            assert all_bits(flat(model.state_dict())) == all_bits(before)
            assert model.t == 0


def test_a_target_of_probability_zero_is_the_scripts_value_error(compiled):
    config = GPTConfig(3, n_embd=2, n_head=1, block_size=2)
    model, script = same_model(compiled, config, 0)
    for view, rows in zip(model.state_dict().values(), script.state_dict.values()):
        for i, row in enumerate(rows):
            for j, p in enumerate(row):
                p.data = view[i, j] = 40.0 * (i - 1)
    with pytest.raises(ValueError, match=r"domain|positive") as expected:
        script.backward([2, 0, 2])
    before = flat(model.state_dict())
    for call in (model.loss, model.backward, model.train_step, lambda d: model.train_steps([d], [0.1])):
        with pytest.raises(ValueError, match=r"domain|positive") as raised:
            call([2, 0, 2])
        assert str(raised.value) == str(expected.value)
    assert flat(model.state_dict()) == before and model.t == 0


def test_a_gradient_too_large_to_be_squared_is_an_overflow_error_that_changes_nothing(compiled):
    """The second feature is 0 everywhere, so that the large weights it meets show in the gradients only."""
    config = GPTConfig(3, n_embd=2, n_head=1, block_size=2)
    model = GPT(config)
    model.load_state_dict({name: [[0.0] * columns] * rows for name, (rows, columns) in config.shapes()})
    for token in range(3):
        model.state_dict()["wte"][token, 0] = 1.0
        model.state_dict()["lm_head"][token, 1] = 1e200 * token
    script = Script(compiled, config, {name: view.tolist() for name, view in model.state_dict().items()})
    assert bits(model.backward([2, 0, 2])) == bits(script.backward([2, 0, 2]))
    assert all_bits(flat(model.gradients())) == all_bits(script.gradients())
    assert max(map(abs, script.gradients())) > 1e155
    before = flat(model.state_dict())
    with pytest.raises(OverflowError) as expected:
        pow(1e200, 2)
    calls = (
        model.train_step,
        lambda tokens: model.train_steps([tokens], [0.1]),
        lambda tokens: model.train_batch([tokens]),
    )
    for call in calls:
        with pytest.raises(OverflowError) as raised:
            call([2, 0, 2])
        assert str(raised.value) == str(expected.value)
        assert flat(model.state_dict()) == before and model.t == 0
    first, second = model.moments()
    assert set(flat(first)) == set(flat(second)) == {0.0}
