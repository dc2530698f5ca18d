"""The GPT of the script: its sizes, its parameters, and the function from a token to the logits of the next one."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence

from . import checks
from ._engine import Value
from ._functional import add, attention, linear, relu, rmsnorm

TYPE_CHECKING = False  # type checkers take it for True; typing's own would cost the import of typing
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Gauss(Protocol):
        """What draws the parameters: a `random.Random`, or the module `random` itself."""

        def gauss(self, mu: float, sigma: float) -> float: ...


INIT_STD = 0.08  # standard deviation of a fresh parameter
LAYER = ("attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2")  # the matrices of a layer


# A dataclass would cost the import of inspect.
class GPTConfig(namedtuple("Sizes", "vocab_size n_layer n_embd n_head block_size", defaults=(1, 16, 4, 16))):
    """The sizes of a model; the defaults are the script's. A named tuple: immutable, compared by its numbers.

    vocab_size: number of tokens, the one at both ends of a document included.
    n_layer: transformer layers. n_embd: width of the residual stream. n_head: attention heads in a layer, a divisor
    of n_embd. block_size: the most positions that the model can see.

    TypeError for a size that is not an integer, ValueError for one below 1, and for heads that don't divide n_embd.
    """

    __slots__ = ()
    vocab_size: int
    n_layer: int
    n_embd: int
    n_head: int
    block_size: int

    def __new__(
        cls, vocab_size: int, n_layer: int = 1, n_embd: int = 16, n_head: int = 4, block_size: int = 16
    ) -> GPTConfig:
        given = (vocab_size, n_layer, n_embd, n_head, block_size)
        sizes = (checks.at_least_one(name, size) for name, size in zip(cls._fields, given))
        config = super().__new__(cls, *sizes)
        if config.n_embd % config.n_head:
            raise ValueError(f"n_embd must be a multiple of n_head, but {config.n_embd} is none of {config.n_head}")
        return config

    @classmethod
    def _make(cls, sizes: Any) -> GPTConfig:  # type: ignore[override]  # what _replace calls
        return cls(*sizes)

    @property
    def head_dim(self) -> int:
        """Dimensions of a head: n_embd / n_head."""
        return self.n_embd // self.n_head

    @property
    def num_params(self) -> int:
        """Number of scalars in all matrices."""
        d = self.n_embd
        return d * (2 * self.vocab_size + self.block_size + 12 * d * self.n_layer)

    def shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name and shape (rows, columns) of every matrix, in the order in which the script makes them."""
        d = self.n_embd
        yield "wte", (self.vocab_size, d)
        yield "wpe", (self.block_size, d)
        yield "lm_head", (self.vocab_size, d)
        for layer in range(self.n_layer):
            yield f"layer{layer}.attn_wq", (d, d)
            yield f"layer{layer}.attn_wk", (d, d)
            yield f"layer{layer}.attn_wv", (d, d)
            yield f"layer{layer}.attn_wo", (d, d)
            yield f"layer{layer}.mlp_fc1", (4 * d, d)
            yield f"layer{layer}.mlp_fc2", (d, 4 * d)


def init_state_dict(config: GPTConfig, rng: Gauss) -> dict[str, list[list[Value]]]:
    """Fresh parameters: name -> rows of Values, each drawn as `rng.gauss(0, 0.08)` in the script's order."""
    return {
        name: [[Value(rng.gauss(0, INIT_STD)) for _ in range(nin)] for _ in range(nout)]
        for name, (nout, nin) in config.shapes()
    }


def gpt(
    config: GPTConfig,
    state_dict: Mapping[str, Sequence[Sequence[Value]]],
    token_id: int,
    pos_id: int,
    keys: Sequence[list[list[Value]]],
    values: Sequence[list[list[Value]]],
) -> list[Value]:
    """The logits of the token that follows `token_id` at position `pos_id`: vocab_size Values.

    keys, values: a list for each layer, to which this position's key and value (n_embd Values each) are appended; at
    position 0 they are empty.

    Raises IndexError for a token or a position beyond the model's.
    """
    x = add(state_dict["wte"][token_id], state_dict["wpe"][pos_id])
    x = rmsnorm(x)
    for layer in range(config.n_layer):
        weights = {name: state_dict[f"layer{layer}.{name}"] for name in LAYER}
        x_residual = x
        x = rmsnorm(x)
        q = linear(x, weights["attn_wq"])
        keys[layer].append(linear(x, weights["attn_wk"]))
        values[layer].append(linear(x, weights["attn_wv"]))
        x = attention(q, keys[layer], values[layer], config.n_head)
        x = add(linear(x, weights["attn_wo"]), x_residual)
        x_residual = x
        x = relu(linear(rmsnorm(x), weights["mlp_fc1"]))
        x = add(linear(x, weights["mlp_fc2"]), x_residual)
    return linear(x, state_dict["lm_head"])
