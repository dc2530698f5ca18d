"""`bench/compare.py`: which differences between two saved runs fail, and what it says to files that are no runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "bench" / "compare.py"
MACHINE = {
    "cpu": {"brand_raw": "CPU", "family": 1, "model": 2},
    "python_implementation": "CPython",
    "python_version": "3.11.7",
    "microgpt": {"instruction_set": "avx2", "extension_flags": "-O3"},
}


def timed(what, ns, reference_ns=100.0, spread=None, variant="compiled", **more):
    """One benchmark's extra_info; `spread` are the quartiles of its ratio to the reference."""
    info = {"layer": "step", "what": what, "variant": variant, "ns": ns, "reference_ns": reference_ns, **more}
    return info if spread is None else {**info, "spread": {"reference": spread}}


def saved(path, *records, datetime="2026-01-01T00:00:00", machine=MACHINE):
    benchmarks = [{"extra_info": record} for record in records]
    path.write_text(json.dumps({"machine_info": machine, "datetime": datetime, "benchmarks": benchmarks}), "utf-8")
    return path


def compare(*arguments):
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def base(tmp_path):
    return saved(
        tmp_path / "base.json",
        timed("forward", 10.0, spread=[0.095, 0.105]),
        timed("backward", 2.0, spread=[0.019, 0.021]),
        timed("forward", 100.0, variant="reference"),
    )


def test_a_ratio_that_grew_beyond_the_threshold_fails_and_is_named(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 13.0, spread=[0.12, 0.14]), timed("backward", 2.0))
    found = compare(now, base)
    assert found.returncode == 1 and not found.stderr
    (row,) = [line for line in found.stdout.splitlines() if "step: " in line]
    assert row.split() == ["step:", "forward", "reference", "10.0", "x", "7.7", "x", "+30%", "worse"]
    assert "2 ratios, threshold 1.25: 1 worse, 0 better" in found.stdout


def test_the_threshold_can_be_chosen(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 13.0, spread=[0.12, 0.14]), timed("backward", 2.0))
    assert compare(now, base, "--threshold", "1.35").returncode == 0
    assert compare(now, base, "--threshold", "1.1").returncode == 1


def test_a_difference_within_the_threshold_is_neither_shown_nor_fails(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 12.0, spread=[0.119, 0.121]), timed("backward", 1.9))
    found = compare(now, base)
    assert found.returncode == 0
    assert "step: forward" not in found.stdout
    assert "0 worse, 0 better" in found.stdout and "2 within it" in found.stdout
    assert "step: forward" in compare(now, base, "--all").stdout


def test_slower_nanoseconds_with_the_same_ratio_are_no_difference(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 30.0, 300.0), timed("backward", 6.0, 300.0))
    found = compare(now, base)
    assert found.returncode == 0
    assert "2 within it" in found.stdout


def test_the_same_nanoseconds_beside_a_faster_reference_are_worse(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 10.0, 50.0), timed("backward", 1.0, 50.0))
    assert compare(now, base).returncode == 1


def test_what_became_better_is_shown_and_does_not_fail(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 5.0, spread=[0.049, 0.051]), timed("backward", 2.0))
    found = compare(now, base)
    assert found.returncode == 0
    assert "-50%  better" in found.stdout


def test_where_the_quartiles_overlap_a_worse_ratio_is_shown_and_does_not_fail(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 13.0, spread=[0.104, 0.15]), timed("backward", 2.0))
    found = compare(now, base)
    assert found.returncode == 0
    assert "+30%  worse, within the spread" in found.stdout
    assert "0 worse, 0 better, 1 beyond it but within the spread" in found.stdout


def test_plain_floats_are_a_yardstick_of_their_own(tmp_path):
    base = saved(tmp_path / "base.json", timed("forward", 10.0, floats_ns=8.0))
    now = saved(tmp_path / "now.json", timed("forward", 10.0, floats_ns=5.0))
    found = compare(now, base)
    assert found.returncode == 1
    (row,) = [line for line in found.stdout.splitlines() if "plain floats" in line]
    assert row.split()[2:] == ["plain", "floats", "1.25", "times", "2.00", "times", "+60%", "worse"]


