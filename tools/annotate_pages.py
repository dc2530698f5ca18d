#!/usr/bin/env python3
"""Gather Cython's annotated pages in one folder, with an index: python tools/annotate_pages.py BUILD_FOLDER TARGET

BUILD_FOLDER is where setup.py has built with MICROGPT_ANNOTATE=1; the pages lie in it beside the generated C. The index
says of each how many of its lines call into Python.
"""

import re
import shutil
import sys
from html import escape
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "src" / "microgpt"
LINE = re.compile(r'<pre class="cython line score-(\d+)"')
GENERATED_C = re.compile(r"<p>Raw output: <a .*?</p>\n")  # which stays behind: megabytes
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />'

INDEX = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
{VIEWPORT}
<title>Annotated sources of microgpt</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 44rem; padding: 0 1rem; line-height: 1.5 }}
td, th {{ padding: .2rem .8rem .2rem 0; text-align: right }} td:first-child, th:first-child {{ text-align: left }}
</style>
<h1>Annotated sources</h1>
<p>Cython colours the lines of its sources: the yellower a line, the more calls into Python it became; white lines are
plain C. A click on a line shows the C.</p>
<table>
<tr><th>file<th>lines<th>that call into Python
%s
</table>
</html>
"""


def pages_in(folder: Path) -> dict[str, Path]:
    """Name -> page, as engine/operators.html, of the sources that there still are."""
    found = {}
    for page in sorted(folder.glob("*/src/microgpt/**/*.html")):
        name = page.relative_to(folder).relative_to(*page.relative_to(folder).parts[:1], "src/microgpt")
        if any((SOURCES / name).with_suffix(suffix).is_file() for suffix in (".pyx", ".pxi", ".py")):
            found[name.as_posix()] = page
    return found


def row(name: str, text: str) -> str:
    scores = [int(score) for score in LINE.findall(text)]
    calling = sum(score > 0 for score in scores)
    return f'<tr><td><a href="{name}">{escape(name)}</a><td>{len(scores)}<td>{calling}'


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: annotate_pages.py BUILD_FOLDER TARGET")
    folder, target = map(Path, sys.argv[1:])
    pages = pages_in(folder)
    if not pages:
        raise SystemExit(f"annotate_pages: no annotated pages in {folder}; build with MICROGPT_ANNOTATE=1")
    shutil.rmtree(target, ignore_errors=True)
    rows = []
    for name, page in pages.items():
        text = GENERATED_C.sub("", page.read_text("utf-8")).replace("</head>", f"    {VIEWPORT}\n</head>", 1)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, "utf-8")
        rows.append(row(name, text))
    (target / "index.html").write_text(INDEX % "\n".join(rows), "utf-8")
    print(f"{target / 'index.html'}: {len(pages)} annotated pages")


if __name__ == "__main__":
    main()
