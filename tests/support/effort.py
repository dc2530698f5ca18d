"""How much the tests try. `make test` is short enough to wait for; at length is for whoever has changed much.

HYPOTHESIS_PROFILE is one of

    same     the same examples for everybody, so that whoever changed nothing sees nothing red (the default)
    long     more of them, and all that `at_length` counts; the same each time too
    brief    a few: on other Pythons and under checkers of memory
    fuzz     new examples each time: make fuzz

Tests marked `slow` are left out of `make test`; `make test-all` and CI run them. They are those that take seconds and
whose decisions are tested otherwise: runs of a whole cluster, of a browser, of the commands on the pages, and most of
the scripts that are run in both ways.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

Count = TypeVar("Count")
PROFILE = os.environ.get("HYPOTHESIS_PROFILE") or "same"
COMMON = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}


def load_profile() -> None:
    settings.register_profile("same", max_examples=40, derandomize=True, **COMMON)
    settings.register_profile("long", max_examples=100, derandomize=True, **COMMON)
    settings.register_profile("brief", max_examples=15, derandomize=True, **COMMON)
    settings.register_profile("fuzz", max_examples=100, **COMMON)
    settings.load_profile(PROFILE)


def at_length(usual: Count, long: Count) -> Count:
    """The number of tries, or whatever stands for it, that the profile asks for."""
    return long if PROFILE in ("long", "fuzz") else usual


def mostly_slow(cases: Iterable[Any], every: int = 5) -> list[Any]:
    """Parameters of a test, of which only every so many-th, from the first on, is not marked `slow`."""
    return [
        case if number % every == 0 else pytest.param(case, marks=pytest.mark.slow) for number, case in enumerate(cases)
    ]
