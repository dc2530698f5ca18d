"""`python -m microgpt.accelerate script.py`: the same as `microgpt run script.py`."""

from .command import run_alone

raise SystemExit(run_alone())
