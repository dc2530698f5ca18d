"""Nodes of many classes, and what a picture calls the operation that made them."""

from __future__ import annotations

from typing import Any

from dot_parser import parse

import microgpt
from microgpt import draw_dot


class Plain:
    """The least that a user's class can be."""

    def __init__(self, data: Any, children: Any = (), local_grads: Any = (), **others: Any) -> None:
        self.data, self.grad, self._children, self._local_grads = data, 0, children, local_grads
        self.__dict__.update(others)


class Labelled(microgpt.Value):
    def __init__(self, data: Any, children: Any = (), local_grads: Any = (), label: Any = "") -> None:
        super().__init__(data, children, local_grads)
        self.label = label


class Bare(microgpt.Value):
    pass


def operation(root: Any) -> str:
    """The label of the operation that made the root; its children are drawn as leaves."""
    picture = parse(draw_dot(root).source)
    last = max(picture.operations(), key=lambda name: int(name[2:]))
    return picture.operations()[last]
