"""What the installed package is, seen from outside."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from processes import imported_by

import microgpt

DISTRIBUTION = "microgpt-engine"
ROOT = Path(__file__).parents[2]
PACKAGE = Path(microgpt.__file__).parent


def test_the_version_is_the_same_everywhere():
    assert microgpt.__version__ == metadata.version(DISTRIBUTION)
    assert f'\nversion = "{microgpt.__version__}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert microgpt.__version__ in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_what_is_required_at_run_time_is_only_what_the_program_needs():
    required = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    assert {re.split(r"\W", line)[0] for line in required} == {"rich", "safetensors"}


@pytest.mark.parametrize("name", ["microgpt", "microgpt_engine"])
def test_importing_pulls_in_the_standard_library_only(name):
    outside = {module.partition(".")[0] for module in imported_by(f"import {name}")} - sys.stdlib_module_names
    assert outside - {"cython_runtime"} - {module for module in outside if module.startswith("_cython_")} <= {
        "microgpt",
        "microgpt_engine",
    }


def test_importing_leaves_documents_and_the_network_alone():
    assert not {"microgpt.data", "microgpt.reference", "urllib.request", "socket"} & imported_by("import microgpt")


@pytest.mark.parametrize(
    "file",
    ["py.typed", "_engine.pyi", "_engine.pxd", "_adam.pyi", "data/names.txt", "data/README.md", "ladder/report.css"],
)
def test_types_and_data_are_installed(file):
    assert (PACKAGE / file).is_file()


def test_public_names_are_those_that_are_promised():
    assert {"Adam", "Value", "__version__", "arena_stats"} <= set(microgpt.__all__)
    assert all(hasattr(microgpt, name) for name in microgpt.__all__)
