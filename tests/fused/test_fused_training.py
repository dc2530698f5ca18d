"""Training with the fused GPT: the golden run, many steps at once, batches, threads, interruption, memory."""

from __future__ import annotations

import hashlib
import math
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from bits import all_bits, bits
from processes import in_threads
from recording import GOLDEN, same_libm
from script_gpt import Script, flat, random_document

import microgpt
from microgpt import GPT, GPTConfig, _fused

NAMES = Path(microgpt.__file__).parent / "data" / "names.txt"


def embedded_names():
    return [line.strip() for line in NAMES.read_text("utf-8").splitlines() if line.strip()]


def small_model(seed=0, **sizes):
    return GPT(GPTConfig(**{"vocab_size": 9, "n_embd": 8, "n_head": 2, "block_size": 6, **sizes}), random.Random(seed))


def some_documents(n, seed=0, vocab_size=9, most=8):
    rng = random.Random(seed)
    return [random_document(rng, vocab_size, rng.randint(1, most)) for _ in range(n)]


@same_libm
@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_the_golden_run_comes_out_to_the_bit(isa):
    rng = random.Random(42)
    names = embedded_names()
    rng.shuffle(names)
    letters = sorted(set("".join(names)))
    bos = len(letters)
    model = GPT(GPTConfig(bos + 1), rng)
    documents = [[bos, *map(letters.index, names[step % len(names)]), bos] for step in range(1000)]
    with _fused._use_instruction_set(isa):
        losses = model.train_steps(documents, [0.01 * (1 - step / 1000) for step in range(1000)])
        samples = ["".join(letters[i] for i in model.generate(rng)) for _ in range(20)]
    assert [loss.hex() for loss in losses] == GOLDEN["losses"]
    digest = hashlib.sha256(b"".join(view.tobytes() for view in model.state_dict().values()))
    assert sys.byteorder != "little" or digest.hexdigest() == GOLDEN["params_sha256"]
    assert [f"sample {i + 1:2d}: {sample}" for i, sample in enumerate(samples)] == GOLDEN["stdout"][-20:]


# ---- many steps in one call -----------------------------------------------------------------------------------------


def test_train_steps_is_train_step_after_train_step():
    one, many = small_model(), small_model()
    documents, lrs = some_documents(40), [0.01 / (i + 1) for i in range(40)]
    losses = [one.train_step(tokens, lr, betas=(0.8, 0.9), eps=1e-7) for tokens, lr in zip(documents, lrs)]
    assert many.train_steps(documents, lrs, betas=(0.8, 0.9), eps=1e-7) == losses
    assert flat(one.state_dict()) == flat(many.state_dict())
    assert one.t == many.t == 40


def test_no_documents_are_no_steps():
    model = small_model()
    assert model.train_steps([], []) == []
    assert model.t == 0


def test_documents_may_be_any_sequences_of_ints():
    import numpy

    losses = []
    for tokens in ([8, 1, 2, 8], (8, 1, 2, 8), bytes([8, 1, 2, 8]), numpy.array([8, 1, 2, 8]), iter([8, 1, 2, 8])):
        losses.append(small_model().train_steps([tokens], [0.1])[0])
    assert len(set(losses)) == 1


