#!/usr/bin/env python3
"""Check the links of a built site: python tools/check_site.py FOLDER

Links inside must lead to a file, and to an anchor in it where they name one; pictures, styles and scripts must not come
from outside. Sphinx itself checks what its pages refer to; this is for annotated sources and the pages of files.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINK = re.compile(r'<(a|link|img|script|source|iframe)\b[^>]*?\s(?:href|src)="([^"]*)"')
ANCHOR = re.compile(r'\b(?:id|name)="([^"]+)"')
OUTSIDE_IN_CSS = re.compile(r"(?:@import|url\()\s*['\"]?\s*(?:https?:)?//")


def complaint(page: Path, tag: str, url: str, anchors: dict[Path, set[str]]) -> str:
    """What is wrong with a link; nothing if it is well."""
    parts = urlsplit(url)
    if parts.scheme or parts.netloc:
        return f"{url!r} is loaded from outside" if tag != "a" and parts.scheme != "data" else ""
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return f"{url!r} leads to no file"
    if target in anchors and parts.fragment and unquote(parts.fragment) not in anchors[target] | {"top"}:
        return f"{url!r} leads to no anchor of that page"
    return ""


def check(site: Path) -> tuple[int, list[str]]:
    """How many links there are, and what is wrong with them."""
    texts = {path.resolve(): path.read_text("utf-8") for path in site.rglob("*.html")}
    anchors = {path: set(ANCHOR.findall(text)) for path, text in texts.items()}
    links = [(page, match[1], match[2]) for page, text in texts.items() for match in LINK.finditer(text)]
    found = [(page, complaint(page, tag, url, anchors)) for page, tag, url in links]
    wrong = [f"{page.relative_to(site.resolve())}: {said}" for page, said in found if said]
    styles = [path for path in site.rglob("*.css") if OUTSIDE_IN_CSS.search(path.read_text("utf-8"))]
    wrong += [f"{path}: loads something from outside" for path in styles]
    return len(links), wrong


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("usage: check_site.py FOLDER")
    links, wrong = check(Path(sys.argv[1]))
    if wrong:
        raise SystemExit("\n".join([*wrong, f"check_site: {len(wrong)} of {links} links are wrong"]))
    print(f"{sys.argv[1]}: {links} links, all well")


if __name__ == "__main__":
    main()
