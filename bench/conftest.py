"""How everything here is measured: variants in turns, one record a variant.

pytest-benchmark measures one function at a time, so a machine that slows down between two tests shows up as a ratio.
Here the variants of one comparison (reference, compiled, plain floats) run in turns, round by round, and so share
whatever the machine does meanwhile. The samples are then handed to pytest-benchmark one variant a test, through the
clock that it lets a benchmark choose: it reads our seconds, and does the statistics, the table and the json.

Each record's `extra_info` says what ratios.py needs to know:

    layer, what, variant   which row and column of the table it belongs to
    per, unit              what one sample was made of: 1,000 nodes, 4,192 parameters, ...
    ns                     median nanoseconds for one of those
    reference_ns           the same for the pure-Python engine, in the same rounds
    floats_ns, above_ns    the same on plain floats without a graph, and how far this variant is above it
"""

import ast
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # so that the files here find gpt.py under any import mode

Samples = dict[str, list[float]]
Run = Callable[[], float]  # measures one round and gives its seconds


_shown = [0.0]


def replayed_clock() -> float:
    """A timer for pytest-benchmark that shows time measured elsewhere."""
    return _shown[0]


def replay(seconds: float) -> None:
    _shown[0] += seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.benchmark(timer=replayed_clock))


# ---- measuring ------------------------------------------------------------------------------------------------------


def fresh_module(name: str) -> types.ModuleType:
    """A new copy of a module in this folder, with code objects of its own.

    CPython specialises the bytecode of a function for the types that come by, so a function shared by floats and
    Values would be slow for both.
    """
    path = HERE / f"{name}.py"
    module = types.ModuleType(f"{name}_copy")
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return module


def take_turns(variants: dict[str, Run], rounds: int) -> Samples:
    """Run all variants round by round, every second round backwards, after one round that does not count.

    What pytest has on its heap is frozen first: the collector then has as little to look through as in a process of
    one's own, which is to the reference's advantage. It stays switched on while the clock runs. Between two runs it
    is called by hand, so that no variant pays for the garbage of the one before.
    """
    samples: Samples = {name: [] for name in variants}
    order = list(variants)
    gc.collect()
    gc.freeze()
    try:
        for index in range(rounds + (rounds > 1)):
            for name in order if index % 2 else reversed(order):
                gc.collect()
                seconds = variants[name]()
                if index or rounds == 1:
                    samples[name].append(seconds)
    finally:
        gc.unfreeze()
    return samples


def worker(*arguments: str, env: dict[str, str] | None = None) -> Any:
    """The json that a Python process of its own prints; its last line, if there are more."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env={**os.environ, **(env or {})}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip() or done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


class Measured:
    """What was measured in this session: the first test to ask runs all variants, the others read their part."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self._known: dict[Any, Any] = {}

    def __call__(self, key: Any, measure: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = measure()
        return self._known[key]

    def rounds(self, full: int) -> int:
        return 1 if self.quick else full


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

    `against` names the variant that stands for the script, where it is not "reference".
    """

    def record(
        samples: Samples,
        variant: str,
        *,
        layer: str,
        what: str,
        per: float = 1,
        unit: str = "operation",
        against: str = "reference",
        **more: Any,
    ) -> None:
        ns = {name: statistics.median(seconds) / per * 1e9 for name, seconds in samples.items() if seconds}
        info = {"layer": layer, "what": what, "variant": variant, "per": per, "unit": unit, "ns": ns[variant]}
        if against in ns:
            info["reference_ns"] = ns[against]
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
    }


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Medians and quartiles are kept, the single samples are not: a saved run is to be read and compared."""
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
    output_json["machine_info"].get("cpu", {}).pop("flags", None)
    path = config.getoption("benchmark_json")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
