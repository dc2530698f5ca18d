"""report.html in a real browser: Debian's chromium, without a screen, driven by playwright (make .venv/group-browser).

What is checked is what a glance would tell: the charts are there, nothing sticks out of the page or covers other text,
no error is logged and nothing but the file is asked for.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ladder_example import example, nothing, others, rungs, sizes

from microgpt.ladder.report import report_html
from microgpt.ladder.results import Results, Rung, Size, Spread

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make .venv/group-browser")
matplotlib = pytest.importorskip("matplotlib.image", reason="matplotlib, which reads the screenshots, is not installed")

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("there is no chromium: apt-get install chromium", allow_module_level=True)

SWITCHES = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]
WIDTHS = [320, 360, 414, 600, 768, 959, 961, 1024, 1280, 1920]  # the layout changes at 960

# Elements that a reader sees: not those hidden from sight for screen readers (clipped away), nor what is in them.
SEEN = """
const hidden = element => element.closest('caption, .sheet thead') && getComputedStyle(
    element.closest('caption, thead')).clipPath !== 'none';
const seen = element => element.checkVisibility() && !hidden(element);
const name = element => element.tagName.toLowerCase() + '.' + [...element.classList].join('.') + ' '
    + element.textContent.trim().slice(0, 30);
"""

# Of all elements those that stick out of the window, unless something around them scrolls.
STICKING_OUT = f"""() => {{ {SEEN}
    const scrolls = element => element && (['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
        || scrolls(element.parentElement));
    const width = document.documentElement.clientWidth;
    return [...document.body.querySelectorAll('*')].filter(element => {{
        const box = element.getBoundingClientRect();
        return seen(element) && box.width && (box.right > width + 0.5 || box.left < -0.5)
            && !scrolls(element.parentElement);
    }}).map(name);
}}"""

# Lines of text, each as its box. Fonts claim more height than their letters have, so a part of it does not count.
LINES = f"""() => {{ {SEEN}
    const lines = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {{
        if (!node.data.trim() || !seen(node.parentElement)) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const box of range.getClientRects()) {{
            const spare = 0.25 * box.height;
            lines.push([node.data.trim().slice(0, 30), box.left, box.top + spare, box.right, box.bottom - spare]);
        }}
    }}
    return lines;
}}"""

# Elements whose content is larger than themselves and cut off.
CUT_OFF = f"""() => {{ {SEEN}
    return [...document.body.querySelectorAll('*')].filter(element => seen(element)
        && ['hidden', 'clip'].includes(getComputedStyle(element).overflowX)
        && (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight)).map(name);
}}"""

BOXES = """selector => [...document.querySelectorAll(selector)].map(element => {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    return [box.left + scrollX, box.top + scrollY, box.width, box.height, style.fill];
})"""


@dataclass
class Visit:
    """A page that is open, and what happened on it."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def boxes(self, selector: str) -> list[tuple[float, float, float, float, str]]:
        """Left, top, width, height and colour of the elements."""
        return [tuple(box) for box in self.page.evaluate(BOXES, selector)]

    def pixels(self) -> Any:
        """A picture of the whole page: height, width, RGB from 0 to 1."""
        return matplotlib.imread(io.BytesIO(self.page.screenshot(full_page=True)))[..., :3]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # Chromium's sandbox refuses root.
    switches = [*SWITCHES, "--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else SWITCHES
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=switches)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, tmp_path) -> Iterator[Any]:
    """visit(results, width, scheme): the report in a window of that width."""
    contexts = []

    def open_page(results: Results, width: int = 1280, scheme: str = "light") -> Visit:
        file = tmp_path / "report.html"
        file.write_text(report_html(results), encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme))
        found = Visit(contexts[-1].new_page())
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("request", lambda request: found.asked.append(request.url))
        found.page.goto(file.as_uri())
        return found

    yield open_page
    for context in contexts:
        context.close()


def awkward() -> Results:
    """Names and figures that take more room than the usual ones, and some that are missing."""
    long = "a_name_without_any_place_to_break_it_" * 3
    wide = Rung(None, long, long, {"step": Spread(1.23e7, 1.2e7, 1.3e7)}, 1e-5, 10**9, False, 1e11, 1e11, 1e11, 10**17)
    found = [nothing("bulk", 3) if rung.name == "bulk" else replace(rung, same_bits=False) for rung in rungs()]
    alike = {f"rung{number}": 100.0 + number for number in range(9)} | {long: 1e9, "fused": 1e-7}
    return example(
        rungs=found,
        others=[*others(), wide],
        sizes=[*sizes(), Size(10**6, 10**6, 10**6, 10**6, 10**13, alike), Size(1, 1, 1, 1, 10**13 + 1, alike)],
        machine={"cpu": long * 3, long: None},
        command=long * 4,
        losses=["0x1.8p+1", long],
    )


RUNS = {
    "whole": example,
    "bare": lambda: example(others=[], sizes=[]),
    "one rung": lambda: example(rungs=rungs()[:1], others=[], sizes=sizes()[:1]),
    "nothing": lambda: example(rungs=[nothing()], others=[nothing("other", None)], sizes=[], losses=[]),
    "awkward": awkward,
}


