"""The ladder: the same training run on every rung, from interpreted Python to SIMD, measured in one process run.

results: what a run found, as dataclasses and as bench.json. rungs: how each rung takes a step. measure: taking turns,
medians, other sizes. memory: what a rung needs. machine: where it ran. others: PyPy and ports. table, report, picture:
the results to look at.
"""

DEPTH = 10_000  # of Python's recursion: the interpreted backward needs some 900 for the script's model, more for larger
