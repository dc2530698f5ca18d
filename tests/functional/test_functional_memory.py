"""Functions over lists that run out of memory: a MemoryError, and everything is as it was."""

from __future__ import annotations

import sys

import pytest
from processes import printed

OUT_OF_MEMORY = """
import resource
from microgpt import Value, arena_stats, attention, linear, mean, rmsnorm, softmax

x = [Value(0.01 * i) for i in range(400)]
w = [[Value(0.01 * (i - k)) for i in range(400)] for k in range(20)]
def step():
    for v in x: v.grad = 0
    mean(softmax(linear(rmsnorm(x), w))).backward()
    return [v.grad.hex() for v in x]
expected = step()
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (int(open("/proc/self/statm").read().split()[0]) * 4096 + SPARE, before[1]))
refused, kept = 0, []
for call in CALLS:
    try:
        while True:
            kept.append(call())
    except MemoryError:
        refused += 1
        del kept[-1:]
kept.clear()
resource.setrlimit(resource.RLIMIT_AS, before)
assert step() == expected
nodes = arena_stats()["nodes"]
step()
assert arena_stats()["nodes"] == nodes
print(refused)
"""
# Compiled before memory runs short: without any, `eval` of a string raises SystemError in CPython.
CALLS = "[lambda: linear(x, w), lambda: softmax(x), lambda: rmsnorm(x), lambda: attention(x, w, w, 4)]"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.parametrize("spare", [1 << 22, 1 << 24, 3 << 24])
def test_running_out_of_memory_is_a_memory_error_and_harms_nothing(spare):
    code = OUT_OF_MEMORY.replace("SPARE", str(spare)).replace("CALLS", CALLS)
    assert printed(code) == "4"


BACKWARD_OUT_OF_MEMORY = """
import resource
from microgpt import Value, linear, mean

x = [Value(0.5 + 0.001 * i) for i in range(2000)]
w = [[Value(0.25 - 0.001 * (i - k)) for i in range(2000)] for k in range(300)]
loss = mean(linear(x, w))
loss.backward()
once = [v.grad.hex() for v in x]
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (int(open("/proc/self/statm").read().split()[0]) * 4096 + (1 << 20), before[1]))
try:
    loss.backward()
    print("enough")
except MemoryError:
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert [v.grad.hex() for v in x] == once
    loss.backward()
    twice = [v.grad.hex() for v in x]
    other = mean(linear(x, w))
    for v in x: v.grad = 0
    other.backward()
    assert [v.grad.hex() for v in x] == once
    other.backward()
    assert [v.grad.hex() for v in x] == twice
    print("refused")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_a_second_backward_without_memory_for_hidden_gradients_changes_nothing():
    assert printed(BACKWARD_OUT_OF_MEMORY) == "refused"
