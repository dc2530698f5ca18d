"""What the arena holds, and that it does not grow over a long run."""

from __future__ import annotations

from collections.abc import Callable

from microgpt import arena_stats


def nodes() -> int:
    return arena_stats()["nodes"]


def stays_flat(step: Callable[[int], object], steps: int, every: int = 50, slack: float = 1.0) -> None:
    """After a quarter of the steps, which warm up, there are no more nodes, and no more bytes but for some blocks."""
    seen = []
    for k in range(steps):
        step(k)
        if k % every == 0:
            figures = arena_stats()
            seen.append((figures["nodes"], figures["bytes"]))
    warm, late = seen[: len(seen) // 4], seen[len(seen) // 4 :]
    assert max(count for count, _ in late) <= max(count for count, _ in warm)
    assert max(size for _, size in late) <= max(size for _, size in warm) * slack + 400_000
