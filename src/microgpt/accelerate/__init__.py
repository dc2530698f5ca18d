"""`microgpt run script.py`, and the same for modules: `import microgpt.accelerate` before importing them.

read -> recognise -> guard -> rewrite -> run, a room each:

syntax/      a script as a tree: scopes, what names mean, trees compared by meaning
recognise/   the class Value, arithmetic over vectors, the optimiser's loop
guards/      reasons to leave them
rewrite.py   the script's code with its swaps; report.py explain.py say what was done
runtime/     what the rewritten code calls, and the script as the interpreter would run it
command.py check.py hook.py   `microgpt run`, its --check, and the import hook with Jupyter's cells
"""

from .hook import install

install()
