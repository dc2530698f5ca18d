"""docs/profile.json: where the processor is during training steps on every rung, by what the functions are for.

    .venv/bin/python tools/profile_rungs.py [RUNG...]     needs `perf`; of the rungs not named, the saved figures stay

Samples of processor time (cpu-clock, user space), taken while a process does nothing but train.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from microgpt import GPTConfig
from microgpt.ladder import machine
from microgpt.ladder.measure import deep_recursion
from microgpt.ladder.rungs import LADDER, Fused, fresh_parameters, script_documents

PROFILE = Path(__file__).parent.parent / "docs" / "profile.json"
SECONDS = 4.0  # of processor time on each rung

# The first group whose pattern is found in "library function" has its samples.
GROUPS = {
    "Adam, in C": r"^_adam|^_(?!compiled)\S+ .*(update_all|may_overflow|stage_)",
    "backward, in C": r"^_(?!compiled)\S+ .*(backward|accumul|walk|propagat|axpy|emit|span|receive)",
    "exp, log and powers": r"^libm|^_fused (exp|power|log_|root)",
    "matrix products": r"^_(?!compiled)\S+ .*(tiles|multiply_small|products|transpose|linear|read_rows)",
    "other C of ours": r"^_(?!compiled)|^libc\S* .*mem",
    "collector": r" (gc_collect|deduce_unr|visit_|update_refs|subtract_refs|untrack|\w*traverse|\w*_GC_Track|gc_)",
    "objects made and freed": r"^libc|[aA]lloc|[fF]ree|_new\b|_New|New\b|[dD]ealloc|Float_F|Long_F|GC_|Trash|FromArr",
    "look-ups and dispatch": r"Attr|[lL]ook|binary|PyNumb|slot|[dD]ict|unicode|set_|member|[rR]ich|[hH]ash|float_|Subt",
    "interpreter": r"",
}
LINE = re.compile(r"^ *[\d.]+% *; *(\d+) *;(\S+) *;\[.\] (.*\S)")


def train(rung: str) -> None:
    """Says when it is about to begin, waits for a line, trains."""
    vocab_size, documents = script_documents(12)
    config = GPTConfig(vocab_size)
    with deep_recursion():
        model = LADDER[rung].make(config, fresh_parameters(config))
        # Fused.run also times the parts one by one; that is not a step.
        steps = model.model.train_steps if isinstance(model, Fused) else model.run
        steps(documents, [1e-3] * len(documents))
        print(flush=True)
        input()
        end = time.process_time() + SECONDS
        while time.process_time() < end:
            steps(documents, [1e-3] * len(documents))


def sampled(rung: str) -> Counter[str]:
    """Samples by "library function"."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        worker = subprocess.Popen(
            [sys.executable, __file__, "--train", rung], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdin and worker.stdout
        worker.stdout.readline()
        record = ["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "1000", "-o", data, "-p", str(worker.pid)]
        perf = subprocess.Popen(record)
        time.sleep(1)  # until it is attached
        worker.communicate("\n")
        perf.wait()
        report = ["perf", "report", "--stdio", "-n", "-t", ";", "--sort", "dso,sym", "-i", data]
        shown = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    found: Counter[str] = Counter()
    for line in shown.splitlines():
        if match := LINE.match(line):
            found[f"{match[2].partition('.')[0]} {match[3]}"] += int(match[1])
    return found


def group_of(function: str) -> str:
    return next(group for group, pattern in GROUPS.items() if re.search(pattern, function))


def shares(functions: Counter[str]) -> dict[str, float]:
    """Of all samples, by group, in the order of GROUPS; what is below half a percent is left out."""
    found = dict.fromkeys(GROUPS, 0)
    for function, count in functions.items():
        found[group_of(function)] += count
    total = sum(found.values())
    return {group: round(count / total, 3) for group, count in found.items() if count >= 0.005 * total}


def main() -> int:
    if sys.argv[1:2] == ["--train"]:
        train(sys.argv[2])
        return 0
    named = sys.argv[1:]
    rungs = json.loads(PROFILE.read_text("utf-8"))["rungs"] if named else {}
    for rung in named or LADDER:
        functions = sampled(rung)
        if not functions:
            print("profile_rungs: perf has taken no samples", file=sys.stderr)
            return 1
        rungs[rung] = shares(functions)
        print(f"{rung}: {sum(functions.values())} samples, {rungs[rung]}")
        for function, count in functions.most_common(20 if named else 0):
            print(f"  {count:6}  {group_of(function):24} {function}")
    about = {"cpu": machine.machine(None)["cpu"], "cores": os.cpu_count(), **machine.software()}
    text = json.dumps({"command": "tools/profile_rungs.py", **about, "rungs": rungs}, indent=1)
    PROFILE.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
