"""The ladder: the same training run on every rung, from interpreted Python to SIMD, measured in one process run.

rungs: how each rung takes a step; one entry a rung. graph: the step as a graph of Values. measure: rounds in turns,
medians, other sizes. memory: what a rung needs. others: PyPy and ports. machine: where it ran. results: what was found,
as dataclasses and as bench.json. figures: how a figure is written. table, charts, report: the results to look at.
"""

DEPTH = 10_000  # of Python's recursion: the interpreted backward needs some 900 for the script's model, more for larger
