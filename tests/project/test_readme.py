"""What README.md says of the ladder is what docs/bench.json, made by `microgpt bench`, holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from microgpt.ladder import table
from microgpt.ladder.charts import ladder_svg
from microgpt.ladder.results import load

ROOT = Path(__file__).parents[2]
BENCH, README, PICTURE = ROOT / "docs" / "bench.json", ROOT / "README.md", ROOT / "docs" / "ladder.svg"

pytestmark = pytest.mark.skipif(not README.exists() or not BENCH.exists(), reason="not a checkout")


@pytest.fixture(scope="module")
def results():
    return load(BENCH)


def test_the_table_is_that_of_the_saved_run(results):
    text = README.read_text("utf-8")
    assert table.markdown(results) in text
    assert table.source(results) in text


def test_the_saved_run_has_five_rungs_with_the_same_bits_each_faster_than_the_one_below(results):
    assert [rung.name for rung in results.rungs] == ["interpreted", "compiled", "typed", "bulk", "fused"]
    assert all(rung.same_bits for rung in results.rungs)
    ratios = [rung.ratio for rung in results.rungs]
    assert ratios == sorted(set(ratios))


def test_the_machine_and_the_command_of_the_saved_run_are_named(results):
    text = " ".join(README.read_text("utf-8").split())
    assert results.machine["cpu"] in text
    assert results.software["python"] in text
    assert f"`{results.command}`" in text


def test_the_picture_was_drawn_from_the_saved_run(results):
    assert PICTURE.read_text("utf-8") == ladder_svg(results)
