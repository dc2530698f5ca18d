# The names of microgpt under its second import name. A folder of its own because type checkers
# look for the types of an installed single-file module only here (PEP 561).
from microgpt import *  # noqa: F403
