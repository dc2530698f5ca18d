"""HTML out of function calls: every tag is closed, and text is escaped because it is no Markup.

`tag("p", "1 < 2, ", tag("b", "really"), class_="note")` is `<p class="note">1 &lt; 2, <b>really</b></p>`.

Below that, the pieces of our pages (report.html, sweep.html), whose looks are in report.css.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

VOID = frozenset({"meta", "link", "br"})
# Nothing may be fetched, whatever gets into the page: a browser that honours this refuses even to try.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Markup(str):
    """Text that is HTML already. Only this module and constants of ours make it."""

    __slots__ = ()


# What no page may have: control characters, and what stands for the bytes of file names that are no UTF-8.
REFUSED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _escaped(text: str) -> str:
    return escape(REFUSED.sub("\N{REPLACEMENT CHARACTER}", text))


def markup(*children: str) -> Markup:
    """The children one after the other, escaped where they are text."""
    return Markup("".join(child if isinstance(child, Markup) else _escaped(child) for child in children))


def tag(name: str, /, *children: str, **attributes: str | None) -> Markup:
    """One element. `class_` and `aria_label` become class and aria-label; an attribute that is None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{markup(*children)}</{name}>")


def css(name: str) -> Markup:
    """A style sheet of ours, which has nothing that ends the element it stands in."""
    return Markup(Path(__file__).with_name(name).read_text(encoding="utf-8"))


# ---- pages -----------------------------------------------------------------------------------------------------------


def document(title: str, header: Iterable[str], sections: Iterable[str], foot: str, style: str = "") -> str:
    """A page in one file that asks for nothing else."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        tag("style", css("charts.css"), css("report.css"), Markup(style)),
    ]
    body = [tag("header", *header), tag("main", *sections), tag("footer", tag("p", foot))]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def section(name: str, title: str, lede: str, *content: str) -> Markup:
    head = tag("h2", title, id=name)
    return tag("section", head, tag("p", lede, class_="lede"), *content, aria_labelledby=name, class_=f"of-{name}")


def panels(*each: str) -> Markup:
    """Side by side where there is room."""
    return tag("div", *each, class_="panels")


def panel(title: str, *content: str) -> Markup:
    return tag("div", *([tag("h3", title)] if title else []), *content)


def note(words: str) -> Markup:
    return tag("p", words, class_="note")


def facts(groups: Mapping[str, Mapping[str, str]]) -> Markup:
    """Names and what they stand for, in groups with a title each; empty ones are left out."""
    lists = {
        title: tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in group.items()))
        for title, group in groups.items()
        if group
    }
    return tag("div", *(panel(title, found) for title, found in lists.items()), class_="facts")


# On a phone every row becomes a block, with the heads of the columns before the figures. The roles are written out
# because a table that is shown as blocks is no table to a screen reader otherwise.


def table(caption: str, heads: Sequence[str], *bodies: Iterable[Markup]) -> Markup:
    """bodies: rows, in groups."""
    row = tag("tr", *(tag("th", head, scope="col", role="columnheader") for head in heads), role="row")
    head = tag("thead", row, role="rowgroup")
    found = tag(
        "table", tag("caption", caption), head, *(tag("tbody", *body, role="rowgroup") for body in bodies), role="table"
    )
    return tag("div", found, class_="sheet", role="region", aria_label=caption, tabindex="0")


def row(heads: Sequence[str], first: str, *rest: str) -> Markup:
    """A row of such a table: what it is about, and its figures."""
    cells = [tag("td", content, role="cell", data_label=head) for head, content in zip(heads[1:], rest)]
    return tag("tr", tag("th", first, scope="row", role="rowheader"), *cells, role="row")
