"""Trainer: the script's run to the bit, in whatever pieces it is taken, and the things that the script has not."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import in_threads, printed
from trained import everything, matrix_bytes

import microgpt
from microgpt import memory
from microgpt import trainer as trainer_module
from microgpt._fused import GPT
from microgpt.checkpoint import CheckpointError
from microgpt.data import Tokenizer
from microgpt.model import GPTConfig
from microgpt.schedules import SCHEDULES, constant, cosine, linear
from microgpt.trainer import Diverged, Settings, Trainer

DOCUMENTS = ["ada", "bob", "cleo", "dora", "eve", "abcde", "beda", "coco"]
TOKENIZER = Tokenizer(DOCUMENTS)


def tiny(num_steps=12, documents=DOCUMENTS, sizes=(1, 4, 2, 4), **settings):
    n_layer, n_embd, n_head, block_size = sizes
    config = GPTConfig(Tokenizer(documents).vocab_size, n_layer, n_embd, n_head, block_size)
    return Trainer(documents, None, config, settings.pop("seed", 42), num_steps=num_steps, **settings)


def hexes(losses):
    return [float(loss).hex() for loss in losses]


# ---- the script's run ----


def test_random_numbers_are_taken_in_the_scripts_order():
    rng = random.Random(7)
    documents = list(DOCUMENTS)
    rng.shuffle(documents)
    config = GPTConfig(TOKENIZER.vocab_size, 1, 4, 2, 4)
    model = GPT(config, rng)
    trainer = tiny(seed=7)
    assert trainer.documents == documents
    assert matrix_bytes(trainer.model.state_dict()) == matrix_bytes(model.state_dict())
    assert trainer.rng.getstate() == rng.getstate()
    assert trainer.sample(0.8, top_k=3, prompt="a") == TOKENIZER.decode(
        model.generate(rng, 0.8, top_k=3, prompt=TOKENIZER.tokens("a"))
    )


def shuffled_rng(seed=42, documents=DOCUMENTS):
    rng = random.Random(seed)
    rng.shuffle(list(documents))
    return rng


def test_a_run_longer_than_a_block_is_the_same_run(monkeypatch):
    whole = tiny(num_steps=50)
    losses = whole.train()
    monkeypatch.setattr(trainer_module, "BLOCK", 7)
    parts = tiny(num_steps=50)
    assert hexes(parts.train()) == hexes(losses)
    assert everything(parts) == everything(whole)
    monkeypatch.setattr(trainer_module, "BLOCK", 2)
    with pytest.raises(Diverged) as caught:
        diverging().train()
    assert len(caught.value.losses) == caught.value.step - 1


@given(pieces=st.lists(st.integers(0, 7), max_size=8))
def test_pieces_of_any_length_make_the_same_run(pieces):
    whole, parts = tiny(), tiny()
    losses = [loss for piece in pieces for loss in parts.train(piece)]
    losses += [loss for _, loss in parts]
    assert hexes(losses) == hexes(whole.train())
    assert everything(parts) == everything(whole)


def test_iterating_gives_the_number_of_each_step_and_its_loss():
    trainer = tiny(num_steps=3)
    assert trainer.num_steps == 3
    assert [step for step, _ in trainer] == [1, 2, 3]
    assert trainer.step == 3
    assert trainer.train() == trainer.train(5) == list(trainer) == []


def test_a_long_document_is_cut_where_the_model_stops_looking():
    long = ["abcdefgh" * 50, "hgfedcba" * 50]
    trainer = tiny(num_steps=4, documents=long)
    model = GPT(trainer.config, shuffled_rng(documents=long))
    tokens = [trainer.tokenizer.encode(document) for document in trainer.documents]
    assert hexes(trainer.train()) == hexes(
        model.train_step(tokens[step % 2], 0.01 * (1 - step / 4)) for step in range(4)
    )


# ---- schedules ----


@given(lr=st.floats(1e-9, 1e3), num_steps=st.integers(1, 10**6), data=st.data())
def test_schedules_are_their_formulas(lr, num_steps, data):
    step = data.draw(st.integers(0, num_steps - 1))
    assert linear(lr, step, num_steps) == lr * (1 - step / num_steps)
    assert constant(lr, step, num_steps) == lr
    assert 0 <= cosine(lr, step, num_steps) <= lr
    for schedule in SCHEDULES.values():
        assert schedule(lr, 0, num_steps) == lr


@given(num_steps=st.integers(2, 10**6), data=st.data())
def test_the_cosine_falls_symmetrically_around_the_middle(num_steps, data):
    step = data.draw(st.integers(1, num_steps - 1))
    assert cosine(1.0, step, num_steps) < cosine(1.0, step - 1, num_steps)
    assert math.isclose(cosine(1.0, step, num_steps), 1 - cosine(1.0, num_steps - step, num_steps), abs_tol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_step_takes_the_next_document_and_the_rate_of_its_schedule(name):
    trainer = tiny(num_steps=10, schedule=name, lr=0.05)
    model = GPT(trainer.config, shuffled_rng())
    tokens = [TOKENIZER.encode(document) for document in trainer.documents]
    losses = [model.train_step(tokens[step % 8], SCHEDULES[name](0.05, step, 10)) for step in range(10)]
    assert hexes(trainer.train()) == hexes(losses)
    assert matrix_bytes(trainer.model.state_dict()) == matrix_bytes(model.state_dict())


# ---- several documents a step ----


@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_a_step_of_several_documents_takes_them_in_turn(clip_norm):
    trainer = tiny(num_steps=5, batch_size=3, clip_norm=clip_norm)
    model = GPT(trainer.config, shuffled_rng())
    means = []
    for step in range(5):
        batch = [TOKENIZER.encode(trainer.documents[(3 * step + index) % 8]) for index in range(3)]
        losses = model.train_batch(batch, 0.01 * (1 - step / 5), clip_norm=clip_norm)
        means.append(sum(losses) / 3)
    assert hexes(trainer.train()) == hexes(means)
    assert matrix_bytes(trainer.model.state_dict()) == matrix_bytes(model.state_dict())


def test_threads_change_no_bit():
    one, three = (tiny(num_steps=6, batch_size=5, threads=threads) for threads in (1, 3))
    assert hexes(one.train()) == hexes(three.train())
    assert everything(one) == everything(three)


def test_trainers_in_threads_of_their_own_do_not_disturb_each_other():
    alone = [tiny(num_steps=200, seed=seed) for seed in range(4)]
    expected = [hexes(trainer.train()) for trainer in alone]
    together = [tiny(num_steps=200, seed=seed) for seed in range(4)]
    losses = in_threads([trainer.train for trainer in together])
    assert [hexes(each) for each in losses] == expected
    assert [everything(trainer) for trainer in together] == [everything(trainer) for trainer in alone]


# ---- held-out documents ----


def test_held_out_documents_are_the_last_of_the_shuffled_ones_and_never_trained_on():
    everyone, trainer = tiny(), tiny(holdout=3)
    assert trainer.documents == everyone.documents[:5]
    assert trainer.held_out == everyone.documents[5:]
    losses = [trainer.model.loss(TOKENIZER.encode(document)) for document in trainer.held_out]
    before = everything(trainer)
    assert trainer.evaluate() == sum(losses) / 3
    assert everything(trainer) == before


def test_a_held_out_document_that_the_model_deems_impossible_has_an_infinite_loss():
    trainer = tiny(holdout=3)
    weights = {name: matrix.tolist() for name, matrix in trainer.model.state_dict().items()}
    weights["lm_head"] = [[1e6 * (2 * (row % 2) - 1)] * 4 for row in range(TOKENIZER.vocab_size)]
    trainer.model.load_state_dict(weights)
    assert trainer.evaluate() == math.inf


def test_evaluating_without_held_out_documents_is_a_valueerror():
    with pytest.raises(ValueError, match="held out"):
        tiny().evaluate()


# ---- saving and resuming ----

RUNS = st.fixed_dictionaries(
    {
        "seed": st.integers(-5, 2**40),
        "sizes": st.sampled_from([(1, 4, 2, 4), (2, 6, 3, 5), (1, 3, 1, 1)]),
        "schedule": st.sampled_from(sorted(SCHEDULES)),
        "batch_size": st.integers(1, 3),
        "clip_norm": st.sampled_from([None, 0.3]),
        "holdout": st.integers(0, 2),
    }
)


@given(run=RUNS, stops=st.lists(st.integers(0, 9), max_size=3))
def test_resuming_anywhere_gives_the_bits_of_never_having_stopped(tmp_path_factory, run, stops):
    folder = tmp_path_factory.mktemp("run", numbered=True)
    whole, part, seen = tiny(num_steps=9, **run), tiny(num_steps=9, **run), []
    assert part.sample(1.0) == whole.sample(1.0)  # so that their random numbers are not those of a fresh one
    losses = whole.train()
    for stop in sorted(stops):
        seen += part.train(stop - part.step)
        part.save(folder)
        part = Trainer.resume(folder, DOCUMENTS)
    seen += part.train()
    assert hexes(seen) == hexes(losses)
    assert everything(part) == everything(whole)
    assert [part.sample(1.0) for _ in range(3)] == [whole.sample(1.0) for _ in range(3)]


def test_resuming_with_more_steps_goes_on_at_the_rates_of_the_longer_run(tmp_path):
    short, long = tiny(num_steps=4, schedule="constant"), tiny(num_steps=9, schedule="constant")
    short.train()
    short.save(tmp_path)
    short = Trainer.resume(tmp_path, DOCUMENTS, num_steps=9)
    short.train()
    long.train()
    assert everything(short) == everything(long)
    short.save(tmp_path)
    with pytest.raises(ValueError, match="9 steps are already done"):
        Trainer.resume(tmp_path, DOCUMENTS, num_steps=8)


@pytest.mark.parametrize(
    ("documents", "complaint"),
    [
        ([*DOCUMENTS[1:], DOCUMENTS[0]], "not those of the run"),
        (DOCUMENTS[:-1], "not those of the run"),
        ([*DOCUMENTS, "zz"], "vocabulary"),
        ([], "no documents"),
    ],
)
def test_resuming_with_other_documents_is_refused(tmp_path, documents, complaint):
    tiny().save(tmp_path)
    with pytest.raises(ValueError, match=complaint):
        Trainer.resume(tmp_path, documents)


def test_resuming_settings_of_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Settings, "_asdict", lambda settings: {"dropout": 0.5})
    tiny().save(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="dropout"):
        Trainer.resume(tmp_path, DOCUMENTS)


# ---- divergence ----


def diverging(**settings):
    return tiny(num_steps=20, lr=1e155, schedule="constant", **settings)


def collect(trainer, losses):
    for _, loss in trainer:
        losses.append(loss)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 2}])
def test_a_loss_that_is_no_number_is_named_with_its_step_and_keeps_the_losses_before(settings):
    with pytest.raises(Diverged) as at_once:
        diverging(**settings).train()
    seen = []
    with pytest.raises(Diverged) as one_by_one:
        collect(diverging(**settings), seen)
    assert at_once.value.step == one_by_one.value.step == len(seen) + 1
    assert hexes(at_once.value.losses) == hexes(seen)
    assert str(at_once.value).startswith(f"step {len(seen) + 1}: ")
    assert all(map(math.isfinite, seen)) and 0 < len(seen) < 20


def test_parameters_that_are_no_numbers_are_not_saved_over_those_that_are(tmp_path):
    trainer = tiny()
    trainer.save(tmp_path)
    weights = {name: matrix.tolist() for name, matrix in trainer.model.state_dict().items()}
    weights["wpe"][0][0] = math.nan
    trainer.model.load_state_dict(weights)
    before = next(tmp_path.iterdir()).read_bytes()
    with pytest.raises(Diverged, match="wpe"):
        trainer.save(tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


# ---- what cannot be ----


def test_no_documents_are_refused():
    with pytest.raises(ValueError, match="no documents"):
        Trainer([])
    with pytest.raises(TypeError, match="load_documents"):
        Trainer("names.txt")


class Letters:
    """A tokenizer of the user's own, which comes to a document that it cannot take."""

    vocab_size = 26
    broken = False

    def encode(self, text):
        if self.broken:
            raise ValueError("not this one")
        return [ord(letter) - 97 for letter in text]

    def decode(self, tokens):
        return "".join(chr(97 + token) for token in tokens)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 2}, {"holdout": 2}])
