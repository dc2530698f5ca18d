"""The examples run, and what is stored of them is fit to be shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from dot_parser import parse

EXAMPLES = Path(__file__).parents[2] / "examples"
LADDER = EXAMPLES / "ladder.ipynb"
FILES = sorted(path for path in EXAMPLES.iterdir() if path.is_file())
MISSING = [name for name in ("nbclient", "ipykernel", "matplotlib") if find_spec(name) is None]
OF_A_MACHINE = re.compile(
    r"/(home|root|work|tmp|usr|opt|Users|mnt|var)/|[A-Z]:\\\\|site-packages|\.venv|https?://(?!www\.w3\.org)"
)


def cells_of(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def outputs_of(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells_of(path) for output in cell["outputs"]]


def images(path: Path, kind: str) -> int:
    return sum(kind in output.get("data", {}) for output in outputs_of(path))


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed (pip install --group examples)")
def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path):
    copy = shutil.copytree(EXAMPLES, tmp_path / "examples")
    command = [sys.executable, copy / "execute.py"]  # a process of its own: Jupyter's warnings are not ours
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    fresh = copy / LADDER.name
    assert not [
        output for output in outputs_of(fresh) if output["output_type"] == "error" or output.get("name") == "stderr"
    ]
    assert images(fresh, "image/png") == 2
    assert images(fresh, "image/svg+xml") == (3 if shutil.which("dot") else 0)
    assert [cell["source"] for cell in cells_of(fresh)] == [cell["source"] for cell in cells_of(LADDER)]


def test_the_notebook_is_stored_executed_in_order_and_without_errors():
    assert [cell["execution_count"] for cell in cells_of(LADDER)] == [*range(1, len(cells_of(LADDER)) + 1)]
    assert {output["output_type"] for output in outputs_of(LADDER)} <= {"stream", "display_data", "execute_result"}
    assert {output.get("name", "stdout") for output in outputs_of(LADDER)} == {"stdout"}
    assert images(LADDER, "image/png") == 2
    assert images(LADDER, "image/svg+xml") == 3


def test_the_notebook_climbs_all_rungs_and_compares_their_bits():
    source = "".join("".join(cell["source"]) for cell in cells_of(LADDER))
    assert "from microgpt import GPT, GPTConfig, _compiled, draw_dot, recorded, reference, table" in source
    assert ".hex()" in source
    shown = "".join("".join(output.get("text", "")) for output in outputs_of(LADDER))
    assert len(re.findall(r"^step \d  \d\.\d{4}  0x1\.\w+p\+\d$", shown, re.M)) == 8
    assert len(re.findall(r"^\d \w+ +[\d.,]+ ms a step   (?:the baseline|[\d,.]+ times faster)$", shown, re.M)) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_of_a_machine_is_stored(path):
    text = path.read_text("utf-8")
    images_left_out = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not OF_A_MACHINE.findall(
        images_left_out.replace(".venv/", "") if path.name == "README.md" else images_left_out
    )
    assert len(text) < 300_000


@pytest.mark.parametrize("arguments", [[], ["y.gv"]])
def test_an_operation_of_ones_own_is_drawn_with_its_name(tmp_path, arguments):
    command = [sys.executable, EXAMPLES / "own_operation.py", *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    picture = parse((tmp_path / "y.gv").read_text("utf-8") if arguments else run.stdout)
    assert sorted(picture.operations().values()) == ["*", "+", "softplus"]
    assert {box[0] for box in picture.boxes().values() if len(box) == 3} == {"w", "x", "b", "y"}


def test_the_readme_names_every_example():
    text = (EXAMPLES / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([^)]*)\)", text))
    assert linked == {path.name for path in FILES} - {"README.md", "execute.py"}
