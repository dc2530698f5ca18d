"""Classes of named values: dataclasses in small, since importing `dataclasses` takes a third of a script's start."""

from __future__ import annotations

import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Fresh:
    """The default of a field: an empty collection of its own for every instance."""

    def __init__(self, empty: Any) -> None:
        self.empty = empty


def fresh(empty: Any) -> Any:
    return Fresh(empty)


class Record:
    """Its annotations are its fields, in order; a field's value in the class is its default."""

    def __init__(self, *values: Any, **named: Any) -> None:
        names = list(type(self).__annotations__)
        given = {**dict(zip(names, values)), **named}
        for name in names:
            value = given.pop(name) if name in given else getattr(type(self), name)
            setattr(self, name, copy.copy(value.empty) if isinstance(value, Fresh) else value)
        if given or len(values) > len(names):
            raise TypeError(f"{type(self).__name__} has no {', '.join(given) or 'such field'}")

    def but(self, **changes: Any) -> Any:
        """A copy with other values."""
        return type(self)(**{**vars(self), **changes})
