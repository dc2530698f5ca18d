"""What people ask for: a run that begins with a model, the best one kept, own tokens, exports, an explained sample."""

import csv
import json

import numpy
import pytest
from cli_program import DOCUMENTS, TINY, lines_of, microgpt, refusal, write_documents
from trained import matrix_bytes

from microgpt import Trainer
from microgpt.checkpoint import CheckpointError, load
from microgpt.cli import main
from microgpt.data import Tokenizer, WordTokenizer

TRAIN = ["train", "--data", "documents.txt", "--samples", "0"]


@pytest.fixture
def here(here):
    """A folder with documents, and a run of eight steps in `run`."""
    assert main([*TRAIN, "--steps", "8", "--out", "run", *TINY]) == 0
    return here


# ---- --init-from ----


def test_a_run_begins_with_the_parameters_of_another(here):
    (here / "others.txt").write_text("bab\ndad\nlola\n")
    command = ["train", "--data", "others.txt", "--samples", "0", "--init-from", "run", "--lr", "0.1"]
    assert main([*command, "--steps", "0", "--out", "begun"]) == 0
    begun = load("begun")
    assert matrix_bytes(begun.weights) == matrix_bytes(load("run").weights)
    assert begun.step == 0 and begun.tokenizer == load("run").tokenizer and begun.config == load("run").config
    assert not any(any(matrix.cast("B")) for matrix in (*begun.m.values(), *begun.v.values()))
    assert main([*command, "--steps", "5", "--out", "trained"]) == 0
    trainer = Trainer(["bab", "dad", "lola"], init_from=here / "run", lr=0.1, num_steps=5)
    trainer.train()
    assert matrix_bytes(load("trained").weights) == matrix_bytes(trainer.model.state_dict())


def test_a_vocabulary_that_differs_is_refused_with_its_characters(here, capsys):
    (here / "others.txt").write_text("bab\nx\u00e9y\n", encoding="utf-8")
    told = refusal(capsys, "train", "--data", "others.txt", "--init-from", "run")
    assert "--init-from run: its model does not know 'x', 'y', 'é', which the documents have" in told
    with pytest.raises(ValueError, match="not in the vocabulary: 'xyé'"):
        Trainer(["bab", "xéy"], init_from=here / "run")
    assert "--n-embd 8: the model in run has 4" in refusal(capsys, *TRAIN, "--init-from", "run", "--n-embd", 8)
    assert "give only one of them" in refusal(capsys, "train", "--resume", "run", "--init-from", "run")
    assert "nothing: No such file" in refusal(capsys, *TRAIN, "--init-from", "nothing")


# ---- --keep-best, --patience ----

LOOKS = ["--steps", "400", "--lr", "0.3", "--schedule", "constant", "--holdout", "3", "--eval-every", "10"]


def test_the_best_model_is_kept_and_patience_ends_the_run(here):
    run = microgpt(*TRAIN, *LOOKS, "--keep-best", "--patience", 4, "--out", "new", *TINY, cwd=here)
    assert run.returncode == 0, run.stderr
    seen = [float(line.split()[-1]) for line in lines_of(run.stdout) if "held-out" in line]
    best = seen.index(min(seen))
    assert len(seen) == best + 1 + 4 < 40
    assert f"stopped at step {10 * len(seen)}: 4 looks at held-out documents without a loss below" in run.stderr
    kept = load(here / "new" / "best.safetensors")
    assert kept.step == 10 * (best + 1)
    assert load(here / "new").step == 10 * len(seen)
    assert "--- inference" in run.stdout
    trainer = Trainer.resume(kept, DOCUMENTS)
    assert f"{trainer.evaluate():.4f}" == f"{min(seen):.4f}"
    assert f"step {10 * (best + 1)}" in microgpt("info", "new", cwd=here).stdout
    assert microgpt("sample", "--from", "new/best.safetensors", cwd=here).returncode == 0


