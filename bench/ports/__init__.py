"""The script's training step on other libraries, in double precision: rows of `microgpt bench` for whoever has them.

The files are in bench/ports; installed, this is the package `microgpt.ladder.ports`. Importing it imports neither
library. Each port is written as somebody who knows the library would write it for speed, and takes one document a step,
as the script does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar, Protocol

from microgpt.model import GPTConfig

# What the linear algebra that NumPy may be built with reads when it is loaded: OpenBLAS, MKL, OpenMP, Accelerate.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Port(Protocol):
    """A model with its optimizer.

    name    the library and its version: "NumPy 2.4.6"
    holds   what the step is made of, in some words
    """

    name: ClassVar[str]
    holds: ClassVar[str]

    def __init__(self, config: GPTConfig, parameters: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """parameters: name -> rows of numbers, as `config.shapes()` has them; copied."""

    def train_step(self, tokens: Sequence[int], lr: float) -> float:
        """Forward, backward and Adam on the first block_size + 1 tokens of one document: its loss before the update."""

    def state(self) -> dict[str, list[list[float]]]:
        """The parameters now: name -> rows."""


@dataclass(frozen=True)
class Source:
    """Where a port is found.

    library     that it needs, by the name that import and pip know
    since       the first version of the library that will do
    module, port    the file in this folder, and the class in it
    """

    library: str
    since: tuple[int, int]
    module: str
    port: str

    def missing(self) -> str | None:
        """Why there is no such port here, in one line; None if the library is installed. Imports nothing."""
        if find_spec(self.library) is None:
            return f"{self.library} is not installed (pip install {self.library})"
        found = version(self.library)
        if tuple(map(int, re.findall(r"\d+", found)[:2])) < self.since:
            return f"{self.library} {found} is too old, the port needs {'.'.join(map(str, self.since))}"
        return None

    def load(self) -> type[Port]:
        """The port's class. ImportError, with a line that names the library, where this cannot be imported.

        A library that is first imported here gets one thread, as the rungs have; the process's environment is left as
        it was.
        """
        if reason := self.missing():
            raise ImportError(reason)
        try:
            with one_thread():
                found: type[Port] = getattr(import_module(f".{self.module}", __name__), self.port)
        except (ImportError, AttributeError, OSError) as error:
            raise ImportError(f"{self.library} is installed, but cannot be used: {error}") from error
        return found


SOURCES = (
    Source("numpy", (2, 0), "numpy_gpt", "NumpyGPT"),  # vecdot
    Source("torch", (2, 4), "torch_gpt", "TorchGPT"),  # the fused Adam on CPUs
    Source("jax", (0, 4), "jax_gpt", "JaxGPT"),
)


def available() -> list[Source]:
    """Those whose library is installed."""
    return [source for source in SOURCES if source.missing() is None]


@contextmanager
def one_thread() -> Iterator[None]:
    """Libraries loaded inside compute in one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
