"""The Python API says what the command line says: the same checks with the same sentences, for all kinds of numbers."""

import copy
import math
import pickle
import random
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from fractions import Fraction
from multiprocessing import get_context

import numpy
import pytest
from script_gpt import Script, gpt, softmax
from trained import everything

from microgpt import GPT, Adam, GPTConfig, Trainer, Value, reference
from microgpt.cli import main
from microgpt.trainer import Diverged

DOCUMENTS = ["ada", "bob", "cleo", "dora", "eve", "abde", "beda", "coco"]
CONFIG = GPTConfig(5, 2, 4, 2, 4)


def small(**settings):
    return Trainer(DOCUMENTS, None, {"n_embd": 4, "n_head": 2, "block_size": 4}, **{"num_steps": 12, **settings})


# ---- numbers of every kind ----


@pytest.mark.parametrize("kind", [float, numpy.float64, Fraction, Decimal, numpy.array])
def test_a_rate_may_be_a_number_of_any_kind(kind):
    plain, other = small(lr=0.5, clip_norm=2.0), small(lr=kind(0.5), clip_norm=kind(2.0))
    assert other.settings == plain.settings and type(other.settings.lr) is float
    assert plain.train() == other.train()


def test_a_number_of_less_precision_is_taken_as_the_double_it_is():
    assert small(lr=numpy.float32(0.01)).settings.lr == float(numpy.float32(0.01))


@pytest.mark.parametrize("kind", [numpy.int64, numpy.int8, numpy.uint32])
def test_an_integer_may_be_numpys(kind):
    """In all places where one is asked for."""
    config = GPTConfig(kind(11), kind(1), kind(4), kind(2), kind(4))
    assert config == (11, 1, 4, 2, 4) and {type(size) for size in config} == {int}
    whole = {"num_steps": kind(9), "batch_size": kind(2), "holdout": kind(1), "seed": kind(7), "threads": kind(2)}
    trainer = small(**whole)
    assert trainer.settings == small(**{name: int(number) for name, number in whole.items()}).settings
    assert len(trainer.train(kind(3))) == 3
    model = GPT(CONFIG, random.Random(1))
    assert model.generate_many(kind(2), random.Random(1), top_k=kind(3)) == model.generate_many(
        2, random.Random(1), top_k=3
    )
    model.train_batch([[4, 1, 4]], threads=kind(1))


