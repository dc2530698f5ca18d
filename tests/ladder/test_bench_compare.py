"""`bench/compare.py` and `bench/report.py`: what they say of saved runs, and of files that are no runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
MACHINE = {
    "cpu": {"brand_raw": "CPU", "family": 1, "model": 2},
    "python_implementation": "CPython",
    "python_version": "3.11.7",
    "microgpt": {"instruction_set": "avx2"},
}


def timed(what, ns, reference_ns=100.0, variant="compiled", **more):
    """One benchmark's extra_info."""
    return {"layer": "step", "what": what, "variant": variant, "ns": ns, "reference_ns": reference_ns, **more}


def saved(path, *records, datetime="2026-01-01T00:00:00", machine=MACHINE):
    benchmarks = [{"extra_info": record} for record in records]
    path.write_text(json.dumps({"machine_info": machine, "datetime": datetime, "benchmarks": benchmarks}), "utf-8")
    return path


def program(name, *arguments):
    command = [sys.executable, str(BENCH / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def compare(*arguments):
    return program("compare.py", *arguments)


@pytest.fixture
def base(tmp_path):
    return saved(
        tmp_path / "base.json",
        timed("forward", 10.0),
        timed("backward", 2.0),
        timed("forward", 100.0, variant="reference"),
    )


def test_a_ratio_that_grew_beyond_the_threshold_fails_and_is_named(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 13.0), timed("backward", 1.5))
    found = compare(now, base)
    assert found.returncode == 1 and not found.stderr
    assert "  +30%  worse  step: forward (to reference: 0.1, now 0.13)\n" in found.stdout
    assert "  -25%  better  step: backward (to reference: 0.02, now 0.015)\n" in found.stdout
    assert found.stdout.endswith("2 ratios, threshold 1.25: 1 worse, 1 better\n")
    assert compare(now, base, "--threshold", "1.35").returncode == 0


def test_ratios_are_compared_and_not_nanoseconds(tmp_path, base):
    assert compare(saved(tmp_path / "a.json", timed("forward", 30.0, 300.0)), base).returncode == 0
    assert compare(saved(tmp_path / "b.json", timed("forward", 10.0, 50.0)), base).returncode == 1


def test_floats_and_bytes_are_yardsticks_too(tmp_path):
    needs = {"reference_bytes_per_node": 180.0, "floats_ns": 8.0}
    before = saved(tmp_path / "base.json", timed("forward", 10.0, bytes_per_node=60.0, **needs))
    heavier = saved(tmp_path / "heavy.json", timed("forward", 10.0, bytes_per_node=90.0, **needs))
    assert "(to bytes: 0.3333, now 0.5)" in compare(heavier, before).stdout
    needs["floats_ns"] = 5.0
    slower = saved(tmp_path / "slow.json", timed("forward", 10.0, bytes_per_node=60.0, **needs))
    assert "(to floats: 1.25, now 2)" in compare(slower, before).stdout


def test_without_a_base_the_newest_run_of_this_kind_of_machine_is_taken(tmp_path):
    latest = saved(tmp_path / "latest.json", timed("forward", 10.0), timed("backward", 2.0))
    saved(tmp_path / "old.json", timed("forward", 10.0), timed("backward", 2.0), datetime="2025-01-01")
    saved(tmp_path / "new.json", timed("forward", 5.0), timed("backward", 2.0), datetime="2025-12-01")
    saved(tmp_path / "part.json", timed("forward", 10.0), datetime="2025-12-31")
    saved(tmp_path / "other.json", timed("forward", 1.0), datetime="2025-12-31", machine={**MACHINE, "cpu": {}})
    (tmp_path / "broken.json").write_text("{", "utf-8")
    found = compare(latest)
    assert f"before: {tmp_path / 'new.json'}: " in found.stdout
    assert found.returncode == 1
    report = program("report.py", latest).stdout
    assert f"saved: {tmp_path / 'new.json'}: " in report
    (row,) = [line.split() for line in report.splitlines() if line.startswith("  forward")]
    assert row == ["forward", "100", "ns", "10", "ns", "10.0", "x", "20.0", "x"]


def refused(found, *words):
    assert found.returncode == 2 and not found.stdout
    assert found.stderr.count("\n") == 1
    assert all(word in found.stderr for word in words), found.stderr


def test_runs_that_do_not_belong_together_are_refused(tmp_path, base):
    machine = {**MACHINE, "python_version": "3.13.1"}
    now = saved(tmp_path / "now.json", timed("forward", 10.0), machine=machine)
    refused(compare(now), "no saved run of this kind of machine", "3.13")
    refused(compare(now, base), "another kind of machine")
    assert compare(now, base, "--any-machine").returncode == 0
    refused(compare(saved(tmp_path / "else.json", timed("other", 1.0)), base), "nothing in common")
    refused(compare(base, base, "--threshold", "1"), "--threshold")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        json.dumps({"machine_info": [], "benchmarks": [{"extra_info": timed("forward", 1.0)}]}),
        '{"benchmarks": []}',
        '{"benchmarks": [{"extra_info": {"layer": "step", "what": "x", "variant": "compiled"}}]}',
        json.dumps({"benchmarks": [{"extra_info": timed("forward", "many")}]}),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, base, content):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(content, "utf-8")
    refused(compare(wrong, base), "compare.py: ", str(wrong))
    refused(program("report.py", wrong), "report.py: ", str(wrong))
    refused(compare(base, tmp_path / "none.json"), "none.json", "No such file")


def test_a_run_is_written_reported_and_compared(tmp_path):
    run = tmp_path / "new" / "run.json"
    ids = [f"{BENCH / 'test_operation.py'}::test_operation[a.relu()-{name}]" for name in ("reference", "compiled")]
    pytest_ = [sys.executable, "-m", "pytest", *ids, f"--benchmark-json={run}", "-q", "-p", "no:cacheprovider"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # else it sees xdist
    done = subprocess.run(pytest_, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and run.exists(), done.stdout + done.stderr
    assert "  a.relu()" in program("report.py", run).stdout
    assert compare(run, run).stdout.endswith("2 ratios, threshold 1.25: 0 worse, 0 better\n")
