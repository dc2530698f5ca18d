"""The training step on NumPy: forward and backward by hand over whole matrices, Adam over one flat array.

A matrix of activations has a row for each of a document's n positions; in attention, arrays have the shape (heads, n,
head_dim) or (heads, n, n). What looks odd was measured to be faster at the script's sizes, where a step is some eighty
calls of about a microsecond: `np.dot` with a third argument instead of `@`, `take` instead of an index, `vecdot`
instead of a sum of products, `np.sign(r)` instead of the mask `r > 0`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from microgpt.model import GPTConfig

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Tokens: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

BETA1, BETA2, EPS = 0.85, 0.99, 1e-8
NORM_EPS = 1e-5


class NumpyGPT:
    """The script's GPT and its Adam, in double precision."""

    name = f"NumPy {np.__version__}"
    holds = "whole matrices by NumPy and its BLAS, the backward pass by hand"

    def __init__(self, config: GPTConfig, parameters: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """parameters: name -> rows, as in `config.shapes()`."""
        self.config = config
        self.t = 0  # steps taken
        self.flat = np.concatenate([np.asarray(parameters[name], dtype=float).ravel() for name, _ in config.shapes()])
        self.flat_grad, self.m, self.v = (np.zeros_like(self.flat) for _ in range(3))
        self.weights, self.grads = split(config, self.flat), split(config, self.flat_grad)
        self.layers = [Layer(config, self.weights, self.grads, i) for i in range(config.n_layer)]
        self.one_hot = np.eye(config.vocab_size)
        self.positions = np.arange(config.block_size)

    def train_step(self, tokens: Sequence[int], lr: float) -> float:
        """One step on one document: its loss before the update."""
        n = min(self.config.block_size, len(tokens) - 1)
        seen = np.array(tokens[: n + 1])
        loss = self._forward_and_backward(seen[:-1], seen[1:], n)
        self._adam(lr)
        return loss

    def state(self) -> dict[str, list[list[float]]]:
        """The parameters now: name -> rows."""
        return {name: self.weights[name].tolist() for name, _ in self.config.shapes()}

    def _forward_and_backward(self, inputs: Tokens, targets: Tokens, n: int) -> float:
        weights, grads = self.weights, self.grads
        embedded, scale = rmsnorm(weights["wte"].take(inputs, 0) + weights["wpe"][:n])
        x = embedded
        for layer in self.layers:
            x = layer.forward(x)

        p = softmax(np.dot(x, weights["lm_head"].T))
        loss = -sum(map(math.log, p[self.positions[:n], targets].tolist())) / n
        p -= self.one_hot.take(targets, 0)
        p /= n  # now the gradient of the logits
        np.dot(p.T, x, grads["lm_head"])
        dx = np.dot(p, weights["lm_head"])
        for layer in reversed(self.layers):
            dx = layer.backward(dx)

        dx = rmsnorm_backward(dx, embedded, scale)
        grads["wpe"][:n] = dx
        grads["wpe"][n:] = 0
        np.dot(self.one_hot.take(inputs, 0).T, dx, grads["wte"])  # adds the rows of a token that stands there twice
        return loss

    def _adam(self, lr: float) -> None:
        """Moments are kept without their factors 1 - beta, which stand in two numbers a step instead of 2 passes."""
        self.t += 1
        root = math.sqrt((1 - BETA2) / (1 - BETA2**self.t))
        rate = lr * (1 - BETA1) / (1 - BETA1**self.t) / root
        eps = EPS / root
        p, g, m, v = self.flat, self.flat_grad, self.m, self.v
        m *= BETA1
        m += g
        v *= BETA2
        g *= g
        v += g
        np.sqrt(v, g)
        g += eps
        np.divide(m, g, g)
        g *= rate
        p -= g


class Layer:
    """One transformer layer; keeps of its forward pass what the backward pass needs."""

    def __init__(self, config: GPTConfig, weights: dict[str, Array], grads: dict[str, Array], index: int) -> None:
        names = ("attn_wqkv", "attn_wo", "mlp_fc1", "mlp_fc2")
        self.wqkv, self.wo, self.fc1, self.fc2 = (weights[f"layer{index}.{name}"] for name in names)
        self.dwqkv, self.dwo, self.dfc1, self.dfc2 = (grads[f"layer{index}.{name}"] for name in names)
        self.width, self.heads, self.head_dim = config.n_embd, config.n_head, config.head_dim
        self.scale = config.head_dim**-0.5
        self.mask = np.triu(np.full((config.block_size, config.block_size), -np.inf), 1)

    def forward(self, x: Array) -> Array:
        """Activations (n, n_embd) -> activations (n, n_embd)."""
        self.x1, self.scale1 = rmsnorm(x)
        self.heads_out = self._attend(np.dot(self.x1, self.wqkv.T))
        x = x + np.dot(self.heads_out, self.wo.T)
        self.x2, self.scale2 = rmsnorm(x)
        self.hidden = np.dot(self.x2, self.fc1.T)
        np.maximum(self.hidden, 0, out=self.hidden)
        x += np.dot(self.hidden, self.fc2.T)
        return x

    def backward(self, dx: Array) -> Array:
        """The gradient of what `forward` returned -> that of its argument; gradients of the weights."""
        np.dot(dx.T, self.hidden, self.dfc2)
        dr = np.dot(dx, self.fc2)
        dr *= np.sign(self.hidden)
        np.dot(dr.T, self.x2, self.dfc1)
        dx += rmsnorm_backward(np.dot(dr, self.fc1), self.x2, self.scale2)
        np.dot(dx.T, self.heads_out, self.dwo)
        dqkv = self._attend_backward(np.dot(dx, self.wo))
        np.dot(dqkv.T, self.x1, self.dwqkv)
        dx += rmsnorm_backward(np.dot(dqkv, self.wqkv), self.x1, self.scale1)
        return dx

    def _attend(self, qkv: Array) -> Array:
        n = len(qkv)
        qkv[:, : self.width] *= self.scale
        self.q, self.k, self.v = q, k, v = self._by_heads(qkv, 3)
        scores: Array = q @ k.mT
        scores += self.mask[:n, :n]
        self.shares = softmax(scores)
        out = np.empty((n, self.width))
        np.matmul(self.shares, v, self._by_heads(out, 1)[0])
        return out

    def _attend_backward(self, dy: Array) -> Array:
        d = self._by_heads(dy, 1)[0]
        dqkv = np.empty((len(dy), 3 * self.width))
        dq, dk, dv = self._by_heads(dqkv, 3)
        np.matmul(self.shares.mT, d, dv)
        dscores = d @ self.v.mT
        dscores -= np.vecdot(dscores, self.shares)[..., None]
        dscores *= self.shares
        np.matmul(dscores, self.k, dq)
        np.matmul(dscores.mT, self.q, dk)
        dqkv[:, : self.width] *= self.scale
        return dqkv

    def _by_heads(self, rows: Array, parts: int) -> Array:
        """A view of rows (n, parts * n_embd): (parts, heads, n, head_dim)."""
        by_heads: Array = rows.reshape(len(rows), parts, self.heads, self.head_dim).transpose(1, 2, 0, 3)
        return by_heads


def split(config: GPTConfig, flat: Array) -> dict[str, Array]:
    """Views of a flat array by name; beside each layer's wq, wk and wv the three in one, "attn_wqkv"."""
    views, start = {}, 0
    for name, (rows, columns) in config.shapes():
        if name.endswith("wq"):
            views[f"{name}kv"] = flat[start : start + 3 * rows * columns].reshape(3 * rows, columns)
        views[name] = flat[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
    return views


def rmsnorm(x: Array) -> tuple[Array, Array]:
    """Rows scaled to a mean square of 1, and the scales (n, 1)."""
    scale = ((np.vecdot(x, x) / x.shape[1] + NORM_EPS) ** -0.5)[:, None]
    return x * scale, scale


def rmsnorm_backward(dy: Array, y: Array, scale: Array) -> Array:
    """The gradient of x from that of y, which is overwritten, where y, scale = rmsnorm(x)."""
    dy -= y * (np.vecdot(dy, y) / y.shape[1])[:, None]
    dy *= scale
    return dy


def softmax(x: Array) -> Array:
    """Along the last axis, in place."""
    x -= x.max(-1, keepdims=True)
    np.exp(x, x)
    x /= x.sum(-1, keepdims=True)
    return x
