"""Recorded functions: the graph of a first call is kept, and replayed in C from then on, bit for bit.

    from microgpt import recorded, table

    wte = table(wte)                    # a matrix of parameters of which tokens choose rows

    @recorded
    def loss_of(tokens):
        ...                             # Python as before: wte[token], cross_entropy(logits, target), any scalar code
        return mean(losses)

    loss = loss_of(tokens)
    loss.backward()

The first call with arguments of a shape runs in Python and is recorded; later calls are replayed. What varies: the
parameters; ints among the arguments, as indices of a `table`, as targets of `cross_entropy` and as indices of what
`softmax` gives; floats among the arguments, in arithmetic with Values. What makes another recording: lengths,
strings, bools, None, other objects, and ints named in `static`.

What a function must not do is let Python decide by a number: read `.data`, compare, use a token in another way. The
recording ends there, with a warning that names the line and the remedy, and the function runs in Python from then on,
with the same result. What else it does (print, append to a list outside) happens when it is recorded, and not when it
is replayed.
"""

from __future__ import annotations

from .._recorded import NotRecorded
from .arguments import table
from .function import RecordedWarning, recorded

__all__ = ["NotRecorded", "RecordedWarning", "recorded", "table"]