def test_a_nan_loss_goes_on():
    model = small_model()
    model.state_dict()["wte"][8, 0] = math.nan
    losses = model.train_steps(some_documents(3), [0.1] * 3)
    assert all(map(math.isnan, losses)) and model.t == 3


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="needs signals")
def test_ctrl_c_is_answered_between_steps():
    model = small_model(n_embd=32, block_size=16)
    documents = some_documents(200_000 // 20, most=16) * 20

    def interrupt():
        while model.t == 0:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.train_steps(documents, [0.001] * len(documents))
    thread.join()
    assert 0 < model.t < len(documents)
    done = small_model(n_embd=32, block_size=16)
    done.train_steps(documents[: model.t], [0.001] * model.t)
    assert flat(done.state_dict()) == flat(model.state_dict())
    assert math.isfinite(model.train_step(documents[0]))


def test_an_exception_in_the_middle_leaves_the_steps_before_it():
    """Every context looks alike, and token 0 cannot follow any: a document with it raises in the forward pass."""
    model, done = small_model(), small_model()
    for each in (model, done):
        state = each.state_dict()
        for j in range(8):
            state["lm_head"][0, j] = -1000.0
            for token in range(9):
                state["wte"][token, j] = 1.0
    good, bad = [[8, 1, 2, 8], [8, 3, 8]], [8, 0, 8]
    losses = done.train_steps(good, [0.001] * 2)
    assert all(map(math.isfinite, losses))
    with pytest.raises(ValueError, match=r"domain|positive"):
        model.train_steps([*good, bad, *good], [0.001] * 5)
    assert model.t == 2
    assert flat(model.state_dict()) == flat(done.state_dict())


def test_a_wrong_document_raises_before_the_first_step():
    model = small_model()
    with pytest.raises(IndexError):
        model.train_steps([*some_documents(3), [8, 9, 8]], [0.1] * 4)
    assert model.t == 0


# ---- batches --------------------------------------------------------------------------------------------------------


def batch_by_hand(engine, model, documents, lr, clip_norm=None):
    """The documented order: sums document by document, times 1 / n, then the norm over the parameters in order."""
    script = Script(engine, model.config, {name: view.tolist() for name, view in model.state_dict().items()})
    total, losses = [0.0] * len(script.params), []
    for tokens in documents:
        script.adam.zero_grad()
        losses.append(script.backward(tokens))
        total = [a + g for a, g in zip(total, script.gradients())]
    mean = [g * (1 / len(documents)) for g in total]
    squares = 0.0
    for g in mean:
        squares += g * g
    if clip_norm is not None and math.sqrt(squares) > clip_norm:
        mean = [g * (clip_norm / math.sqrt(squares)) for g in mean]
    for p, g in zip(script.params, mean):
        p.grad = g
    script.adam.step(lr)
    return losses, script.numbers()


@pytest.mark.parametrize("isa", _fused._instruction_sets())
@pytest.mark.parametrize("clip_norm", [None, 0.05, 1e9])
@pytest.mark.parametrize("threads", [1, 3, 8])
def test_a_batch_is_the_mean_of_its_documents_whatever_the_threads(isa, compiled, clip_norm, threads):
    documents = some_documents(5)
    model = small_model()
    losses, numbers = batch_by_hand(compiled, model, documents, 0.02, clip_norm)
    with _fused._use_instruction_set(isa):
        assert all_bits(model.train_batch(documents, 0.02, clip_norm=clip_norm, threads=threads)) == all_bits(losses)
    assert all_bits(flat(model.state_dict())) == all_bits(numbers)
    assert model.t == 1


def test_a_batch_with_a_wrong_document_changes_nothing():
    model = small_model()
    before = flat(model.state_dict())
    for wrong, error in (([8], ValueError), ([8, 77, 8], IndexError), ([8, "a", 8], TypeError), (3, TypeError)):
        with pytest.raises(error):
            model.train_batch([*some_documents(2), wrong], threads=2)
    assert flat(model.state_dict()) == before and model.t == 0
    model.train_batch(some_documents(2), threads=2)


# ---- threads --------------------------------------------------------------------------------------------------------


def test_different_models_train_at_once():
    documents = some_documents(3000)
    expected = small_model().train_steps(documents, [0.01] * 3000)
    models = [small_model() for _ in range(4)]
    results = in_threads([lambda m=m: m.train_steps(documents, [0.01] * 3000) for m in models])
    assert results == [expected] * 4


def test_one_model_in_two_threads_is_a_clear_error_and_no_crash():
    model = small_model(n_embd=32, block_size=16)
    documents = some_documents(4000, most=16)
    results = in_threads([lambda: model.train_steps(documents, [0.001] * 4000) for _ in range(4)])
    errors = [result for result in results if isinstance(result, BaseException)]
    assert errors and {type(error) for error in errors} == {RuntimeError}
    assert "at work" in str(errors[0])
    assert model.t % 4000 == 0 and model.t > 0
    assert math.isfinite(model.loss(documents[0]))


def test_a_generator_that_calls_its_own_model_is_a_clear_error():
    model = small_model()

    class Meddler:
        def random(self):
            return model.loss([8, 1, 8])

    with pytest.raises(RuntimeError, match="at work"):
        model.generate(Meddler())
    assert math.isfinite(model.loss([8, 1, 8]))


# ---- memory ---------------------------------------------------------------------------------------------------------


def resident_kib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


@pytest.mark.slow  # and without meaning under a sanitizer, which keeps what was freed
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_is_flat_over_steps_and_models_go_when_dropped():
    documents = some_documents(500, most=12)
    model = small_model(block_size=12, n_layer=2)

    def work(rounds):
        for _ in range(rounds):
            model.train_steps(documents, [0.001] * 500)
            model.train_batch(documents[:8], threads=2)
            model.generate(random.Random(1))
            GPT(GPTConfig(30, n_embd=64, block_size=64)).loss([1, 2, 3])

    work(3)
    before = resident_kib()
    work(20)
    assert resident_kib() - before < 2000


def test_a_large_block_size_costs_nothing_before_long_documents_come():
    model = GPT(GPTConfig(5, n_embd=4, n_head=1, block_size=300_000))
    assert math.isfinite(model.loss([4, 1, 2, 4]))
    assert bits(model.train_step([4, 1, 2, 4]))


def test_views_outlive_their_model():
    model = small_model()
    views = [model.state_dict(), model.gradients(), *model.moments()]
    copies = [flat(view) for view in views]
    del model
    assert [flat(view) for view in views] == copies
