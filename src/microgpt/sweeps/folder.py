"""The folder of a sweep: `sweep.json` says what it is, `runs.jsonl` has a line for each run that is finished.

Lines are appended whole and never changed. Whatever kills the sweep, going on in the same folder leaves out what has
its line; half a line at the end of the file is taken away.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ..errors import Refused, naming
from ..files import FolderLock, json_lines, replace_file
from ..version import __version__
from .runs import Corpus, Result
from .space import Space

FORMAT = "microgpt sweep 1"
ABOUT, RUNS = "sweep.json", "runs.jsonl"


class SweepError(Refused, ValueError):
    """A folder that holds no sweep, or another one; the message is one line."""


def description(space: Space, corpus: Corpus, **more: Any) -> dict[str, Any]:
    """The content of sweep.json. more: what need not be the same when the sweep goes on."""
    return {
        "format": FORMAT,
        "microgpt": __version__,
        "space": space.to_json(),
        "documents": len(corpus.documents),
        "data_digest": corpus.digest,
        **more,
    }


class Folder(FolderLock):
    """A sweep's folder that is written: made if need be, locked until it is closed.

    done    results that are in it, by number

    Raises SweepError where another sweep is in it, OSError where it cannot be written.
    """

    def __init__(self, path: str, about: dict[str, Any]) -> None:
        super().__init__(path, "sweeping")
        try:
            self.done = self._begin(about)
            self._file = open(os.path.join(path, RUNS), "ab")  # noqa: SIM115
        except BaseException:
            super().close()
            raise

    def _begin(self, about: dict[str, Any]) -> dict[int, Result]:
        runs = os.path.join(self.path, RUNS)
        if os.path.lexists(os.path.join(self.path, ABOUT)):
            _refuse_another(self.path, read_about(self.path), about)
            found, whole = read_runs(self.path)
            if os.path.exists(runs):
                os.truncate(runs, whole)
            return found
        if os.path.lexists(runs):
            raise SweepError(f"{self.path}: has {RUNS}, but no {ABOUT} to say what sweep that is")
        replace_file(os.path.join(self.path, ABOUT), (json.dumps(about, indent=1) + "\n").encode())
        return {}

    def add(self, results: Iterable[Result]) -> None:
        """Append the lines of these results; they are done then."""
        results = list(results)
        with naming(os.path.join(self.path, RUNS)):
            self._file.write("".join([json.dumps(result, allow_nan=False) + "\n" for result in results]).encode())
            self._file.flush()
        self.done.update({result["run"]: result for result in results})

    def close(self) -> None:
        with suppress(OSError):  # the disk is full, and `add` has said so
            self._file.close()
        super().close()


def _refuse_another(path: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    if old["microgpt"] != new["microgpt"]:
        raise SweepError(f"{path}: started with microgpt {old['microgpt']}, and this is {new['microgpt']}")
    if old["data_digest"] != new["data_digest"]:
        raise SweepError(f"{path}: holds a sweep over other documents, or other tokens; name another folder")
    if old["space"] != json.loads(json.dumps(new["space"])):
        axes = new["space"]["axes"]
        differ = [name for name in axes if old["space"]["axes"].get(name) != list(axes[name])] or ["the random draw"]
        raise SweepError(f"{path}: holds a sweep of another search space ({', '.join(differ)}); name another folder")


# ---- reading ----


def _check_file(name: str) -> None:
    """Devices and pipes may never end."""
    if os.path.exists(name) and not os.path.isfile(name):
        raise SweepError(f"{name}: not a file")


def read_about(path: str) -> dict[str, Any]:
    """sweep.json. SweepError where it is none, OSError where it cannot be read."""
    name = os.path.join(path, ABOUT)
    _check_file(name)
    try:
        with open(name, encoding="utf-8") as file:
            about = json.load(file)
        if about["format"] != FORMAT:
            raise SweepError(f"{name}: of another version of microgpt ({about['format']})")
        if not all(isinstance(about[key], kind) for key, kind in (("microgpt", str), ("data_digest", str))):
            raise TypeError
        about["space"]["axes"].items()
    except SweepError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise SweepError(f"{name}: not the description of a sweep") from None
    return dict(about)


def read_runs(path: str) -> tuple[dict[int, Result], int]:
    """The results by number, and the place behind the last whole line; none before the first run is finished."""
    name = os.path.join(path, RUNS)
    found: dict[int, Result] = {}
    end = 0
    if not os.path.lexists(name):
        return found, end
    _check_file(name)

    def add(result: Result) -> None:
        if not isinstance(result["run"], int) or result["run"] in found:
            raise ValueError
        found[result["run"]] = result

    try:
        for _, place in json_lines(name, add, "a sweep"):
            end = place
    except ValueError as error:
        raise SweepError(f"{name}: {error}") from None
    return found, end
