#!/usr/bin/env python3
"""Check every link of a built site: python tools/check_site.py FOLDER

Links inside must lead to a file, and to an anchor in it where they name one. Links outside must be well-formed and
https, and are not followed; pictures, styles, scripts and fonts must not come from outside at all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
OUTSIDE_IN_CSS = re.compile(r"(?:@import|url\()\s*['\"]?\s*(?:https?:)?//")
NOT_LOADED = ("canonical", "next", "prev", "index", "search", "help", "copyright", "author")  # rel of a <link>


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "link" and given.get("rel") not in NOT_LOADED:
            self.loads.append(given.get("href", ""))
        elif "href" in given and tag != "use":
            self.links.append(given["href"])
        if "src" in given:
            self.loads.append(given["src"])


def complaints_about_outside(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme == "mailto":
        return
    if parts.scheme != "https" or not HOST.fullmatch(parts.hostname or "") or re.search(r"[\s<>\"]", url):
        yield f"{url!r} is no well-formed https link"


def complaints_about_inside(url: str, page: Path, pages: dict[Path, Page]) -> Iterator[str]:
    parts = urlsplit(url)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        yield f"{url!r} leads to no file"
    elif target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{url!r} leads to no anchor of that page"


def complaints_about(page: Path, pages: dict[Path, Page]) -> Iterator[str]:
    for url in pages[page].links:
        outside = urlsplit(url).scheme or url.startswith("//")
        yield from complaints_about_outside(url) if outside else complaints_about_inside(url, page, pages)
    for url in pages[page].loads:
        if urlsplit(url).scheme == "data":
            continue
        if urlsplit(url).netloc:
            yield f"loads {url!r} from outside"
        else:
            yield from complaints_about_inside(url, page, pages)


def check(site: Path) -> tuple[int, list[str]]:
    """How many links and files of pages there are, and what is wrong with them."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    wrong = [f"{path.relative_to(site.resolve())}: {each}" for path in pages for each in complaints_about(path, pages)]
    for style in site.rglob("*.css"):
        if OUTSIDE_IN_CSS.search(style.read_text("utf-8")):
            wrong.append(f"{style}: loads something from outside")
    return sum(len(page.links) + len(page.loads) for page in pages.values()), wrong


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: check_site.py FOLDER")
    links, wrong = check(Path(sys.argv[1]))
    for each in wrong:
        print(each)
    if wrong:
        raise SystemExit(f"check_site: {len(wrong)} of {links} links are wrong")
    print(f"{sys.argv[1]}: {links} links, all well")


if __name__ == "__main__":
    main()
