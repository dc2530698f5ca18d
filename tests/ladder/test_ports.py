"""The ports to NumPy and PyTorch against `microgpt.GPT`: the same training, but for the order in which they add.

Elsewhere results are compared in bits. Libraries add in orders of their own, so here, and only here, numbers may
differ: after 20 steps the worst of 400 random models was off by 8e-15 in a loss (relative) and 7e-13 in a parameter.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import imported_by
from script_gpt import random_document

from microgpt import GPT, GPTConfig, _fused
from microgpt.ladder import ports

LOSS = 1e-12  # relative
PARAMETER = 1e-10  # absolute; a parameter is of the order of 0.1
STEPS = 20

LIBRARIES = [source.library for source in ports.SOURCES]


@pytest.fixture(params=ports.SOURCES, ids=LIBRARIES)
def port(request):
    """The class of each port, where its library is installed."""
    if reason := request.param.missing():
        pytest.skip(reason)
    return request.param.load()


def rows_of(model):
    return {name: view.tolist() for name, view in model.state_dict().items()}


def numbers(state):
    return [number for rows in state.values() for row in rows for number in row]


def documents_for(config, rng, steps=STEPS):
    return [random_document(rng, config.vocab_size, rng.randint(1, config.block_size + 3)) for _ in range(steps)]


def rate(step):
    return 0.01 * (1 - step / STEPS)


def worst_differences(port, config, seed=0, documents=None):
    """Largest relative difference of a loss, and absolute difference of a parameter, after training in both."""
    rng = random.Random(seed)
    model = GPT(config, rng)
    other = port(config, rows_of(model))
    losses = []
    for step, tokens in enumerate(documents or documents_for(config, rng)):
        ours, theirs = model.train_step(tokens, rate(step)), other.train_step(tokens, rate(step))
        losses.append(abs(theirs - ours) / abs(ours))
    pairs = zip(numbers(rows_of(model)), numbers(other.state()), strict=True)
    return max(losses), max(abs(theirs - ours) for ours, theirs in pairs)


def assert_agree(port, config, **more):
    loss, parameter = worst_differences(port, config, **more)
    assert loss <= LOSS and parameter <= PARAMETER


# ---- the same training ----------------------------------------------------------------------------------------------

CONFIGS = {
    "the script's": GPTConfig(27),
    "two layers": GPTConfig(27, n_layer=2),
    "three layers, odd sizes": GPTConfig(11, n_layer=3, n_embd=15, n_head=3, block_size=7),
    "one head": GPTConfig(9, n_embd=5, n_head=1, block_size=9),
    "heads of one number": GPTConfig(9, n_embd=6, n_head=6, block_size=5),
    "one number wide": GPTConfig(3, n_embd=1, n_head=1, block_size=4),
    "one position": GPTConfig(5, n_embd=8, n_head=2, block_size=1),
    "one token": GPTConfig(2, n_layer=2, n_embd=4, n_head=2, block_size=3),
    "many positions": GPTConfig(30, n_embd=24, n_head=2, block_size=70),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_losses_and_parameters_are_those_of_the_fused_gpt(port, config):
    assert_agree(port, config)


def test_a_document_of_one_position(port):
    assert_agree(port, GPTConfig(27, n_layer=2), documents=[[26, 3], [3, 26], [26, 26]])


def test_documents_longer_than_the_model_sees_are_cut(port):
    config = GPTConfig(27)
    long = random_document(random.Random(5), 27, 60)
    assert_agree(port, config, documents=[long] * 5)
    model = GPT(config, random.Random(0))
    whole, cut = port(config, rows_of(model)), port(config, rows_of(model))
    assert whole.train_step(long, 0.01) == cut.train_step(long[:17], 0.01)
    assert whole.state() == cut.state()


def test_a_token_that_stands_in_a_document_many_times(port):
    assert_agree(port, GPTConfig(27), documents=[[26, 1, 1, 1, 1, 1, 1, 26]] * 10)


@pytest.mark.parametrize("isa", _fused._instruction_sets())
def test_every_instruction_set_is_compared(port, isa):
    with _fused._use_instruction_set(isa):
        assert_agree(port, GPTConfig(27))


sizes = st.builds(
    lambda vocab_size, n_layer, n_head, head_dim, block_size: GPTConfig(
        vocab_size, n_layer, n_head * head_dim, n_head, block_size
    ),
    *(st.integers(least, most) for least, most in ((2, 30), (1, 3), (1, 4), (1, 6), (1, 20))),
)


@pytest.mark.parametrize("source", ports.SOURCES, ids=LIBRARIES)
@settings(max_examples=30)
@given(config=sizes, seed=st.integers(0, 2**32))
def test_any_sizes_agree(source, config, seed):
    if reason := source.missing():
        pytest.skip(reason)
    assert_agree(source.load(), config, seed=seed)


# ---- that these tests can fail --------------------------------------------------------------------------------------


MATRICES = ["wte", "wpe", "lm_head", *(f"layer1.{name}" for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo"))]
MATRICES += ["layer1.mlp_fc1", "layer1.mlp_fc2"]


@pytest.mark.parametrize("factor", [-1.0, 1.0 + 1e-6], ids=["a wrong sign", "a millionth too much"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_a_wrong_gradient_of_any_matrix_is_noticed(matrix, factor):
    numpy_gpt = pytest.importorskip("microgpt.ladder.ports.numpy_gpt", reason="NumPy is not installed")

    class Wrong(numpy_gpt.NumpyGPT):
        def _adam(self, lr):
            if self.t == 3:  # in one step only, for Adam divides by a factor that is always there
                self.grads[matrix] *= factor
            super()._adam(lr)

    loss, parameter = worst_differences(Wrong, GPTConfig(27, n_layer=2))
    assert loss > LOSS and parameter > PARAMETER


# ---- what a port is -------------------------------------------------------------------------------------------------


def test_parameters_come_back_as_they_went_in(port):
    config = CONFIGS["three layers, odd sizes"]
    rows = rows_of(GPT(config, random.Random(3)))
    state = port(config, rows).state()
    assert state == rows
    assert list(state) == [name for name, _ in config.shapes()]


def test_ports_of_the_same_parameters_are_independent(port):
    config = GPTConfig(27)
    rows = rows_of(GPT(config, random.Random(3)))
    one, other = port(config, rows), port(config, rows)
    one.train_step([26, 1, 2, 26], 0.01)
    assert other.state() == rows != one.state()


def test_a_port_tells_its_library_and_version(port):
    assert port.name.split()[0] in ("NumPy", "PyTorch") and port.name.split()[1][0].isdigit()
    assert port.holds


# ---- libraries that are not there -----------------------------------------------------------------------------------


def test_importing_the_package_imports_neither_library():
    assert not {"numpy", "torch"} & imported_by("import microgpt.ladder.ports as ports; ports.available()")


def test_a_library_that_is_not_installed_is_left_out_with_a_reason(monkeypatch):
    monkeypatch.setattr(ports, "find_spec", lambda name: None)
    assert ports.available() == []
    for source in ports.SOURCES:
        assert source.missing() == f"{source.library} is not installed (pip install {source.library})"
        with pytest.raises(ImportError, match="is not installed"):
            source.load()


@pytest.mark.parametrize(("found", "usable"), [("1.26.4", False), ("2.0.0rc1", True), ("2.13.0+cpu", True)])
def test_a_library_that_is_too_old_is_left_out_with_a_reason(monkeypatch, found, usable):
    numpy, *_ = ports.SOURCES
    monkeypatch.setattr(ports, "find_spec", lambda name: name)
    monkeypatch.setattr(ports, "version", lambda name: found)
    assert numpy.missing() == (None if usable else "numpy 1.26.4 is too old, the port needs 2.0")


def test_a_library_that_is_broken_is_an_import_error_that_names_it(monkeypatch):
    broken = ports.Source("pytest", (0, 0), "no_such_port", "Port")
    assert broken.missing() is None
    with pytest.raises(ImportError, match=r"^pytest is installed, but cannot be used: No module named"):
        broken.load()


def test_loading_leaves_the_environment_as_it_was(port, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    for source in ports.available():
        source.load()
    assert dict(os.environ) == before
