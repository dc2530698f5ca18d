"""report.html and ladder.svg: what they say, and that they say it honestly. Their looks: test_report_browser.py."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ladder_example import Element, example, nothing, parse, parts, rungs, sizes, spread
from processes import imported_by

from microgpt.ladder import charts, figures
from microgpt.ladder.charts import ladder_svg
from microgpt.ladder.markup import tag
from microgpt.ladder.report import report_html
from microgpt.ladder.results import Results, Rung, Size, Spread

HOSTILE = "</style><script>alert(1)</script>\"'&lt;\x00\udcff"


def page(**changes: object) -> Element:
    return parse(report_html(example(**changes)))


def chart(section: str, index: int = 0, **changes: object) -> Element:
    return page(**changes).section(section).all("svg")[index]


def changed(name: str, **changes: object) -> list[Rung]:
    return [replace(rung, **changes) if rung.name == name else rung for rung in rungs()]


def words(element: Element) -> list[str]:
    return [" ".join(text.text.split()) for text in element.all("text")]


def dots(chart: Element) -> list[float]:
    return [float(dot.attributes["cx"]) for dot in chart.all("circle")]


def widths(chart: Element) -> list[float]:
    return [float(bar.attributes["width"]) for bar in chart.all("rect") if "empty" not in bar.classes]


# ---- what is there ---------------------------------------------------------------------------------------------------


def test_headings_are_in_order_and_name_their_sections():
    html = page()
    assert html.attributes == {"lang": "en"}
    levels = [int(element.tag[1]) for element in html.all() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [element.attributes["id"] for element in html.all() if "id" in element.attributes]
    assert [section.attributes["aria-labelledby"] for section in html.all("section")] == ids
    assert ids == ["steps", "shares", "memory", "sizes", "figures", "losses", "measured"]


def test_the_headline_has_the_measured_figures():
    html = page()
    header = html.one("header")
    assert header.one("h1").text == "10,273 times faster, and the same bits"
    assert html.one("title").text == "microgpt bench: 10,273 times faster, and the same bits"
    assert "4,192 parameters; interpreted 113 ms; fused 11.0 µs" in header.text
    assert "The same losses on every rung, to the last bit" in header.text
    assert "31 January 2026, 12:05 UTC" in header.text


def test_losses_that_differ_are_the_first_thing_said():
    found = [replace(rung, same_bits=rung.number in (0, 2)) for rung in rungs()]
    html = page(rungs=found)
    assert html.one("h1").text == "10,273 times faster, but not the same bits"
    verdict = html.one("header").one(class_="verdict")
    assert "Losses that differ from rung 0: compiled, bulk, recorded, fused" in verdict.text
    assert "differs" in verdict.classes
    steps = [line for line in words(html.section("steps").all("svg")[0]) if " faster" in line or "baseline" in line]
    assert ["other bits" in line for line in steps] == [False, True, False, True, True, True, False, True]
    assert [cell.text for cell in html.section("figures").all(class_="bits")].count("\N{NOT EQUAL TO} other bits") == 5


def test_other_programs_with_other_bits_are_not_held_against_the_rungs():
    assert "and the same bits" in page().one("h1").text  # NumPy's are others


def test_the_table_has_every_figure_of_every_rung():
    table = page().section("figures").one("table")
    cells = [" | ".join(cell.text for cell in row.all() if cell.tag in ("th", "td")) for row in table.all("tr")]
    script, unknown = "the script as it is", "not measured"
    assert cells == [
        "rung, and how you get it | a step | faster | forward | backward | Adam | "
        "nodes | time a node | memory a node | peak | losses",
        f"0 interpreted {script} | 113 ms 102 to 136 ms | 1 x | 80.0 ms | 30.0 ms | 3.00 ms | "
        "59,623 | 1.90 µs | 189 bytes | 14.1 MB | = same bits",
        "1 compiled through Cython | 84.0 ms 75.6 to 101 ms | 1.35 x | 61.0 ms | 21.0 ms | 2.00 ms | "
        "59,623 | 1.41 µs | 188 bytes | 14.2 MB | = same bits",
        "2 typed import Value | 4.21 ms 3.79 to 5.05 ms | 26.8 x | 1.60 ms | 310 µs | 2.30 ms | "
        "59,623 | 70.6 ns | 62.4 bytes | 4.13 MB | = same bits",
        "3 bulk and linear | 161 µs 145 to 193 µs | 702 x | 91.2 µs | 59.4 µs | 10.4 µs | "
        "2,931 | 2.71 ns | 310 bytes | 912 kB | = same bits",
        "4 recorded and @recorded | 50.0 µs 45.0 to 60.0 µs | 2,260 x | 20.0 µs | 19.6 µs | 10.4 µs | "
        "no nodes | 0.839 ns | no nodes | 1.90 MB | = same bits",
        "5 fused GPT | 11.0 µs 9.90 to 13.2 µs | 10,273 x | 2.50 µs | 3.70 µs | 4.80 µs | "
        "no nodes | 0.184 ns | no nodes | 207 kB | = same bits",
        "Other programs that train the same model",
        f"PyPy 7.3.11 {script} | 27.3 ms 24.6 to 32.8 ms | 4.14 x | 20.4 ms | 5.83 ms | 1.07 ms | "
        f"{unknown} | {unknown} | {unknown} | {unknown} | = same bits",
        f"NumPy 2.4.6 whole arrays | 132 µs 119 to 158 µs | 856 x | {unknown} | {unknown} | {unknown} | "
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


def test_every_step_stands_beside_its_dot_in_words():
    assert words(chart("steps"))[:20] == [
        *("0 interpreted", "113 ms the baseline", "1 compiled", "84.0 ms 1.35 times faster"),
        *("2 typed", "4.21 ms 26.8 times faster", "3 bulk", "161 µs 702 times faster"),
        *("4 recorded", "50.0 µs 2,260 times faster"),
        *("5 fused", "11.0 µs 10,273 times faster", "Other programs that train the same model"),
        *("PyPy 7.3.11", "27.3 ms 4.14 times faster"),
        *("NumPy 2.4.6", "132 µs 856 times faster \N{NOT EQUAL TO} other bits", "1 µs", "10 µs", "100 µs"),
    ]
    assert "fused 11.0 µs" in chart("steps").attributes["aria-label"].replace(figures.SPACE, " ")


def test_dots_lie_on_a_logarithmic_axis_and_bars_are_to_scale():
    axis, scale = chart("steps"), chart("steps", 1)
    slow, _, middle, _, _, fast, *_ = dots(axis)
    assert (slow - middle) / (slow - fast) == pytest.approx(math.log(113 / 4.21) / math.log(113 / 0.011), abs=1e-3)
    lines = axis.all("path", "grid")
    decade = [float(line.attributes["d"][1:].split()[0]) for line in lines]
    assert (slow - middle) / (decade[1] - decade[0]) == pytest.approx(math.log10(113 / 4.21), abs=1e-3)
    assert [width / widths(scale)[0] for width in widths(scale)] == pytest.approx(
        [1, 84 / 113, 4.21 / 113, 0.161 / 113, 0.05 / 113, 0.011 / 113], abs=1e-5
    )
    assert words(scale)[-3:] == ["0", "113 ms", "to scale"] and "1/10,273" in words(scale)


def test_parts_and_memory_are_drawn_to_scale():
    shares = widths(chart("shares"))[3:6]  # behind the legend
    assert [width + 1 for width in shares] == pytest.approx([400 * part / 113 for part in (80, 30, 3)], abs=0.01)
    assert words(chart("shares"))[3:5] == ["0 interpreted", "71 % 27 % 2.7 %"]
    graph, peak = chart("memory"), chart("memory", 1)
    assert [width / widths(graph)[3] for width in widths(graph)] == pytest.approx(
        [size / 310 for size in (189, 188, 62.4, 310)], abs=1e-4
    )
    assert len(widths(peak)) == 6 and words(graph)[-5:] == ["5 fused", "no nodes", "0", "310 bytes", "to scale"]
    assert "interpreted 59,623, compiled 59,623, typed 59,623, bulk 2,931." in page().section("memory").text


def test_larger_models_have_a_line_a_dot_and_a_figure_for_each_size():
    section = page().section("sizes")
    drawn, to_scale = section.all("svg")
    assert words(to_scale)[-2:] == ["5.49 s", "to scale"] and "1/10,273" in words(to_scale)
    assert "interpreted 5.49 s at 205,568" in drawn.attributes["aria-label"].replace(figures.SPACE, " ")
    assert len(dots(drawn)) == 6 * 4
    assert [path.attributes["d"].count("L") for path in drawn.all("path", "curve")] == [3] * 6
    names = {"interpreted", "compiled", "typed", "bulk", "recorded", "fused"}
    assert names < set(words(drawn)) and {"4.2k", "15k", "54k", "206k"} < set(words(drawn))
    cells = [[cell.text for cell in row.all("td")] for row in section.one("tbody").all("tr")]
    assert cells[-1] == ["1", "128", "4", "16", "5.49 s", "4.08 s", "204 ms", "7.78 ms", "2.43 ms", "535 µs"]


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
        "4 interpreted, 5 compiled, 24 typed, 200 bulk, 400 recorded, 2,000 fused, 6 PyPy 7.3.11, 300 NumPy 2.4.6",
        "vocab_size 27",
        "rounds 5",
    ):
        assert said in text


def test_losses_are_shown_with_all_their_bits():
    items = [item.text for item in page().section("losses").all("li")]
    assert items == ["3.3660 0x1.aed916872b021p+1", "3.4050 0x1.b3d70a3d70a3dp+1", "3.2300 0x1.9d70a3d70a3d7p+1"]
    many = page(losses=["0x1.8p+1"] * 1234).section("losses")
    assert len(many.all("li")) == 12 and "And 1,222 more in bench.json." in many.text


def test_the_picture_is_a_file_of_its_own_with_the_same_charts():
    svg = ladder_svg(example())
    drawn = parse(svg)
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"') or 'xmlns="http://www.w3.org/2000/svg"' in svg
    assert len(dots(drawn)) == 8 and len(widths(drawn)) == 1 + 6
    assert words(drawn) == words(chart("steps")) + words(chart("steps", 1))
    assert "url(" not in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")


# ---- what must not be there ------------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_nothing_runs():
    html = page()
    assert not {"script", "img", "iframe", "object", "embed", "form", "a", "base"} & {each.tag for each in html.all()}
    assert [link.attributes for link in html.all("link")] == [{"rel": "icon", "href": "data:,"}]
    for element in html.all():
        assert not [key for key in element.attributes if key.startswith("on") or key in ("src", "srcset", "xlink:href")]
        assert "url(" not in element.attributes.get("style", "")
    (style,) = html.all("style")
    assert not re.search(r"url\(|@import|@font-face|https?:|</", "".join(map(str, style.children)))
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
    for name in ("figures", "losses", "measured"):
        assert visible in shown.section(name).text
    assert visible in shown.one("header").text
    assert visible in shown.section("sizes").all("svg")[0].attributes["aria-label"]
    assert "\x00" not in html


@given(st.text(), st.text())
def test_any_text_comes_back_from_the_page_as_it_went_in(text, value):
    element = parse(tag("p", text, title=value))
    shown = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
    assert "".join(map(str, element.children)).replace("\r", "\n") == shown.sub("\ufffd", text).replace("\r", "\n")
    assert element.attributes["title"] == shown.sub("\ufffd", value)


# ---- what was not measured -------------------------------------------------------------------------------------------


def test_what_was_not_measured_is_said_and_never_drawn():
    html = page(rungs=[*rungs()[:3], nothing(), *rungs()[4:]])
    for section in ("steps", "shares", "memory"):
        lines = words(html.section(section).all("svg")[0])
        assert lines[lines.index("3 bulk") + 1] == "not measured"
    assert len(dots(html.section("steps").all("svg")[0])) == 7
    table = html.section("figures").one("table").all("tr")[4]
    assert [cell.text for cell in table.all("td")] == ["not measured"] * 9 + ["= same bits"]
    assert "nan" not in html.text.lower().split()


def test_no_figure_becomes_zero_for_being_unknown():
    html = page(rungs=[nothing("interpreted", 0), nothing("fused", 5)], others=[], sizes=[], losses=[])
    numbers = html.one("main").section("figures").text + html.section("steps").text + html.section("memory").text
    assert not re.search(r"(?<![\w.,])0(\.0*)?\s*(ms|µs|ns|s|bytes|kB|MB|%|times)", numbers)
    assert html.one("h1").text == "A training step on every rung of the ladder"


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_unknown_figures_of_a_measured_rung_are_said_to_be_missing(unknown):
    rung = replace(rungs()[2], nodes=unknown, ns_per_node=unknown, bytes_per_node=unknown, peak_bytes=unknown)
    cells = page(rungs=[rungs()[0], rung]).section("figures").one("table").all("tr")[2].all("td")
    graph = "no nodes" if unknown is None else "not measured"
    assert [cell.text for cell in cells[5:9]] == [graph, "not measured", graph, "not measured"]


def test_a_part_that_was_not_measured_leaves_the_rest_of_the_bar_open():
    ms = {"step": spread(10.0), "forward": spread(6.0), "backward": spread(3.0)}
    drawn = chart("shares", rungs=[replace(rungs()[0], ms=ms)], others=[])
    assert words(drawn)[3:] == ["0 interpreted", "60 % 30 % -"]
    assert [width + 1 for width in widths(drawn)[3:]] == pytest.approx([240, 120])


@pytest.mark.parametrize("found", [rungs()[2:3], rungs()[2:], [], [nothing("interpreted", 0), rungs()[5]]])
def test_without_two_rungs_from_the_lowest_no_ratio_is_claimed(found):
    html = page(rungs=found, others=[], sizes=[])
    assert html.one("h1").text == "A training step on every rung of the ladder"
    assert "faster" not in html.one("header").text


def test_no_rung_at_all_is_a_page_too():
    html = page(rungs=[], others=[], sizes=[], losses=[], machine={}, software={}, model={}, documents="", command="")
    assert "No loss was kept." in html.section("losses").text
    assert not html.all(class_="of-sizes")
    assert "Other programs" not in html.text


def test_slower_is_not_called_faster():
    found = [rungs()[0], replace(rungs()[5], ms=parts(226, 160, 60, 6), ratio=0.5)]
    html = page(rungs=found)
    assert html.one("h1").text == "0.500 times as fast, and the same bits"
    assert "226 ms 0.500 times as fast" in words(html.section("steps").all("svg")[0])


@pytest.mark.parametrize("step", [5e-324, 1e-300, 1e-9, 1.0, 1e9, 1e300, 1.7e308])
def test_huge_and_tiny_times_stay_inside_their_charts(step):
    rung = Rung(5, "fused", "", {"step": Spread(step, step, step), "adam": Spread(step, step, step)}, 1 / 3, 1, True)
    html = page(rungs=[rungs()[0], rung], sizes=[Size(1, 1, 1, 1, 10, {"fused": step, "interpreted": 1.0})])
    for found in html.all("svg"):
        assert all(0 <= x <= charts.WIDTH for x in dots(found))
        assert all(0 <= width <= charts.WIDTH for width in widths(found))
    assert "inf" not in html.text.split()


def test_a_time_of_zero_has_no_dot_on_a_logarithmic_axis():
    drawn = chart("steps", rungs=[rungs()[0], replace(rungs()[5], ms=parts(0, 0, 0, 0))], others=[])
    assert any(line.startswith("0 ns") for line in words(drawn)) and len(dots(drawn)) == 1


def test_a_size_that_was_not_measured_breaks_the_line_and_says_so():
    found = sizes()
    slow = {name: ms for name, ms in found[1].ms.items() if name != "typed"}
    section = page(sizes=[found[0], replace(found[1], ms=slow), *found[2:]][::-1]).section("sizes")
    paths = {path.classes[-1]: path.attributes["d"] for path in section.all("path", "curve")}
    assert (paths["r2"].count("M"), paths["r2"].count("L")) == (2, 1)
    assert (paths["top"].count("M"), paths["top"].count("L")) == (1, 3)
    assert [cell.text for cell in section.one("tbody").all("tr")[2].all("td")][-4] == "not measured"
    assert not page(sizes=[replace(found[0], ms={})]).section("sizes").all("svg")


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


# ---- the looks, as far as they can be told without looking -----------------------------------------------------------


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, in light and in dark."""
    css = "".join(map(str, page().one("style").children))
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    light, dark, page_light, page_dark, _ = blocks
    return {"light": light | page_light, "dark": light | page_light | dark | page_dark}


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
    for shape in ("r0", "r1", "r2", "r3", "r4", "top", "other", "forward", "backward", "adam"):
        assert contrast(colors[shape], paper) >= 3, shape


def test_importing_the_report_pulls_in_the_standard_library_only():
    found = imported_by("import microgpt.ladder.report")
    assert not {"matplotlib", "numpy", "rich", "playwright"} & {name.partition(".")[0] for name in found}
