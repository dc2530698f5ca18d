"""What the tests of recorded functions share."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator

import pytest

from microgpt import Value


@pytest.fixture
def params() -> list[Value]:
    rng = random.Random(3)
    return [Value(rng.uniform(0.5, 1.5)) for _ in range(6)]


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
