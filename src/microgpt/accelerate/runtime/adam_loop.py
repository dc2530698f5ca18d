"""The compiled Adam behind a loop of the script's (see recognise/adam.py)."""

from __future__ import annotations

from _thread import RLock, get_ident
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..recognise.adam import AdamSite
from .frames import is_from_outside


@dataclass
class AdamLoop:
    """The compiled Adam behind one loop."""

    site: AdamSite
    kind: type
    make: Any  # microgpt.Adam
    adam: Any = None
    lists: tuple[Any, Any, Any] = (None, None, None)  # params, m, v that it was made from
    shown: list[list[float]] = field(default_factory=list)  # the moments as last written to the user's lists
    settings: dict[int, tuple[Any, ...]] = field(default_factory=dict)  # of the loops that begin now, by thread
    lock: Any = field(default_factory=RLock)

    def rest(self, params: Any) -> Iterable[tuple[int, Any]]:
        """Update what the compiled Adam can take, and return the (index, parameter) pairs that are left to the loop."""
        with self.lock:  # threads may run the same loop on lists of their own
            settings = self.settings.pop(get_ident(), None)
            try:
                if settings is not None and self.step(params, *settings):
                    last = len(params) - 1
                    return ((last, params[last]),)
            except Exception as error:  # the loop itself raises what there is to raise, where it is raised
                if is_from_outside(error.__traceback__):
                    raise
            self.give_back()
            return enumerate(params)

    def step(self, params: Any, m: Any, v: Any, beta1: Any, beta2: Any, t: Any, lr: Any, eps: Any) -> bool:
        """Update all parameters but the last, if that can be done here."""
        if not self.fits(params, m, v, (beta1, beta2, lr, eps), t):
            return False
        self.adam.betas = (beta1, beta2)
        self.adam.eps = eps
        self.adam.step(lr, zero_grad=self.site.zero != "keep")
        self.after()
        return True

    def fits(self, params: Any, m: Any, v: Any, settings: tuple[Any, ...], t: Any) -> bool:
        """Whether the compiled Adam is ready for this step; it is made here when it is not."""
        beta1, beta2, lr, eps = settings
        if type(t) is not int or t < 1 or not type(beta1) is type(beta2) is float:
            return False  # moments that can be ints
        if type(lr) not in (float, int) or type(eps) not in (float, int):
            return False
        if not (type(params) is type(m) is type(v) is list and 1 < len(params) == len(m) == len(v) and m is not v):
            return False
        if self.adam is None or any(a is not b for a, b in zip(self.lists, (params, m, v))):
            self.give_back()
            return self.start(params, m, v, t)
        if self.adam.t + 1 != t or self.adam.params != params[:-1] or not self.moments_untouched():
            self.give_back()
            return self.start(params, m, v, t)
        return True

    def start(self, params: list[Any], m: list[Any], v: list[Any], t: int) -> bool:
        """A compiled Adam that goes on from the user's lists."""
        if set(map(type, params)) != {self.kind} or not all(type(x) in (float, int) for x in (*m, *v)):
            return False
        adam = self.make(params[:-1])
        adam.load_state_dict({"t": t - 1, "m": m[:-1], "v": v[:-1]})
        self.adam = adam  # not before it holds the lists' moments: give_back would write others into them
        self.lists = (params, m, v)
        self.show()
        return True

    def moments_untouched(self) -> bool:
        """Whether the user's lists hold what was written there: the very objects."""
        if self.site.private:
            return True
        return all(
            len(now) == len(before) + 1 and all(map(is_same, now, before))
            for now, before in zip(self.lists[1:], self.shown)
        )

    def after(self) -> None:
        if self.site.zero == "float":
            for parameter in self.adam.params:
                parameter.grad = 0.0
        if not self.site.private:
            self.give_moments()
            self.show()

    def show(self) -> None:
        if not self.site.private:
            self.shown = [self.lists[1][:-1], self.lists[2][:-1]]

    def give_moments(self) -> None:
        state = self.adam.state_dict()
        self.lists[1][:-1] = state["m"]
        self.lists[2][:-1] = state["v"]

    def give_back(self) -> None:
        """Write the moments into the lists they came from, and start anew next time."""
        if self.adam is not None and self.site.private:
            self.give_moments()
        self.adam = None


def is_same(a: object, b: object) -> bool:
    return a is b
