"""ladder.png: the picture of a run, drawn by matplotlib."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from ladder_example import example, nothing, rungs, spread

pytest.importorskip("matplotlib")
pytest.importorskip("numpy")

from matplotlib.image import imread

from microgpt.ladder import picture
from microgpt.ladder.picture import PictureUnavailable, picture_png
from microgpt.ladder.results import Rung, Spread


def pixels(path):
    """Height, width, RGBA."""
    return imread(path)


def texts(results):
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in picture._draw(results).axes[0].texts]


def test_the_picture_is_as_wide_as_a_readme_and_brings_its_own_ground(tmp_path):
    picture_png(example(), tmp_path / "ladder.png")
    found = pixels(tmp_path / "ladder.png")
    assert found.shape[1] == 1680 and 600 < found.shape[0] < 1200
    edge = [found[0], found[-1], found[:, 0], found[:, -1]]
    assert all((side == 1).all() for side in edge)  # white, opaque, and nothing is cut off at the edge


def test_every_rung_has_its_colour_in_the_picture(tmp_path):
    picture_png(example(), tmp_path / "ladder.png")
    found = (pixels(tmp_path / "ladder.png")[..., :3] * 255).round().astype(int)
    for color in picture.COLORS:
        wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
        assert (found == wanted).all(axis=2).sum() > 1000, color


def test_bars_have_the_lengths_of_a_logarithmic_scale():
    patches = picture._draw(example()).axes[0].patches
    lengths = [patch.get_width() for patch in patches]
    assert len(lengths) == 7 and lengths[0] == max(lengths)
    slow, fast, middle = lengths[0], lengths[4], lengths[2]
    # 113 ms, 4.21 ms and 11 µs, as logarithms
    assert (slow - middle) / (slow - fast) == pytest.approx(1.42876 / 4.01169, abs=1e-4)
    assert [bool(patch.get_hatch()) for patch in patches] == [False] * 5 + [True] * 2


def test_names_and_figures_stand_beside_the_bars():
    found = texts(example())
    assert found[:3] == ["0  interpreted", "113 ms", "baseline\n= same bits"]
    assert found[-3:] == ["NumPy 2.4.6", "132 µs", "856 times faster\n≠ other bits"]


def test_what_was_not_measured_has_no_bar():
    results = example(rungs=[rungs()[0], nothing(), rungs()[4]], others=[])
    assert len(picture._draw(results).axes[0].patches) == 2
    assert texts(results)[3:6] == ["3  bulk", "not measured", "not measured\n= same bits"]


@pytest.mark.parametrize(
    "found",
    [
        [],
        [nothing()],
        rungs()[4:],
        [Rung(4, "fused", "", {"step": Spread(5e-324, 5e-324, 1.7e308)}, 1.0, 1, True)],
        [Rung(4, "fused", "", {"step": spread(0.0)}, 1.0, 1, True)],
        [replace(rungs()[0], name="$x_{$ \n" + "long" * 40), replace(rungs()[1], name="名前")],
    ],
    ids=["none", "unknown", "one", "extreme", "zero", "names"],
)
def test_any_results_make_a_picture(found, tmp_path):
    picture_png(example(rungs=found, others=[]), tmp_path / "ladder.png")
    assert pixels(tmp_path / "ladder.png").shape[1] == 1680


def test_without_matplotlib_one_line_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "ladder.png").write_text("old")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        PictureUnavailable, match=r"^ladder.png needs matplotlib.*pip install 'microgpt-engine\[plot\]'$"
    ):
        picture_png(example(), tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").read_text() == "old"


def test_a_picture_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "ladder.png").mkdir()
    with pytest.raises(OSError, match=r"ladder\.png"):
        picture_png(example(), tmp_path / "ladder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["ladder.png"]
