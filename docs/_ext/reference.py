"""The reference: docstrings of the package and help texts of the program, as they are.

autodoc             docstrings are plain text, not reStructuredText: paragraphs become paragraphs, whatever is
                    indented or set in columns stays as it was typed
{help} `train`      what `microgpt train --help` prints
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MARKUP = re.compile(r"([\\*_|])")
CODE = re.compile(r"`([^`\n]+)`")


def is_preformatted(paragraph: list[str]) -> bool:
    return any(line.startswith(" ") or re.search(r"\S {2,}\S", line) for line in paragraph)


def as_paragraph(lines: list[str]) -> list[str]:
    """Escape what reStructuredText would take for markup; `code` in backticks becomes a literal."""
    parts = CODE.split(" ".join(lines))
    return ["".join(f"``{part}``" if k % 2 else MARKUP.sub(r"\\\1", part) for k, part in enumerate(parts))]


def as_block(lines: list[str]) -> list[str]:
    return [".. code-block:: text", "", *(f"   {line}" for line in lines)]


def to_restructured_text(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line.rstrip())
        elif paragraphs[-1]:
            paragraphs.append([])
    lines[:] = [
        line
        for paragraph in filter(None, paragraphs)
        for line in [*(as_block if is_preformatted(paragraph) else as_paragraph)(paragraph), ""]
    ]


class HelpDirective(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        command = [sys.executable, "-m", "microgpt", self.arguments[0], "--help"]
        environment = {**os.environ, "COLUMNS": "88", "NO_COLOR": "1"}
        text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return [nodes.literal_block(text.stdout, text.stdout, language="text")]


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", to_restructured_text)
    app.add_directive("help", HelpDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
