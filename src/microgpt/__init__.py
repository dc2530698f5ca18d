"""The scalar autograd engine of the 200-line microgpt.py, compiled: the same API, the same bits, many times faster."""

from .version import __version__

TYPE_CHECKING = False  # type checkers take it for True; typing's own would cost the import of typing
if TYPE_CHECKING:
    from ._adam import Adam
    from ._engine import Value, arena_stats
    from ._functional import add, attention, cross_entropy, linear, mean, relu, rmsnorm, softmax
    from ._fused import GPT
    from .drawing import draw_dot
    from .model import GPTConfig
    from .recording import NotRecorded, RecordedWarning, recorded, table
    from .sweeps import sweep
    from .trainer import Trainer

__all__ = [
    "GPT",
    "Adam",
    "GPTConfig",
    "NotRecorded",
    "RecordedWarning",
    "Trainer",
    "Value",
    "__version__",
    "add",
    "arena_stats",
    "attention",
    "cross_entropy",
    "draw_dot",
    "linear",
    "mean",
    "recorded",
    "relu",
    "rmsnorm",
    "softmax",
    "sweep",
    "table",
]

# Name -> module, loaded when first asked for: `microgpt --version` needs none of them, and the program can say so where
# one cannot be loaded.
_LATER = {
    "Adam": "_adam",
    "GPT": "_fused",
    "GPTConfig": "model",
    "Trainer": "trainer",
    "Value": "_engine",
    "arena_stats": "_engine",
    "draw_dot": "drawing",
    **dict.fromkeys(("add", "attention", "cross_entropy", "linear"), "_functional"),
    **dict.fromkeys(("mean", "relu", "rmsnorm", "softmax"), "_functional"),
    "sweep": "sweeps",
    **dict.fromkeys(("NotRecorded", "RecordedWarning", "recorded", "table"), "recording"),
    **dict.fromkeys(("load_ipython_extension", "unload_ipython_extension"), "accelerate.hook"),  # %load_ext microgpt
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
