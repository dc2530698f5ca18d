"""Python code in a process of its own, and functions in threads of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def python(code: str, *arguments: object, flags: Sequence[str] = (), cwd: Path | None = None, **variables: str) -> Any:
    """The finished process, its output as text; it finds the modules that this one does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **variables}
    command = [sys.executable, *flags, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)


def printed(code: str, *arguments: object, **options: Any) -> str:
    """What the code prints; it must end well and have nothing to complain of."""
    done = python(code, *arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return str(done.stdout).strip()


def imported_by(code: str, *arguments: object, **options: Any) -> set[str]:
    """The modules that the code brings into a fresh process."""
    shown = "import sys; before = set(sys.modules)\n{}\nprint(*set(sys.modules) - before)"
    done = python(shown.format(code), *arguments, **options)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def in_threads(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run functions at once: what each returned or raised."""
    results: list[Any] = [None] * len(works)
    start = threading.Barrier(len(works))

    def run(i: int, work: Callable[[], Any]) -> None:
        start.wait()
        try:
            results[i] = work()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i, work)) for i, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
