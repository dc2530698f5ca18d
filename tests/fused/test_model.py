"""model.gpt at several sizes: trained and sampled from, it is the script's scalar model to the bit."""

from __future__ import annotations

import random

import pytest
from bits import all_bits
from bulk import room_for_recursion
from script_gpt import Script, gpt, random_document

import microgpt
from microgpt import model, reference

SIZES = [
    model.GPTConfig(27),
    model.GPTConfig(27, n_layer=2, n_embd=12, n_head=3, block_size=5),
    model.GPTConfig(27, n_layer=2, n_embd=10, n_head=1, block_size=16),
    model.GPTConfig(27, n_layer=3, n_embd=4, n_head=2, block_size=1),
]


def parameters(config):
    rng = random.Random(42)
    return {
        name: [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in config.shapes()
    }


def train(config, module, gpt):
    """Losses of some steps, all parameters afterwards, and what the trained model says."""
    script, rng = Script(module, config, parameters(config), gpt), random.Random(7)
    documents = [random_document(rng, config.vocab_size, n) for n in (config.block_size, 1, 9)]
    losses = [script.train_step(tokens, 0.01 * (1 - step / 3)) for step, tokens in enumerate(documents)]
    return all_bits(losses), all_bits(script.numbers()), script.sample(rng, 0.5)


@pytest.mark.parametrize("config", SIZES, ids=str)
def test_training_and_sampling_have_the_bits_of_the_scalar_script(config):
    with room_for_recursion():
        expected = train(config, reference, gpt)
    assert train(config, microgpt, model.gpt) == expected


def test_fresh_parameters_come_in_the_order_of_the_script():
    state_dict = model.init_state_dict(SIZES[1], random.Random(42))
    assert {name: [[p.data for p in row] for row in rows] for name, rows in state_dict.items()} == parameters(SIZES[1])
    assert list(state_dict) == list(parameters(SIZES[1]))


@pytest.mark.parametrize(("token", "position"), [(27, 0), (0, 5)])
def test_a_token_or_position_beyond_the_model_is_an_index_error(token, position):
    config = SIZES[1]
    with pytest.raises(IndexError):
        model.gpt(config, model.init_state_dict(config, random.Random(1)), token, position, [[], []], [[], []])