REFUSED = [
    (lambda: small(lr="fast"), TypeError, "lr must be a number, not str"),
    (lambda: small(lr=math.nan), ValueError, "lr must be a number above 0, not nan"),
    (lambda: small(seed="x"), TypeError, "seed must be an integer, not str"),
    (lambda: small(batch_size=9), ValueError, "9 documents a step, but there are 8 to train on"),
    (lambda: small(holdout=8), ValueError, "8 documents held out of 8 leave none to train on"),
    (lambda: small(lr=None), TypeError, "lr must be a number, not NoneType"),
    (lambda: small(lr=[0.1]), TypeError, "lr must be a number, not list"),
    (lambda: small(lr=numpy.array([1.0, 2.0])), TypeError, "lr must be a number, not ndarray"),
    (lambda: small(lr=1j), TypeError, "lr must be a number, not complex"),
    (
        lambda: small(lr=10**400),
        ValueError,
        "lr must be a number above 0, not 1000000000000000000000000000000000000000...",
    ),
    (lambda: small(lr=10**5000), ValueError, "lr must be a number above 0, not a number of thousands of digits"),
    (lambda: small(num_steps=1.0), TypeError, "num_steps must be an integer, not float"),
    (lambda: small(seed=numpy.float64(1)), TypeError, "seed must be an integer, not float64"),
    (lambda: small(batch_size=True), TypeError, "batch_size must be an integer, not bool"),
    (lambda: small(threads="2"), TypeError, "threads must be an integer, not str"),
    (lambda: small(holdout=10**13), ValueError, "holdout must be at most 1000000000000, not 10000000000000"),
    (lambda: small(schedule=None), ValueError, "schedule must be one of linear, cosine, constant, not None"),
    (
        lambda: small(dropout=0.5),
        TypeError,
        "there is no setting 'dropout'; there are seed, num_steps, lr, schedule, batch_size, clip_norm, holdout",
    ),
    (lambda: small().train(-1), ValueError, "steps must be at least 0, not -1"),
    (lambda: small().train(1.5), TypeError, "steps must be an integer, not float"),
    (lambda: GPTConfig(5, n_layer=0), ValueError, "n_layer must be at least 1, not 0"),
    (lambda: GPTConfig(5)._replace(n_layer=0), ValueError, "n_layer must be at least 1, not 0"),
    (lambda: GPTConfig("5"), TypeError, "vocab_size must be an integer, not str"),
    (lambda: Trainer([["a", "b"]]), TypeError, "documents must be strings, not list"),
    (lambda: Trainer(["a", b"b"]), TypeError, "documents must be strings, not bytes"),
    (lambda: Trainer(["a", 5]), TypeError, "documents must be strings, not int"),
    (lambda: GPT(CONFIG).train_step([4, 1], lr=math.nan), ValueError, "lr must be a number of at least 0, not nan"),
    (lambda: GPT(CONFIG).train_step([4, 1], lr=-1), ValueError, "lr must be a number of at least 0, not -1"),
    (lambda: GPT(CONFIG).train_steps([[4, 1]], [math.inf]), ValueError, "lr must be a number of at least 0, not inf"),
    (lambda: GPT(CONFIG).train_batch([[4, 1]], -1), ValueError, "lr must be a number of at least 0, not -1"),
    (lambda: GPT(CONFIG).train_batch([[4, 1]], clip_norm=0), ValueError, "clip_norm must be a number above 0, not 0"),
    (lambda: GPT(CONFIG).train_batch([[4, 1]], clip_norm="x"), TypeError, "clip_norm must be a number, not str"),
    (lambda: GPT(CONFIG).train_batch([[4, 1]], threads=0), ValueError, "threads must be at least 1, not 0"),
    (lambda: Adam([Value(1.0)], lr=-1), ValueError, "lr must be a number of at least 0, not -1"),
    (lambda: Adam([Value(1.0)], lr=math.nan), ValueError, "lr must be a number of at least 0, not nan"),
    (lambda: GPT(CONFIG).train_step([4, 1], betas=("a", 0.9)), TypeError, "a beta must be a number, not str"),
    (lambda: GPT(CONFIG).train_step([4, 1], eps="x"), TypeError, "eps must be a number, not str"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[row[2][:60] for row in REFUSED])
def test_a_wrong_argument_is_answered_in_our_own_words(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


TEMPERATURES = [
    (-1, "temperature must be a number of at least 0, not -1"),
    (math.nan, "temperature must be a number of at least 0, not nan"),
    (math.inf, "temperature must be a number of at least 0, not inf"),
    (1e-320, "temperature must be 0 or at least 6e-309, not 1e-320: nothing can be divided by it"),
]


@pytest.mark.parametrize(("temperature", "message"), TEMPERATURES)
def test_a_temperature_is_refused_everywhere_with_the_same_sentence(
    temperature, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    trainer = small()
    trainer.save(tmp_path)
    model = trainer.model
    for call in (
        lambda: model.generate(random.Random(1), temperature),
        lambda: model.generate_many(1, random.Random(1), temperature),
        lambda: trainer.sample(temperature),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call()
        assert str(caught.value) == message
    for command in (["sample", "--from", str(tmp_path)], ["train"]):
        assert main([*command, f"--temperature={temperature}"]) == 2
        assert f": --{message.replace('-1,', '-1.0,')}" in capsys.readouterr().err.replace("not -1.0", "not -1")
    with pytest.raises(TypeError, match="temperature must be a number, not str"):
        trainer.sample("hot")


COMMAND_LINE = [
    ("--lr", "0", {"lr": 0.0}),
    ("--steps", "-1", {"num_steps": -1}),
    ("--batch-size", "0", {"batch_size": 0}),
    ("--clip-norm", "-2", {"clip_norm": -2.0}),
    ("--holdout", "-1", {"holdout": -1}),
    ("--threads", "0", {"threads": 0}),
    ("--steps", "9999999999999999", {"num_steps": 9999999999999999}),
    ("--schedule", "wild", {"schedule": "wild"}),
]


@pytest.mark.parametrize(("flag", "text", "arguments"), COMMAND_LINE)
def test_command_line_and_api_say_the_same(flag, text, arguments, capsys):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        small(**{name: value})
    assert main(["train", f"{flag}={text}"]) == 2
    assert capsys.readouterr().err == f"microgpt train: {flag}{str(caught.value).removeprefix(name)}\n"


# ---- temperature 0 ----


def test_temperature_zero_is_the_likeliest_token_and_takes_no_random_number():
    trainer = small()
    trainer.train()
    model, rng = trainer.model, random.Random(1)
    state = rng.getstate()
    text = model.generate(rng, 0)
    assert model.generate_many(2, rng, 0.0, prompt=text[:1]) == [text] * 2 if text else True
    assert model.generate(None, -0.0, top_k=1) == text
    assert rng.getstate() == state
    bos, expected = trainer.tokenizer.bos, []
    while len(expected) < trainer.config.block_size:
        logits = model.logits([bos, *expected])
        token = logits.index(max(logits))
        if token == bos:
            break
        expected.append(token)
    assert text == expected
    assert trainer.sample(0) == trainer.tokenizer.decode(expected)


def test_of_equal_tokens_temperature_zero_takes_the_first():
    model = GPT(CONFIG)
    model.load_state_dict({name: [[0.0] * columns for _ in range(rows)] for name, (rows, columns) in CONFIG.shapes()})
    assert model.generate(None, 0) == [0, 0, 0, 0]
    model.load_state_dict({name: [[math.nan] * columns] * rows for name, (rows, columns) in CONFIG.shapes()})
    with pytest.raises(ValueError, match="a logit is no finite number"):
        model.generate(None, 0)


# ---- pickles and copies ----

WAYS = {
    **{f"pickle {n}": lambda it, n=n: pickle.loads(pickle.dumps(it, n)) for n in (0, 1, 2, 5)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_was_pickled_or_copied_goes_on_with_the_same_bits(way):
    model = GPT(CONFIG, random.Random(1))
    model.train_steps([[4, 1, 2, 4]] * 3, [0.01] * 3)
    before = pickle.dumps(model)
    other = WAYS[way](model)
    assert type(other) is GPT and other.config == model.config and other.t == 3
    losses = other.train_steps([[4, 2, 3, 4]] * 5, [0.01] * 5)
    assert pickle.dumps(model) == before  # the original is not trained with it
    assert model.train_steps([[4, 2, 3, 4]] * 5, [0.01] * 5) == losses
    assert pickle.dumps(model) == pickle.dumps(other)


class Named(GPT):
    name = "nobody"


def test_a_subclass_keeps_its_class_and_its_attributes():
    model = Named(CONFIG)
    model.name = "emma"
    other = pickle.loads(pickle.dumps(model))
    assert type(other) is Named and other.name == "emma"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("settings", [{}, {"batch_size": 3, "clip_norm": 0.5, "holdout": 2, "schedule": "cosine"}])
def test_a_trainer_that_was_pickled_or_copied_goes_on_with_the_same_bits(way, settings):
    trainer = small(**settings)
    trainer.train(5)
    before = everything(trainer)
    other = WAYS[way](trainer)
    losses = other.train()
    assert everything(trainer) == before
    assert [trainer.train(), trainer.sample(1.0)] == [losses, other.sample(1.0)]
    assert everything(trainer) == everything(other)
    assert other.data_digest == trainer.data_digest


def trained(model):
    return model.train_steps([[4, 1, 2, 4]] * 3, [0.01] * 3), model


@pytest.mark.slow
def test_models_travel_through_a_pool_of_processes():
    models = [GPT(CONFIG, random.Random(seed)) for seed in range(2)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(trained, models))
    for model, (losses, other) in zip(models, results):
        assert trained(model)[0] == losses
        assert pickle.dumps(model) == pickle.dumps(other)


# ---- divergence ----


def test_a_run_that_diverges_says_why():
    with pytest.raises(Diverged) as caught:
        small(lr=1e155, schedule="constant").train()
    assert str(caught.value).startswith("step ")
    assert any(words in str(caught.value) for words in ("has become 0", "past the range", "the loss is"))
    assert "math domain" not in str(caught.value)


def test_losses_of_the_steps_before_an_exception_are_handed_over():
    model, losses = GPT(CONFIG, random.Random(1)), []
    with pytest.raises(IndexError):
        model.train_steps([[4, 1, 4], [9, 9]], [0.1, 0.1], losses=losses)
    assert (losses, model.t) == ([], 0)  # tokens are read first
    weights = {name: matrix.tolist() for name, matrix in model.state_dict().items()}
    weights["lm_head"] = [[1e3 * row] * 4 for row in range(5)]
    model.load_state_dict(weights)
    with pytest.raises(ValueError, match=r"math domain error|expected a positive input"):  # by Python's version
        model.train_steps([[4, 4, 4]] * 2 + [[4, 0, 4]], [0.0] * 3, losses=losses)
    assert len(losses) == model.t


# ---- looking inside ----


@pytest.mark.parametrize("sizes", [(5, 2, 4, 2, 9), (7, 1, 6, 3, 20), (3, 3, 2, 1, 2)])
def test_what_inspect_shows_is_what_the_script_computes(sizes):
    config, rng = GPTConfig(*sizes), random.Random(3)
    model = GPT(config, rng)
    script = Script(reference, config, {name: view.tolist() for name, view in model.state_dict().items()})
    for count in {1, 2, config.block_size // 2 + 1, config.block_size}:
        tokens = [rng.randrange(config.vocab_size) for _ in range(count)]
        seen = model.inspect(tokens)
        assert seen.tokens == tokens
        keys, values = ([[] for _ in range(config.n_layer)] for _ in "kv")
        for p, token in enumerate(tokens):
            noted = {"residual": [], "attention": []}
            note = lambda what, vector, noted=noted: noted[what].append([number.data for number in vector])  # noqa: E731
            logits = gpt(config, script.state_dict, token, p, keys, values, note)
            assert seen.logits.tolist()[p] == model.logits(tokens[: p + 1]) == [logit.data for logit in logits]
            assert seen.probs.tolist()[p] == [prob.data for prob in softmax(logits)]
            assert [stream.tolist()[p] for stream in seen.residual] == noted["residual"]
            heads = [head[p] for layer in seen.attention for head in layer.tolist()]
            assert heads == [row + [0.0] * (count - p - 1) for row in noted["attention"]]
    with pytest.raises(ValueError, match=f"inspect takes 1 to {config.block_size} tokens, not 0"):
        model.inspect([])


def test_what_inspect_shows_are_buffers_that_stay():
    model = GPT(CONFIG, random.Random(1))
    seen = model.inspect([4, 1, 2])
    before = numpy.asarray(seen.logits).copy()
    model.train_step([4, 1, 2, 4])
    model.generate(random.Random(1))
    assert (numpy.asarray(seen.logits) == before).all()
    assert numpy.asarray(seen.attention[0]).shape == (2, 3, 3)
    assert numpy.asarray(seen.residual[0]).shape == (3, 4)
    assert numpy.shares_memory(numpy.asarray(seen.probs), numpy.asarray(seen.probs))