def test_patience_is_the_same_when_the_run_is_resumed(here):
    whole = microgpt(*TRAIN, *LOOKS, "--patience", 4, "--out", "whole", *TINY, cwd=here)
    options = ["400" if each == "400" else each for each in LOOKS]
    part = microgpt(*TRAIN, *options, "--patience", 1, "--out", "part", *TINY, cwd=here)
    part = microgpt("train", "--resume", "part", "--patience", 4, cwd=here)
    assert part.returncode == 0, part.stderr
    assert load(here / "part").step == load(here / "whole").step < 400
    assert lines_of(part.stdout)[-3:] == lines_of(whole.stdout)[-3:]


def test_without_looks_there_is_no_best(here, capsys):
    for option in (["--keep-best", "--out", "new"], ["--patience", "2"]):
        assert "needs --eval-every N" in refusal(capsys, *TRAIN, *option)
    assert "--keep-best needs --out" in refusal(capsys, *TRAIN, *LOOKS, "--keep-best")
    assert not (here / "new").exists()


# ---- tokens ----

LINES = ["the cat sat", "the dog sat", "a cat", "a  dog"]


def test_words_may_be_the_tokens(here):
    write_documents(here, LINES)
    run = microgpt(*TRAIN, "--steps", 20, "--tokenizer", "word", "--out", "new", *TINY, cwd=here)
    assert run.returncode == 0, run.stderr
    kept = load(here / "new")
    assert kept.tokenizer == WordTokenizer(LINES)
    assert lines_of(run.stdout)[1] == "vocab size: 7"
    sampled = microgpt("sample", "--from", "new", "--prompt", "the cat", "--seed", 1, cwd=here)
    assert all(line.startswith("the cat") for line in lines_of(sampled.stdout))
    assert "6 words and the end" in microgpt("info", "new", cwd=here).stdout
    again = microgpt("train", "--resume", "new", "--steps", 22, cwd=here)
    assert again.returncode == 0, again.stderr
    assert "--tokenizer char" in microgpt("train", "--resume", "new", "--tokenizer", "char", cwd=here).stderr
    wrong = microgpt("sample", "--from", "new", "--prompt", "the bird", cwd=here)
    assert "not in the vocabulary: 'bird'" in wrong.stderr


def test_documents_of_words_come_back_as_they_were():
    tokenizer = WordTokenizer(LINES)
    for line in [*LINES, ""]:
        assert tokenizer.decode(tokenizer.encode(line)) == line
    assert WordTokenizer(tokenizer.texts) == tokenizer
    assert eval(repr(tokenizer)) == tokenizer


class Pairs:
    """Tokens of two letters, as somebody's own program might have them."""

    vocab_size = 26 * 26

    def encode(self, text):
        return [26 * (ord(a) - 97) + ord(b) - 97 for a, b in zip(text[::2], text[1::2])]

    def decode(self, tokens):
        return "".join(chr(97 + token // 26) + chr(97 + token % 26) for token in tokens)


class WithIds(Pairs):
    """As the tokenizers of `tokenizers` have it."""

    vocab_size = None

    def get_vocab_size(self):
        return 26 * 26

    def encode(self, text):
        encoding = type("Encoding", (), {})()
        encoding.ids = super().encode(text)
        return encoding


@pytest.mark.parametrize("kind", [Pairs, WithIds])
def test_an_object_of_ones_own_may_make_the_tokens(here, capsys, kind):
    documents = ["abba", "baab", "cdcd", "abcdefghabcdefgh"]
    trainer = Trainer(documents, kind(), {"n_embd": 4, "n_head": 2, "block_size": 4}, num_steps=9)
    assert trainer.config.vocab_size == 26 * 26 + 1
    assert trainer.cut == (1, 4, 2 + 2 + 2 + 8)
    trainer.train(4)
    (here / "own").mkdir()
    trainer.save(here / "own")
    with pytest.raises(ValueError, match="the tokenizer of this model is an object"):
        Trainer.resume(here / "own", documents)
    again = Trainer.resume(here / "own", documents, tokenizer=kind())
    assert again.train() == trainer.train()
    assert again.sample(1.0, prompt="ab") == trainer.sample(1.0, prompt="ab")
    with pytest.raises(CheckpointError, match="the tokenizer is not that of the run"):
        Trainer.resume(here / "own", documents, tokenizer=Tokenizer("ab"))
    capsys.readouterr()
    assert main(["sample", "--from", "own", "--seed", "1", "--num", "3"]) == 0
    assert all(len(line) % 2 == 0 for line in capsys.readouterr().out.splitlines())
    assert "is an object of the program" in refusal(capsys, "sample", "--from", "own", "--prompt", "ab")


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (5, "a tokenizer must have encode and decode, and int has no encode"),
        (type("Half", (), {"encode": print})(), "a tokenizer must have encode and decode, and Half has no decode"),
        (
            type("Bare", (), {"encode": print, "decode": print})(),
            "a tokenizer must tell its vocab_size, and Bare does not",
        ),
    ],
)
def test_an_object_that_is_no_tokenizer_is_refused(tokenizer, message):
    with pytest.raises(TypeError) as caught:
        Trainer(["a"], tokenizer)
    assert str(caught.value) == message


