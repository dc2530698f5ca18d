"""Running the program `microgpt` as people do: in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microgpt.cli import main

COMMAND = [sys.executable, "-m", "microgpt"]
TINY = ["--n-embd", "4", "--n-head", "2", "--block-size", "4"]  # a model that trains in no time
DOCUMENTS = ["ada", "bob", "cleo", "dora", "eve", "abde", "beda", "coco"]


def microgpt(*arguments: object, cwd: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end. Its output is text, with the line endings that the process wrote."""
    command = [*COMMAND, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300, **options}
    done = subprocess.run(command, cwd=cwd, check=False, **options)
    stdout, stderr = (stream.decode() if stream is not None else "" for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, stdout, stderr)


def started(*arguments: object, cwd: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a command; the caller waits for it."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": hear_hangups, **options}
    return subprocess.Popen([*COMMAND, *map(str, arguments)], cwd=cwd, **options)


def hear_hangups() -> None:
    """Under nohup, a process that is started ignores them."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def until(condition: Callable[[], Any], process: "subprocess.Popen[bytes] | None" = None, seconds: float = 120) -> Any:
    """Wait until it is so, while the process, if one is given, is alive; what the condition gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert (process is None or process.poll() is None) and time.monotonic() < deadline
        time.sleep(0.01)
    return found


def write_documents(folder: Path, documents: list[str] | None = None) -> Path:
    path = folder / "documents.txt"
    path.write_text("\n".join(documents or DOCUMENTS) + "\n", encoding="utf-8")
    return path


def lines_of(text: str) -> list[str]:
    return text.replace(os.linesep, "\n").splitlines()


def is_one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


def refusal(capsys: Any, *arguments: object) -> str:
    """The one line with which a command is refused, run in this process."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    err: str = capsys.readouterr().err
    assert is_one_line(err), err
    return err
