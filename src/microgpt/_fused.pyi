import random
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, SupportsFloat, SupportsIndex, TypeAlias

from typing_extensions import Self, disjoint_base

from ._engine import Value
from .model import Gauss, GPTConfig

_Number: TypeAlias = SupportsFloat | SupportsIndex
_Matrix: TypeAlias = Any  # a 2-D buffer of doubles (memoryview, NumPy array, ...), or rows of numbers or Values
_Tokens: TypeAlias = Iterable[SupportsIndex]

class _Random(Protocol):
    def random(self) -> float: ...

class Inspection:
    tokens: list[int]
    logits: memoryview[float]
    probs: memoryview[float]
    attention: list[memoryview[float]]
    residual: list[memoryview[float]]
    def __init__(
        self,
        tokens: list[int],
        logits: memoryview[float],
        probs: memoryview[float],
        attention: list[memoryview[float]],
        residual: list[memoryview[float]],
    ) -> None: ...

@disjoint_base
class GPT:
    def __new__(cls, config: GPTConfig, rng: Gauss | None = None) -> Self: ...
    def __init__(self, config: GPTConfig, rng: Gauss | None = None) -> None: ...
    def restart(self, rng: random.Random | None = None, *, order: array[int] | None = None) -> None: ...
    @property
    def config(self) -> GPTConfig: ...
    @property
    def t(self) -> int: ...
    def train_step(
        self,
        tokens: _Tokens,
        lr: _Number = 0.01,
        *,
        betas: tuple[_Number, _Number] = (0.85, 0.99),
        eps: _Number = 1e-8,
        threads: SupportsIndex = 1,
    ) -> float: ...
    def train_steps(
        self,
        documents: Iterable[_Tokens],
        lrs: Iterable[_Number],
        *,
        betas: tuple[_Number, _Number] = (0.85, 0.99),
        eps: _Number = 1e-8,
        losses: list[float] | None = None,
        threads: SupportsIndex = 1,
    ) -> list[float]: ...
    def train_batch(
        self,
        documents: Iterable[_Tokens],
        lr: _Number = 0.01,
        *,
        clip_norm: _Number | None = None,
        threads: SupportsIndex = 1,
        betas: tuple[_Number, _Number] = (0.85, 0.99),
        eps: _Number = 1e-8,
    ) -> list[float]: ...
    def backward(self, tokens: _Tokens) -> float: ...
    def loss(self, tokens: _Tokens) -> float: ...
    def logits(self, tokens: _Tokens) -> list[float]: ...
    def inspect(self, tokens: _Tokens) -> Inspection: ...
    def generate(
        self,
        rng: _Random | None,
        temperature: _Number = 0.5,
        *,
        top_k: SupportsIndex | None = None,
        prompt: _Tokens = (),
        bos: int | None = None,
    ) -> list[int]: ...
    def generate_many(
        self,
        count: SupportsIndex,
        rng: _Random | None,
        temperature: _Number = 0.5,
        *,
        top_k: SupportsIndex | None = None,
        prompt: _Tokens = (),
        bos: int | None = None,
    ) -> list[list[int]]: ...
    def state_dict(self) -> dict[str, memoryview[float]]: ...
    def gradients(self) -> dict[str, memoryview[float]]: ...
    def moments(self) -> tuple[dict[str, memoryview[float]], dict[str, memoryview[float]]]: ...
    def load_state_dict(
        self,
        state: Mapping[str, _Matrix],
        *,
        t: SupportsIndex | None = None,
        m: Mapping[str, _Matrix] | None = None,
        v: Mapping[str, _Matrix] | None = None,
    ) -> None: ...
    def to_values(self) -> dict[str, list[list[Value]]]: ...
    @classmethod
    def from_values(cls, config: GPTConfig, state_dict: Mapping[str, Sequence[Sequence[Value]]]) -> Self: ...

def instruction_set() -> str: ...
def build() -> tuple[str, str]: ...
def shuffle_order(order: array[int], rng: random.Random) -> None: ...
def unpickled(
    cls: type[GPT], config: GPTConfig, t: int, params: array[float], first: array[float], second: array[float]
) -> GPT: ...
