"""The table itself: what `ratios.py` does with a run, with a part of one, and with what is not one."""

import json
from pathlib import Path

import pytest
import ratios


def saved(path: Path, *records: dict[str, object]) -> str:
    path.write_text(json.dumps({"benchmarks": [{"extra_info": record} for record in records]}), encoding="utf-8")
    return str(path)


def test_a_run_becomes_a_table_with_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forward = {"layer": "step", "what": "forward", "variant": "compiled", "ns": 2e6, "reference_ns": 2e8}
    path = saved(tmp_path / "run.json", {**forward, "floats_ns": 1.6e6})
    assert ratios.main([path]) == 0
    out = capsys.readouterr().out
    assert "100.0 x" in out
    assert "1.25 times" in out


def test_a_run_of_one_file_alone_shows_what_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"layer": "backward", "what": "chain", "variant": "reference", "ns": 800.0, "reference_ns": 800.0}
    assert ratios.main([saved(tmp_path / "run.json", record)]) == 0
    assert "800 ns" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "{}",
        '{"benchmarks": []}',
        '{"benchmarks": [{}]}',
        '{"benchmarks": [{"extra_info": {}}]}',
        "\xff",
    ],
)
def test_what_is_no_run_is_said_in_one_line(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    assert ratios.main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(f"ratios.py: {path}")
    assert err.count("\n") == 1
