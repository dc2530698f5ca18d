"""Each run of a sweep has the bits that the same options give alone, on whatever executor it was trained."""

import json
import math
import pickle
import random
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256

import pytest
from cli_program import DOCUMENTS, TINY
from recording import GOLDEN, same_libm
from sweeping import results, untimed

import microgpt
from microgpt.checkpoint import load
from microgpt.cli import main
from microgpt.data import embedded_names
from microgpt.model import GPTConfig
from microgpt.sweeps import Corpus, Space, runs
from microgpt.sweeps.executors import batch
from microgpt.trainer import Diverged, Trainer

SIZES = {"n_embd": 4, "n_head": 2, "block_size": 4}
SPACE = {
    **SIZES,
    "block_size": [4, 6],
    "seed": [1, 2],
    "holdout": [0, 2],
    "batch_size": [1, 3],
    "clip_norm": [None, 0.5],
    "schedule": ["linear", "cosine"],
    "steps": [0, 1, 12],
    "lr": [0.01, 0.1],
}


def alone(documents, run):
    """The same result, from a Trainer of its own."""
    sizes = {name: run[name] for name in ("n_layer", "n_embd", "n_head", "block_size")}
    rest = {name: run[name] for name in ("seed", "lr", "schedule", "batch_size", "clip_norm", "holdout")}
    corpus = Corpus(documents)
    config = GPTConfig(corpus.tokenizer.vocab_size, **sizes)
    trainer = Trainer(documents, corpus.tokenizer, config, num_steps=run["steps"], **rest)
    losses = trainer.train()
    tail = losses[-max(1, len(losses) // 10) :]
    return {
        "loss": sum(tail) / len(tail) if tail else None,
        "last_loss": losses[-1] if losses else None,
        "mean_loss": sum(losses) / len(losses) if losses else None,
        "holdout_loss": trainer.evaluate() if trainer.held_out else None,
        "digest": sha256(b"".join(matrix.tobytes() for matrix in trainer.model.state_dict().values())).hexdigest(),
    }


def told(result):
    return {name: result[name] for name in ("loss", "last_loss", "mean_loss", "holdout_loss", "digest")}


def test_every_run_is_that_of_a_trainer_alone():
    """In the order of the sweep and in any other, so that whatever one run leaves behind would be seen in the next."""
    corpus, space = Corpus(DOCUMENTS), Space(SPACE)
    expected = {number: alone(DOCUMENTS, space[number]) for number in space.numbers()}
    assert len({result["digest"] for result in expected.values()}) > 50
    order = list(space.numbers())
    for _ in range(2):
        for number in order:
            result = runs.train(corpus, number, space[number])
            assert told(result) == expected[number]
            assert {name: result[name] for name in SPACE} == {name: space[number][name] for name in SPACE}
        random.Random(3).shuffle(order)


@pytest.mark.parametrize("kind", ["processes", "threads", "given processes"])
def test_all_executors_give_the_same_results(kind):
    space = {**SPACE, "steps": "3,12"}
    expected = untimed(runs.train(Corpus(DOCUMENTS), number, Space(space)[number]) for number in Space(space).numbers())
    if kind == "processes":
        found = list(microgpt.sweep(space, DOCUMENTS))
    elif kind == "threads":
        with ThreadPoolExecutor(4) as executor:
            found = list(microgpt.sweep(space, DOCUMENTS, executor=executor, workers=4))
    else:
        with ProcessPoolExecutor(2) as executor:
            found = list(microgpt.sweep(space, DOCUMENTS, executor=executor, workers=2))
    assert untimed(found) == expected


def test_results_come_while_others_are_still_trained():
    sweep = microgpt.sweep({"seed": range(10**5), **SIZES}, DOCUMENTS, workers=2)
    assert {next(sweep)["run"] for _ in range(3)}
    sweep.close()


def test_a_sweep_gives_the_bits_of_the_command_train(here, capsys):
    data = ["--data", "documents.txt"]
    many = ["--seed", "5,6", "--steps", "20,30", "--lr", "0.01,0.3", "--schedule", "linear,constant"]
    more = ["--batch-size", "1,2", "--holdout", "0,2"]
    assert main(["sweep", "--out", "swept", *data, *many, *more, *TINY, "--jobs", "2", "--keep", "all"]) == 0
    found = results(here / "swept")
    assert len(found) == 64
    for result in random.Random(1).sample(found, 12):
        one = [f"--{name.replace('_', '-')}={result[name]}" for name in SPACE if name != "clip_norm"]
        assert main(["train", *data, *one, "--out", "alone", "--log", "log", "--samples", "0"]) == 0
        losses = [json.loads(line)["loss"] for line in (here / "log").read_text().splitlines()]
        assert result["last_loss"] == losses[-1]
        assert result["mean_loss"] == sum(losses) / len(losses)
        kept, swept = load("alone"), load(f"swept/runs/{result['run']}")
        weights = b"".join(matrix.tobytes() for matrix in kept.weights.values())
        assert result["digest"] == sha256(weights).hexdigest()
        assert (swept.step, swept.rng_state, swept.settings) == (kept.step, kept.rng_state, kept.settings)
        for name in kept.m:
            assert swept.m[name].tobytes() == kept.m[name].tobytes()
            assert swept.v[name].tobytes() == kept.v[name].tobytes()
        (here / "alone" / "checkpoint.safetensors").unlink()
        (here / "log").unlink()
    capsys.readouterr()


@same_libm
def test_the_default_run_is_the_golden_one():
    result = runs.train(Corpus(embedded_names()), 0, Space({})[0])
    assert result["digest"] == GOLDEN["params_sha256"]
    assert result["last_loss"].hex() == GOLDEN["losses"][-1]
    assert result["mean_loss"] == sum(map(float.fromhex, GOLDEN["losses"])) / 1000


@pytest.mark.parametrize("lr", [1e155, 1e300])
def test_a_run_that_diverges_is_a_result(lr):
    run = {**Space(SIZES)[0], "lr": lr, "steps": 50, "schedule": "constant", "holdout": 1}
    result = runs.train(Corpus(DOCUMENTS), 7, run)
    config = GPTConfig(Corpus(DOCUMENTS).tokenizer.vocab_size, **SIZES)
    trainer = Trainer(DOCUMENTS, None, config, lr=lr, num_steps=50, schedule="constant", holdout=1)
    with pytest.raises(Diverged) as raised:
        trainer.train()
    assert result["diverged"] == raised.value.step
    assert (result["loss"], result["holdout_loss"]) == (None, None)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    after = runs.train(Corpus(DOCUMENTS), 8, {**run, "lr": 0.01})
    assert told(after) == alone(DOCUMENTS, {**run, "lr": 0.01})


def test_documents_are_checked_where_they_arrive():
    corpus = Corpus(DOCUMENTS)
    copy = pickle.loads(pickle.dumps(corpus))
    assert (copy.documents, copy.digest, copy.tokenizer) == (corpus.documents, corpus.digest, corpus.tokenizer)
    assert copy is pickle.loads(pickle.dumps(corpus))  # kept, not made again for each batch
    make, (version, digest, documents, kind) = corpus.__reduce__()
    for arguments, fault in (
        ((version, digest[:-1] + "x", documents, kind), "altered"),
        (("9.9", digest[:-1] + "y", documents, kind), f"a worker has microgpt {version}, and this is 9.9"),
    ):
        with pytest.raises(runs.WrongWorker, match=fault):
            batch(make(*arguments), [(0, Space({})[0])], None)


def test_positions_are_the_letters_that_were_to_be_foretold():
    result = runs.train(Corpus(["a", "bc", "defghij"]), 0, {**Space(SIZES)[0], "steps": 7})
    seen = 2 + 3 + 4
    trainer = Trainer(["a", "bc", "defghij"], None, GPTConfig(11, **SIZES))
    assert result["positions"] == 2 * seen + min(len(trainer.documents[0]) + 1, 4)
    assert math.isfinite(result["seconds"])
