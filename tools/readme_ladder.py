"""Writes the ladder's table into README.md, between its two marks, and docs/ladder.svg, both from docs/bench.json.

First `.venv/bin/microgpt bench --out docs`, then `.venv/bin/python tools/readme_ladder.py`.
"""

import sys
from pathlib import Path

from microgpt.ladder import table
from microgpt.ladder.charts import ladder_svg
from microgpt.ladder.results import load

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- the ladder -->\n", "<!-- end -->\n"


def main() -> int:
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"README.md: {BEGIN.strip()} and {END.strip()} are expected, once each", file=sys.stderr)
        return 2
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    results = load(ROOT / "docs" / "bench.json")
    readme.write_text(f"{before}{BEGIN}\n{table.markdown(results)}\n\n{table.source(results)}\n{END}{after}", "utf-8")
    (ROOT / "docs" / "ladder.svg").write_text(ladder_svg(results), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
