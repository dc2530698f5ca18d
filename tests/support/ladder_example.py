"""A run of `microgpt bench` that never was, and the page about it as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from microgpt.ladder.results import Results, Rung, Size, Spread

VOID = {"meta", "link", "br"}


def spread(median: float) -> Spread:
    return Spread(median, 0.9 * median, 1.2 * median)


def parts(step: float, forward: float, backward: float, adam: float) -> dict[str, Spread]:
    return {
        "step": spread(step),
        "forward": spread(forward),
        "backward": spread(backward),
        "adam": spread(adam),
    }


def rungs() -> list[Rung]:
    script = "the script as it is"
    return [
        Rung(0, "interpreted", script, parts(113, 80, 30, 3), 1.0, 4, True, 59623, 1895.0, 189.0, 14_100_000),
        Rung(
            1, "compiled", "through Cython", parts(84, 61, 21, 2), 113 / 84, 5, True, 59623, 1409.0, 188.0, 14_200_000
        ),
        Rung(2, "typed", "import Value", parts(4.21, 1.6, 0.31, 2.3), 26.84, 24, True, 59623, 70.6, 62.4, 4_130_000),
        Rung(
            3,
            "bulk",
            "and linear",
            parts(0.161, 0.0912, 0.0594, 0.0104),
            702.0,
            200,
            True,
            2931.4,
            2.71,
            310.0,
            912_000,
        ),
        Rung(
            4,
            "recorded",
            "and @recorded",
            parts(0.05, 0.02, 0.0196, 0.0104),
            2260.0,
            400,
            True,
            None,
            0.839,
            None,
            1_900_000,
        ),
        Rung(5, "fused", "GPT", parts(0.011, 0.0025, 0.0037, 0.0048), 10272.7, 2000, True, None, 0.184, None, 207_000),
    ]


def others() -> list[Rung]:
    return [
        Rung(None, "PyPy 7.3.11", "the script as it is", parts(27.3, 20.4, 5.83, 1.07), 4.14, 6, True),
        Rung(None, "NumPy 2.4.6", "whole arrays", {"step": spread(0.132)}, 856.0, 300, False),
    ]


def sizes() -> list[Size]:
    every = {"interpreted": 113.0, "compiled": 84.0, "typed": 4.2, "bulk": 0.16, "recorded": 0.05, "fused": 0.011}
    growth = {16: (4192, 1), 32: (14528, 3.4), 64: (53632, 12.7), 128: (205568, 48.6)}
    return [
        Size(1, n_embd, 4, 16, parameters, {name: ms * factor for name, ms in every.items()})
        for n_embd, (parameters, factor) in growth.items()
    ]


def example(**changes: object) -> Results:
    """All six rungs, two others and four sizes, with every figure that can be there."""
    made = Results(
        command="microgpt bench --out ladder",
        made="2026-01-31T12:05:00+00:00",
        machine={"cpu": "A CPU 9000", "cores": 2, "system": "Linux x86_64", "pinned": 1, "load": 0.4},
        software={
            "microgpt": "0.1.0",
            "python": "CPython 3.11.7",
            "compiler": "GCC 12.2.0",
            "flags": "-std=c11 -O3 -ffp-contract=off",
            "libc": "glibc 2.36",
            "instruction_set": "avx512",
        },
        model={"n_layer": 1, "n_embd": 16, "n_head": 4, "block_size": 16, "vocab_size": 27, "parameters": 4192},
        documents="the names that come with microgpt (5,163)",
        rounds=5,
        losses=["0x1.aed916872b021p+1", "0x1.b3d70a3d70a3dp+1", "0x1.9d70a3d70a3d7p+1"],
        rungs=rungs(),
        others=others(),
        sizes=sizes(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def nothing(name: str = "bulk", number: int | None = 3) -> Rung:
    """A rung of which nothing is known but that it is there."""
    return Rung(number, name, "", {}, float("nan"), 0, True)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        """All text in it, with single spaces, also where an element ends."""
        return " ".join(" ".join(self._pieces()).split())

    def _pieces(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag != "style":
                yield from child._pieces()

    def all(self, tag: str | None = None, class_: str | None = None) -> list[Element]:
        """The elements inside it, in their order, of that tag and class."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if tag in (None, child.tag) and (class_ is None or class_ in child.classes):
                    found.append(child)
                found += child.all(tag, class_)
        return found

    def one(self, tag: str | None = None, class_: str | None = None) -> Element:
        (found,) = self.all(tag, class_)
        return found

    def section(self, name: str) -> Element:
        return self.one("section", f"of-{name}")

    def style(self, name: str) -> float:
        """The number of a property of the attribute style, without its unit."""
        properties = dict(each.split(":", 1) for each in self.attributes["style"].split(";"))
        return float({key.strip(): value for key, value in properties.items()}[name].strip(" %px"))


class _Builder(HTMLParser):
    """Refuses what a browser would repair: tags closed in another order or not at all, text outside of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"<{tag}/> closes nothing in HTML")

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        assert len(self.open) > 1 or not data.strip(), f"text outside of the page: {data!r}"
        self.open[-1].children.append(data)


def parse(html: str) -> Element:
    """The page as a tree. AssertionError for what is not well-formed."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert len(builder.open) == 1, f"<{builder.open[-1].tag}> is never closed"
    (page,) = [child for child in builder.open[0].children if isinstance(child, Element)]
    return page
