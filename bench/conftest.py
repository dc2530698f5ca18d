"""Hands what was measured to pytest-benchmark, with the ratios; how it was measured stands in measuring.py.

Each record's `extra_info` says what the programs that read a run need to know:

    layer, what, variant    which row and column of the table it belongs to
    rung                    "0 interpreted" to "4 fused"; null for what is no rung: plain floats, Python alone
    isa, flags              instruction set of the kernels, flags of the C compiler; null where no C of ours runs
    per, unit               what one sample was made of: 1,000 nodes, 4,192 parameters, ...
    ns                      median nanoseconds for one of those
    reference_ns            the same for the pure-Python engine, in the same rounds
    floats_ns, above_ns     the same on plain floats without a graph, and how far this variant is above it
    peak_ns                 what the same multiplications and additions take from registers alone
    spread                  yardstick -> quartiles of the ratio to it, over the repeats
    nodes                   Values that the script's class makes for it
    bytes, bytes_per_node   of memory, where memory was measured
"""

import ast
import gc
import json
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

from layers import RUNGS, YARDSTICKS, group_of  # noqa: E402
from measuring import Measured, Samples, replay, replayed_clock, spread  # noqa: E402

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
    """record(samples, variant, layer=, what=, ...): hand one variant's samples to pytest-benchmark, with the ratios.

    rung     number of the rung that the variant stands on; the reference is always on 0, plain floats are on none
    isa      of the kernels, where it is not the process's own
    repeats  how many repeats the samples are of, if a repeat is more than one sample
    group    what the rows that belong together are called, if it is not `what`
    """

    def record(
        samples: Samples,
        variant: str,
        *,
        layer: str,
        what: str,
        rung: int | None = 2,
        isa: str | None = None,
        per: float = 1,
        unit: str = "operation",
        repeats: int | None = None,
        group: str | None = None,
        **more: Any,
    ) -> None:
        ns = {name: statistics.median(seconds) / per * 1e9 for name, seconds in samples.items() if seconds}
        info = {"layer": layer, "what": what, "variant": variant, "per": per, "unit": unit, "ns": ns[variant]}
        info |= standing(rung if variant not in YARDSTICKS else 0 if rung is not None else None, variant, isa)
        known = [name for name in YARDSTICKS if name in ns]
        info |= {f"{name}_ns": ns[name] for name in known}
        if "floats" in ns:
            info["above_ns"] = ns[variant] - ns["floats"]
        if variant not in YARDSTICKS:
            info["spread"] = {name: spread(samples[variant], samples[name], repeats) for name in known}
        benchmark.group = group_of(layer, group or what)
        benchmark.extra_info.update(info, **more)
        seconds = iter(samples[variant])
        benchmark.pedantic(lambda: replay(next(seconds)), rounds=len(samples[variant]))

    return record


def standing(rung: int | None, variant: str, isa: str | None) -> dict[str, str | None]:
    """On which rung, and what was compiled for it: rung 1 has no kernels, rung 0 and plain floats no C at all."""
    from microgpt import _fused

    number = None if variant == "floats" else rung
    kernels = variant not in YARDSTICKS and number != 1
    return {
        "rung": None if number is None else RUNGS[number],
        "isa": isa or _fused.instruction_set() if kernels else None,
        "flags": EXTENSION_FLAGS if variant not in YARDSTICKS else None,
    }


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


EXTENSION_FLAGS = _extension_flags()


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Beside the CPU and the Python that pytest-benchmark notes by itself: the build."""
    import microgpt
    from microgpt import _fused

    machine_info["microgpt"] = {
        "version": microgpt.__version__,
        "instruction_set": _fused.instruction_set(),
        "extension_flags": EXTENSION_FLAGS,
        "python_cflags": sysconfig.get_config_var("CFLAGS") or "",
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        "gc_thresholds": list(gc.get_threshold()),
        "load_at_start": LOAD_AT_START,
    }


# ---- the file -------------------------------------------------------------------------------------------------------

# What `pytest-benchmark compare` reads, and the quartiles.
STATS = ("min", "max", "mean", "stddev", "rounds", "median", "iqr", "q1", "q3", "outliers", "ops", "iterations")
KEPT = ("group", "name", "fullname", "params", "extra_info", "stats")


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Medians and quartiles are kept, single samples and settings are not: a saved run is to be read and compared."""
    output_json["benchmarks"] = [brief(benchmark) for benchmark in output_json["benchmarks"]]
    output_json["machine_info"].get("cpu", {}).pop("flags", None)
    path = config.getoption("benchmark_json")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def brief(benchmark: dict[str, Any]) -> dict[str, Any]:
    benchmark["stats"] = {name: benchmark["stats"][name] for name in STATS}
    return rounded({name: benchmark[name] for name in KEPT})


def rounded(thing: Any) -> Any:
    """Six digits are more than any clock here has."""
    if isinstance(thing, float):
        return float(f"{thing:.6g}")
    if isinstance(thing, dict):
        return {key: rounded(value) for key, value in thing.items()}
    return [rounded(each) for each in thing] if isinstance(thing, (list, tuple)) else thing


def pytest_sessionfinish(session: pytest.Session) -> None:
    """pytest-benchmark has written its file, forty lines a benchmark: one line each is enough."""
    path = session.config.getoption("benchmark_json")
    if path and Path(path).is_file():
        run = json.loads(Path(path).read_text(encoding="utf-8"))
        Path(path).write_text(one_line_each(run), encoding="utf-8")


def one_line_each(run: dict[str, Any]) -> str:
    lines = ",\n".join(json.dumps(benchmark) for benchmark in run["benchmarks"])
    rest = {key: value for key, value in run.items() if key != "benchmarks"}
    return json.dumps(rest, indent=1)[:-2] + f',\n "benchmarks": [\n{lines}\n]\n}}\n'
