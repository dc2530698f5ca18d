"""What a sweep wrote: the results of its runs, with and without what depends on the clock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def results(folder: Path) -> list[dict[str, Any]]:
    """Those of all lines that are whole."""
    path = folder / "runs.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def untimed(found: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps({**result, "seconds": 0}) for result in found)
