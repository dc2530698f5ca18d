"""What people change in their copies of the script: each variant prints the same bytes through the swaps.

The variants stand in variants/*.txt. Each says what the report must name, so that a swap that silently does not happen
is found too, and what must not be swapped. Of those for which the same was decided, the first is run in both ways; all
of them at length.
"""

from __future__ import annotations

import pytest
from effort import at_length, mostly_slow
from running import assert_same, decided, read_variants, small_gpt

VARIANTS = {
    f"{file}: {variant.name}": variant
    for file in ("swapped", "typed_only", "partly_left", "class_left")
    for variant in read_variants(file)
}
EVERY_ONE = at_length(False, True)
seen: set[tuple] = set()  # decisions of which a variant was run


@pytest.mark.parametrize("name", VARIANTS)
def test_the_report_of_a_variant_says_what_is_swapped(name):
    variant = VARIANTS[name]
    report, _ = decided(small_gpt(*variant.changes))
    for part in variant.said:
        assert part in report, report
    for part in variant.not_swapped:
        assert not [line for line in report.splitlines() if part in line and ": swapped" in line], report


@pytest.mark.parametrize("name", mostly_slow(VARIANTS))
def test_a_variant_prints_the_same(name, tmp_path):
    source = small_gpt(*VARIANTS[name].changes)
    report, decision = decided(source)
    if EVERY_ONE or decision not in seen:
        seen.add(decision)
        assert report.splitlines()[0] in assert_same(source, tmp_path)


@pytest.mark.parametrize("rung", [0, 2])
def test_a_lower_rung_prints_the_same(rung, tmp_path):
    report = assert_same(small_gpt(), tmp_path, rung)
    assert ("class Value (line 16): swapped" in report) == (rung == 2)
    assert "attention" not in report and "Adam" not in report
