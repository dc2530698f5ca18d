"""The script's GPT and training loop over any class of Values: what the fused GPT has to equal to the bit."""

from __future__ import annotations

import random
from typing import Any

Documents = list[list[int]]


def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(wo, x)) for wo in w]


def softmax(logits):
    max_val = max(val.data for val in logits)
    exps = [(val - max_val).exp() for val in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x):
    ms = sum(xi * xi for xi in x) / len(x)
    scale = (ms + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def attend(config, q, keys, values, note):
    head_dim = config.head_dim
    x_attn = []
    for h in range(config.n_head):
        hs = slice(h * head_dim, (h + 1) * head_dim)
        q_h, k_h, v_h = q[hs], [ki[hs] for ki in keys], [vi[hs] for vi in values]
        attn_logits = [sum(q_h[j] * k_h[t][j] for j in range(head_dim)) / head_dim**0.5 for t in range(len(k_h))]
        attn_weights = softmax(attn_logits)
        note("attention", attn_weights)
        x_attn.extend([sum(attn_weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(head_dim)])
    return x_attn


def gpt(config, state_dict, token_id, pos_id, keys, values, note=lambda what, vector: None):
    """The logits. note: told the residual stream before each part and after the last, and each head's attention."""
    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]
    x = rmsnorm(x)
    for li in range(config.n_layer):
        x_residual = x
        note("residual", x)
        x = rmsnorm(x)
        q = linear(x, state_dict[f"layer{li}.attn_wq"])
        keys[li].append(linear(x, state_dict[f"layer{li}.attn_wk"]))
        values[li].append(linear(x, state_dict[f"layer{li}.attn_wv"]))
        x = linear(attend(config, q, keys[li], values[li], note), state_dict[f"layer{li}.attn_wo"])
        x = [a + b for a, b in zip(x, x_residual)]
        x_residual = x
        note("residual", x)
        x = rmsnorm(x)
        x = linear(x, state_dict[f"layer{li}.mlp_fc1"])
        x = [xi.relu() for xi in x]
        x = linear(x, state_dict[f"layer{li}.mlp_fc2"])
        x = [a + b for a, b in zip(x, x_residual)]
    note("residual", x)
    return linear(x, state_dict["lm_head"])


def loss_of(config, state_dict, tokens, gpt=gpt):
    n = min(config.block_size, len(tokens) - 1)
    keys, values = [[] for _ in range(config.n_layer)], [[] for _ in range(config.n_layer)]
    losses = []
    for pos_id in range(n):
        probs = softmax(gpt(config, state_dict, tokens[pos_id], pos_id, keys, values))
        losses.append(-probs[tokens[pos_id + 1]].log())
    return (1 / n) * sum(losses)


def sample_of(config, state_dict, rng, temperature, gpt=gpt):
    bos = config.vocab_size - 1
    keys, values = [[] for _ in range(config.n_layer)], [[] for _ in range(config.n_layer)]
    token_id, sample = bos, []
    for pos_id in range(config.block_size):
        logits = gpt(config, state_dict, token_id, pos_id, keys, values)
        probs = softmax([logit / temperature for logit in logits])
        token_id = rng.choices(range(config.vocab_size), weights=[p.data for p in probs])[0]
        if token_id == bos:
            break
        sample.append(token_id)
    return sample


def parameters(state_dict) -> list[Any]:
    return [p for matrix in state_dict.values() for row in matrix for p in row]


class Script:
    """The script's state: Values and Adam of one engine, with a GPT's methods as the script computes them."""

    def __init__(self, engine: Any, config: Any, state_dict: dict[str, Any], gpt: Any = gpt) -> None:
        self.config = config
        self.gpt = gpt
        self.state_dict = {
            name: [[engine.Value(float(number)) for number in row] for row in rows] for name, rows in state_dict.items()
        }
        self.params = parameters(self.state_dict)
        self.adam = engine.Adam(self.params)

    def backward(self, tokens):
        loss = loss_of(self.config, self.state_dict, tokens, self.gpt)
        loss.backward()
        return float(loss.data)

    def train_step(self, tokens, lr):
        loss = self.backward(tokens)
        self.adam.step(lr)
        return loss

    def numbers(self):
        return [float(p.data) for p in self.params]

    def gradients(self):
        return [float(p.grad) for p in self.params]

    def sample(self, rng, temperature):
        return sample_of(self.config, self.state_dict, rng, temperature, self.gpt)


def flat(views: dict[str, Any]) -> list[float]:
    """The numbers of a GPT's state_dict, gradients or moments in the script's order."""
    return [number for view in views.values() for row in view.tolist() for number in row]


def random_document(rng: random.Random, vocab_size: int, n: int) -> list[int]:
    """n + 1 tokens, n positions."""
    bos = vocab_size - 1
    return [bos, *(rng.randrange(vocab_size) for _ in range(n - 1)), bos]
