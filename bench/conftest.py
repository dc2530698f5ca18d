"""Hands what was measured to pytest-benchmark, with the ratios; how it was measured stands in measuring.py.
What `extra_info` says of each record stands in README.md.
"""

import gc
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # so that the files here find each other under any import mode

from measuring import Measured, Samples, replay, replayed_clock  # noqa: E402
from runs import BASELINES, TITLES  # noqa: E402

import microgpt  # noqa: E402
from microgpt import _fused  # noqa: E402
from microgpt.ladder import machine  # noqa: E402
from microgpt.ladder.measure import deep_recursion  # noqa: E402
from microgpt.ladder.rungs import LADDER  # noqa: E402

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
def room_for_recursion() -> Iterator[None]:
    """The reference's backward is recursive."""
    with deep_recursion(20_000):
        yield


@pytest.fixture
def record(benchmark: Any) -> Callable[..., None]:
    """record(samples, variant, layer=, what=, ...): hand one variant's samples to pytest-benchmark, with the ratios.

    rung   number of the rung that the variant stands on; the reference is always on 0, plain floats are on none
    isa    of the kernels, where it is not the process's own
    group  what the rows that belong together are called, if it is not `what`
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
        group: str | None = None,
        **more: Any,
    ) -> None:
        ns = {name: statistics.median(seconds) / per * 1e9 for name, seconds in samples.items() if seconds}
        number = rung if variant not in BASELINES else 0 if variant == "reference" and rung is not None else None
        info = {"layer": layer, "what": what, "variant": variant, "per": per, "unit": unit, "ns": ns[variant]}
        info["rung"] = None if number is None else f"{number} {list(LADDER)[number]}"
        info["isa"] = isa or (_fused.instruction_set() if number is None or number > 1 else None)
        info |= {f"{name}_ns": ns[name] for name in BASELINES if name in ns}
        benchmark.group = f"{list(TITLES).index(layer) + 1:02} {layer}: {group or what}"
        benchmark.extra_info.update(info, **more)
        seconds = iter(samples[variant])
        benchmark.pedantic(lambda: replay(next(seconds)), rounds=len(samples[variant]))

    return record


# ---- the file -------------------------------------------------------------------------------------------------------


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Beside the CPU and the Python that pytest-benchmark notes by itself: the build."""
    machine_info["microgpt"] = {
        "version": microgpt.__version__,
        **machine.software(),
        "gc_thresholds": list(gc.get_threshold()),
        "load_at_start": LOAD_AT_START,
    }


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """A saved run is to be read and compared: it has what stands in the table, not single samples and settings."""
    kept = [{name: each[name] for name in ("group", "name", "extra_info")} for each in output_json["benchmarks"]]
    six_digits = json.loads(json.dumps(kept), parse_float=lambda text: float(f"{float(text):.6g}"))
    output_json["benchmarks"] = six_digits  # more than any clock here has
    output_json["machine_info"].get("cpu", {}).pop("flags", None)
    path = config.getoption("benchmark_json")
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
