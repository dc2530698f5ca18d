"""The compiled loop behind a loop over parameters of the script's (see recognise/optimiser.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_

from ... import _engine
from ..recognise.optimiser import DATA, FLOAT, KEEP, LoopSite
from ..syntax.record import Record, fresh
from .frames import is_from_outside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEAST = 8  # parameters that are worth while


class ParamLoop(Record):
    """One loop of a script.

    states: the compiled Adams that hold the moments of lists which nobody else looks at, by the lists they came from.
    """

    site: LoopSite
    kind: type
    module: Any  # microgpt._adam
    states: dict[tuple[int, ...], tuple[Any, Any]] = fresh({})

    def rest(self, over: Any, arguments: Callable[[], tuple[Any, ...]]) -> Iterable[Any]:
        """Update what the compiled loop can take, and return an iterator over what is left to the script's loop.
        over: the parameters, or all that the loop zips; arguments: gives the loop's lists and settings."""
        done = 0
        shape = self.site.shape
        params = over[self.site.place] if "zip" in shape else over
        try:
            if type(params) is list and len(params) >= LEAST:
                done = self.run(params, arguments())
        except Exception as error:  # the loop itself raises what there is to raise, where it is raised
            if is_from_outside(error.__traceback__, arguments.__code__):
                raise
        if DATA in self.site.stores:
            _engine.note_data_written()
        if "range" in shape:
            return range(done, len(params))
        if done and "zip" in shape:
            over = tuple(each[done:] for each in over)
        rest: Iterable[Any] = zip(*over) if "zip" in shape else params[done:] if done else params
        return enumerate(rest, done) if "enumerate" in shape else iter(rest)

    def run(self, params: list[Any], arguments: tuple[Any, ...]) -> int:
        """How many parameters were updated, from the first on."""
        lists, settings = arguments[: self.site.n_lists], arguments[self.site.n_lists :]
        if any(type(setting) not in (float, int) for setting in settings):
            return 0
        if any(type(cells) is not list or len(cells) < len(params) for cells in lists):
            return 0
        if len({id(cells) for cells in (*lists, params)}) != len(lists) + 1:
            return 0
        if any(type(settings[place]) is not float for place in self.site.floats):
            return 0
        numbers = [float(setting) for setting in settings]
        if self.site.adam is not None and self.site.private:
            done = self.adam(params, lists, [numbers[place] for place in self.site.adam[:8]])
            if done:
                return done
        site = self.site
        return int(
            self.module.update_each(
                self.kind,
                params,
                len(params) - 1,
                lists,
                numbers,
                site.code,
                site.stores,
                site.zero != KEEP,
                site.zero != FLOAT,
                site.negates,
            )
        )

    # ---- Adam, whose moments stay in the compiled one -----------------------------------------------------------

    def adam(self, params: list[Any], lists: tuple[Any, ...], numbers: list[float]) -> int:
        assert self.site.adam is not None
        first, second = (lists[place - 2] for place in self.site.adam[8:])
        key = tuple(map(id, (params, first, second)))
        held = self.states.get(key)
        if held is None or not self.are_same(held[0].params, params[:-1]):
            self.give_back(first, second)
            held = self.start(params, first, second)
            if held is None:
                return 0
            self.states[key] = held
        beta1, _, bias1, beta2, _, bias2, _, eps = numbers
        proper = 0.0 <= beta1 < 1.0 and 0.0 <= beta2 < 1.0 and 0.0 < bias1 <= 1.0 and 0.0 < bias2 <= 1.0 and eps >= 0.0
        if not proper:
            self.give_back(first, second)
            return 0
        try:
            held[0].update(numbers, self.site.zero != KEEP, self.site.zero != FLOAT)
        except Exception:
            self.give_back(first, second)
            return 0
        return len(params) - 1

    def are_same(self, some: list[Any], others: list[Any]) -> bool:
        """Whether two lists have the same Values: asked of the lists, which is faster, unless Values have an __eq__."""
        if "__eq__" in vars(self.kind):
            return len(some) == len(others) and all(map(is_, some, others))
        return some == others

    def start(self, params: list[Any], m: list[Any], v: list[Any]) -> tuple[Any, Any] | None:
        """A compiled Adam that goes on from the script's lists."""
        n = len(params)
        if set(map(type, params)) != {self.kind} or len(m) != n or len(v) != n:
            return None
        if not all(type(x) in (float, int) for x in (*m, *v)) or not all(x >= 0.0 for x in v):
            return None
        adam = self.module.Adam(params[:-1])
        adam.load_state_dict({"t": 0, "m": m[:-1], "v": v[:-1]})
        return adam, (params, m, v)  # which keeps the lists, and so their identity

    def give_back(self, *moments: Any) -> None:
        """Write the moments into the lists they came from, and start anew next time."""
        for key, (adam, lists) in list(self.states.items()):
            if any(mine is theirs for mine in lists[1:] for theirs in moments):
                state = adam.state_dict()
                lists[1][: len(state["m"])] = state["m"]
                lists[2][: len(state["v"])] = state["v"]
                del self.states[key]