def test_what_a_tokenizer_of_the_user_s_raises_is_not_taken_for_divergence(settings):
    tokenizer = Letters()
    trainer = Trainer(DOCUMENTS, tokenizer, {"n_embd": 4, "n_head": 2}, num_steps=4, **settings)
    before = trainer.train(2)
    tokenizer.broken = True
    with pytest.raises(ValueError, match="not this one"):
        trainer.evaluate() if "holdout" in settings else trainer.train()
    tokenizer.broken = False
    assert hexes(before + trainer.train()) == hexes(
        Trainer(DOCUMENTS, Letters(), trainer.config, num_steps=4, **settings).train()
    )


def test_a_tokenizer_or_a_model_of_another_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"not in the vocabulary: 'bcdelorv'"):
        Trainer(DOCUMENTS, Tokenizer(["a"]))
    with pytest.raises(ValueError, match="27 tokens"):
        Trainer(DOCUMENTS, config=GPTConfig(27))


def test_a_larger_vocabulary_than_the_documents_need_is_used_as_it_is():
    tokenizer = Tokenizer(["abcdefghijklmnopqrstuvwxyz"])
    trainer = Trainer(DOCUMENTS, tokenizer, num_steps=2)
    assert trainer.config.vocab_size == 27
    assert len(trainer.train()) == 2


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(trainer_module, "GPT", None)
    with pytest.raises(MemoryError, match=r"needs .* only .* free"):
        Trainer(DOCUMENTS, config=GPTConfig(TOKENIZER.vocab_size, n_layer=10**9, n_embd=10**6))
    monkeypatch.setattr(memory, "available", lambda: None)
    with pytest.raises(TypeError):  # where the system tells nothing, it is tried
        Trainer(DOCUMENTS)


def test_settings_are_plain_numbers_with_the_scripts_defaults():
    assert Settings() == Settings(42, 1000, 0.01, "linear", 1, None, 0)


# ---- the import ----


def test_the_package_has_trainer_but_imports_it_only_when_asked_for():
    assert microgpt.Trainer is Trainer
    code = "import microgpt, sys; print('microgpt.trainer' in sys.modules, microgpt.Trainer.__name__)"
    assert printed(code) == "False Trainer"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = microgpt.Nothing
