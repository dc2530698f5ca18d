"""report.html: what it says, and that it says it honestly. How it looks in a browser is in test_report_browser.py."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder_example import Element, example, nothing, others, parse, parts, rungs, sizes, spread

import microgpt.ladder
from microgpt.ladder import figures, plot
from microgpt.ladder.markup import Markup, markup, tag
from microgpt.ladder.report import report_html
from microgpt.ladder.results import Results, Rung, Size, Spread

CSS = Path(microgpt.ladder.__file__).with_name("report.css").read_text("utf-8")
HOSTILE = "</style><script>alert(1)</script>\"'&lt;\x00\udcff"


def page(**changes: object) -> Element:
    return parse(report_html(example(**changes)))


def rows(page: Element, section: str) -> list[Element]:
    return [row for bars in page.section(section).all(class_="bars") for row in bars.all("li")]


def fills(row: Element) -> list[float]:
    return [fill.style("width") for fill in row.all(class_="fill")]


def changed(name: str, **changes: object) -> list[Rung]:
    return [replace(rung, **changes) if rung.name == name else rung for rung in rungs()]


# What is there


def test_a_page_has_its_landmarks_its_language_and_its_title():
    html = page()
    assert html.tag == "html" and html.attributes == {"lang": "en"}
    assert [child.tag for child in html.one("body").children if isinstance(child, Element)] == [
        "header",
        "main",
        "footer",
    ]
    assert html.one("title").text == "microgpt bench: 10,273 times faster, and the same bits"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [
        meta.attributes for meta in html.all("meta")
    ]


def test_headings_are_in_order_and_name_their_sections():
    html = page()
    levels = [int(element.tag[1]) for element in html.all() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [element.attributes["id"] for element in html.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert [section.attributes["aria-labelledby"] for section in html.all("section")] == ids
    assert ids == ["steps", "shares", "memory", "sizes", "figures", "losses", "measured"]


def test_the_headline_has_the_measured_figures():
    header = page().one("header")
    assert header.one("h1").text == "10,273 times faster, and the same bits"
    assert "A training step of a GPT with 4,192 parameters takes 113 ms interpreted and 11.0 µs fused." in header.text
    assert "Each of the 3 losses has the same bits on all 5 rungs." in header.text
    assert "31 January 2026, 12:05 UTC" in header.text


def test_one_loss_that_differs_is_the_first_thing_said():
    html = page(rungs=changed("bulk", same_bits=False))
    header = html.one("header")
    assert header.one("h1").text == "10,273 times faster, but not the same bits"
    assert "The losses are not the same on all rungs: bulk has other bits." in header.one(class_="verdict").text
    assert "differs" in header.one(class_="verdict").classes
    assert "not the same bits" in html.one("title").text
    assert [row.one(class_="bits").text for row in rows(html, "steps")] == [
        *["= same bits"] * 3,
        "≠ other bits",
        *["= same bits"] * 2,
        "≠ other bits",
    ]


def test_several_that_differ_are_all_named():
    found = [replace(rung, same_bits=rung.number in (0, 2)) for rung in rungs()]
    assert "compiled, bulk and fused have other bits" in page(rungs=found).one("header").text


def test_other_programs_with_other_bits_are_not_held_against_the_rungs():
    html = page(others=[replace(other, same_bits=False) for other in others()])
    assert "and the same bits" in html.one("h1").text


def test_the_table_has_every_figure_of_every_rung():
    table = page().section("figures").one("table")
    cells = [" | ".join(cell.text for cell in row.all() if cell.tag in ("th", "td")) for row in table.all("tr")]
    script, unknown = "the script as it is", "not measured"
    assert cells == [
        "rung, and what a script holds | a step | times faster | forward | backward | Adam | "
        "nodes | ns a node | bytes a node | peak memory | losses",
        f"0 interpreted {script} | 113 ms 102 to 136 ms | 1 | 80.0 ms | 30.0 ms | 3.00 ms | "
        "59,623 | 1,895 | 189 | 14.1 MB | = same bits",
        "1 compiled through Cython | 84.0 ms 75.6 to 101 ms | 1.35 | 61.0 ms | 21.0 ms | 2.00 ms | "
        "59,623 | 1,409 | 188 | 14.2 MB | = same bits",
        "2 typed import Value | 4.21 ms 3.79 to 5.05 ms | 26.8 | 1.60 ms | 310 µs | 2.30 ms | "
        "59,623 | 70.6 | 62.4 | 4.13 MB | = same bits",
        "3 bulk and linear | 161 µs 145 to 193 µs | 702 | 91.2 µs | 59.4 µs | 10.4 µs | "
        "2,931 | 2.71 | 310 | 912 kB | = same bits",
        "4 fused GPT | 11.0 µs 9.90 to 13.2 µs | 10,273 | 2.50 µs | 3.70 µs | 4.80 µs | "
        "no graph | 0.184 | no graph | 207 kB | = same bits",
        "Other programs that train the same model",
        f"PyPy 7.3.11 {script} | 27.3 ms 24.6 to 32.8 ms | 4.14 | 20.4 ms | 5.83 ms | 1.07 ms | "
        f"{unknown} | {unknown} | {unknown} | {unknown} | = same bits",
        f"NumPy 2.4.6 whole arrays | 132 µs 119 to 158 µs | 856 | {unknown} | {unknown} | {unknown} | "
        f"{unknown} | {unknown} | {unknown} | {unknown} | ≠ other bits",
    ]


def test_cells_carry_the_head_of_their_column_for_narrow_screens():
    for table in page().all("table"):
        heads = [head.text for head in table.one("thead").all("th")]
        found = [[cell.attributes["data-label"] for cell in row.all("td")] for row in table.all("tr") if row.all("td")]
        assert found and all(labels == heads[1:] for labels in found)


def test_tables_are_tables_to_a_screen_reader_however_they_are_shown():
    roles = {"table": "table", "tr": "row", "td": "cell", "tbody": "rowgroup", "thead": "rowgroup"}
    for table in page().all("table"):
        elements = [table, *table.all()]
        assert all(element.attributes["role"] == roles[element.tag] for element in elements if element.tag in roles)
        assert table.one("caption").text


def test_bars_stand_beside_their_figures_as_text():
    found = [row.text for row in rows(page(), "steps")]
    assert found == [
        "0 interpreted the script as it is 113 ms 102 to 136 ms the baseline = same bits",
        "1 compiled through Cython 84.0 ms 75.6 to 101 ms 1.35 times faster = same bits",
        "2 typed import Value 4.21 ms 3.79 to 5.05 ms 26.8 times faster = same bits",
        "3 bulk and linear 161 µs 145 to 193 µs 702 times faster = same bits",
        "4 fused GPT 11.0 µs 9.90 to 13.2 µs 10,273 times faster = same bits",
        "PyPy 7.3.11 the script as it is 27.3 ms 24.6 to 32.8 ms 4.14 times faster = same bits",
        "NumPy 2.4.6 whole arrays 132 µs 119 to 158 µs 856 times faster ≠ other bits",
    ]


def test_ten_times_the_time_is_one_grid_line_more():
    html = page()
    decade = html.section("steps").one(class_="log").style("--decade")
    widths = {row.one(class_="title").text: fills(row)[0] for row in rows(html, "steps")}
    for slow, fast, factor in (("0 interpreted", "2 typed", 113 / 4.21), ("PyPy 7.3.11", "4 fused", 27.3 / 0.011)):
        assert widths[slow] - widths[fast] == pytest.approx(decade * math.log10(factor), abs=0.01)
    assert all(0 < width <= 100 for width in widths.values())
    lines = [label.style("left") for label in html.section("steps").one(class_="axis").all("span")]
    assert lines == pytest.approx([decade * number for number in range(len(lines))], abs=0.01)


def test_the_spread_is_drawn_from_the_least_to_the_most():
    html = page()
    decade = html.section("steps").one(class_="log").style("--decade")
    for row in rows(html, "steps"):
        line, (median,) = row.one(class_="spread"), fills(row)
        assert line.style("left") == pytest.approx(median + decade * math.log10(0.9), abs=0.01)
        assert line.style("width") == pytest.approx(decade * math.log10(1.2 / 0.9), abs=0.01)


def test_every_rung_is_compared_with_the_one_before_it():
    said = page().section("steps").one(class_="lede").text
    assert said == "Times faster than the rung before it: compiled 1.35, typed 20.0, bulk 26.2 and fused 14.6."
    unknown = page(rungs=[*rungs()[:3], nothing(), rungs()[4]]).section("steps").one(class_="lede").text
    assert unknown == "Times faster than the rung before it: compiled 1.35 and typed 20.0."


def test_what_is_no_rung_looks_different_and_stands_apart():
    html = page()
    kinds = [row.classes[0] for row in rows(html, "steps")]
    assert kinds == ["r0", "r1", "r2", "r3", "r4", "other", "other"]
    assert html.section("steps").one("h3").text == "Other programs that train the same model"


def test_shares_are_parts_of_the_whole():
    html = page()
    first = rows(html, "shares")[0]
    segments = [float(part.attributes["style"].removeprefix("flex-grow: ")) for part in first.all(class_="segment")]
    assert segments == pytest.approx([80 / 113, 30 / 113, 3 / 113], abs=1e-4)
    assert first.text == "0 interpreted forward 71 % 80.0 ms backward 27 % 30.0 ms Adam 2.7 % 3.00 ms"
    assert "The largest part of a step is forward when interpreted (71 %) and Adam when fused (44 %)." in html.text


def test_memory_is_drawn_from_zero():
    graph, peak = (panel.all("li") for panel in page().section("memory").one(class_="panels").all("ul"))
    assert [fills(row) for row in graph] == [
        [pytest.approx(100 * size / 310, abs=0.01)] for size in (189, 188, 62.4, 310)
    ] + [[]]
    assert [fills(row)[0] for row in peak] == pytest.approx(
        [100 * size / 14_200_000 for size in (14_100_000, 14_200_000, 4_130_000, 912_000, 207_000)], abs=0.01
    )
    note = "Nodes of a step's graph: interpreted 59,623, compiled 59,623, typed 59,623 and bulk 2,931."
    assert note in page().section("memory").text
    assert graph[-1].text == "4 fused no graph" and peak[-1].text == "4 fused 207 kB"


def test_larger_models_have_a_line_a_mark_and_a_figure_for_each_size():
    section = page().section("sizes")
    area = section.one(class_="area")
    assert area.attributes["role"] == "img"
    for said in (
        "interpreted from 113 ms at 4,192 parameters to 5.49 s at 205,568",
        "fused from 11.0 µs",
        "typed",
        "bulk",
    ):
        assert said in area.attributes["aria-label"].replace(figures.SPACE, " ")
    assert len(area.all(class_="mark")) == 5 * 4
    assert [path.attributes["d"].count("L") for path in area.all("path", class_="line")] == [3] * 5
    assert [end.text for end in area.all(class_="end")] == ["interpreted", "compiled", "typed", "bulk", "fused"]
    assert [label.text for label in area.all(class_="wide")] == ["4,192", "14,528", "53,632", "205,568"]
    cells = [[cell.text for cell in row.all("td")] for row in section.one("tbody").all("tr")]
    assert cells[-1] == ["1", "128", "4", "16", "5.49 s", "4.08 s", "204 ms", "7.78 ms", "535 µs"]


def test_the_machine_the_command_and_the_way_of_measuring_are_told():
    text = page().section("measured").text
    for said in (
        "A CPU 9000",
        "Linux x86_64",
        "pinned to core 1",
        "load at the start 0.4",
        "CPython 3.11.7",
        "GCC 12.2.0",
        "-std=c11 -O3 -ffp-contract=off",
        "glibc 2.36",
        "avx512",
        "microgpt bench --out ladder",
        "31 January 2026, 12:05 UTC",
        "the names that come with microgpt (5,163)",
        "4 interpreted, 5 compiled, 24 typed, 200 bulk, 2,000 fused, 6 PyPy 7.3.11, 300 NumPy 2.4.6",
        "vocab_size 27",
        "5 rounds each, in turns",
        "median",
        "from the least to the most",
    ):
        assert said in text


def test_losses_are_shown_with_all_their_bits():
    items = [item.text for item in page().section("losses").all("li")]
    assert items == ["3.3660 0x1.aed916872b021p+1", "3.4050 0x1.b3d70a3d70a3dp+1", "3.2300 0x1.9d70a3d70a3d7p+1"]
    many = page(losses=["0x1.8p+1"] * 1234).section("losses")
    assert len(many.all("li")) == 12 and "And 1,222 more in bench.json." in many.text


# What must not be there


def test_nothing_is_fetched_and_nothing_runs():
    html = page()
    assert not {"script", "img", "iframe", "object", "embed", "form", "a", "base"} & {each.tag for each in html.all()}
    assert [link.attributes for link in html.all("link")] == [{"rel": "icon", "href": "data:,"}]
    for element in html.all():
        assert not [key for key in element.attributes if key.startswith("on") or key in ("src", "srcset", "xlink:href")]
        assert "url(" not in element.attributes.get("style", "")
    assert not re.search(r"url\(|@import|@font-face|https?:|</", CSS)
    (policy,) = [meta.attributes for meta in html.all("meta") if "http-equiv" in meta.attributes]
    assert policy["content"].startswith("default-src 'none'")


def hostile() -> Results:
    """Text in every place that takes text."""
    rung = Rung(2, HOSTILE, HOSTILE, {"step": spread(1.0)}, 1.0, 1, True)
    return Results(
        command=HOSTILE,
        made=HOSTILE,
        machine={"cpu": HOSTILE, HOSTILE: HOSTILE},
        software={"microgpt": HOSTILE, "flags": HOSTILE},
        model={HOSTILE: 3, "parameters": 5},
        documents=HOSTILE,
        rounds=1,
        losses=[HOSTILE],
        rungs=[rung, replace(rung, number=3, same_bits=False)],
        others=[replace(rung, number=None)],
        sizes=[Size(1, 1, 1, 1, 5, {HOSTILE: 1.0})],
    )


def test_text_of_the_results_is_text():
    html = report_html(hostile())
    html.encode("utf-8")
    shown = parse(html)
    assert not shown.all("script") and len(shown.all("style")) == 1
    visible = "</style><script>alert(1)</script>\"'&lt;\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    for name in ("steps", "shares", "memory", "sizes", "figures", "losses", "measured"):
        assert visible in shown.section(name).text
    assert (
        visible in shown.one("header").text
        and visible in shown.section("sizes").one(class_="area").attributes["aria-label"]
    )
    assert "\x00" not in html


@given(st.text(), st.text())
def test_any_text_comes_back_from_the_page_as_it_went_in(text, value):
    element = parse(tag("p", text, title=value))
    shown = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
    assert "".join(map(str, element.children)).replace("\r", "\n") == shown.sub("\ufffd", text).replace("\r", "\n")
    assert element.attributes["title"] == shown.sub("\ufffd", value)


def test_only_markup_is_taken_as_markup():
    assert markup("<", Markup("<br>")) == "&lt;<br>"
    assert tag("p", tag("b", "&"), class_="a", aria_label='"', title=None) == (
        '<p class="a" aria-label="&quot;"><b>&amp;</b></p>'
    )


# What was not measured


def test_what_was_not_measured_is_said_and_never_drawn():
    html = page(rungs=[*rungs()[:3], nothing(), rungs()[4]])
    row = rows(html, "steps")[3]
    assert (
        row.text == "3 bulk not measured not measured = same bits" and not fills(row) and not row.all(class_="spread")
    )
    share = rows(html, "shares")[3]
    assert share.text == "3 bulk not measured" and not share.all(class_="segment")
    assert [row.text for row in rows(html, "memory")][3::5] == ["3 bulk not measured"] * 2
    table = html.section("figures").one("table").all("tr")[4]
    assert [cell.text for cell in table.all("td")] == ["not measured"] * 9 + ["= same bits"]
    assert "nan" not in html.text.lower().split()


def test_no_figure_becomes_zero_for_being_unknown():
    html = page(rungs=[nothing("interpreted", 0), nothing("fused", 4)], others=[], sizes=[], losses=[])
    numbers = html.one("main").section("figures").text + html.section("steps").text + html.section("memory").text
    assert not re.search(r"(?<![\w.,])0(\.0*)?\s*(ms|µs|ns|s|bytes|kB|MB|%|times)", numbers)
    assert html.one("h1").text == "No rung was measured"


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_unknown_figures_of_a_measured_rung_are_said_to_be_missing(unknown):
    rung = replace(rungs()[2], nodes=unknown, ns_per_node=unknown, bytes_per_node=unknown, peak_bytes=unknown)
    cells = page(rungs=[rungs()[0], rung]).section("figures").one("table").all("tr")[2].all("td")
    graph = "no graph" if unknown is None else "not measured"
    assert [cell.text for cell in cells[5:9]] == [graph, "not measured", graph, "not measured"]


def test_a_part_that_was_not_told_apart_leaves_the_rest_of_the_bar_open():
    ms = {"step": spread(10.0), "forward": spread(6.0), "backward": spread(3.0)}
    row = rows(page(rungs=[replace(rungs()[0], ms=ms)]), "shares")[0]
    assert row.text == "0 interpreted forward 60 % 6.00 ms backward 30 % 3.00 ms Adam not measured"
    assert [segment.classes[-1] for segment in row.all(class_="segment")] == ["forward", "backward", "rest"]
    assert float(row.one(class_="rest").attributes["style"].removeprefix("flex-grow: ")) == pytest.approx(0.1)


def test_parts_without_a_step_have_no_shares():
    row = rows(page(rungs=[replace(rungs()[0], ms={"forward": spread(6.0)})]), "shares")[0]
    assert row.text == "0 interpreted not measured"


def test_one_rung_only_is_compared_with_nothing():
    html = page(rungs=rungs()[2:3], others=[], sizes=[])
    assert html.one("h1").text == "4.21 ms a training step"
    assert "One rung was measured, so there is nothing to compare its losses with." in html.one("header").text
    assert "faster" not in html.one("header").text
    assert len(rows(html, "steps")) == 1


def test_without_the_interpreted_rung_no_headline_claims_a_ratio():
    assert page(rungs=rungs()[2:]).one("h1").text == "11.0 µs a training step"


def test_no_rung_at_all_is_a_page_too():
    html = page(rungs=[], others=[], sizes=[], losses=[], machine={}, software={}, model={}, documents="", command="")
    assert html.one("h1").text == "No rung was measured"
    assert "No loss was kept." in html.section("losses").text


def test_without_others_and_sizes_their_places_are_gone():
    html = page(others=[], sizes=[])
    assert "Other programs" not in html.text and "no rungs" not in html.text
    assert not html.all(class_="of-sizes") and not html.all(class_="plot")


def test_slower_is_not_called_faster():
    html = page(rungs=[rungs()[0], replace(rungs()[4], ms=parts(226, 160, 60, 6), ratio=0.5)])
    assert html.one("h1").text == "0.500 times as fast, and the same bits"
    assert "0.500 times as fast" in rows(html, "steps")[1].text
    assert "faster," not in html.one("header").text


@pytest.mark.parametrize("step", [5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e300, 1.7e308])
def test_huge_and_tiny_times_stay_inside_their_bars(step):
    rung = Rung(4, "fused", "", {"step": Spread(step, step, step), "adam": Spread(step, step, step)}, 1 / 3, 1, True)
    html = page(rungs=[rungs()[0], rung], sizes=[Size(1, 1, 1, 1, 10, {"fused": step, "interpreted": 1.0})])
    for found in html.all(class_="fill"):
        assert 0 <= found.style("width") <= 100
    for mark in html.all(class_="mark"):
        assert 0 <= mark.style("left") <= 100 and 0 <= mark.style("top") <= plot.HEIGHT
    assert len(html.section("steps").one(class_="axis").all("span")) <= 6
    assert "inf" not in html.text.split()


def test_a_time_of_zero_has_no_bar_on_a_logarithmic_scale():
    row = rows(page(rungs=[rungs()[0], replace(rungs()[4], ms=parts(0, 0, 0, 0))]), "steps")[1]
    assert "0 ns" in row.text and not fills(row)


def test_a_size_that_was_not_measured_breaks_the_line_and_says_so():
    found = sizes()
    slow = {name: ms for name, ms in found[1].ms.items() if name != "typed"}
    section = page(sizes=[found[0], replace(found[1], ms=slow), *found[2:]]).section("sizes")
    paths = {path.classes[-1]: path.attributes["d"] for path in section.all("path", class_="line")}
    assert (paths["r2"].count("M"), paths["r2"].count("L")) == (2, 1)
    assert (paths["r4"].count("M"), paths["r4"].count("L")) == (1, 3)
    assert [cell.text for cell in section.one("tbody").all("tr")[1].all("td")][-3] == "not measured"


def test_sizes_are_ordered_by_parameters_whatever_the_order_of_the_run():
    forth, back = page(), page(sizes=sizes()[::-1])
    drawn = [[path.attributes["d"] for path in html.section("sizes").all("path")] for html in (forth, back)]
    assert drawn[0] == drawn[1]


def test_one_size_is_a_mark_without_a_line():
    section = page(sizes=sizes()[:1]).section("sizes")
    assert len(section.all(class_="mark")) == 5
    assert "A step's time by the number of parameters." in section.text


def test_sizes_without_any_figure_have_no_chart():
    section = page(sizes=[replace(sizes()[0], ms={})]).section("sizes")
    assert not section.all(class_="plot")


@pytest.mark.parametrize(("pinned", "said"), [(None, "pinned to core none"), (0, "pinned to core 0")])
def test_whether_a_core_was_asked_for_is_told(pinned, said):
    assert said in page(machine={"pinned": pinned, "cpu": None}).section("measured").text
    assert "cpu not known" in page(machine={"pinned": pinned, "cpu": None}).section("measured").text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("2026-01-31T12:05:00+00:00", "31 January 2026, 12:05 UTC"),
        ("2026-01-31T23:05:00-02:00", "1 February 2026, 01:05 UTC"),
        ("2026-01-31T12:05:00", "31 January 2026, 12:05 UTC"),
        ("once upon a time", "once upon a time"),
    ],
)
def test_the_date_is_in_words(made, said):
    assert said in page(made=made).one(class_="eyebrow").text


# The looks, as far as they can be told without looking


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, in light and in dark."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
    colors = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in (light, dark)]
    return {"light": colors[0], "dark": colors[0] | colors[1]}


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_the_contrast_that_reading_needs(theme):
    colors = palettes()[theme]
    paper = colors["paper"]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for text in ("ink", "soft", "accent", "bad"):
        assert contrast(colors[text], paper) >= 4.5, text
    assert contrast(colors["bad"], colors["bad-well"]) >= 4.5
    for shape in ("r0", "r1", "r2", "r3", "r4", "other", "forward", "backward", "adam"):
        assert contrast(colors[shape], paper) >= 3, shape


def test_importing_the_report_pulls_in_the_standard_library_only():
    code = "import sys, microgpt.ladder.report, microgpt.ladder.picture; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "numpy", "rich", "playwright"} & {name.partition(".")[0] for name in run.stdout.split()}
