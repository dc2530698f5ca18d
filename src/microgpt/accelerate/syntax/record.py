"""Classes of named values: dataclasses in small, since importing `dataclasses` takes a third of a script's start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def fresh(empty: Any) -> Any:
    """The default of a field: an empty collection of its own for every instance."""
    return type(empty)


class Record:
    """Its annotations are its fields, in order; a field's value in the class is its default."""

    def __init__(self, *values: Any, **named: Any) -> None:
        names = type(self).__annotations__
        given = {**dict(zip(names, values)), **named}
        if len(values) > len(names) or not given.keys() <= names.keys():
            raise TypeError(f"{type(self).__name__} has not so many fields, or not these: {', '.join(given)}")
        for name in names.keys() - given.keys():
            default = getattr(type(self), name)
            given[name] = default() if isinstance(default, type) else default
        vars(self).update(given)

    def but(self, **changes: Any) -> Any:
        """A copy with other values."""
        return type(self)(**{**vars(self), **changes})
