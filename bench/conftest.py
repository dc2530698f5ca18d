"""Hands what was measured to pytest-benchmark, with the ratios; how it was measured stands in measuring.py.

Each record's `extra_info` says what ratios.py needs to know:

    layer, what, variant   which row and column of the table it belongs to
    per, unit              what one sample was made of: 1,000 nodes, 4,192 parameters, ...
    ns                     median nanoseconds for one of those
    reference_ns           the same for the pure-Python engine, in the same rounds
    floats_ns, above_ns    the same on plain floats without a graph, and how far this variant is above it
"""

import ast
import gc
import os
import platform
import statistics
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # so that the files here find each other under any import mode

from measuring import Measured, Samples, replay, replayed_clock  # noqa: E402

LOAD_AT_START = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.benchmark(timer=replayed_clock))


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Measured:
    """With --benchmark-disable everything runs once, only to show that it runs."""
    return Measured(quick=bool(request.config.getoption("benchmark_disable")))


@pytest.fixture(scope="session", autouse=True)
def deep_recursion() -> Iterator[None]:
    """The reference's backward is recursive; under pytest's own frames the script's graph needs more than 1,000."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


# ---- recording ------------------------------------------------------------------------------------------------------


@pytest.fixture
def record(benchmark: Any) -> Callable[..., None]:
    """record(samples, variant, layer=, what=, ...): hand one variant's samples to pytest-benchmark, with the ratios."""

    def record(
        samples: Samples,
        variant: str,
        *,
        layer: str,
        what: str,
        per: float = 1,
        unit: str = "operation",
        **more: Any,
    ) -> None:
        ns = {name: statistics.median(seconds) / per * 1e9 for name, seconds in samples.items() if seconds}
        info = {"layer": layer, "what": what, "variant": variant, "per": per, "unit": unit, "ns": ns[variant]}
        if "reference" in ns:
            info["reference_ns"] = ns["reference"]
        if "floats" in ns:
            info["floats_ns"] = ns["floats"]
            info["above_ns"] = ns[variant] - ns["floats"]
        benchmark.group = f"{layer}: {what}"
        benchmark.extra_info.update(info, **more)
        seconds = iter(samples[variant])
        benchmark.pedantic(lambda: replay(next(seconds)), rounds=len(samples[variant]))

    return record


def _extension_flags() -> str:
    """The flags that setup.py gives the C compiler, if the benchmarks run beside it."""
    try:
        tree = ast.parse((HERE.parent / "setup.py").read_text(encoding="utf-8"))
    except OSError:
        return "unknown flags"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "POSIX_FLAGS":
            return " ".join(ast.literal_eval(node.value))
    return "unknown flags"


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Beside the CPU and the Python that pytest-benchmark notes by itself: the build."""
    import microgpt
    from microgpt import _adam

    machine_info["microgpt"] = {
        "version": microgpt.__version__,
        "instruction_set": _adam.instruction_set(),
        "extension_flags": _extension_flags(),
        "python_cflags": sysconfig.get_config_var("CFLAGS") or "",
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        "gc_thresholds": list(gc.get_threshold()),
        "load_at_start": LOAD_AT_START,
    }


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Medians and quartiles are kept, the single samples are not: a saved run is to be read and compared."""
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
    output_json["machine_info"].get("cpu", {}).pop("flags", None)
    path = config.getoption("benchmark_json")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
