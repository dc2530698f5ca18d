"""The script's Adam loop: recognised here, run by `AdamLoop`.

Only what the loop runs over is exchanged:

    for i, p in enumerate(params):   ->   try: __microgpt__.adam_with(site, m, v, ...)
                                          except __microgpt__.Exception: __microgpt__.adam_without(site)
                                          for i, p in __microgpt__.adam(site, params):

The compiled Adam updates all parameters but the last; the loop's own body does that one, so that every name it binds
holds afterwards what it would have held. Whatever the compiled Adam does not take runs through the loop as it stands.
"""

from __future__ import annotations

import ast
from _thread import RLock, get_ident
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import forms
from .findings import Finding
from .frames import is_from_outside
from .functions import attempt, call, placed, reload
from .match import Match, plain_statements
from .program import Program

ORDER = ("M", "V", "BETA1", "BETA2", "T", "LR", "EPS")


@dataclass
class AdamSite:
    """One such loop in a script.

    zero: what it does to the gradients, "int", "float" or "keep". private: nobody but the loop looks at the lists of
    moments, which then need not be kept up to date.
    """

    line: int
    zero: str
    private: bool


def find_adam(program: Program, loop: ast.For) -> tuple[AdamSite, Match] | None:
    if not (isinstance(loop.target, ast.Tuple) and isinstance(loop.iter, ast.Call)):
        return None
    statements = plain_statements([loop])
    for pattern, zero in forms.ADAM:
        found = pattern.match_statements(statements, program.meaning)
        if found is not None and independent(found):
            private = all(is_private(program, found.holes[name], loop) for name in ("M", "V"))
            return AdamSite(loop.lineno, zero, private), found
    return None


def independent(found: Match) -> bool:
    """Whether nothing in the holes depends on the names of the loop."""
    bound = set(found.names.values())
    return not any(
        isinstance(node, ast.Name) and node.id in bound for hole in found.holes.values() for node in ast.walk(hole)
    )


def is_private(program: Program, moments: ast.expr, loop: ast.For) -> bool:
    """Whether a name is bound to fresh lists, and otherwise occurs in this loop alone."""
    if not isinstance(moments, ast.Name) or moments not in program.scopes.scope_of:
        return False
    scope = program.scopes.meaning(moments)
    if scope is None or any(True for _ in program.calls("locals", "vars", "globals", "dir")):
        return False
    if scope is not program.scopes.module and moments.id not in scope_names(scope.node):
        return False
    inside = set(ast.walk(loop))
    outside = [name for name in program.scopes.occurrences(moments.id, scope) if name not in inside]
    return bool(outside) and all(is_fresh_list(program, name) for name in outside)


def scope_names(node: ast.AST) -> set[str]:
    """Names that are assigned in a function, parameters left out."""
    return {
        inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    } - {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}


def is_fresh_list(program: Program, name: ast.Name) -> bool:
    """Whether this is the target of `name = [0.0] * n` or `name = [0.0 for ...]`, alone or in a tuple."""
    for node in program.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            for target, value in pairs(node.targets[0], node.value):
                if target is name:
                    return makes_list(value)
    return False


def pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What an assignment assigns to what; a tuple of targets is taken apart if its values stand there too."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts))
    return [(target, value)]


def makes_list(value: ast.expr) -> bool:
    repeated = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and isinstance(value.left, ast.List)
    return repeated or isinstance(value, (ast.ListComp, ast.List))


def swap_adam(loop: ast.For, found: Match, number: int) -> list[ast.stmt]:
    """Exchange what the loop runs over. Returns it, with what goes before it."""
    settings = [ast.Constant(number), *(reload(found.holes[name]) for name in ORDER)]
    first = attempt(
        ast.Expr(call("adam_with", settings)), ast.Expr(call("adam_without", [ast.Constant(number)]))
    )  # what cannot be evaluated is for the loop's body to complain about
    made = call("adam", [ast.Constant(number), reload(found.holes["PARAMS"])])
    placed(first, loop.iter)
    placed(made, loop.iter)
    loop.iter = made
    return [first, loop]


def finding(site: AdamSite) -> Finding:
    return Finding(site.line, "Adam", note="" if site.private else "with the lists of moments kept up to date")


# ---- at run time ----------------------------------------------------------------------------------------------------


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
