"""How the ladder's figures are written, and where a chart puts them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.ladder import charts, figures

WRITTEN = {
    figures.duration: {  # of milliseconds: three digits and a unit
        113: "113 ms",
        4.2149: "4.21 ms",
        0.011: "11.0 µs",
        0.0009996: "1.00 µs",
        0.9994: "999 µs",
        0.9996: "1.00 ms",
        999.7: "1.00 s",
        5541.3: "5.54 s",
        12_345_678: "12,346 s",
        0.0000123: "12.3 ns",
        1e-9: "0.00100 ns",
        1e-12: "1.00e-06 ns",
        None: "not measured",
        math.nan: "not measured",
    },
    figures.memory: {
        0: "0 bytes",
        62.44: "62.4 bytes",
        999: "999 bytes",
        1000: "1.00 kB",
        999_999: "1.00 MB",
        14_000_000: "14.0 MB",
        None: "not measured",
    },
    figures.ratio: {1: "1", 1.345: "1.34", 26.84: "26.8", 99.96: "100", 706.2: "706", 10272.7: "10,273"},
    figures.percent: {
        0.71: "71 %",
        0.027: "2.7 %",
        0.0999: "10 %",
        0.0001: "< 0.1 %",
        1: "100 %",
        0: "0 %",
        0.0994: "9.9 %",
    },
    figures.tick: {  # of a power of ten, in milliseconds
        -3: "1 µs",
        -2: "10 µs",
        -1: "100 µs",
        0: "1 ms",
        4: "10 s",
        -6: "1 ns",
        -324: "1e-318 ns",
        12: "1e9 s",
    },
    figures.compact: {27: "27", 4192: "4.2k", 14528: "15k", 205568: "206k", 1_250_000: "1.2M", 9960: "10k"},
    figures.fraction: {1 / 26.84: "1/26.8", 1 / 10272.7: "1/10,273", 0: "0", 1: "1"},
}


@pytest.mark.parametrize("write", WRITTEN, ids=lambda write: write.__name__)
def test_figures_are_written_with_few_digits_and_a_unit(write):
    assert {value: write(value).replace(figures.SPACE, " ") for value in WRITTEN[write]} == WRITTEN[write]


@pytest.mark.parametrize(("low", "high", "said"), [(105.0, 136.0, "105 to 136 ms"), (0.9, 1.1, "900 µs to 1.10 ms")])
def test_a_spread_names_its_unit_once_where_it_is_the_same(low, high, said):
    assert figures.span(low, high).replace(figures.SPACE, " ") == said


def test_long_names_are_cut_where_there_is_no_room():
    assert figures.cut("fused", 5) == "fused"
    assert figures.cut("interpreted", 5) == "inte…"
    assert figures.cut("two\nlines", 14) == "two lines"


@given(st.lists(st.floats(1e-9, 1e9), min_size=1), st.booleans())
def test_logarithmic_axes_hold_all_their_values_and_ten_times_is_always_as_far(values, whole):
    axis = charts.log_axis(values, 10, 100, whole)
    assert all(10 <= axis.at(value) <= 110 for value in values)
    assert len(axis.decades(6)) <= 6
    if whole:
        low, *_, high = axis.decades()
        assert (axis.at_power(low), axis.at_power(high)) == pytest.approx((10, 110))
        steps = [axis.at_power(power + 1) - axis.at_power(power) for power in range(low, high)]
        assert steps == pytest.approx([100 / (high - low)] * len(steps))
