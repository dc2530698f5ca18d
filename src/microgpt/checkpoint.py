"""A training run in one file: everything that is needed to go on with the same bits, and nothing that is executed.

The file is a safetensors file. Its tensors are the model's matrices under their own names, and Adam's moments under
`adam.m.NAME` and `adam.v.NAME`, all little-endian doubles. Its metadata are strings:

    format        "microgpt checkpoint 1"
    checksum      SHA-256 of the whole file, taken with 64 zeros in this place
    config        json: the fields of GPTConfig
    vocabulary    json: the characters in the order of their tokens, in one string; of a WordTokenizer {"word": [...]}
                  and of an object of the user's own {"own": [...]}, with the text of each token
    step          steps taken
    rng_state     json: what `random.Random.getstate` gives
    settings      json: what else decides the run (seed, rate, ...)
    data_digest   SHA-256 of the documents, see `microgpt.data.digest`
    notes         json: what the program that saved wants to know again

Writing goes to a temporary name beside the file, which takes its place when all is on the disk: whatever happens, the
last whole checkpoint stays. Reading believes nothing: a file that is short, altered or of another kind is refused.
"""

from __future__ import annotations

import json
import os
import random
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import checks
from .errors import Refused
from .files import FILE_NAME, checkpoint_file, regular_file, replace_file
from .model import GPTConfig
from .settings import Settings
from .tokenizers import TextTable, Tokenizer, TokenizerAdapter, Vocabulary, WordTokenizer

__all__ = ["FILE_NAME", "Checkpoint", "CheckpointError", "checkpoint_file", "load", "save"]

FORMAT = "microgpt checkpoint 1"
NO_CHECKSUM = "0" * 64
HEADER_LIMIT = 100_000_000  # bytes; the library's own

Matrices = Mapping[str, "memoryview[float]"]  # name -> rows and columns of doubles


class CheckpointError(Refused, ValueError):
    """A file that is no whole checkpoint, or not one of this run. The message is one line and names the file."""


@dataclass
class Checkpoint:
    """What one file holds. weights, m and v: name -> matrix of doubles, in the shapes of `config`."""

    config: GPTConfig
    tokenizer: Vocabulary | TokenizerAdapter  # of an object of the user's own, a file gives back a TextTable
    step: int
    weights: Matrices
    m: Matrices
    v: Matrices
    rng_state: tuple[Any, ...]
    settings: dict[str, Any]
    data_digest: str
    notes: dict[str, Any]


# ---- writing ----


def save(path: str, checkpoint: Checkpoint) -> None:
    """Write the file, or leave what was there. OSError where it cannot be written."""
    replace_file(path, _pack(checkpoint))


def _pack(checkpoint: Checkpoint) -> bytes:
    from safetensors import TensorSpec, serialize

    buffers, tensors = [], {}
    groups = {"": checkpoint.weights, "adam.m.": checkpoint.m, "adam.v.": checkpoint.v}
    for prefix, matrices in groups.items():
        for name, shape in checkpoint.config.shapes():
            doubles = little_endian(matrices[name].tobytes())
            buffers.append(doubles)  # a TensorSpec has an address only, and keeps nothing alive
            address, count = doubles.buffer_info()
            size = count * doubles.itemsize
            tensors[prefix + name] = TensorSpec(dtype="float64", shape=shape, data_ptr=address, data_len=size)
    content: bytes = serialize(tensors, _metadata(checkpoint))
    placeholder, filled = (f'"checksum":"{digits}"'.encode() for digits in (NO_CHECKSUM, _sha256(content)))
    assert content.count(placeholder) == 1
    return content.replace(placeholder, filled)


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    return {
        "format": FORMAT,
        "checksum": NO_CHECKSUM,
        "config": json.dumps(checkpoint.config._asdict()),
        "vocabulary": json.dumps(_vocabulary(checkpoint.tokenizer)),
        "step": str(checkpoint.step),
        "rng_state": json.dumps(checkpoint.rng_state),
        "settings": json.dumps(checkpoint.settings),
        "data_digest": checkpoint.data_digest,
        "notes": json.dumps(checkpoint.notes),
    }