def test_bytes_are_held_against_the_bytes_of_the_reference(tmp_path):
    def memory(size):
        return {"layer": "memory", "what": "graph", "variant": "compiled", "ns": 1.0, "bytes_per_node": size}

    base = saved(tmp_path / "base.json", {**memory(60.0), "reference_bytes_per_node": 180.0})
    now = saved(tmp_path / "now.json", {**memory(90.0), "reference_bytes_per_node": 180.0})
    found = compare(now, base)
    assert found.returncode == 1
    assert "reference, bytes" in found.stdout and "+50%  worse" in found.stdout


def test_rows_of_one_run_alone_are_reported(tmp_path, base):
    now = saved(tmp_path / "now.json", timed("forward", 10.0), timed("whole step", 20.0))
    found = compare(now, base)
    assert found.returncode == 0
    assert "Not measured now: step: backward\n" in found.stdout
    assert "Not in the saved run: step: whole step\n" in found.stdout


def test_a_layer_that_moved_as_a_whole_is_pointed_out(tmp_path):
    base = saved(tmp_path / "base.json", *(timed(f"part {i}", 10.0) for i in range(5)))
    now = saved(tmp_path / "now.json", *(timed(f"part {i}", 14.0) for i in range(5)))
    assert "All of 'step' moved by +40%" in compare(now, base).stdout
    assert "All of" not in compare(base, base).stdout


def test_without_a_base_the_newest_run_of_this_kind_of_machine_is_taken(tmp_path):
    latest = saved(tmp_path / "latest.json", timed("forward", 10.0), timed("backward", 2.0))
    saved(tmp_path / "old.json", timed("forward", 10.0), timed("backward", 2.0), datetime="2025-01-01")
    saved(tmp_path / "new.json", timed("forward", 5.0), timed("backward", 2.0), datetime="2025-12-01")
    saved(tmp_path / "part.json", timed("forward", 10.0), datetime="2025-12-31")
    saved(tmp_path / "other.json", timed("forward", 1.0), datetime="2025-12-31", machine={**MACHINE, "cpu": {}})
    (tmp_path / "broken.json").write_text("{", "utf-8")
    found = compare(latest)
    assert f"before: {tmp_path / 'new.json'}: 2025-12-01" in found.stdout
    assert found.returncode == 1


def refused(found, *words):
    assert found.returncode == 2 and not found.stdout
    assert found.stderr.startswith("compare.py: ") and found.stderr.count("\n") == 1
    assert all(word in found.stderr for word in words), found.stderr


def test_where_no_saved_run_fits_one_line_says_so(tmp_path, base):
    machine = {**MACHINE, "python_version": "3.13.1"}
    refused(compare(saved(tmp_path / "latest.json", timed("forward", 1.0), machine=machine)), "no saved run", "3.13")


def test_another_kind_of_machine_is_refused_unless_asked_for(tmp_path, base):
    machine = {**MACHINE, "cpu": {"brand_raw": "Other"}}
    now = saved(tmp_path / "now.json", timed("forward", 10.0), machine=machine)
    refused(compare(now, base), "another kind of machine", "Other")
    assert compare(now, base, "--any-machine").returncode == 0


def test_runs_that_share_nothing_are_refused(tmp_path, base):
    refused(compare(saved(tmp_path / "now.json", timed("other", 1.0)), base), "nothing in common")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        json.dumps({"machine_info": [], "benchmarks": [{"extra_info": timed("forward", 1.0)}]}),
        json.dumps({"machine_info": {"cpu": "fast"}, "benchmarks": [{"extra_info": timed("forward", 1.0)}]}),
        '{"benchmarks": []}',
        '{"benchmarks": [{"extra_info": {"layer": "step", "what": "x", "variant": "compiled"}}]}',
        json.dumps({"benchmarks": [{"extra_info": timed("forward", 0.0)}]}),
        json.dumps({"benchmarks": [{"extra_info": timed("forward", 1.0, spread=[1.0])}]}),
        json.dumps({"benchmarks": [{"extra_info": timed("forward", 1.0, spread=[1.0, "many"])}]}),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, base, content):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(content, "utf-8")
    refused(compare(wrong, base), str(wrong))
    refused(compare(base, wrong), str(wrong))


def test_a_missing_file_is_refused(tmp_path, base):
    refused(compare(tmp_path / "none.json", base), "none.json", "No such file")


@pytest.mark.parametrize("threshold", ["1", "0.5", "nan", "inf", "much"])
def test_a_threshold_that_is_none_is_refused(base, threshold):
    refused(compare(base, base, "--threshold", threshold), "a number above 1")
