"""Whatever is changed in a script of the script's form, the swapped run prints what the interpreted one prints.

Hypothesis breaks the small script and its variants in one to three random places. Both runs have to print the same, and
to end in the same exception, with the same words, from the same lines.

    HYPOTHESIS_PROFILE=long python -m pytest tests/test_accelerate_mutations.py

tries thousands of new ones.
"""

from __future__ import annotations

import ast
import os
import re

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from mutations import *  # noqa: F403  (examples name them)
from mutations import MUTATIONS, mutated
from running import Run, in_both_ways, read_variants, same_text, small_gpt

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="takes two processes an example")

SHORT = (("num_steps = 4", "num_steps = 2"), ("range(4)", "range(2)"))
FILES = ("swapped", "typed_only", "partly_left")
FRAME = re.compile(r'  File ".*script.py", line (\d+), in (.*)')
REFUSED = "run this script with --rung 0"


def shortened(source: str) -> str:
    for old, new in SHORT:
        source = source.replace(old, new)
    return source


SOURCES = {"": shortened(small_gpt())} | {
    variant.name: shortened(small_gpt(*variant.changes)) for file in FILES for variant in read_variants(file)
}


def frames(source: str, stderr: str) -> list[tuple[str, str]]:
    """(line, function) of all frames outside the class, whose methods have no frames when they are ours."""
    kinds = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    inside = {line for kind in kinds for line in range(kind.lineno, (kind.end_lineno or 0) + 1)}
    found = [FRAME.match(line) for line in stderr.splitlines()]
    return [(each[1], each[2]) for each in found if each and int(each[1]) not in inside]


def last_words(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if not line.startswith("microgpt run:")]
    return same_text(lines[-1]) if lines else ""


def is_beyond(plain: Run) -> bool:
    """Whether it ran out of time, stack or memory, where the swapped run need not."""
    return plain.status < 0 or any(
        word in plain.stderr or word.encode() in plain.stdout for word in ("MemoryError", "RecursionError")
    )


def assert_mutation_is_harmless(source: str, folder) -> None:
    plain, fast = in_both_ways(source, folder)
    if is_beyond(plain):
        return
    if REFUSED in fast.stderr:  # what a compiled Value cannot hold: documented, said, and the end of the run
        assert fast.status == 1
        assert same_text(plain.stdout.decode()).startswith(same_text(fast.stdout.decode()))
        return
    assert same_text(fast.stdout.decode()) == same_text(plain.stdout.decode()), fast.stderr
    assert fast.status == plain.status, fast.stderr
    assert frames(source, fast.stderr) == frames(source, plain.stderr)
    assert last_words(fast.stderr) == last_words(plain.stderr)


@settings(suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(
    base=st.just("") | st.sampled_from(list(SOURCES)),
    seed=st.integers(0, 2**32),
    kinds=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3),
)
@example("", 0, [])
def test_any_mutation_of_the_script_runs_as_it_would(base, seed, kinds, tmp_path_factory):
    assert_mutation_is_harmless(mutated(SOURCES[base], seed, kinds), tmp_path_factory.getbasetemp())
