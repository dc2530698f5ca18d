"""Whatever is changed in a script of the script's form, the swapped run prints what the interpreted one prints.

Hypothesis breaks the small script and its variants in one to three random places. Both runs have to print the same, and
to end in the same exception, with the same words, from the same lines.

    make fuzz MINUTES=10 ARGS="-k mutation"

tries new ones. What such a search finds goes into variants/steps.txt or variants/hostile.txt.
"""

from __future__ import annotations

import os

import pytest
from alike import assert_alike
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, mutated
from running import read_variants, small_gpt

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="takes two processes an example")

SHORT = (("num_steps = 4", "num_steps = 2"), ("range(4)", "range(2)"))
EXAMPLES = max(10, settings.default.max_examples // 5)  # each takes two runs of a script
FILES = ("swapped", "typed_only", "partly_left")


def shortened(source: str) -> str:
    for old, new in SHORT:
        source = source.replace(old, new)
    return source


SOURCES = {"": shortened(small_gpt())} | {
    variant.name: shortened(small_gpt(*variant.changes)) for file in FILES for variant in read_variants(file)
}


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(
    base=st.just("") | st.sampled_from(list(SOURCES)),
    seed=st.integers(0, 2**32),
    kinds=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3),
)
def test_any_mutation_of_the_script_runs_as_it_would(base, seed, kinds, tmp_path_factory):
    assert_alike(mutated(SOURCES[base], seed, kinds), tmp_path_factory.getbasetemp())
