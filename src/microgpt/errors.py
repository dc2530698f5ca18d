"""Errors that are told to the user of the program in one line."""

from collections.abc import Iterator
from contextlib import contextmanager


class Refused(Exception):
    """What was asked for cannot be done; the message is one line, which the user of the program gets to see."""


@contextmanager
def naming(name: str) -> Iterator[None]:
    """OSErrors inside get this name for their file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), name) from None
