"""model.gpt at several sizes: trained and sampled from, it is the script's scalar model to the bit."""

from __future__ import annotations

import random

import pytest
from bits import all_bits, bits
from bulk import room_for_recursion

import microgpt
from microgpt import model, reference
from microgpt.data import load_documents

SIZES = [
    model.GPTConfig(27),
    model.GPTConfig(27, n_layer=2, n_embd=12, n_head=3, block_size=5),
    model.GPTConfig(27, n_layer=2, n_embd=10, n_head=1, block_size=16),
    model.GPTConfig(27, n_layer=3, n_embd=4, n_head=2, block_size=1),
]
STEPS = 3


def scalar_gpt(config, state_dict, token_id, pos_id, keys, values):
    """The script's function, over the script's own linear, rmsnorm and softmax."""
    linear, rmsnorm = reference.linear, reference.rmsnorm
    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]
    x = rmsnorm(x)
    for layer in range(config.n_layer):
        x_residual = x
        x = rmsnorm(x)
        q, k, v = (linear(x, state_dict[f"layer{layer}.attn_w{name}"]) for name in "qkv")
        keys[layer].append(k)
        values[layer].append(v)
        x = linear(
            reference.attention(q, keys[layer], values[layer], config.n_head), state_dict[f"layer{layer}.attn_wo"]
        )
        x = [a + b for a, b in zip(x, x_residual)]
        x_residual = x
        x = linear(rmsnorm(x), state_dict[f"layer{layer}.mlp_fc1"])
        x = linear([xi.relu() for xi in x], state_dict[f"layer{layer}.mlp_fc2"])
        x = [a + b for a, b in zip(x, x_residual)]
    return linear(x, state_dict["lm_head"])


def parameters(config, cls):
    rng = random.Random(42)
    return {
        name: [[cls(rng.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in config.shapes()
    }


def documents(config):
    docs = load_documents()
    random.Random(7).shuffle(docs)
    bos = config.vocab_size - 1
    return [[bos, *(ord(ch) - ord("a") for ch in doc), bos] for doc in docs]


def loss_over(config, state_dict, tokens, gpt, loss_of_logits, mean):
    keys, values = ([[] for _ in range(config.n_layer)] for _ in range(2))
    n = min(config.block_size, len(tokens) - 1)
    logits = [gpt(config, state_dict, tokens[t], t, keys, values) for t in range(n)]
    return mean([loss_of_logits(logits[t], tokens[t + 1]) for t in range(n)])


def train(config, module, gpt):
    """Losses of some steps, all parameters afterwards, and what the trained model says."""
    state_dict = parameters(config, module.Value)
    params = [p for rows in state_dict.values() for row in rows for p in row]
    adam, losses = module.Adam(params), []
    for step in range(STEPS):
        loss = loss_over(config, state_dict, documents(config)[step], gpt, module.cross_entropy, module.mean)
        loss.backward()
        adam.step(0.01 * (1 - step / STEPS))
        losses.append(bits(loss.data))
    return losses, all_bits(p.data for p in params), sample(config, module, gpt, state_dict)


def sample(config, module, gpt, state_dict):
    """One document at temperature 0.5: the probabilities at every position, and the token drawn."""
    rng, token, said = random.Random(3), config.vocab_size - 1, []
    keys, values = ([[] for _ in range(config.n_layer)] for _ in range(2))
    for position in range(min(config.block_size, 4)):
        logits = gpt(config, state_dict, token, position, keys, values)
        probs = [p.data for p in module.softmax([logit / 0.5 for logit in logits])]
        token = rng.choices(range(config.vocab_size), weights=probs)[0]
        said.append((token, all_bits(probs)))
    return said


@pytest.mark.parametrize("config", SIZES, ids=str)
def test_training_and_sampling_have_the_bits_of_the_scalar_script(config):
    with room_for_recursion():
        expected = train(config, reference, scalar_gpt)
    assert train(config, microgpt, model.gpt) == expected


def test_the_scalar_script_on_the_compiled_class_has_them_too():
    assert train(SIZES[1], microgpt, scalar_gpt) == train(SIZES[1], microgpt, model.gpt)


def test_fresh_parameters_come_in_the_order_of_the_script():
    state_dict = model.init_state_dict(SIZES[1], random.Random(42))
    assert [(name, all_bits(p.data for row in rows for p in row)) for name, rows in state_dict.items()] == [
        (name, all_bits(p.data for row in rows for p in row))
        for name, rows in parameters(SIZES[1], microgpt.Value).items()
    ]


@pytest.mark.parametrize(("token", "position"), [(27, 0), (0, 5)])
def test_a_token_or_position_beyond_the_model_is_an_index_error(token, position):
    config = SIZES[1]
    with pytest.raises(IndexError):
        model.gpt(config, model.init_state_dict(config, random.Random(1)), token, position, [[], []], [[], []])
