"""What README.md says of the ladder is what docs/bench.json, made by `microgpt bench`, holds."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from microgpt.ladder import table
from microgpt.ladder.charts import ladder_svg
from microgpt.ladder.results import load

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools"))
BENCH, README, PICTURE = ROOT / "docs" / "bench.json", ROOT / "README.md", ROOT / "docs" / "ladder.svg"

pytestmark = pytest.mark.skipif(not README.exists() or not BENCH.exists(), reason="not a checkout")


@pytest.fixture(scope="module")
def results():
    return load(BENCH)


def test_the_table_is_that_of_the_saved_run(results):
    text = README.read_text("utf-8")
    assert table.markdown(results) in text
    assert table.source(results) in text


def test_the_saved_run_has_six_rungs_with_the_same_bits_and_from_typed_on_each_is_faster(results):
    assert [rung.name for rung in results.rungs] == ["interpreted", "compiled", "typed", "bulk", "recorded", "fused"]
    assert all(rung.same_bits for rung in results.rungs)
    interpreted, compiled, *faster = [rung.ratio for rung in results.rungs]
    assert interpreted == 1 and 0.8 < compiled < 1.25  # which is ahead depends on the Python
    assert [interpreted, *faster] == sorted({interpreted, *faster})


def test_the_machine_and_the_command_of_the_saved_run_are_named(results):
    text = " ".join(README.read_text("utf-8").split())
    assert results.machine["cpu"] in text
    assert results.software["python"] in text
    assert f"`{results.command}`" in text


def test_the_picture_was_drawn_from_the_saved_run(results):
    assert PICTURE.read_text("utf-8") == ladder_svg(results)


def test_every_gain_is_that_of_the_saved_runs(results):
    from readme_ladder import WAYS, filled

    text = README.read_text("utf-8")
    assert filled(text) == text, "run tools/readme_ladder.py"
    assert all(re.search(rf"^\|[^|]*\| {re.escape(way)}", text, re.M) for way in WAYS)


@pytest.mark.parametrize(
    ("by_hand", "instead"),
    [
        (r"A training step is [\d,]+", "A training step is 60"),
        (r"(my_gpt.py` \|.*?\|) [\d,]+", r"\1 100"),
        (r"(train --data.*\|) [\d,]+", r"\1 9,999"),
        (r"\| [\d.]+ (ms|µs) \|", r"| 1.00 ms |"),
        (r"CPython 3.\d+", "CPython 3.99"),
    ],
)
def test_a_figure_changed_by_hand_is_found(by_hand, instead):
    from readme_ladder import filled

    text = README.read_text("utf-8")
    changed = re.sub(by_hand, instead, text)
    assert changed != text
    assert filled(changed) == text


def test_the_output_of_make_train_is_the_scripts():
    """The recorded run of Karpathy's script on the same names; `...` stands for lines left out."""
    golden = json.loads((ROOT / "tests" / "golden" / "train_embedded.json").read_text("utf-8"))["stdout"]
    shown = README.read_text("utf-8").partition("```console checkout\n$ make train")[2].partition("```text\n")[2]
    pattern = ".*".join(map(re.escape, shown.partition("```")[0].strip().split("...")))
    assert re.fullmatch(pattern, "\n".join(golden).strip(), re.DOTALL)
