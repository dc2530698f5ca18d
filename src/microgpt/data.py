"""Documents to train on: the user's own, or the given names that come with the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from . import sources
from .tokenizers import Tokenizer, TokenizerAdapter, WordTokenizer

__all__ = [
    "Tokenizer",
    "TokenizerAdapter",
    "WordTokenizer",
    "digest",
    "documents_of",
    "embedded_names",
    "load_documents",
]

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = os.path.join(HERE, "data", "names.txt")
INVISIBLE = "\ufeff\u200b\u2060"  # byte order mark, zero-width space, word joiner: no letters, and str.strip keeps them


def embedded_names() -> list[str]:
    """The 5,163 given names of the 1990 US Census, lower-case, in alphabetical order (see data/README.md)."""
    return load_documents(NAMES)


def load_documents(
    path: str | os.PathLike[str] | None = None,
    *,
    keep_invisible: bool = False,
    note: Callable[[str], None] | None = None,
    max_bytes: int | None = None,
    max_seconds: float | None = None,
) -> list[str]:
    """The documents of a text file in UTF-8, one a line, stripped; empty lines are left out.

    path            a file, or an address with http:// or https://, the only case in which anything is downloaded.
                    Without it: `input.txt` of the working directory if there is one, else the embedded names.
    keep_invisible  keep byte order marks and zero-width characters at the edges of a document, as the script does;
                    they are stripped otherwise
    note            is called with a sentence if some were stripped
    max_bytes       of an address or a pipe (default: 1 GiB), max_seconds: of a whole download (default: 600)

    Raises OSError where the file cannot be read or the address not fetched, ValueError where the content is too large,
    is not text or holds no document.
    """
    if path is None:
        path = "input.txt" if os.path.exists("input.txt") else NAMES
    source = os.fspath(path)
    content = sources.read(source, max_bytes, max_seconds)
    return documents_of(content, source, keep_invisible=keep_invisible, note=note)


def documents_of(
    content: bytes, source: str, *, keep_invisible: bool = False, note: Callable[[str], None] | None = None
) -> list[str]:
    """What the script's `open(path).read().strip().split('\\n')` gives, line endings of every system included."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise ValueError(f"{source}: not a text file (it holds a zero byte)")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    documents = text.strip().split("\n")
    if documents != text.split():  # which they mostly are, where a document is a word
        documents = list(filter(None, map(str.strip, documents)))
    if not keep_invisible and any(character in text for character in INVISIBLE):
        documents = _without_invisible_edges(documents, source, note)
    if not documents:
        raise ValueError(f"{source}: no documents in it (expected one per line)")
    return documents


def _without_invisible_edges(documents: list[str], source: str, note: Callable[[str], None] | None) -> list[str]:
    stripped = list(map(_strip, documents))
    changed = sum(before != after for before, after in zip(documents, stripped))
    if changed and note is not None:
        note(f"{source}: invisible characters at the edges of {changed} lines are left out (byte order marks and such)")
    return list(filter(None, stripped))


def _strip(text: str) -> str:
    """Without white space and invisible characters at both ends, in whatever order they stand."""
    before = ""
    while before != text:
        before, text = text, text.strip().strip(INVISIBLE)
    return text


def digest(documents: Iterable[str]) -> str:
    """SHA-256 of the documents in their order, in hexadecimal: two lists have the same digest if they are equal."""
    from hashlib import sha256

    text = "".join(f"{len(document)}:{document}" for document in documents)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
