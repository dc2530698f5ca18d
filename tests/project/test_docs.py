"""README.md and docs/: whatever they show is real.

Blocks of its pages, by the words behind the backticks:

    ```console             each `$ command` is run; exit status 0, and the output below it, if any is shown
    ```console checkout    `make` targets and `pip install .`, which need the sources and minutes: make has to know them
    ```python              a session with >>> or a program; what a program prints is in a ```text block right behind it
    ```python NAME.py      a program that later blocks of the page may use
    ```text                output, or nothing that is run; so is ```toml
    ```{anything}          Sphinx's, or our own: see docs/_ext/extension.py

In output, `...` stands for anything. Every block runs by itself in a folder that belongs to its page, with the programs
of this interpreter first on PATH.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT / "tools")]

import excerpts  # noqa: E402
import excerpts_figures  # noqa: E402
import profile_chart  # noqa: E402
import rung_pictures  # noqa: E402

COURSE = sorted((DOCS / "course").glob("*.md"))
PAGES = [ROOT / "README.md", *COURSE, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/*/*.md"))]
LESSONS = [page for page in COURSE if page.stem not in ("index", "glossary")]
RUNGS = ["interpreted", "compiled", "typed", "bulk", "recorded", "fused"]
DOCTEST = "import doctest, sys; sys.exit(doctest.testfile(sys.argv[1], False, optionflags=doctest.ELLIPSIS).failed)"


class Block(NamedTuple):
    page: Path
    line: int
    info: str
    text: str
    output: str | None  # of the ```text block right behind it

    @property
    def words(self) -> list[str]:
        return self.info.split()

    def __str__(self) -> str:
        return f"{self.page.stem}:{self.line}"


def blocks_of(page):
    """Every fenced block of a page."""
    lines = page.read_text("utf-8").splitlines()
    found, k = [], 0
    while k < len(lines):
        if lines[k].startswith("```"):
            end = lines.index("```", k + 1)
            found.append((k, end, lines[k][3:].strip(), "\n".join(lines[k + 1 : end]) + "\n"))
            k = end
        k += 1
    for (start, end, info, text), following in zip(found, [*found[1:], None]):
        is_behind = following and following[2] == "text" and not "".join(lines[end + 1 : following[0]]).strip()
        yield Block(page, start + 1, info, text, following[3] if is_behind else None)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
CONSOLE = [block for block in BLOCKS if block.info == "console"]
# A benchmark takes ten seconds and needs nothing of its page: one that several pages show is run once.
CONSOLE = list({block.text if "microgpt bench" in block.text else block: block for block in CONSOLE}.values())
CHECKOUT = [block for block in BLOCKS if block.info == "console checkout"]
PYTHON = [block for block in BLOCKS if block.words[:1] == ["python"]]


def commands_of(block):
    """The commands of a console block with the output shown below each, None where none is."""
    assert block.text.startswith("$ "), f"{block}: a console block begins with a command"
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output or None


def is_as_shown(output, shown):
    """Whether this is the output that a page shows, in which `...` stands for anything."""
    output, shown = ("\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (output, shown))
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), output, re.DOTALL) is not None


def run(command, folder, **options):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 600, **options}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, **options)
    assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.fixture
def folder_of(tmp_path_factory):
    """A folder for each page, with the programs that it names."""

    def make(page):
        folder = tmp_path_factory.mktemp(page.stem)
        for block in PYTHON:
            if block.page == page and len(block.words) > 1:
                (folder / block.words[1]).write_text(block.text, "utf-8")
        return folder

    return make


# ---- what is run ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_commands_work_and_print_what_the_page_shows(block, folder_of):
    folder = folder_of(block.page)
    for command, shown in commands_of(block):
        output = run(command, folder, shell=True)
        assert shown is None or is_as_shown(output, shown), f"{command} printed\n{output}"


@pytest.mark.parametrize("block", CHECKOUT, ids=str)
def test_make_knows_the_targets_of_the_pages(block):
    for command, _ in commands_of(block):
        if command == "python3 -m pip install .":
            continue
        assert command.split()[0] == "make"
        run(["make", "-n", *command.split()[1:]], ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_programs_print_what_the_page_shows(block, folder_of):
    folder = folder_of(block.page)
    program = folder / "block"
    program.write_text(block.text, "utf-8")
    if block.text.startswith(">>>"):
        run([sys.executable, "-c", DOCTEST, program], folder)
        return
    output = run([sys.executable, program], folder)
    assert output.strip() == "" if block.output is None else is_as_shown(output, block.output), output


def test_every_block_is_of_a_kind_that_is_run_or_is_no_code():
    others = [
        f"{block}: {block.info!r}"
        for block in BLOCKS
        if block not in (*CHECKOUT, *PYTHON)
        and block.info not in ("console", "text", "toml")
        and not block.info.startswith("{")
    ]
    assert not others
    assert len(CONSOLE) > 2 and len(CHECKOUT) > 1 and len(PYTHON) > 20


def test_programs_and_make_targets_named_in_the_text_exist():
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    help_text = run([sys.executable, "-m", "microgpt", "--help"], ROOT)
    for page in PAGES:
        if page.stem == "LOG":  # the past
            continue
        text = page.read_text("utf-8")
        assert set(re.findall(r"`make ([\w-]+)", text)) <= set(targets[1].split())
        for name in set(re.findall(r"`microgpt ([a-z]+)", text)):
            assert re.search(rf"\b{name}\b", help_text), f"{page.name}: microgpt {name}"


@pytest.mark.parametrize(
    ("output", "shown", "same"),
    [
        ("a 1 b\n", "a ... b\n", True),
        ("a  \nb\n", "a\nb", True),
        ("ab\n", "a\n", False),
        ("a\nlong\nstory\nb\n", "a\n...\nb\n", True),
        ("a.b", "a+b", False),
    ],
)
def test_output_is_compared_with_dots_for_anything(output, shown, same):
    assert is_as_shown(output, shown) == same


# ---- what is shown --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_excerpt_is_in_the_sources(page):
    for path, anchors in excerpts.excerpts_in(page.read_text("utf-8")):
        assert all(each.text.strip() for each in excerpts.find(path, anchors))


def test_the_rungs_show_code_and_figures():
    shown = [list(excerpts.excerpts_in(page.read_text("utf-8"))) for page in LESSONS]
    assert sum(map(len, shown)) >= 20
    for number, rung in enumerate(RUNGS):
        assert f"{{{{ ms {rung} }}}}" in (DOCS / "course" / f"{number}-{rung}.md").read_text("utf-8")


def test_files_and_pictures_that_pages_name_exist():
    for page in PAGES:
        text = page.read_text("utf-8")
        for path in re.findall(r"\{source\}`([^`]+)`", text):
            assert (ROOT / path).is_file(), path
        for name in re.findall(r"^```\{picture\} (\S+)", text, re.MULTILINE):
            assert name in rung_pictures.PICTURES or (DOCS / "pictures" / f"{name}.svg").is_file(), name


@pytest.mark.parametrize("page", [DOCS / "index.md", *COURSE], ids=lambda page: page.stem)
def test_every_figure_was_measured(page):
    text = excerpts_figures.fill(page.read_text("utf-8"), excerpts_figures.results())
    assert "{{" not in text


@pytest.mark.parametrize("page", [DOCS / "index.md", *COURSE], ids=lambda page: page.stem)
def test_no_time_or_gain_is_typed_by_hand(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"\d[\d.,]* ?(?:ms|µs|ns|milliseconds|microseconds|nanoseconds|times faster)\b", prose)


def test_what_depends_on_python_was_measured_on_several_and_is_said_within_bounds():
    saved = json.loads((DOCS / "pythons.json").read_text("utf-8"))
    assert {"3.11", "3.13"} <= {version.rpartition(".")[0] for version in saved}
    for run in saved.values():
        assert 0.9 < run["compiled"] < 1.4  # "hardly faster", on the page of rung 1
        assert 0.1 < run["collector"] < 0.75  # worth an exercise, on the page of rung 0


def test_the_profile_is_that_of_every_rung_and_bears_out_what_the_pages_say():
    profile = profile_chart.saved()
    assert list(profile["rungs"]) == RUNGS
    for shares in profile["rungs"].values():
        assert set(shares) <= set(profile_chart.COLORS)
        assert 0.95 < sum(shares.values()) < 1.05
    interpreted, fused = profile["rungs"]["interpreted"], profile["rungs"]["fused"]
    assert interpreted["collector"] > 0.2 and "matrix products" not in interpreted
    assert "collector" not in fused and fused["interpreter"] < 0.1


@pytest.mark.parametrize("name", rung_pictures.PICTURES)
def test_a_picture_stays_within_its_frame(name):
    svg = rung_pictures.PICTURES[name]()
    height = float(re.search(r'viewBox="-1 -1 402 ([\d.]+)"', svg)[1])
    for x, y, width, box in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg):
        assert float(x) + float(width) <= 400 and float(y) + float(box) <= height


@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)
def test_every_lesson_ends_with_an_exercise_and_a_solution_that_is_run(page):
    exercise = page.read_text("utf-8").partition("\n## Exercise\n")[2]
    assert exercise.count("<details>\n<summary>Solution</summary>\n") == exercise.count("</details>\n") == 1
    assert "```python " in exercise and exercise.endswith("</details>\n")


# ---- how they are found ---------------------------------------------------------------------------------------------

PYTHON_SOURCE = """\
LIMIT = [
    1,
]


