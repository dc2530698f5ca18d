"""The page and the table of a sweep: their figures, their escapes, and the page in a real browser."""

import csv
import json
import re
import shutil

import pytest
from cli_program import TINY, is_one_line
from ladder_example import parse
from sweeping import results

from microgpt.cli import main

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWEEP = ["sweep", "--data", "documents.txt", *TINY, "--seed", "0:3", "--lr", "0.001..0.1:log:4", "--steps", "5,20"]


@pytest.fixture
def swept(here, capsys):
    assert main([*SWEEP, "--n-layer", "1,2", "--out", "swept", "--keep", "none"]) == 0
    capsys.readouterr()
    return here / "swept"


def report(capsys, *more):
    assert main(["sweep", "report", "swept", *more]) == 0
    assert capsys.readouterr().err == "written to swept: sweep.html, sweep.csv\n"


def test_the_page_has_a_point_a_run_that_tells_its_settings(swept, capsys):
    report(capsys)
    page = (swept / "sweep.html").read_text()
    found = results(swept)
    points = re.findall(r"<title>(seed[^<]*)</title>", page)
    for run in found:
        words = f"seed {run['seed']}, n_layer {run['n_layer']}, steps {run['steps']}, lr {run['lr']}: loss"
        assert sum(point.startswith(words) for point in points) == 2  # against parameters, and against compute
    elements = parse(page).all()
    assert sum(element.tag == "svg" for element in elements) == 2 + 4 + 1
    assert not [element for element in elements if "src" in element.attributes or element.tag == "script"]
    best = min(found, key=lambda run: (run["loss"], run["run"]))
    assert f"<strong>{best['loss']:.5g}</strong>" in page


def test_the_table_has_every_figure(swept, capsys):
    report(capsys)
    with open(swept / "sweep.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = sorted(results(swept), key=lambda run: run["run"])
    assert [row["run"] for row in rows] == [str(run["run"]) for run in found]
    for row, run in zip(rows, found):
        assert float(row["loss"]).hex() == run["loss"].hex()
        assert {name: str(value) for name, value in run.items() if value is not None} == {
            k: v for k, v in row.items() if v
        }


def test_text_of_the_results_is_escaped(swept, capsys):
    about = json.loads((swept / "sweep.json").read_text())
    (swept / "sweep.json").write_text(json.dumps({**about, "command": "<script>alert(1)</script>"}))
    report(capsys)
    page = (swept / "sweep.html").read_text()
    assert "<script>" not in page
    parse(page)


@pytest.mark.parametrize("axes", [["--seed", "1"], ["--lr", "1e300", "--steps", "50", "--schedule", "constant"]])
def test_a_single_run_and_one_without_a_result_have_a_page(swept, capsys, axes):
    assert main(["sweep", "--data", "documents.txt", *TINY, *axes, "--out", "one", "--keep", "none"]) == 0
    assert main(["sweep", "report", "one"]) == 0
    parse((swept.parent / "one" / "sweep.html").read_text())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["report"], "unknown: report"),
        (["report", "swept", "more"], "unknown: report swept more"),
        (["show", "swept"], "unknown: show swept"),
        (["report", "nowhere"], "nowhere/sweep.json: No such file"),
        (["report", "documents.txt"], "documents.txt"),
        (["report", "empty"], "empty: no run is finished yet"),
        (["report", "damaged"], "damaged: not the results of a sweep"),
    ],
)
def test_what_cannot_be_reported_is_one_line(swept, capsys, arguments, complaint):
    for name, content in (("empty", ""), ("damaged", '{"run": 0}\n')):
        shutil.copytree(swept, swept.parent / name)
        (swept.parent / name / "runs.jsonl").write_text(content)
    assert main(["sweep", *arguments]) == 2
    stderr = capsys.readouterr().err
    assert is_one_line(stderr), stderr
    assert complaint in stderr


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_it_fits_and_asks_for_nothing(swept, capsys, width):
    sync_api = pytest.importorskip("playwright.sync_api")
    report(capsys)
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto((swept / "sweep.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [url for url in asked if not url.startswith("data:")] == [(swept / "sweep.html").as_uri()]
        assert said == []
        for box in page.evaluate(
            "[...document.querySelectorAll('svg text')].map(text => text.getBoundingClientRect())"
            ".map(box => [box.left, box.right])"
        ):
            assert -1 <= box[0] <= box[1] <= width + 1
        browser.close()
