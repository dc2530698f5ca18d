"""`--plot`: the loss of every step, and its running mean, as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..files import regular_file, replace_file
from . import Refused

WINDOWS = 40  # the running mean looks over a fortieth of the run


def check(path: str) -> None:
    """Refused before the training rather than after it, if the picture could not be made."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise Refused("--plot needs matplotlib, which is not installed: pip install 'microgpt-engine[plot]'")
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    kind = os.path.splitext(path)[1][1:].lower()
    if kind not in kinds:
        raise Refused(f"--plot {path}: the name must end in the kind of picture, such as .png ({', '.join(kinds)})")
    try:
        regular_file(path)
    except OSError as error:
        raise Refused(f"--plot {path}: {error.strerror}") from None
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise Refused(f"--plot {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise Refused(f"--plot {path}: cannot be written")


def running_mean(losses: Sequence[float], window: int) -> list[float]:
    """The mean of the last `window` losses at each step, of fewer at the beginning."""
    from itertools import accumulate

    sums = [0.0, *accumulate(losses)]
    return [
        (sums[end] - sums[max(0, end - window)]) / (end - max(0, end - window)) for end in range(1, len(losses) + 1)
    ]


def draw(path: str, first: int, losses: Sequence[float], evaluated: Sequence[tuple[int, float]]) -> None:
    """Write the picture in place of one that was there. first: number of the step of the first loss."""
    import io

    from matplotlib.figure import Figure

    steps = range(first, first + len(losses))
    window = max(1, len(losses) // WINDOWS)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", title="Training loss")
    axes.plot(steps, losses, linewidth=0.5, alpha=0.4, label="each step")
    axes.plot(steps, running_mean(losses, window), linewidth=2, label=f"mean of {window} steps")
    if evaluated:
        axes.plot(*zip(*evaluated), "o-", label="held-out documents")
    axes.grid(alpha=0.3)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format=os.path.splitext(path)[1][1:], dpi=150)
    replace_file(path, content.getvalue())
