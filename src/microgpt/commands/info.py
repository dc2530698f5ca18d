"""`microgpt info`: what is installed and how it runs here, or what a checkpoint holds."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from .. import memory
from .._engine import Value, arena_stats
from .._fused import instruction_set
from ..checkpoint import Checkpoint, load
from ..model import GPTConfig
from ..tokenizers import Tokenizer, WordTokenizer
from ..version import __version__
from . import notes, printable
from .options import Option, Options, path
from .output import Output

NAMES = 27  # tokens of the alphabet in lower case
GRAPH = 100_000  # nodes, enough that what a block of them has left over counts little


ABOUT = {
    "help": "show what is installed, or what a checkpoint holds",
    "description": "Say which version runs, how, and with how much memory; or what a checkpoint holds.",
}
GROUPS = {"": (Option("source", "DIR", path, "the folder of a checkpoint, as given by --out"),)}


def main(options: Options) -> int:
    facts = _checkpoint(options.source) if options.source else _program()
    Output().write("".join([f"{name:16}{printable(str(fact))}\n" for name, fact in facts]))
    return 0


def _program() -> Iterator[tuple[str, object]]:
    yield "microgpt", __version__
    yield "Python", f"{platform.python_version()} ({platform.machine()} {platform.system()})"
    yield "instruction set", instruction_set()
    yield from _model(GPTConfig(NAMES))
    free = memory.available()
    yield "memory free", "unknown" if free is None else memory.readable(free)
    value = Value(0.0)
    for _ in range(GRAPH // 2):
        value = value + 1.0  # with the 1.0, two nodes
    yield "arena", f"{arena_stats()['bytes_per_node']:.1f} bytes a node of a graph of {GRAPH:,} Values"


def _checkpoint(source: str) -> Iterator[tuple[str, object]]:
    kept = load(source)
    yield "step", f"{kept.step} of {kept.settings.get('num_steps')}"
    yield from _model(kept.config)
    yield "vocabulary", f"{_vocabulary(kept)} and the end"
    noted = notes.read(kept)
    yield "documents", noted.get("source", "unknown") or "the names that come with microgpt"
    if noted.get("cut") and noted["cut"][0]:
        cut, beyond, tokens = noted["cut"]
        yield (
            "cut",
            f"{cut} documents, longer than block_size: {100 * beyond / tokens:.2g} % of all letters are never seen",
        )
    if noted.get("best"):
        yield "best", f"held-out loss {noted['best'][1]:.4f} at step {noted['best'][0]}"
    yield "settings", ", ".join(f"{name} {value}" for name, value in kept.settings.items() if name != "num_steps")


def _vocabulary(kept: Checkpoint) -> str:
    tokenizer = kept.tokenizer
    if isinstance(tokenizer, Tokenizer):
        return repr(tokenizer.characters)
    return f"{len(tokenizer.texts)} {'words' if isinstance(tokenizer, WordTokenizer) else 'tokens'}"


def _model(config: GPTConfig) -> Iterator[tuple[str, object]]:
    sizes = ("n_layer", "n_embd", "n_head", "block_size", "vocab_size")
    yield "model", ", ".join(f"{name} {getattr(config, name)}" for name in sizes)
    yield "parameters", f"{config.num_params:,} ({memory.readable(memory.needed(config))} to train)"