def _vocabulary(tokenizer: Vocabulary | TokenizerAdapter) -> str | dict[str, list[str]]:
    if isinstance(tokenizer, Tokenizer):
        return tokenizer.characters
    return {"word" if isinstance(tokenizer, WordTokenizer) else "own": list(tokenizer.texts)}


# ---- reading ----


def load(where: str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint in a file, or in a folder under its usual name.

    Raises CheckpointError for what is no whole checkpoint or holds what no run could have written, OSError for what
    cannot be read.
    """
    path = checkpoint_file(where)
    regular_file(path)
    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        header = file.read(header_size) if header_size <= HEADER_LIMIT else b""
        if FORMAT.encode() not in header:
            raise CheckpointError(f"{path}: not a checkpoint of microgpt")
        content = header_size.to_bytes(8, "little") + header + file.read()
    try:
        return _unpack(content, json.loads(header)["__metadata__"])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a forged file may bring about
        raise CheckpointError(f"{path}: a damaged checkpoint ({type(error).__name__}: {error})") from None


def _unpack(content: bytes, metadata: dict[str, str]) -> Checkpoint:
    from safetensors import SafetensorError, deserialize

    if metadata["format"] != FORMAT:
        raise CheckpointError(f"written by another version of microgpt ({metadata['format']})")
    filled, placeholder = (f'"checksum":"{digits}"'.encode() for digits in (metadata["checksum"], NO_CHECKSUM))
    if _sha256(content.replace(filled, placeholder, 1)) != metadata["checksum"]:
        raise CheckpointError("cut short or altered since it was written")
    try:
        tensors = dict(deserialize(content))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise CheckpointError(f"a damaged checkpoint ({error})") from None
    config = GPTConfig(**json.loads(metadata["config"]))
    tokenizer = _tokenizer(json.loads(metadata["vocabulary"]))
    if tokenizer.vocab_size != config.vocab_size:
        raise CheckpointError(f"{config.vocab_size} tokens, but a vocabulary of {len(tokenizer.texts)}")
    if len(tensors) != 3 * (3 + 6 * config.n_layer):
        raise CheckpointError(f"{len(tensors)} matrices are not those of {config}")
    return Checkpoint(
        config,
        tokenizer,
        checks.integer("step", int(metadata["step"])),
        _matrices(config, tensors, ""),
        _matrices(config, tensors, "adam.m."),
        _matrices(config, tensors, "adam.v."),
        _rng_state(metadata["rng_state"]),
        _settings(metadata["settings"]),
        metadata["data_digest"],
        _object(metadata["notes"]),
    )


def _tokenizer(found: Any) -> Vocabulary:
    """The tokenizer of what `_vocabulary` gave."""
    if isinstance(found, str):
        return Tokenizer(found)
    ((kind, texts),) = found.items()
    return {"word": WordTokenizer, "own": TextTable}[kind](texts)


def _settings(text: str) -> dict[str, Any]:
    """The settings of the run, those that are missing left out. CheckpointError for what no run can have."""
    found = _object(text)
    try:
        checked = Settings(**found)._asdict()
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"settings unknown to this version: {error}") from None
    return {name: checked[name] for name in found}


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise CheckpointError(f"settings and notes are {type(found).__name__}, not an object")
    return found


def _rng_state(text: str) -> tuple[Any, ...]:
    version, numbers, gauss_next = json.loads(text)
    state = version, tuple(numbers), gauss_next
    random.Random().setstate(state)  # which looks at all but the last closely
    if gauss_next is not None:
        checks.number("the next normal number", gauss_next)
    return state


def _matrices(config: GPTConfig, tensors: dict[str, Any], prefix: str) -> Matrices:
    matrices = {}
    for name, shape in config.shapes():
        tensor = tensors[prefix + name]
        if tensor["dtype"] != "F64" or tuple(tensor["shape"]) != shape:
            raise CheckpointError(f"{prefix}{name} is {tensor['dtype']} {tensor['shape']}, not F64 {list(shape)}")
        matrices[name] = memoryview(little_endian(tensor["data"])).cast("B").cast("d", shape)
    return matrices


def little_endian(content: bytes) -> array[float]:
    """Doubles from bytes or for bytes: the order of a file is little-endian, the machine's may be another."""
    doubles = array("d")
    doubles.frombytes(content)
    if sys.byteorder == "big":
        doubles.byteswap()
    return doubles


def _sha256(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()
