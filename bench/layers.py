"""The layers that are measured, from a single operation to whole commands, and the rungs that they stand on."""

# layer -> its title in the table; the order is that of the table and of pytest-benchmark's groups
TITLES = {
    "operation": "One operation, its result dropped at once",
    "graph": "Nodes of a graph that is kept until it is whole; freeing included",
    "backward": "backward(), a node",
    "functions": "Functions over lists of Values: a multiply-add of linear and attention, else an element",
    "adam": "Adam, a parameter",
    "step": "A training step of the script and its parts, every variant in a process of its own",
    "ladder": "A training step on every rung, the same documents and the same losses",
    "fused": "The fused GPT: a training step among many, the script's model",
    "generation": "A sampled name on every rung, the same names",
    "scaling in nodes": "Graphs of a thousand to ten million nodes, a node; freeing is part of building",
    "scaling in model size": "Larger models, a training step: a multiply-add of its matrix products",
    "run": "microgpt run: a training step of scripts that are not changed, beside the interpreter on the same file",
    "memory": "Memory of one large graph, a node",
    "import": "Starting Python (reference); starting it and importing the package (compiled)",
    "command": "End to end: starting Python (reference); a whole command from start to exit (compiled)",
}
RUNGS = ("0 interpreted", "1 compiled", "2 typed", "3 bulk", "4 fused")
YARDSTICKS = ("reference", "floats", "peak")  # what a variant is held against, in the same run


def group_of(layer: str, what: str) -> str:
    """Name of the group in pytest-benchmark's tables, which it sorts: layer after layer, upwards."""
    return f"{list(TITLES).index(layer) + 1:02} {layer}: {what}"
