"""Checkpoints: what is written comes back to the bit, and nothing else is believed."""

import errno
import json
import math
import os
import pickle
import random
import struct
from array import array

import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from trained import everything_kept

from microgpt import checkpoint, files
from microgpt.checkpoint import FILE_NAME, FORMAT, Checkpoint, CheckpointError, checkpoint_file, load, save
from microgpt.data import Tokenizer
from microgpt.model import GPTConfig

TOKENIZER = Tokenizer(["abc"])
CONFIG = GPTConfig(TOKENIZER.vocab_size, n_layer=2, n_embd=2, n_head=1, block_size=3)
ODD_NUMBERS = [0.0, -0.0, 5e-324, -1.7976931348623157e308, math.inf, -math.inf, math.nan, 0.1]


def matrices(config, rng):
    made = {}
    for name, (rows, columns) in config.shapes():
        numbers = array("d", [rng.choice(ODD_NUMBERS) if rng.random() < 0.3 else rng.gauss(0, 1)] * (rows * columns))
        made[name] = memoryview(numbers).cast("B").cast("d", (rows, columns))
    return made


def a_checkpoint(seed=1, config=CONFIG, tokenizer=TOKENIZER, **changed):
    rng = random.Random(seed)
    weights, m, v = (matrices(config, rng) for _ in range(3))
    rng.gauss(0, 1)  # which leaves half of a pair in the state
    fields = {
        "step": 17,
        "settings": {"lr": 0.1},
        "data_digest": "abc",
        "notes": {"source": "é\n", "n": None},
        **changed,
    }
    return Checkpoint(config, tokenizer, weights=weights, m=m, v=v, rng_state=rng.getstate(), **fields)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / FILE_NAME
    save(str(path), a_checkpoint())
    return path


