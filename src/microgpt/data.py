"""Documents to train on: the user's own file, or the given names that come with the package; and their tokens."""

import os
from collections.abc import Iterable, Sequence

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = os.path.join(HERE, "data", "names.txt")
TIMEOUT = 30  # seconds without an answer before a download gives up


def embedded_names() -> list[str]:
    """The 5,163 given names of the 1990 US Census, lower-case, in alphabetical order (see data/README.md)."""
    return load_documents(NAMES)


def load_documents(path: str | os.PathLike[str] | None = None) -> list[str]:
    """The documents of a text file in UTF-8, one a line, stripped; empty lines are left out.

    path: a file, or an address with http:// or https://, the only case in which anything is downloaded. Without it:
    `input.txt` of the working directory if there is one, else the embedded names.

    Raises OSError where the file cannot be read or the address not fetched, ValueError where the content is not
    text or holds no document.
    """
    if path is None:
        path = "input.txt" if os.path.exists("input.txt") else NAMES
    source = os.fspath(path)
    return _documents(_download(source) if source.startswith(("http://", "https://")) else _read(source), source)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _download(url: str) -> bytes:
    from http.client import HTTPException  # slow to import, and hardly ever needed
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            content: bytes = answer.read()
    except HTTPException as error:
        raise OSError(f"{url}: no proper answer ({type(error).__name__}: {error})") from None
    return content


def _documents(content: bytes, source: str) -> list[str]:
    """What the script's `open(path).read().strip().split('\\n')` gives, line endings of every system included."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not a text file in UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise ValueError(f"{source}: not a text file (it holds a zero byte)")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    documents = list(filter(None, map(str.strip, text.strip().split("\n"))))
    if not documents:
        raise ValueError(f"{source}: no documents in it (one a line is expected)")
    return documents


def digest(documents: Iterable[str]) -> str:
    """SHA-256 of the documents in their order, in hexadecimal: two lists have the same digest if they are equal."""
    from hashlib import sha256

    text = "".join(f"{len(document)}:{document}" for document in documents)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Tokenizer:
    """Characters to tokens and back, as in the script.

    Every character that occurs in `texts` is a token, numbered in the order of their code points; one more token, the
    last, stands at both ends of a document ("beginning of sequence"). Documents and their characters alone give the
    same tokenizer: `Tokenizer(tokenizer.characters)` equals `tokenizer`.

    characters   the characters in the order of their tokens, in one string
    bos          the token at both ends, len(characters)
    vocab_size   number of tokens, len(characters) + 1

    Thread-safety: immutable, so any number of threads may share one.
    """

    __slots__ = ("_token_of", "bos", "characters", "vocab_size")

    def __init__(self, texts: Iterable[str]) -> None:
        self.characters = "".join(sorted(set("".join(texts))))
        self.bos = len(self.characters)
        self.vocab_size = self.bos + 1
        self._token_of = {character: token for token, character in enumerate(self.characters)}

    def __eq__(self, other: object) -> bool:
        return self.characters == other.characters if isinstance(other, Tokenizer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Tokenizer({self.characters!r})"

    def tokens(self, text: str) -> list[int]:
        """The tokens of the characters alone. ValueError names those that are not in the vocabulary."""
        try:
            return list(map(self._token_of.__getitem__, text))
        except KeyError:
            unknown = "".join(sorted(set(text) - self._token_of.keys()))
            raise ValueError(f"not in the vocabulary: {unknown!r} (it has {self.characters!r})") from None

    def encode(self, document: str) -> list[int]:
        """The tokens of a document with `bos` at both ends, what a training step takes. ValueError as in `tokens`."""
        return [self.bos, *self.tokens(document), self.bos]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens; `bos` stands for no text. ValueError for a number that is no token."""
        if tokens and not 0 <= min(tokens) <= max(tokens) <= self.bos:
            raise ValueError(f"tokens are from 0 to {self.bos}, not {min(tokens)} or {max(tokens)}")
        return "".join(self.characters[token] for token in tokens if token != self.bos)
