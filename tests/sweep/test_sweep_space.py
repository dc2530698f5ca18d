"""The space of a sweep: what texts stand for, which combinations there are, and what is refused."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.sweeps import Corpus, Space, plan
from microgpt.sweeps.space import OPTIONS, values
from microgpt.trainer import Trainer


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("8,16,32", int, (8, 16, 32)),
        ("0:4", int, (0, 1, 2, 3)),
        ("-2:1", int, (-2, -1, 0)),
        ("10:0:-5", int, (10, 5)),
        ("8:33:8", int, (8, 16, 24, 32)),
        ("1, 2,2:4", int, (1, 2, 3)),
        ("1..100:log:3", int, (1, 10, 100)),
        ("1..4:log:9", int, (1, 2, 3, 4)),
        ("100..500:linear:3", int, (100, 300, 500)),
        ("0.001..0.1:log:3", float, (0.001, 0.01, 0.1)),
        ("0.1..0.001:log:3", float, (0.1, 0.01, 0.001)),
        ("0..1:linear:5", float, (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("1e-3,0.003..0.03:log:2", float, (0.001, 0.003, 0.03)),
        ("linear,cosine", str, ("linear", "cosine")),
    ],
)
def test_a_text_stands_for_these_values(text, kind, expected):
    found = values(text, kind)
    assert found == expected
    assert [type(value) for value in found] == [kind] * len(expected)


@given(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3), st.integers(2, 50), st.sampled_from(["log", "linear"]))
def test_a_scale_has_both_its_ends_and_goes_one_way(first, last, count, kind):
    found = values(f"{first!r}..{last!r}:{kind}:{count}", float)
    assert (found[0], found[-1]) == (first, last)
    assert len(found) <= count
    inner = list(found[1:-1])
    assert inner in (sorted(inner), sorted(inner, reverse=True))


@pytest.mark.parametrize(
    "text",
    ["", "8,", "5:5", "5:1", "0:9:0", "1:2:3:4", ":", "1:", "1..2", "1..2:log", "1..2:log:1", "1..2:cubic:3",
     "0..1:log:3", "-1..1:log:3", "0:1000000000000", "1..2:log:999999999", "a..b:log:3", "8;16"],
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"expected|values|scale|literal|convert"):
        values(text, int)


def test_the_product_counts_with_the_last_option_fastest():
    space = Space({"n-embd": [8, 16], "seed": range(3), "lr": "0.01,0.02"})
    assert len(space) == 12
    runs = [space[number] for number in space.numbers()]
    assert [(run["seed"], run["n_embd"], run["lr"]) for run in runs[:4]] == [
        (0, 8, 0.01), (0, 8, 0.02), (0, 16, 0.01), (0, 16, 0.02),
    ]  # fmt: skip
    assert len({tuple(run.values()) for run in runs}) == 12
    assert space.varied == ["seed", "n_embd", "lr"]


def test_what_is_not_named_is_the_scripts():
    settings = Trainer(["ab"]).settings
    run = Space({})[0]
    assert list(run) == list(OPTIONS)
    assert (run["seed"], run["steps"], run["lr"], run["schedule"]) == (42, 1000, settings.lr, "linear")
    assert (run["n_layer"], run["n_embd"], run["n_head"], run["block_size"]) == (1, 16, 4, 16)


def test_a_draw_is_of_different_runs_and_its_own_seed():
    axes = {"seed": range(1000), "lr": "0.001..0.1:log:100", "n_embd": "4:4000:4"}
    first, again, other = (list(Space(axes, 50, seed).numbers()) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 50 and first == sorted(first)
    assert set(first) == set(random.Random(1).sample(range(1000 * 100 * 999), 50))


@pytest.mark.parametrize(
    ("axes", "draw", "complaint"),
    [
        ({"n_embed": [8]}, None, "no option 'n_embed'"),
        ({"n_embd": []}, None, "n_embd: no values"),
        ({"n_embd": [0]}, None, "n_embd must be at least 1, not 0"),
        ({"n_head": [-1]}, None, "n_head must be at least 1, not -1"),
        ({"n_layer": 1.5}, None, "float"),
        ({"steps": -1}, None, "num_steps must be at least 0"),
        ({"lr": [0.1, 0.0]}, None, "lr must be a number above 0"),
        ({"lr": float("nan")}, None, "lr must be a number above 0"),
        ({"schedule": "wild"}, None, "schedule must be one of"),
        ({"seed": True}, None, "seed must be an integer, not bool"),
        ({"seed": "0:100000", "lr": "1..2:linear:100000", "n_embd": "1:100000", "n_head": "1:2000"}, None, "numbered"),
        ({"seed": range(3)}, 4, "4 combinations cannot be drawn from 3"),
        ({"seed": range(3)}, 0, "0 combinations cannot be drawn"),
    ],
)
def test_what_cannot_be_is_refused(axes, draw, complaint):
    with pytest.raises((ValueError, TypeError), match=complaint):
        Space(axes, draw)


def test_heads_that_do_not_divide_the_width_are_left_out_and_counted():
    runs, left_out = plan(Space({"n_embd": [6, 8], "n_head": [3, 4]}), Corpus(["ab", "cd"]))
    assert [(run["n_embd"], run["n_head"]) for _, run in runs] == [(6, 3), (8, 4)]
    assert left_out == 2
    with pytest.raises(ValueError, match="in no combination"):
        plan(Space({"n_embd": 6, "n_head": 4}), Corpus(["ab"]))
