"""HTML out of function calls: every tag is closed, and text is escaped because it is no Markup.

`tag("p", "1 < 2, ", tag("b", "really"), class_="note")` is `<p class="note">1 &lt; 2, <b>really</b></p>`.
"""

from __future__ import annotations

import re
from html import escape

VOID = frozenset({"meta", "link", "br"})


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