class Left:
    @property
    def size(
        self,
    ):
        return 1


class Right:
    def size(self):
        return size(2)  # and a call


cdef inline int *place(int *size) noexcept:
    return size
"""

C_SOURCE = """\
/* One
   thing. */
typedef struct {
    double x;
} Thing;

/* Twice. */
static double ISA(twice)(double x)
{
    if (x > 0) {
        return 2 * x;
    }
    return twice_again(x);
}

INLINE int plain(void) { return 1; }

static int again(void)
{
    return plain() + 1;
}
"""


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "a.pyx").write_text(PYTHON_SOURCE, "utf-8")
    (tmp_path / "a.h").write_text(C_SOURCE, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "anchors", "first", "last"),
    [
        ("a.pyx", ["Left"], 6, 11),
        ("a.pyx", ["Left.size"], 7, 11),
        ("a.pyx", ["Right.size"], 15, 16),
        ("a.pyx", ["place"], 19, 20),
        ("a.pyx", ["from: LIMIT"], 1, 3),
        ("a.pyx", ["from: class Left", "to: return"], 6, 11),
        ("a.h", ["Thing"], 1, 5),
        ("a.h", ["twice"], 7, 14),
        ("a.h", ["plain"], 16, 16),
        ("a.h", ["again"], 18, 21),
        ("a.h", ["from: if (x"], 10, 12),
        ("a.h", ["from: /* One"], 1, 2),
    ],
)
def test_an_excerpt_is_the_whole_definition(sources, path, anchors, first, last):
    (found,) = excerpts.find(path, anchors, sources)
    assert (found.first, found.last) == (first, last)
    lines = (sources / path).read_text("utf-8").splitlines()
    assert [line.strip() for line in lines[first - 1 : last]] == [line.strip() for line in found.text.splitlines()]


def test_an_excerpt_of_a_method_loses_the_indentation_of_its_class(sources):
    (found,) = excerpts.find("a.pyx", ["Right.size"], sources)
    assert found.text == "def size(self):\n    return size(2)  # and a call"


@pytest.mark.parametrize(
    ("path", "anchors", "complaint"),
    [
        ("b.pyx", ["Left"], "no such file"),
        ("a.pyx", ["gone"], "'gone' is found nowhere"),
        ("a.pyx", ["size"], "'size' is found 2 times"),
        ("a.pyx", ["Left.gone"], "nowhere"),
        ("a.pyx", ["from: return"], "3 times"),
        ("a.pyx", ["from: LIMIT", "to: gone"], "no line with 'gone' follows line 1"),
        ("a.pyx", ["to: LIMIT"], "behind no `from:`"),
        ("a.pyx", [""], "nothing to show"),
        ("a.h", ["twice_again"], "nowhere"),
    ],
)
def test_an_excerpt_that_is_gone_or_not_the_only_one_is_an_error(sources, path, anchors, complaint):
    with pytest.raises(excerpts.ExcerptError, match=complaint):
        excerpts.find(path, anchors, sources)


NOT_MEASURED = ["ms", "ms nobody", "ms fused lunch", "speed fused", "nodes fused", "ms fused step 1"]


@pytest.mark.parametrize("words", [*NOT_MEASURED, "profile nobody", "pythons nothing"])
def test_a_figure_that_was_not_measured_is_an_error(words):
    with pytest.raises(excerpts_figures.FigureError, match=words):
        excerpts_figures.figure(excerpts_figures.results(), words)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(113.4, "113 ms"), (84.02, "84 ms"), (4.213, "4.2 ms"), (0.16, "0.16 ms"), (0.011, "11 µs"), (0.0025, "2.5 µs")],
)
def test_times_are_written_in_fitting_units(ms, text):
    assert excerpts_figures.duration(ms).replace("\u00a0", " ") == text


# ---- links ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def check_site():
    import check_site

    return check_site


PAGE = '<html><head><link rel="stylesheet" href="{style}"></head><body id="here"><a href="{link}">x</a></body></html>'


@pytest.mark.parametrize(
    ("style", "link", "complaint"),
    [
        ("a.css", "b.html#here", None),
        ("a.css", "#here", None),
        ("a.css", "https://example.org/a?b=c#d", None),
        ("a.css", "gone.html", "'gone.html' leads to no file"),
        ("a.css", "b.html#gone", "leads to no anchor"),
        ("https://example.org/a.css", "#here", "from outside"),
        ("gone.css", "#here", "leads to no file"),
    ],
)
def test_the_check_of_links_finds_what_is_wrong(tmp_path, check_site, style, link, complaint):
    (tmp_path / "a.css").write_text("body {}", "utf-8")
    (tmp_path / "b.html").write_text('<body id="here"></body>', "utf-8")
    (tmp_path / "a.html").write_text(PAGE.format(style=style, link=link), "utf-8")
    links, wrong = check_site.check(tmp_path)
    assert links == 2
    assert wrong == [] if complaint is None else len(wrong) == 1 and complaint in wrong[0]


def test_a_style_that_loads_from_outside_is_found(tmp_path, check_site):
    (tmp_path / "a.css").write_text("@import url('https://example.org/font.css');", "utf-8")
    _, wrong = check_site.check(tmp_path)
    assert len(wrong) == 1
