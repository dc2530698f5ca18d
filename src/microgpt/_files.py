"""Where checkpoints are, and how files get there: as a whole or not at all."""

import contextlib
import os

FILE_NAME = "checkpoint.safetensors"


def checkpoint_file(where: str | os.PathLike[str]) -> str:
    """The checkpoint that `where` means: the file itself, or the one in that folder."""
    path = os.fspath(where)
    return os.path.join(path, FILE_NAME) if os.path.isdir(path) else path


def replace_file(path: str, content: bytes) -> None:
    """Write `content` under a temporary name and, when it is on the disk, give it the name `path`.

    Whatever happens meanwhile, the file of that name is the old one or the new one. OSError where it cannot be written.
    """
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(os.path.dirname(path) or ".")


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

    Raises BlockingIOError where another process has it, OSError for what is no folder.
    """

    def __init__(self, folder: str) -> None:
        self._handle: int | None = None
        try:
            import fcntl
        except ImportError:
            return
        self._handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise
        except OSError:  # a drive that has no locks
            pass

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
