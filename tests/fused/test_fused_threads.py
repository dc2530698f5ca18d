"""Threads that share a step of a large model: the same bits, none for a small model, none left behind."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from bits import all_bits
from processes import printed
from script_gpt import random_document

from microgpt import GPT, GPTConfig, _fused

TASKS = Path("/proc/self/task")
LARGE = {"vocab_size": 40, "n_embd": 96, "n_head": 3, "block_size": 70}  # 125,000 parameters


def model_of(**sizes):
    return GPT(GPTConfig(**{**LARGE, **sizes}), random.Random(3))


def documents_of(lengths):
    rng = random.Random(5)
    return [random_document(rng, LARGE["vocab_size"], n) for n in lengths]


def bytes_of(*matrices):
    return b"".join(view.tobytes() for named in matrices for view in named.values())


def everything(model):
    return bytes_of(model.state_dict(), model.gradients(), *model.moments())


@pytest.mark.parametrize("isa", _fused._instruction_sets())
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_that_share_a_step_change_no_bit(isa, threads):
    documents = documents_of([1, 9, 70, 16, 33])
    alone, shared = model_of(), model_of()
    with _fused._use_instruction_set(isa):
        losses = alone.train_steps(documents, [0.01] * 5)
        assert all_bits(shared.train_steps(documents[:3], [0.01] * 3, threads=threads)) == all_bits(losses[:3])
        assert shared.train_step(documents[3], threads=threads) == losses[3]
        assert shared.train_batch(documents[4:], threads=threads) == losses[4:]
        assert everything(alone) == everything(shared)
        assert alone.train_batch(documents) == shared.train_batch(documents, threads=threads)
    assert everything(alone) == everything(shared)


def test_what_a_shared_step_raises_leaves_everything_as_it_was():
    model = model_of()
    before = bytes_of(model.state_dict())
    with pytest.raises(ZeroDivisionError):
        model.train_step([4, 1, 4], eps=0, threads=2)
    with pytest.raises(IndexError):
        model.train_step([4, 40, 4], threads=2)
    for threads, error in ((0, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="threads"):
            model.train_steps([[4, 1, 4]], [0.01], threads=threads)
    assert bytes_of(model.state_dict()) == before and model.t == 0
    model.train_step([4, 1, 4], threads=10**12)


@pytest.mark.skipif(not TASKS.exists(), reason="needs /proc")
@pytest.mark.parametrize("is_large", [False, True])
def test_a_small_model_starts_no_thread_and_a_large_one_leaves_none(is_large):
    seen = []

    def tokens():  # read while the call is under way
        seen.append(set(os.listdir(TASKS)))
        yield from [4, 1, 2, 4]

    model = model_of() if is_large else model_of(n_embd=16, n_head=4)
    before = set(os.listdir(TASKS))
    model.train_step(tokens(), threads=2)
    started = seen[0] - before
    assert len(started) == (1 if is_large and os.sysconf("SC_NPROCESSORS_ONLN") > 1 else 0)
    end = time.monotonic() + 60
    while started & set(os.listdir(TASKS)):  # the kernel's entry goes a moment after the thread
        assert time.monotonic() < end
        time.sleep(0.01)


FORK = """
import os, random
from microgpt import GPT, GPTConfig
model = GPT(GPTConfig(40, n_embd=96, n_head=3, block_size=70), random.Random(3))
model.train_step([4, 1, 2, 4], threads=2)
child = os.fork()
loss = model.train_step([4, 3, 2, 4], threads=2)
os.write(1, b"%s " % loss.hex().encode())  # at once: two processes write here
if child and os.waitpid(child, 0)[1]:
    raise SystemExit("the child failed")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_after_a_fork_has_threads_of_its_own():
    losses = printed(FORK).split()
    assert len(losses) == 2 and losses[0] == losses[1]
