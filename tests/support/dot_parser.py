"""A reader of what draw_dot writes: the part of graphviz's language that it uses, and nothing beyond it."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

TOKEN = re.compile(r'\s*(?:(?P<quoted>"(?:[^"\\\n]|\\.)*")|(?P<word>[A-Za-z0-9_.]+)|(?P<sign>->|[{}\[\]=,]))')


class Picture(NamedTuple):
    nodes: dict[str, dict[str, str]]  # attributes by name
    edges: list[tuple[str, str, dict[str, str]]]
    attributes: dict[str, str]

    def boxes(self) -> dict[str, list[str]]:
        """The fields of every record."""
        return {name: fields(of["label"]) for name, of in self.nodes.items() if of.get("shape") == "record"}

    def operations(self) -> dict[str, str]:
        """The labels of what is no record."""
        return {name: plain(of["label"]) for name, of in self.nodes.items() if "shape" not in of}

    def links(self) -> Counter[tuple[str, str]]:
        return Counter((start, end) for start, end, _ in self.edges)


def tokens(source: str) -> list[str]:
    found, at = [], 0
    source = source.rstrip()
    while at < len(source):
        match = TOKEN.match(source, at)
        assert match, f"not in the language: {source[at : at + 40]!r}"
        found.append(match.group().strip())
        at = match.end()
    return found


def parse(source: str) -> Picture:
    rest = tokens(source)[::-1]
    assert [rest.pop(), rest.pop()] == ["digraph", "{"]
    picture = Picture({}, [], {})
    while rest[-1] != "}":
        statement(rest, picture)
    assert rest == ["}"]
    assert {name for start, end, _ in picture.edges for name in (start, end)} <= set(picture.nodes)
    return picture


def statement(rest: list[str], picture: Picture) -> None:
    name = rest.pop()
    assert re.fullmatch(r"\w+", name)
    if rest[-1] == "=":
        rest.pop()
        picture.attributes[name] = value(rest.pop())
    elif rest[-1] == "->":
        rest.pop()
        picture.edges.append((name, rest.pop(), attributes(rest)))
    else:
        assert name not in picture.nodes, f"{name} twice"
        picture.nodes[name] = attributes(rest)


def attributes(rest: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if rest[-1] != "[":
        return found
    while rest.pop() != "]":
        name, equals = rest.pop(), rest.pop()
        assert equals == "=" and rest[-2] in (",", "]")
        found[name] = value(rest.pop())
    return found


def value(token: str) -> str:
    """A word, or what stands between quotes; the language itself knows one escape there."""
    return token[1:-1].replace('\\"', '"') if token.startswith('"') else token


def fields(label: str) -> list[str]:
    """The fields of a record's label: braces turn its direction, | divides, \\ takes the next character as it is."""
    assert not re.search(r"[<>]", re.sub(r"\\.", "", label)), "a port"
    inner = re.fullmatch(r"\{(.*)\}", label)
    return [plain(field.strip()) for field in re.findall(r"(?:\\.|[^|\\])+", inner[1] if inner else label)]


def plain(label: str) -> str:
    """The text that a label shows."""
    bare = re.sub(r"\\.", "", label)
    assert not re.search(r"[{}|<>]", bare) and "&" not in bare.replace("&amp;", ""), f"unescaped: {label!r}"
    text = re.sub(r"\\(.)", lambda match: {"n": "\n", "l": "\n"}.get(match[1], match[1]), label)
    return text.replace("&amp;", "&")
