"""`microgpt sample` and `microgpt info`."""

import random

import pytest
from cli_program import TINY, lines_of, microgpt, write_documents

import microgpt as package
from microgpt._fused import GPT
from microgpt.checkpoint import load


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a small trained model."""
    folder = tmp_path_factory.mktemp("trained")
    write_documents(folder)
    done = microgpt("train", "--data", "documents.txt", "--steps", 20, "--out", "run", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def expected(run, seed, count, temperature=0.5, **options):
    kept = load(run)
    model, rng = GPT(kept.config), random.Random(seed)
    model.load_state_dict(kept.weights)
    return [kept.tokenizer.decode(model.generate(rng, temperature, **options)) for _ in range(count)]


def test_sample_prints_one_text_a_line(run, tmp_path):
    done = microgpt("sample", "--from", run, "--seed", 3, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_of(done.stdout) == expected(run, 3, 20)


def test_the_options_of_sample_reach_the_model(run, tmp_path):
    options = ["--num", 7, "--temperature", 1.5, "--top-k", 3, "--prompt", "co", "--seed", 4]
    done = microgpt("sample", "--from", run / "checkpoint.safetensors", *options, cwd=tmp_path)
    prompt = load(run).tokenizer.tokens("co")
    assert lines_of(done.stdout) == expected(run, 4, 7, 1.5, top_k=3, prompt=prompt)
    assert all(line.startswith("co") for line in lines_of(done.stdout))


def test_without_a_seed_texts_are_new_each_time_and_the_seed_is_told(run, tmp_path):
    first, second = (microgpt("sample", "--from", run, "--num", 40, "--temperature", 2, cwd=tmp_path) for _ in "ab")
    assert first.stdout != second.stdout
    seed = first.stderr.split()[-1]
    again = microgpt("sample", "--from", run, "--num", 40, "--temperature", 2, "--seed", seed, cwd=tmp_path)
    assert again.stdout == first.stdout


def test_sampling_changes_nothing_in_the_folder(run, tmp_path):
    before = {path: path.read_bytes() for path in run.iterdir()}
    microgpt("sample", "--from", run, cwd=tmp_path)
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_info_says_what_runs(tmp_path):
    lines = dict(line.split(maxsplit=1) for line in lines_of(microgpt("info", cwd=tmp_path).stdout))
    assert lines["microgpt"] == package.__version__
    assert "instruction" in lines and "n_embd 16" in lines["model"]
    assert lines["parameters"].startswith("4,192")
    assert "bytes a node" in lines["arena"]


def test_info_says_what_a_checkpoint_holds(run, tmp_path):
    done = microgpt("info", run, cwd=tmp_path)
    lines = dict(line.split(maxsplit=1) for line in lines_of(done.stdout))
    assert lines["step"] == "20 of 20"
    assert "n_embd 4" in lines["model"]
    assert lines["vocabulary"] == "'abcdelorv' and the end"
    assert lines["documents"].endswith("documents.txt")
    assert "seed 42" in lines["settings"]
