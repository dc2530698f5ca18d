"""Where checkpoints are, and how files get there: as a whole or not at all, and never in place of something else."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator

from .errors import Refused, naming

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")

FILE_NAME = "checkpoint.safetensors"
LONGEST_LINE = 1 << 16  # bytes
PATIENCE = 20  # times that a lock is tried, in about a second
TEMPORARY = ".microgpt-"  # then 16 hexadecimal digits: what no file of the user's is called


def checkpoint_file(where: str | os.PathLike[str]) -> str:
    """The checkpoint that `where` means: the file itself, or the one in that folder."""
    path = os.fspath(where)
    return os.path.join(path, FILE_NAME) if os.path.isdir(path) else path


def regular_file(path: str) -> os.stat_result | None:
    """What the system knows of this file, through links; None if there is none. OSError if it is no regular file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return found


def json_lines(path: str, parse: Callable[[Any], T], what: str) -> Iterator[tuple[T, int]]:
    """What `parse` makes of the json in each line, and the place behind that line; half a line at the end is left out.

    ValueError, with the number of the line, for one that is no json or that `parse` refuses. what: the file is, in it.
    """
    import json

    end = 0
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                return  # killed in the middle of it
            try:
                found = parse(json.loads(line))
            except (LookupError, TypeError, ValueError, RecursionError):
                raise ValueError(f"line {number} does not belong to {what}") from None
            end += len(line)
            yield found, end


def replace_file(path: str, content: bytes) -> None:
    """Write `content` under a temporary name and, when it is on the disk, give it the name `path`.

    Whatever happens meanwhile, the file of that name is the old one or the new one. A link stays one, and what it
    points to is replaced; owner and mode of a file that was there stay. OSError, which names the file, where it cannot
    be written or is no regular file.
    """
    target = os.path.realpath(path)
    with naming(path):
        _replace(target, content, regular_file(target))


def _replace(target: str, content: bytes, before: os.stat_result | None) -> None:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f"{TEMPORARY}{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb") as file:  # a new file, never one through a link
            if before is not None:
                _keep_owner_and_mode(file.fileno(), before)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        _unlink(temporary)
        raise
    _sync_folder(folder)


def _keep_owner_and_mode(handle: int, before: os.stat_result) -> None:
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):  # only root may give a file away
            os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, stat.S_IMODE(before.st_mode))


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files of processes that were killed. Only while no other process writes there."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            temporary = entry.name.startswith(TEMPORARY) and len(entry.name) == len(TEMPORARY) + 16
            if temporary and entry.is_file(follow_symlinks=False):
                _unlink(entry.path)


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Make the new name last. Windows cannot open folders, and some network drives cannot sync them."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class FolderLock:
    """Keeps other processes from writing into a folder, where the system has such locks; it ends with the process.

    The folder is made if need be. doing: what other programs would be at in there, for the refusal.
    """

    def __init__(self, folder: str, doing: str) -> None:
        self.path = folder
        self._handle: int | None = None
        os.makedirs(folder, exist_ok=True)
        try:
            import fcntl
        except ImportError:
            return
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(PATIENCE):  # workers that were forked hold the lock too, and outlive their parent by a moment
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
                continue
            except OSError:  # a drive that has no locks
                pass
            return
        FolderLock.close(self)  # one that knows more of the folder is not whole yet
        raise Refused(f"{folder}: another microgpt is {doing} into this folder")

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