def overlapping(lines: list[list[Any]]) -> list[tuple[str, str]]:
    """Pairs of lines of text that cover each other by more than a pixel."""
    lines = sorted((line for line in lines if line[3] > line[1]), key=lambda line: line[2])
    found = []
    for index, (text, left, _, right, bottom) in enumerate(lines):
        for other, other_left, other_top, other_right, _ in lines[index + 1 :]:
            if other_top >= bottom - 1:
                break
            if min(right, other_right) - max(left, other_left) > 1:
                found.append((text, other))
    return found


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_charts_have_their_colours_in_the_picture_and_the_page_its_ground(visit, width, scheme):
    shown = visit(example(), width, scheme)
    assert all(box[2] >= 8 and box[3] >= 8 for box in shown.boxes(".dot"))
    assert all(min(320, width - 40) <= box[2] <= 560 for box in shown.boxes(".chart"))
    pixels = shown.pixels()
    if folder := os.environ.get("MICROGPT_SCREENSHOTS"):  # to be looked at
        matplotlib.imsave(Path(folder) / f"report-{width}-{scheme}.png", pixels)
    assert pixels.shape[1] == width
    ground = pixels[4, 4]
    assert (ground > 0.9).all() if scheme == "light" else (ground < 0.15).all()
    inked = (abs(pixels - ground).max(axis=2) > 0.2).mean()
    assert 0.02 < inked < 0.5
    for left, top, across, up, color in shown.boxes(".of-steps .dot, .of-steps .bar.r0, .bar.forward"):
        wanted = [int(channel) / 255 for channel in color.removeprefix("rgb(").removesuffix(")").split(",")]
        assert pixels[int(top + up / 2), int(left + across / 2)] == pytest.approx(wanted, abs=0.02)


def wrong(page: Any) -> list[Any]:
    """All that is wrong with the layout as it is now."""
    inner, outer = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    wide = [f"the page scrolls: {inner} in {outer}"] if inner > outer else []
    return [*wide, *page.evaluate(STICKING_OUT), *overlapping(page.evaluate(LINES)), *page.evaluate(CUT_OFF)]


@pytest.mark.parametrize("run", RUNS)
def test_nothing_sticks_out_covers_other_text_or_is_cut_off_at_any_width(visit, run):
    page = visit(RUNS[run]()).page
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("innerWidth") == width
        found[width] = wrong(page)
    assert found == {width: [] for width in WIDTHS}


@pytest.mark.parametrize("width", WIDTHS)
def test_dots_cover_no_words(visit, width):
    shown = visit(example(), width)
    placed = [
        [name, left, top + 0.2 * up, left + across, top + 0.8 * up]
        for name in (".chart text", ".chart .dot")
        for left, top, across, up, _ in shown.boxes(name)
    ]
    assert (".chart .dot", ".chart text") not in {tuple(sorted(pair)) for pair in overlapping(placed)}
    assert len(placed) > 20 + 7


def test_the_check_for_covered_text_would_find_some():
    assert overlapping([["a", 0, 0, 10, 10], ["b", 5, 5, 15, 15]]) == [("a", "b")]
    assert overlapping([["a", 0, 0, 10, 10], ["b", 10, 0, 20, 10], ["c", 0, 10, 10, 20]]) == []


@pytest.mark.parametrize(
    ("css", "check"),
    [("h2 { transform: translateX(50vw) }", STICKING_OUT), ("li { overflow: hidden; height: 1px }", CUT_OFF)],
)
def test_the_checks_in_the_page_would_find_some(visit, css, check):
    shown = visit(example(), 360)
    shown.page.add_style_tag(content=css)
    assert shown.page.evaluate(check) != []


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_error_is_logged_and_only_the_file_is_asked_for(visit, run, scheme, tmp_path):
    shown = visit(RUNS[run](), 1280, scheme)
    shown.page.wait_for_load_state("networkidle")
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]


def test_the_page_refuses_to_fetch_even_what_would_be_put_into_it(visit):
    shown = visit(example())
    shown.page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    shown.page.wait_for_timeout(200)
    assert any("Content Security Policy" in text for text in shown.said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_white_and_bars_keep_their_colours(visit, scheme):
    shown = visit(example(), 700, scheme)  # A4 without its margins
    shown.page.emulate_media(media="print", color_scheme=scheme)
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.page.evaluate("getComputedStyle(document.querySelector('.bar')).printColorAdjust") == "exact"
    assert wrong(shown.page) == []
    assert shown.page.pdf(format="A4").startswith(b"%PDF")


def test_a_screen_reader_finds_landmarks_headings_and_the_chart_in_words(visit):
    page = visit(example(), 360).page
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("heading", level=1).inner_text().endswith("times faster, and the same bits")
    assert page.get_by_role("region", name="Where the time goes").count() == 1
    assert page.get_by_role("img").count() == 7
    # On a phone rows are shown as blocks; they still have to be rows.
    assert page.get_by_role("table", name="Every figure of every rung").get_by_role("row").count() == 1 + 6 + 1 + 2


def test_wide_tables_scroll_in_their_own_box_and_can_be_reached_by_keys(visit):
    shown = visit(awkward(), 1024)
    wide = "[...document.querySelectorAll('.sheet')].filter(each => each.scrollWidth > each.clientWidth)"
    assert shown.page.evaluate(f"{wide}.length") >= 1
    assert shown.page.evaluate(f"{wide}.every(each => each.tabIndex === 0)")


def test_letters_of_the_charts_can_be_read_on_a_phone(visit):
    sizes = "[...document.querySelectorAll('.chart text')].map(each => each.getBoundingClientRect().height)"
    assert min(visit(example(), 390).page.evaluate(sizes)) >= 11  # of a line, whose letters are three quarters as high
