"""`microgpt run script.py`, and the same for modules: `import microgpt.accelerate` before importing them.

match.py, scopes.py, simplify.py   trees compared by meaning
forms.py                           the forms that are recognised
classes.py functions.py optimizer.py   what is swapped: the class, arithmetic over vectors, the Adam loop
hazards.py numbers_in.py           reasons to leave it
rewrite.py support.py              the rewritten code, and what it calls
run.py check.py command.py report.py   the command
hook.py                            the import hook, and Jupyter's cells
"""

from .hook import install

install()
