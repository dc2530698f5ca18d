"""A script executed as the interpreter does it: as `__main__`, with its own arguments, folder and tracebacks."""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Callable
from types import CodeType, ModuleType

from .frames import in_package, strip
from .refusal import Refused, refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(path: str) -> bytes:
    """The source of a script. Raises OSError."""
    with open(path, "rb") as file:
        return file.read()


def is_archive(path: str, source: bytes) -> bool:
    """Whether the interpreter would look for a `__main__.py` in this file, whatever its name."""
    if b"PK\x05\x06" in source:
        import zipimport

        with contextlib.suppress(zipimport.ZipImportError):
            return bool(zipimport.zipimporter(path))
    return False


def is_text(source: bytes) -> bool:
    """Whether compile() reads these bytes as the interpreter reads a file of them: it does not ask about comments."""
    encoding = "utf-8"
    try:
        if any(b"coding" in line for line in source.split(b"\n", 2)[:2]):
            import io
            import tokenize

            encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError):
        return False
    return b"\0" not in source


def by_interpreter(path: str, arguments: list[str]) -> int:
    """What the interpreter says of a file that it cannot read as source, in its own words, and its exit status."""
    import subprocess

    sys.stdout.flush()
    return subprocess.call([sys.executable, path, *arguments])


def execute(code: CodeType, path: str, arguments: list[str]) -> int:
    """Run code as the script at `path`. Returns the exit status; SystemExit and KeyboardInterrupt pass through.

    An exception is shown by sys.excepthook, with the user's frames alone.
    """
    module = main_module(path)
    sys.argv = [path, *arguments]
    give_path(path)
    sys.modules["__main__"] = module
    try:
        exec(code, module.__dict__)
    except SystemExit:
        if not refusals.say():
            raise
        return 1
    except Refused as error:
        import traceback

        traceback.print_exception(strip(error, set()))
        refusals.say()
        return 1
    except BaseException as error:
        show(error)
        refusals.say()
        if isinstance(error, KeyboardInterrupt):
            end_by_signal()
        return 1
    return 1 if refusals.say() else 0


def end_by_signal() -> None:
    """End as the interpreter does after a KeyboardInterrupt that nobody caught, so that a shell's loop ends too."""
    import atexit
    import signal

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if hasattr(signal, "SIGINT") and os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    raise SystemExit(130)


def full_path(path: str) -> str:
    """The script's path as the interpreter puts it into __file__ and tracebacks."""
    if os.path.isabs(path):
        return path
    return os.path.join(os.getcwd(), path.removeprefix("." + os.sep))


def main_module(path: str) -> ModuleType:
    """The module that the interpreter makes for a script."""
    module = ModuleType("__main__")
    names: dict[str, Any] = module.__dict__
    names["__file__"] = full_path(path)
    names["__builtins__"] = sys.modules["builtins"]
    names["__loader__"] = importlib.machinery.SourceFileLoader("__main__", full_path(path))
    names["__cached__"] = None
    if sys.version_info < (3, 14):
        names["__annotations__"] = {}
    return module


def give_path(path: str) -> None:
    """The script's folder in the place of what stands first on sys.path, and its own modules before ours."""
    folder = os.path.dirname(os.path.realpath(path))
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[0:1] = [folder]
    spec = importlib.machinery.PathFinder.find_spec("microgpt", [folder])
    if spec is not None and spec.origin is not None and not in_package(spec.origin):
        hide_package()


def hide_package() -> None:
    """Leave the name `microgpt` to the user's own file. What pickles name stays importable, and extension modules stay
    too: they cannot be loaded twice."""
    from ... import _pickling  # noqa: F401  (loaded now: later, the way to it leads through the user's file)

    for name, module in list(sys.modules.items()):
        is_source = str(getattr(module, "__file__", "")).endswith(".py")
        if name == "microgpt" or (name.startswith("microgpt.") and name != "microgpt._pickling" and is_source):
            del sys.modules[name]


def show(error: BaseException) -> None:
    """Show an exception as the interpreter shows one that nobody caught."""
    import traceback  # 4 ms, and only where something went wrong

    strip(error, set())
    hook: Callable[..., Any] = sys.excepthook
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit:
        raise
    except BaseException as second:
        print("Error in sys.excepthook:", file=sys.stderr)
        traceback.print_exception(strip(second, set()))
        print("\nOriginal exception was:", file=sys.stderr)
        traceback.print_exception(error)
