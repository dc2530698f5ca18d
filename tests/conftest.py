"""Fixtures: the engines under test, and how hard Hypothesis tries.

Most tests take `engine` and so run three times: on the interpreted reference, on the same file through Cython (rung 1)
and on the compiled engine. Tests of what only the compiled engine promises (memory, depth, pickling of deep graphs)
take `compiled`. With `--script FILE` the class `Value` of a copy of the script joins in as one more, which holds the
reference itself to account.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from effort import load_profile
from engines import compiled_engine, reference_engine, script_engine, untyped_engine
from recursion import room_for_recursion

load_profile()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--script", metavar="FILE", help="also test the class Value found in this copy of the script")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it; tests send Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: takes seconds; not in `make test`, see effort.py")
    config.addinivalue_line("markers", "extras: about methods that the script's own class does not have")


def make_engine(name: str, config: pytest.Config) -> SimpleNamespace:
    if name == "script":
        return script_engine(config.getoption("script"))
    return {"reference": reference_engine, "untyped": untyped_engine, "compiled": compiled_engine}[name]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    more = ["script"] if metafunc.config.getoption("script") else []
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ["reference", "untyped", "compiled", *more], indirect=True)
    if "rival" in metafunc.fixturenames:
        metafunc.parametrize("rival", ["untyped", "compiled", *more], indirect=True, scope="module")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Every engine in turn: a namespace with Value, Adam and what can be expected of them."""
    chosen = make_engine(request.param, request.config)
    if not chosen.extras and request.node.get_closest_marker("extras"):
        pytest.skip("the script's class has no such method")
    return chosen


# Hypothesis wants fixtures that outlive an example.


@pytest.fixture(scope="module")
def rival(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Every engine but the reference, to be compared with it."""
    return make_engine(request.param, request.config)


@pytest.fixture(scope="module")
def reference() -> SimpleNamespace:
    return reference_engine()


@pytest.fixture(scope="module")
def compiled() -> SimpleNamespace:
    return compiled_engine()


@pytest.fixture
def deep_recursion() -> Iterator[None]:
    """Room for the reference's recursive backward on graphs some ten thousand nodes deep."""
    with room_for_recursion():
        yield


@pytest.fixture
def swept() -> Iterator[None]:
    """Nothing collectable around before the test, so that memory figures are its own."""
    gc.collect()
    yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with documents."""
    from cli_program import write_documents

    monkeypatch.chdir(tmp_path)
    write_documents(tmp_path)
    return tmp_path
