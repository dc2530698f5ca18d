#!/usr/bin/env python3
"""Record Karpathy's own microgpt.py on the embedded names as tests/golden/train_embedded.json.

    python tools/make_golden.py path/to/microgpt.py

Takes some minutes.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ROOT / "src" / "microgpt" / "data" / "names.txt"
GOLDEN = ROOT / "tests" / "golden" / "train_embedded.json"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from recording import libm_sha256, record  # noqa: E402


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: make_golden.py SCRIPT")
    script = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(NAMES, Path(folder) / "input.txt")
        os.chdir(folder)
        run = record(script)
        os.chdir(ROOT)
    GOLDEN.write_text(json.dumps({"libm_sha256": libm_sha256(), **run}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
