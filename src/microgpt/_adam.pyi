from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from typing_extensions import disjoint_base

from ._engine import Value, _Number

@disjoint_base
class Adam:
    lr: Any
    betas: tuple[Any, Any]
    eps: Any
    @property
    def params(self) -> list[Value]: ...
    @property
    def t(self) -> int: ...
    def __init__(
        self,
        params: Iterable[Value],
        lr: _Number = 0.01,
        betas: tuple[_Number, _Number] = (0.85, 0.99),
        eps: _Number = 1e-8,
    ) -> None: ...
    def step(self, lr: _Number | None = None, zero_grad: bool = True) -> None: ...
    def update(self, settings: Sequence[float], zero_grad: bool = True, zero_int: bool = True) -> None: ...
    def zero_grad(self) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: dict[str, Any]) -> None: ...

def update_each(
    kind: type,
    params: list[Any],
    n: int,
    lists: tuple[list[float], ...],
    settings: list[float],
    code: list[tuple[int, int, int]],
    stores: dict[int, int],
    zero: bool,
    zero_int: bool,
    negates: bool,
) -> int: ...
def _pow2(values: array[float]) -> array[float]: ...
def _pow_half(values: array[float]) -> array[float]: ...
