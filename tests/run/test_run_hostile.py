"""Scripts of the nastier kind: both ways print the same and end alike, to the last word and frame.

variants/hostile.txt   code after the class: looks behind it, patches it, ends in unusual ways
variants/refused.txt   code after the class that the compiled one cannot hold, which is said
variants/steps.txt     changes of the small script around the optimiser, backward and the weights: a third, or all
"""

from __future__ import annotations

import pytest
from alike import REFUSED, assert_alike
from effort import at_length, mostly_slow
from running import accelerated, read_scripts, read_variants, small_gpt

SAYS = 'print(f"num docs: {len(docs)}")\n', 'print(f"vocab size: {vocab_size}")\n'
VALUE = small_gpt(*((line, "") for line in SAYS)).split("n_embd = 4")[0]
HOSTILE, REFUSALS = read_scripts("hostile"), read_scripts("refused")
STEPS = {variant.name: variant.changes for variant in read_variants("steps")[:: at_length(3, 1)]}


@pytest.mark.parametrize("name", mostly_slow(HOSTILE, 3))
def test_a_hostile_script_does_the_same(name, tmp_path):
    assert REFUSED not in assert_alike(VALUE + HOSTILE[name], tmp_path).stderr


@pytest.mark.parametrize("name", mostly_slow(REFUSALS, 3))
def test_what_the_compiled_class_cannot_hold_ends_the_run(name, tmp_path):
    assert REFUSED in assert_alike(VALUE + REFUSALS[name], tmp_path).stderr


SWALLOWED = """
try:
    print((Value(-2.0) ** 0.5).data)
except:
    print("swallowed")
"""
IN_A_THREAD = """
import threading
thread = threading.Thread(target=lambda: print(Value("text").data))
thread.start()
thread.join()
print("the end")
"""


@pytest.mark.parametrize("source", [SWALLOWED, IN_A_THREAD], ids=["by a bare except", "in a thread"])
def test_a_refusal_that_gets_lost_is_said_at_the_end(source, tmp_path):
    (tmp_path / "script.py").write_text(VALUE + source)
    run = accelerated(tmp_path / "script.py")
    assert run.status == 1 and run.stderr.splitlines()[-1].endswith(REFUSED)


@pytest.mark.parametrize("name", mostly_slow(STEPS))
def test_a_changed_step_does_the_same(name, tmp_path):
    assert_alike(small_gpt(*STEPS[name]), tmp_path)
