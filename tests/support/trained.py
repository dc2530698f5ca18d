"""All bits that a model, a Trainer or a checkpoint has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microgpt.checkpoint import Checkpoint
from microgpt.trainer import Trainer


def matrix_bytes(*groups: Mapping[str, Any]) -> bytes:
    """The doubles of these state_dicts, gradients or moments, one after the other."""
    return b"".join(matrix.tobytes() for group in groups for matrix in group.values())


def everything(trainer: Trainer) -> tuple[Any, ...]:
    """All of a Trainer that the future depends on."""
    return trainer.step, matrix_bytes(trainer.model.state_dict(), *trainer.model.moments()), trainer.rng.getstate()


def everything_kept(kept: Checkpoint) -> tuple[Any, ...]:
    """The same of a checkpoint."""
    return kept.step, matrix_bytes(kept.weights, kept.m, kept.v), kept.rng_state
