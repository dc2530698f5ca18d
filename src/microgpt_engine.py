"""The package microgpt under a second name, for scripts that are themselves called microgpt.py.

    from microgpt_engine import Value, Adam

Beside a file microgpt.py, `import microgpt` finds that file. This module finds the package by its own location
instead: both are installed side by side. Where nothing hides the package, both names give the same objects.
"""

import importlib
import importlib.util
import os
import pkgutil
import sys
from types import ModuleType

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "microgpt")
_INIT = os.path.join(_FOLDER, "__init__.py")
# The program with its benchmark, and what changes how scripts are imported.
_NOT_LOADED = {f"microgpt.{name}" for name in ("__main__", "accelerate", "cli", "commands", "ladder")}


def _is_ours(file: str | None) -> bool:
    return file is not None and os.path.exists(file) and os.path.samefile(file, _INIT)


def _hidden() -> bool:
    """Whether `import microgpt` would give, or has given, something else than the package."""
    present = sys.modules.get("microgpt")
    if present is not None:
        return not _is_ours(getattr(present, "__file__", None))
    found = importlib.util.find_spec("microgpt")
    return found is None or not _is_ours(found.origin)


def _load_all(folder: str, prefix: str) -> None:
    for module in pkgutil.iter_modules([folder], prefix):
        if module.name not in _NOT_LOADED:
            importlib.import_module(module.name)
            if module.ispkg:
                _load_all(os.path.join(folder, module.name.removeprefix(prefix)), f"{module.name}.")


def _load_hidden() -> ModuleType:
    """Load the package past the file that hides it, and leave the name `microgpt` to that file.

    While it loads, the package needs its name: its modules import each other as microgpt._engine and so on. Those
    stay in sys.modules for good, which is what pickle goes by; only `microgpt` itself is given back. So all of them
    are loaded now: later, the way to one that is missing would lead through the file that hides the package.
    """
    spec = importlib.util.spec_from_file_location("microgpt", _INIT, submodule_search_locations=[_FOLDER])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    theirs = sys.modules.get("microgpt")
    sys.modules["microgpt"] = package
    try:
        spec.loader.exec_module(package)
        _load_all(_FOLDER, "microgpt.")
    finally:
        if theirs is None:
            del sys.modules["microgpt"]
        else:
            sys.modules["microgpt"] = theirs
    return package


_package = _load_hidden() if _hidden() else importlib.import_module("microgpt")
__all__ = list(_package.__all__)
globals().update((name, vars(_package)[name]) for name in __all__ if name in vars(_package))


def __getattr__(name: str) -> object:
    """What the package itself loads only when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_package, name)
