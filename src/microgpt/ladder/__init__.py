"""The ladder: the same training run on every rung, from interpreted Python to SIMD, measured in one process run.

results   what a run found, as dataclasses and as bench.json
rungs     how each rung takes a step
measure   taking turns, medians, memory
table     the results in a terminal
report    the results as a page and as a picture
"""
