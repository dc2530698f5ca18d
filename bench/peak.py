"""What the processor could do at most: the yardstick of the kernels' matrix products."""

import time
from collections.abc import Callable
from typing import Any

from measuring import Measured

from microgpt import GPTConfig, _fused


def seconds_of(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def operations(config: GPTConfig, n: int) -> float:
    """Multiplications and additions of the products of one step on n positions, forward and twice as many backward."""
    weights = 12 * config.n_embd**2 * config.n_layer + config.vocab_size * config.n_embd
    attention = config.n_layer * config.n_embd * n * (n + 1)
    return 2.0 * 3 * (n * weights + attention)


def peak(measured: Measured) -> float:
    """Multiplications and additions a second, by registers on numbers that never leave the first-level cache."""

    def measure() -> float:
        depth = 1_000_000
        return max(_fused._spin(depth) / seconds_of(lambda: _fused._spin(depth)) for _ in range(measured.rounds(9)))

    return measured(("peak", _fused.instruction_set()), measure)
