"""Documents to train on: the user's own file, or the given names that come with the package."""

import os

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
    from urllib.request import urlopen  # slow to import, and hardly ever needed

    with urlopen(url, timeout=TIMEOUT) as answer:
        content: bytes = answer.read()
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
    documents = [line.strip() for line in text.strip().split("\n") if line.strip()]
    if not documents:
        raise ValueError(f"{source}: no documents in it (one a line is expected)")
    return documents
