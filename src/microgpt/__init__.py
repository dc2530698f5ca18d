"""The scalar autograd engine of the 200-line microgpt.py, compiled: the same API, the same bits, many times faster."""

from ._adam import Adam
from ._engine import Value, arena_stats

__version__ = "0.1.0"
__all__ = ["Adam", "Value", "__version__", "arena_stats"]