def refusal(path):
    """The message of the refusal: one line with the name of the file."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- there and back ----


@given(seed=st.integers(0, 1000))
def test_what_was_saved_comes_back_to_the_bit(tmp_path_factory, seed):
    folder, kept = tmp_path_factory.mktemp("saved"), a_checkpoint(seed)
    save(checkpoint_file(folder), kept)
    again = load(folder)
    assert everything_kept(again) == everything_kept(kept)
    for field in ("config", "tokenizer", "settings", "data_digest", "notes"):
        assert getattr(again, field) == getattr(kept, field)
    random.Random().setstate(again.rng_state)


def test_a_folder_stands_for_the_file_in_it(saved):
    assert load(saved.parent).step == load(saved).step == load(str(saved)).step == 17


def test_other_programs_can_read_it(saved):
    tensors = safetensors.numpy.load_file(saved)
    assert tensors["layer1.mlp_fc1"].shape == (8, 2)
    assert tensors["adam.v.wte"].tobytes() == a_checkpoint().v["wte"].tobytes()
    assert len(tensors) == 3 * (3 + 6 * 2)


def test_any_character_may_be_in_the_vocabulary(tmp_path):
    tokenizer = Tokenizer(['"checksum":"', "0" * 64, "\u2028\ud800é😀\\"])
    config = GPTConfig(tokenizer.vocab_size, 1, 2, 1, 1)
    save(checkpoint_file(tmp_path), a_checkpoint(config=config, tokenizer=tokenizer))
    assert load(tmp_path).tokenizer == tokenizer


# ---- what is refused ----


def test_every_altered_byte_is_noticed(saved):
    whole = saved.read_bytes()
    rng = random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = {*range(8), *range(8, header, 7), *range(header, len(whole), 97), len(whole) - 1}
    for place in sorted(places):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.randrange(8))]) + whole[place + 1 :])
        refusal(saved)
    saved.write_bytes(whole)
    load(saved)


def test_every_length_but_the_right_one_is_noticed(saved):
    whole = saved.read_bytes()
    for length in [*range(40), *range(40, len(whole), 211), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        refusal(saved)
    saved.write_bytes(whole + b"\0")
    refusal(saved)


class Bomb:
    def __reduce__(self):
        return os._exit, (7,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"emma\nolivia\n",
        b"\0" * 1000,
        b"\xff" * 1000,
        pickle.dumps(Bomb()),
        safetensors.numpy.save({}),
        safetensors.numpy.save({}, {"format": FORMAT}),
        safetensors.numpy.save({}, {"format": FORMAT, "checksum": "0" * 64}),
        b"\x20\0\0\0\0\0\0\0" + FORMAT.encode().ljust(32),
        struct.pack("<Q", 200_000) + (f'"{FORMAT}"'.encode() + b"[" * 200_000)[:200_000],
    ],
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    refusal(path)


def test_a_file_of_another_version_is_refused_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", f"{FORMAT}00")
    save(str(tmp_path / FILE_NAME), a_checkpoint())
    monkeypatch.undo()
    assert "another version" in refusal(tmp_path / FILE_NAME)


FORGERIES = {
    "config": [
        *('{"vocab_size": 4}', '{"vocab_size": 4, "n_layer": -1}', '{"vocab_size": 5}', "[]", '{"x": 1}', ""),
        '{"vocab_size": 4, "n_layer": 1000000000000}',
        '{"vocab_size": 4, "n_layer": 2, "n_embd": 3, "n_head": 2}',
        '{"vocab_size": 4, "n_layer": 2, "n_embd": 4, "n_head": 1, "block_size": 3}',
    ],
    "vocabulary": ['"ab"', "3", "null", '"abcd"', "[1, 2, 3]", "{"],
    "step": ["-1", "x", "1.5", ""],
    "rng_state": ["[]", "[3, [1, 2], null]", "3", '[3, ["a"], null]', "[2" + ", 1" * 625 + "]", "null"],
    "settings": ["[]", "3"],
    "notes": ["[]", "3"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in FORGERIES.items() for value in values])
def test_a_whole_file_with_impossible_content_is_refused(tmp_path, monkeypatch, key, value):
    honest = checkpoint._metadata
    monkeypatch.setattr(checkpoint, "_metadata", lambda kept: {**honest(kept), key: value})
    path = tmp_path / FILE_NAME
    save(str(path), a_checkpoint())
    refusal(path)


def test_matrices_of_another_kind_are_refused(tmp_path, monkeypatch):
    path = tmp_path / FILE_NAME
    save(str(path), a_checkpoint())
    content = path.read_bytes()
    header_size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + header_size])
    header["wte"]["dtype"] = "I64"
    header["__metadata__"]["checksum"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    forged = len(text).to_bytes(8, "little") + text + content[8 + header_size :]
    forged = forged.replace(b"0" * 64, checkpoint._sha256(forged).encode(), 1)
    path.write_bytes(forged)
    assert "wte is I64" in refusal(path)


def test_what_cannot_be_read_is_an_oserror(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(OSError, match=r"nothing|safetensors"):
            load(path)


# ---- nothing that existed is lost ----


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_the_last_checkpoint_and_nothing_else(saved, monkeypatch, name):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device", str(saved))

    before = saved.read_bytes()
    monkeypatch.setattr(files.os, name, full)
    with pytest.raises(OSError, match="No space left"):
        save(str(saved), a_checkpoint(seed=2))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_what_killed_processes_left_is_removed_and_nothing_else(saved):
    names = [f"{files.TEMPORARY}{'0' * 16}", f"{files.TEMPORARY}mine", "0" * 16, "notes.txt"]
    for name in names:
        (saved.parent / name).write_bytes(b"half of")
    files.remove_leftovers(str(saved.parent))
    assert {path.name for path in saved.parent.iterdir()} == {FILE_NAME, *names[1:]}


def test_the_file_is_on_the_disk_before_it_gets_its_name(saved, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *given, name=name, real=real: (done.append(name), real(*given)))
    save(str(saved), a_checkpoint(step=18))
    assert done[:2] == ["fsync", "replace"]
    assert done[2:] in (["fsync"], [])  # of the folder, where that can be done
