"""Execute the notebook anew and store it with its outputs; needs nbclient, ipykernel, matplotlib and graphviz."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

LADDER = Path(__file__).parent / "ladder.ipynb"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs, executed in `folder`. CellExecutionError if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    # In a process of its own on this interpreter; when it was run is nobody's business, so nothing of that is stored.
    NotebookClient(notebook, timeout=300, record_timing=False, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook


if __name__ == "__main__":
    nbformat.write(execute(LADDER, LADDER.parent), LADDER)
    print(f"{LADDER.name}: {LADDER.stat().st_size:,} bytes")
