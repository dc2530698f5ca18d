"""An operation of your own, with a name in pictures: python own_operation.py [picture.svg]"""

import math
import sys

import microgpt
from microgpt_engine import draw_dot


class Value(microgpt.Value):
    """A subclass, so that instances can carry what draw_dot shows: `label` of a Value, `_op` of an operation."""

    def softplus(self):
        """log(1 + e**x), whose derivative is the logistic function: one node instead of three."""
        result = Value(math.log1p(math.exp(self.data)), (self,), (1 / (1 + math.exp(-self.data)),))
        result._op = "softplus"
        return result


w, x, b = Value(0.5), Value(-2.0), Value(0.25)
y = (w * x + b).softplus()
w.label, x.label, b.label, y.label = "w", "x", "b", "y"
y.backward()

picture = draw_dot(y)
if len(sys.argv) > 1:
    print(picture.render(sys.argv[1]))  # needs graphviz, unless the name ends with .gv
else:
    print(picture)
