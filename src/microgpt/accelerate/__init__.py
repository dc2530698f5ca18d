"""`microgpt run script.py`, and the same for modules: `import microgpt.accelerate` before importing them.

match.py scopes.py names.py simplify.py   trees compared by meaning
forms.py                           the forms that are recognised
classes.py functions.py optimizer.py   what is swapped: the class, arithmetic over vectors, the Adam loop
opaque.py hazards.py escapes.py children.py numbers_in.py beside.py   reasons to leave it
rewrite.py support.py refusal.py   the rewritten code, what it calls, and what it cannot do
run.py frames.py check.py command.py report.py   the command
hook.py                            the import hook, and Jupyter's cells
"""

from .hook import install

install()
