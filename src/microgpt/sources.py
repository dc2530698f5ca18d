"""Bytes from a file, a pipe, standard input or an address: none without an end, in size or in time."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 30  # of what tells no size beforehand: pipes, devices, standard input, addresses
MAX_SECONDS = 600.0  # for a whole download
ANSWER_SECONDS = 30.0  # without a byte, in a download
CHUNK = 1 << 18


def is_address(source: str) -> bool:
    """Whether this is to be fetched rather than opened."""
    return source.lower().startswith(("http://", "https://"))


def read(source: str, max_bytes: int | None = None, max_seconds: float | None = None) -> bytes:
    """What a file or an address holds. MAX_BYTES and MAX_SECONDS are the bounds where none are given.

    Raises OSError, which names the source, where it cannot be read, ValueError where it is larger than max_bytes.
    A regular file of any size is read.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    if is_address(source):
        return _download(source, limit, MAX_SECONDS if max_seconds is None else max_seconds)
    with open(source, "rb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file.read()
        return _bounded(file.read, limit, source)


def read_standard_input(max_bytes: int | None = None) -> bytes:
    """All of standard input; the same errors."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed", "standard input")
    return _bounded(sys.stdin.buffer.read, MAX_BYTES if max_bytes is None else max_bytes, "standard input")


def _bounded(read: Callable[[int], bytes], limit: int, source: str, deadline: float | None = None) -> bytes:
    """Read to the end, which must come before the limit, and before the deadline if there is one."""
    chunks, size = [], 0
    while chunk := read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ValueError(f"{source}: larger than {limit:,} bytes")
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError("the download takes too long")
    return b"".join(chunks)


def _download(url: str, limit: int, seconds: float) -> bytes:
    """In a thread of its own, so that no name server, and no server that drips, holds up this one."""
    from threading import Thread

    result: list[bytes | Exception] = []

    def fetch() -> None:
        try:
            result.append(_fetch(url, limit, time.monotonic() + seconds))
        except Exception as error:
            result.append(error)

    thread = Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = result[0] if result else TimeoutError("the download takes too long")
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, ValueError) and str(answer).startswith(f"{url}: larger"):
        raise answer
    raise OSError(f"{url}: {_reason(answer)}") from None


def _fetch(url: str, limit: int, deadline: float) -> bytes:
    """Follows redirections, but to http and https alone."""
    from urllib import request

    opener = request.OpenerDirector()
    for name in ("Proxy", "Unknown", "HTTP", "HTTPS", "HTTPDefaultError", "HTTPRedirect"):
        if hasattr(request, f"{name}Handler"):
            opener.add_handler(getattr(request, f"{name}Handler")())
    opener.add_handler(request.HTTPErrorProcessor())
    with opener.open(url, timeout=min(ANSWER_SECONDS, deadline - time.monotonic())) as answer:
        read_some = getattr(answer, "read1", answer.read)  # what there is, however little: so the deadline is seen
        content = _bounded(read_some, limit, url, deadline)
        if getattr(answer, "length", None):
            raise OSError(f"the download ends {answer.length:,} bytes before its end")
        return content


def _reason(error: Exception) -> str:
    """Why an address cannot be read, without its name."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        error.close()
        return f"HTTP error {error.code} {error.reason}"
    if isinstance(error, URLError):
        return str(error.reason)
    if isinstance(error, HTTPException):
        return f"no proper answer ({type(error).__name__}: {error})"
    return str(error) or type(error).__name__
