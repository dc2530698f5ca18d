"""How far a ratio can be trusted (`spread`), and what is kept of a run: the file that pytest-benchmark still reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import STATS, brief, one_line_each
from measuring import spread


def test_the_spread_is_that_of_the_ratio_in_each_round() -> None:
    """Both were twice as slow in the second half: the ratio was not."""
    assert spread([1.0, 1.0, 2.0, 2.0], [10.0, 10.0, 20.0, 20.0], None) == (0.1, 0.1)


def test_documents_of_different_lengths_are_no_spread() -> None:
    """Two repeats over the same three documents."""
    mine, theirs = [1.0, 2.0, 9.0, 1.0, 2.0, 9.0], [10.0, 20.0, 90.0, 10.0, 20.0, 90.0]
    assert spread(mine, theirs, 2) == (0.1, 0.1)


def test_samples_that_did_not_come_in_turns_have_the_spread_of_both() -> None:
    assert spread([1.0, 1.0, 3.0, 3.0], [10.0], None) == pytest.approx((0.1, 0.3))
    assert spread([1.0], [10.0, 10.0, 20.0, 20.0], None) == pytest.approx((0.05, 0.1))


def test_a_saved_run_has_a_line_for_each_benchmark_and_stays_json() -> None:
    run = {"version": "5", "machine_info": {"cpu": {}}, "benchmarks": [{"name": "a"}, {"name": "b"}]}
    text = one_line_each(run)
    assert json.loads(text) == run
    assert [line for line in text.splitlines() if '"name"' in line] == ['{"name": "a"},', '{"name": "b"}']


def test_single_samples_and_settings_are_left_out_of_a_saved_run() -> None:
    stats = dict.fromkeys((*STATS, "data", "ld15iqr"), 1.23456789)
    names = ("group", "name", "fullname", "params", "param", "options")
    found = brief({**dict.fromkeys(names), "extra_info": {"ns": 1.23456789, "spread": (0.1, 0.2)}, "stats": stats})
    assert set(found) == {"group", "name", "fullname", "params", "extra_info", "stats"}
    assert set(found["stats"]) == set(STATS)
    assert found["extra_info"] == {"ns": 1.23457, "spread": [0.1, 0.2]}


def test_a_saved_run_is_read_by_pytest_benchmark_and_by_the_programs_here(tmp_path: Path) -> None:
    here, saved = Path(__file__).parent, str(tmp_path / "new" / "run.json")
    ids = [f"{here / 'test_operation.py'}::test_operation[a.relu()-{name}]" for name in ("reference", "compiled")]
    one = ["-m", "pytest", *ids, f"--benchmark-json={saved}"]
    said = [
        subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        for command in (
            [*one, "-q", "-p", "no:cacheprovider"],
            ["-m", "pytest_benchmark", "compare", saved, "--group-by=group"],
            [str(here / "ratios.py"), saved],
            [str(here / "compare.py"), saved, saved],
        )
    ]
    assert "2 passed" in said[0]
    assert "01 operation: a.relu()" in said[1] and "test_operation[a.relu()-compiled]" in said[1]
    assert "a.relu()" in said[2]
    assert said[3].endswith(
        "2 ratios, threshold 1.25: 0 worse, 0 better, 0 beyond it but within the spread of the rounds, 2 within it.\n"
    )
