"""What a model needs and what there is: a model too large is refused before it takes anything."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import memory
from microgpt.model import GPTConfig

MEASURE = """
from microgpt import GPT, GPTConfig
import random, sys
def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) * 1024
config = GPTConfig(*map(int, sys.argv[1:]))
before = peak()
model = GPT(config)
model.train_step([1] * (config.block_size + 1))
model.generate(random.Random(1))
print(peak() - before)
"""

sizes = st.integers(1, 50)


@given(vocab=sizes, n_layer=sizes, head_dim=sizes, n_head=sizes, block=sizes)
def test_the_number_of_parameters_is_that_of_all_matrices(vocab, n_layer, head_dim, n_head, block):
    config = GPTConfig(vocab, n_layer, head_dim * n_head, n_head, block)
    assert config.num_params == sum(rows * columns for _, (rows, columns) in config.shapes())


def test_sizes_beyond_all_measure_are_worked_out_at_once():
    assert memory.needed(GPTConfig(10**12, 10**12, 10**12, 10**12, 10**12)) > 10**36


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("config", [(60, 4, 128, 4, 64), (100, 2, 64, 4, 512), (5000, 2, 64, 4, 128)])
def test_what_is_said_to_be_needed_is_about_what_is_taken(config):
    command = [sys.executable, "-c", MEASURE, *map(str, config)]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.7 * taken < memory.needed(GPTConfig(*config)) < 1.5 * taken


def test_short_documents_need_less_than_the_model_could_see_and_workers_more():
    config = GPTConfig(27, block_size=10_000)
    assert memory.needed(config, 20) < memory.needed(config) / 10
    assert memory.needed(config, 10**9) == memory.needed(config)
    assert memory.needed(config, 20, 3) > memory.needed(config, 20, 2) > memory.needed(config, 20)


def test_the_least_of_what_is_known_is_what_is_available(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("1000000\n")
    (tmp_path / "current").write_text("400000\n")
    monkeypatch.setattr(memory, "CGROUP_LIMIT", str(tmp_path / "max"))
    monkeypatch.setattr(memory, "CGROUP_USED", str(tmp_path / "current"))
    assert memory.available() == 600_000
    (tmp_path / "current").write_text("2000000\n")
    assert memory.available() == 0
    (tmp_path / "max").write_text("max\n")
    without = memory.available()
    assert without is None or without > 1_000_000


def test_a_limit_of_the_shell_counts(tmp_path):
    pytest.importorskip("resource")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))\n"
        "from microgpt.cli import main\n"
        "raise SystemExit(main(['train', '--n-embd', '2048', '--steps', '1']))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("microgpt train: a model of 50,")
    assert run.stderr.endswith("but only 1.0 GB is free\n")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.0 bytes"), (999, "999.0 bytes"), (1500, "1.5 kB"), (25 * 10**9, "25.0 GB"), (10**99, "1,000.0 PB")],
)
def test_amounts_are_readable(count, text):
    assert memory.readable(count) == text