# ---- export ----


def test_an_exported_model_has_every_digit(here, capsys):
    weights = {name: numpy.asarray(matrix) for name, matrix in load("run").weights.items()}
    for kind in ("json", "csv", "npz"):
        capsys.readouterr()
        assert main(["export", "run", "--format", kind]) == 0
        assert capsys.readouterr().err == f"288 parameters of step 8 written to model.{kind}\n"
    with numpy.load("model.npz") as arrays:
        assert list(arrays) == list(weights)
        assert all(arrays[name].tobytes() == matrix.tobytes() for name, matrix in weights.items())
    exported = json.loads((here / "model.json").read_text())
    assert exported["config"]["n_embd"] == 4 and "".join(exported["vocabulary"]) == "abcdelorv"
    assert all((numpy.array(exported["parameters"][name]) == matrix).all() for name, matrix in weights.items())
    with open("model.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 288
    assert all(weights[row["matrix"]][int(row["row"]), int(row["column"])] == float(row["value"]) for row in rows)


def test_an_export_replaces_nothing_that_was_not_named(here, capsys):
    (here / "model.csv").write_text("mine")
    assert "this file exists" in refusal(capsys, "export", "run", "--format", "csv")
    assert (here / "model.csv").read_text() == "mine"
    assert main(["export", "run", "--format", "csv", "--out", "model.csv"]) == 0
    assert (here / "model.csv").read_text() != "mine"
    assert "--format must be one of json, csv, npz, not 'xml'" in refusal(capsys, "export", "run", "--format", "xml")
    assert "required: --format" in refusal(capsys, "export", "run")
    assert "nothing: No such file" in refusal(capsys, "export", "nothing", "--format", "csv")
    (here / "folder").mkdir()
    assert "folder: Is a directory" in refusal(capsys, "export", "run", "--format", "csv", "--out", "folder")


# ---- sample --explain, --temperature 0 ----


def test_a_sample_is_explained_letter_by_letter(here, capsys):
    capsys.readouterr()
    options = ["--from", "run", "--num", "2", "--seed", "1", "--prompt", "a"]
    assert main(["sample", *options]) == 0
    plain = capsys.readouterr().out.splitlines()
    assert main(["sample", *options, "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("    ")] == plain
    explained = [line for line in lines if line.startswith("    ")]
    assert explained[0].split()[0] == "'a'"
    assert all(line.count(" %") == 5 for line in explained)
    shares = [[float(part) for part in line.split() if part.replace(".", "").isdigit()] for line in explained]
    assert all(each == sorted(each, reverse=True) and 0 < sum(each) <= 100.1 for each in shares)


def test_the_likeliest_text_is_always_the_same(here):
    runs = [microgpt("sample", "--from", "run", "--temperature", 0, "--num", 2, cwd=here) for _ in "ab"]
    assert runs[0].stdout == runs[1].stdout and runs[0].stderr == ""
    assert len(set(lines_of(runs[0].stdout))) == 1
    assert microgpt("train", "--resume", "run", "--temperature", 0, cwd=here).returncode == 0


def test_a_prompt_is_found_in_a_locale_of_ascii(here):
    import os

    write_documents(here, ["zoé", "chloé"])
    assert main([*TRAIN, "--steps", "2", "--out", "new", *TINY]) == 0
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = microgpt("sample", "--from", "new", "--prompt", "é", "--seed", 1, cwd=here, env=env)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("\\xe9")
