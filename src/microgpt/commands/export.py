"""`microgpt export`: the parameters of a saved model as a file that other programs read."""

from __future__ import annotations

import io
import json
import os

from ..checkpoint import Checkpoint, load
from ..files import replace_file
from . import Refused, note
from .options import Option, Options, one_of, path


def main(options: Options) -> int:
    out = options.out or f"model.{options.format}"
    kept = load(options.source)
    if not options.out and os.path.lexists(out):
        raise Refused(f"{out}: this file exists; name it with --out to replace it")
    replace_file(out, FORMATS[options.format](kept))
    note(f"{kept.config.num_params:,} parameters of step {kept.step} written to {out}")
    return 0


def as_json(kept: Checkpoint) -> bytes:
    """An object of "config", the sizes, "vocabulary", the text of each token, and "parameters", name -> rows."""
    parameters = {name: matrix.tolist() for name, matrix in kept.weights.items()}
    vocabulary = list(kept.tokenizer.texts)
    found = {"config": kept.config._asdict(), "vocabulary": vocabulary, "parameters": parameters}
    return json.dumps(found).encode("ascii")


def as_csv(kept: Checkpoint) -> bytes:
    """A line a parameter: the name of its matrix, row, column and value, whose digits give back the double."""
    lines = ["matrix,row,column,value"]
    for name, matrix in kept.weights.items():
        rows: list[list[float]] = matrix.tolist()  # type: ignore[assignment]
        for row, numbers in enumerate(rows):
            lines += [f"{name},{row},{column},{value!r}" for column, value in enumerate(numbers)]
    return "\n".join([*lines, ""]).encode("ascii")


def as_npz(kept: Checkpoint) -> bytes:
    """A zip archive of arrays, NAME.npy each, of doubles in the order of the machine."""
    from zipfile import ZipFile

    content = io.BytesIO()
    with ZipFile(content, "w") as archive:
        for name, matrix in kept.weights.items():
            archive.writestr(f"{name}.npy", _npy(matrix))
    return content.getvalue()


def _npy(matrix: memoryview[float]) -> bytes:
    """The file format of NumPy, version 1.0: a magic string, a header padded to 64 bytes, and the numbers.

    See https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    import sys

    order = "<" if sys.byteorder == "little" else ">"
    header = f"{{'descr': '{order}f8', 'fortran_order': False, 'shape': {matrix.shape!r}, }}"
    padded = header + " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode("ascii") + matrix.tobytes()


FORMATS = {"json": as_json, "csv": as_csv, "npz": as_npz}
WHAT = "json: an object with sizes, vocabulary and matrices; csv: a line a parameter; npz: arrays of NumPy"
ABOUT = {
    "help": "write the parameters of a saved model as json, csv or npz",
    "description": "Write the parameters of a model that `microgpt train --out DIR` has saved, every digit of them, "
    "into a file that other programs read.",
    "epilog": "Example: `microgpt export names --format npz` writes model.npz for numpy.load",
}
GROUPS = {
    "": (
        Option("source", "DIR", path, "the folder that was given as --out", required=True),
        Option("--format", "KIND", one_of(FORMATS), WHAT, required=True),
        Option("--out", "FILE", path, "where to (default: model.json, model.csv or model.npz)"),
    )
}
