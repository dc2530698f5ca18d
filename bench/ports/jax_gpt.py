"""The training step on JAX: forward, gradient and Adam in one jitted function, compiled once for each length of names.

Importing this switches JAX to double precision for the whole process.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from microgpt.model import GPTConfig

BETAS, EPS = (0.85, 0.99), 1e-8
NORM_EPS = 1e-5

jax.config.update("jax_enable_x64", True)


class JaxGPT:
    """The script's GPT and its Adam, in double precision."""

    name = f"JAX {jax.__version__}"
    holds = "whole matrices by JAX, a step one jitted function"

    def __init__(self, config: GPTConfig, parameters: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """parameters: name -> rows, as in `config.shapes()`."""
        self.config = config
        self.weights = {name: jnp.array(parameters[name]) for name, _ in config.shapes()}
        self.m = jax.tree.map(jnp.zeros_like, self.weights)
        self.v = jax.tree.map(jnp.zeros_like, self.weights)
        self.t = 0  # steps taken

    def train_step(self, tokens: Sequence[int], lr: float) -> float:
        """One step on one document: its loss before the update."""
        seen = jnp.array(tokens[: self.config.block_size + 1])
        self.t += 1
        step = float(self.t)
        loss, self.weights, self.m, self.v = _step(self.config, self.weights, self.m, self.v, seen, lr, step)
        return float(loss)

    def state(self) -> dict[str, list[list[float]]]:
        """The parameters now: name -> rows."""
        return {name: matrix.tolist() for name, matrix in self.weights.items()}


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2, 3))
def _step(config: GPTConfig, weights: Any, m: Any, v: Any, seen: Any, lr: Any, t: Any) -> Any:
    loss, grads = jax.value_and_grad(_loss, argnums=1)(config, weights, seen)
    m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, grads)
    v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g**2, v, grads)
    scale1, scale2 = 1 / (1 - BETAS[0] ** t), 1 / (1 - BETAS[1] ** t)
    weights = jax.tree.map(lambda w, m, v: w - lr * (m * scale1) / (jnp.sqrt(v * scale2) + EPS), weights, m, v)
    return loss, weights, m, v


def _loss(config: GPTConfig, w: Any, seen: Any) -> Any:
    n = len(seen) - 1
    x = _norm(w["wte"][seen[:-1]] + w["wpe"][:n])
    for i in range(config.n_layer):
        x = x + _attend(config, w, i, _norm(x)) @ w[f"layer{i}.attn_wo"].T
        x = x + jax.nn.relu(_norm(x) @ w[f"layer{i}.mlp_fc1"].T) @ w[f"layer{i}.mlp_fc2"].T
    log_probabilities = jax.nn.log_softmax(x @ w["lm_head"].T)
    return -jnp.mean(log_probabilities[jnp.arange(n), seen[1:]])


def _norm(x: Any) -> Any:
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + NORM_EPS)


def _attend(config: GPTConfig, w: Any, layer: int, x: Any) -> Any:
    """(n, n_embd) -> (n, n_embd)"""
    n = len(x)
    shape = (n, config.n_head, config.head_dim)
    q, k, v = ((x @ w[f"layer{layer}.attn_w{letter}"].T).reshape(shape) for letter in "qkv")
    logits = jnp.einsum("qhd,khd->hqk", q, k) / config.head_dim**0.5
    weights = jax.nn.softmax(jnp.where(jnp.tri(n, dtype=bool), logits, -jnp.inf))
    return jnp.einsum("hqk,khd->qhd", weights, v).reshape(n, config.n_embd)
