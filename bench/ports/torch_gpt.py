"""The training step on PyTorch: eager operations, its autograd, its fused Adam, one thread.

What looks odd was measured to be faster at the script's sizes, where a step is some hundred and fifty operations of two
or three microseconds, and every node of the graph counts: all parameters and all gradients lie in one flat tensor, so
that Adam and the zeroing of gradients are one operation each; matrices are stored as (in, out), so that a product needs
no transpose; a residual is added by the product before it; the mean square of a norm is a product too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.adam import adam

from microgpt.model import GPTConfig

BETAS, EPS = (0.85, 0.99), 1e-8
NORM_EPS = 1e-5


class TorchGPT:
    """The script's GPT and its Adam, in double precision. Making one sets the threads of PyTorch to 1."""

    name = f"PyTorch {torch.__version__.partition('+')[0]}"
    holds = "whole matrices by PyTorch, its autograd and its fused Adam"

    def __init__(self, config: GPTConfig, parameters: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """parameters: name -> rows, as in `config.shapes()`."""
        torch.set_num_threads(1)
        self.config = config
        matrices = pack(config, parameters)
        self.flat = torch.cat([matrix.flatten() for matrix in matrices.values()])
        self.flat_grad, self.m, self.v = (torch.zeros_like(self.flat) for _ in range(3))
        self.t = torch.tensor(0.0)  # steps taken
        self.weights = self._leaves(matrices)
        self.norm_eps = torch.tensor([NORM_EPS], dtype=torch.float64)
        self.mean = torch.full((config.n_embd, 1), 1 / config.n_embd, dtype=torch.float64)  # x @ mean: means of rows

    def train_step(self, tokens: Sequence[int], lr: float) -> float:
        """One step on one document: its loss before the update."""
        n = min(self.config.block_size, len(tokens) - 1)
        seen = torch.tensor(tokens[: n + 1])
        loss = functional.cross_entropy(self._logits(seen[:-1], n), seen[1:])
        self.flat_grad.zero_()
        torch.autograd.backward(loss)
        self._adam(lr)
        return float(loss.item())

    def state(self) -> dict[str, list[list[float]]]:
        """The parameters now: name -> rows."""
        return unpack(self.config, self.weights)

    def _leaves(self, matrices: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Views of the flat parameters, whose gradients autograd adds to the flat gradients."""
        sizes = [matrix.numel() for matrix in matrices.values()]
        leaves = {}
        for (name, matrix), numbers, grads in zip(
            matrices.items(), torch.split(self.flat, sizes), torch.split(self.flat_grad, sizes)
        ):
            leaves[name] = numbers.view(matrix.shape).requires_grad_()
            leaves[name].grad = grads.view(matrix.shape)
        return leaves

    def _logits(self, inputs: Tensor, n: int) -> Tensor:
        w = self.weights
        x = self._norm(functional.embedding(inputs, w["wte"]) + w["wpe"][:n])
        for i in range(self.config.n_layer):
            attended = self._attend(self._norm(x).mm(w[f"layer{i}.attn_wqkv"]), n)
            x = torch.addmm(x, attended, w[f"layer{i}.attn_wo"])
            hidden = self._norm(x).mm(w[f"layer{i}.mlp_fc1"]).relu()
            x = torch.addmm(x, hidden, w[f"layer{i}.mlp_fc2"])
        return x.mm(w["lm_head"])

    def _norm(self, x: Tensor) -> Tensor:
        return x * torch.addmm(self.norm_eps, x * x, self.mean).rsqrt()

    def _attend(self, qkv: Tensor, n: int) -> Tensor:
        """(n, 3 * n_embd) -> (n, n_embd)"""
        q, k, v = qkv.view(1, n, 3, self.config.n_head, self.config.head_dim).transpose(1, 3).unbind(2)
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out.transpose(1, 2).reshape(n, self.config.n_embd)

    def _adam(self, lr: float) -> None:
        """What torch.optim.Adam(fused=True).step() calls, without the 20 microseconds that it takes around it."""
        with torch.no_grad():
            adam(
                [self.flat],
                [self.flat_grad],
                [self.m],
                [self.v],
                [],
                [self.t],
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=lr,
                weight_decay=0.0,
                eps=EPS,
                maximize=False,
            )


def pack(config: GPTConfig, parameters: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Tensor]:
    """name -> (in, out) for all that is multiplied with; wq, wk and wv of a layer in one, "attn_wqkv"."""
    rows = {name: torch.tensor(parameters[name], dtype=torch.float64) for name, _ in config.shapes()}
    packed = {"wte": rows.pop("wte"), "wpe": rows.pop("wpe")}
    for i in range(config.n_layer):
        packed[f"layer{i}.attn_wqkv"] = torch.cat([rows.pop(f"layer{i}.attn_w{letter}") for letter in "qkv"]).T
    return packed | {name: matrix.T for name, matrix in rows.items()}


def unpack(config: GPTConfig, packed: Mapping[str, Tensor]) -> dict[str, list[list[float]]]:
    """The way back from `pack`."""
    rows = {name: (matrix if name in ("wte", "wpe") else matrix.T) for name, matrix in packed.items()}
    for i in range(config.n_layer):
        for letter, matrix in zip("qkv", rows.pop(f"layer{i}.attn_wqkv").chunk(3)):
            rows[f"layer{i}.attn_w{letter}"] = matrix
    return {name: rows[name].tolist() for name, _ in config.shapes()}
