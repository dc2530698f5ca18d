"""Our own part of the site.

    {excerpt}           a block of the real sources, by excerpts.py, under a caption that leads to the whole file
    {picture}           an SVG of docs/pictures or rung_pictures.py, in the page itself and in the page's colours
    {graph}             the picture of a graph, by draw_dot: the block is a program that leaves it in `loss`
    {source}`path`      a link to the whole file, for which the site has a page of its own
    {annotated}`path`   a link to Cython's annotated page of a source file: `make annotate`; `index`: to all
    {{ ms fused }}      a measured figure, by excerpts_figures.py

Whatever one of them does not find is an error, and stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import PurePosixPath
from typing import Any, ClassVar

import excerpts
import excerpts_figures
import rung_pictures
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from microgpt import draw_dot

PICTURES = excerpts.ROOT / "docs" / "pictures"
ANNOTATED = excerpts.ROOT / "build" / "annotate" / "html"
PACKAGE = "src/microgpt/"


logger = logging.getLogger(__name__)


def up_from(docname: str) -> str:
    """From a page to the root of the site."""
    return "../" * docname.count("/")


def source_uri(env: Any, path: str, line: int | None = None) -> str:
    """From the page being read to that of a source file, which the site will have then."""
    if not (excerpts.ROOT / path).is_file():
        logger.error("there is no file %s", path, location=env.docname)
        return ""
    env.course_sources.setdefault(env.docname, set()).add(path)
    return f"{up_from(env.docname)}source/{path}.html" + (f"#line-{line}" if line else "")


def annotated_page(path: str) -> str | None:
    """The annotated page of a source file, relative to those pages; None if it has none."""
    page = PurePosixPath(path.removeprefix(PACKAGE)).with_suffix(".html")
    return str(page) if (ANNOTATED / page).is_file() else None


class ExcerptDirective(SphinxDirective):
    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        path = self.arguments[0]
        try:
            found = excerpts.find(path, list(self.content))
        except excerpts.ExcerptError as error:
            raise self.error(str(error)) from None
        self.env.note_dependency(str(excerpts.ROOT / path))
        text = "\n\n".join(each.text for each in found)
        code = nodes.literal_block(text, text, language=excerpts.language_of(path))
        return [nodes.container("", self.caption(path, found), code, classes=["excerpt"])]

    def caption(self, path: str, found: list[excerpts.Excerpt]) -> nodes.paragraph:
        caption = nodes.paragraph(classes=["excerpt-caption"])
        caption += nodes.reference("", "", nodes.literal(text=path), refuri=source_uri(self.env, path), internal=True)
        for k, each in enumerate(found):
            lines = f"{each.first}-{each.last}" if each.last > each.first else f"{each.first}"
            caption += nodes.Text(", " if k else " · lines ")
            caption += nodes.reference("", lines, refuri=source_uri(self.env, path, each.first), internal=True)
        page = annotated_page(path)
        if page:
            caption += nodes.Text(" · ")
            uri = f"{up_from(self.env.docname)}annotate/{page}"
            caption += nodes.reference("", "annotated", refuri=uri, internal=True)
        return caption


def picture(svg: str, alt: str, caption: str, classes: str = "picture") -> nodes.raw:
    """A drawing in the page itself. caption: HTML, or nothing."""
    svg = svg[svg.index("<svg ") :].replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
    caption = f"<figcaption>{caption}</figcaption>" if caption else ""
    return nodes.raw("", f'<figure class="{classes}">{svg}{caption}</figure>', format="html")


class PictureDirective(Directive):
    """The caption is its content; `alt` says what is to be seen, to those who don't see it."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        drawn = rung_pictures.PICTURES.get(name)
        svg = drawn() if drawn else (PICTURES / f"{name}.svg").read_text("utf-8")
        caption = re.sub(r"`(.+?)`", r"<code>\1</code>", escape(" ".join(self.content)))
        return [picture(svg, self.options["alt"], caption)]


class GraphDirective(Directive):
    """Drawn when the site is built; where graphviz is not installed, the page is without it."""

    has_content = True
    option_spec: ClassVar = {"alt": directives.unchanged_required, "caption": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        names: dict[str, Any] = {}
        exec("\n".join(self.content), names)
        svg = draw_dot(names["loss"], format="%.0f", rankdir="TB")._repr_svg_()
        if svg is None:
            return []
        return [picture(svg, self.options["alt"], escape(self.options["caption"]), "picture graph")]


class SourceRole(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        uri = source_uri(self.env, self.text)
        label = nodes.literal(text=self.text.removeprefix(PACKAGE))
        return [nodes.reference("", "", label, refuri=uri, internal=True)], []


class AnnotatedRole(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        page = annotated_page(self.text)
        if page is None:
            logger.error("%s has no annotated page: `make annotate`", self.text, location=self.env.docname)
        uri = f"{up_from(self.env.docname)}annotate/{page}"
        label = nodes.literal(text=self.text.removeprefix(PACKAGE))
        if self.text == "index":
            label = nodes.inline(text="a list of those pages")
        return [nodes.reference("", "", label, refuri=uri, internal=True)], []


def fill_figures(app: Sphinx, docname: str, source: list[str]) -> None:
    """On the pages of the course and the home page."""
    if not (docname == "index" or docname.startswith("course/")):
        return
    app.env.note_dependency(str(excerpts_figures.BENCH), docname=docname)
    try:
        source[0] = excerpts_figures.fill(source[0], excerpts_figures.results())
    except excerpts_figures.FigureError as error:
        logger.error("%s", error.args[0], location=docname)


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page for every file that some page shows or names, with an anchor a line."""
    for path in sorted(set().union(*app.env.course_sources.values())):
        text = (excerpts.ROOT / path).read_text("utf-8")
        formatter = HtmlFormatter(linenos="inline", lineanchors="line", anchorlinenos=True, cssclass="highlight")
        body = highlight(text, get_lexer_by_name(excerpts.language_of(path)), formatter)
        yield f"source/{path}", {"title": path, "body": f"<h1>{path}</h1>{body}"}, "page.html"


def forget_sources(app: Sphinx, env: Any, docname: str) -> None:
    env.course_sources.pop(docname, None)


def start(app: Sphinx, env: Any, docnames: list[str]) -> None:
    if not hasattr(env, "course_sources"):
        env.course_sources = {}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("excerpt", ExcerptDirective)
    app.add_directive("picture", PictureDirective)
    app.add_directive("graph", GraphDirective)
    app.add_role("source", SourceRole())
    app.add_role("annotated", AnnotatedRole())
    app.connect("env-before-read-docs", start)
    app.connect("env-purge-doc", forget_sources)
    app.connect("source-read", fill_figures)
    app.connect("html-collect-pages", source_pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
