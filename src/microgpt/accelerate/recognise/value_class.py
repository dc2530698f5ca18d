"""The script's `Value` under any name: which of its methods are ours, and which stay the user's.

A class is swapped when its constructor stores what the script's stores. Each method that does what the script's does is
dropped, the compiled one takes its place. A method that differs, or is new, stays as the user wrote it. One that the
user's class lacks is taken away from ours, so that its use fails as before.

A method that reads like the script's is known at once; any other is run on symbolic numbers (behaviour.py).
"""

from __future__ import annotations

import ast

from ..syntax.match import Reading, plain_statements, words_of
from ..syntax.powers import number_powers
from ..syntax.program import Program
from ..syntax.record import Record, fresh
from ..syntax.tree import walk
from .behaviour import (
    CHILDREN,
    CONTEXTS,
    DATA,
    GRAD,
    LIKE_NODES,
    LIKE_NUMBERS,
    LOCAL_GRADS,
    Construction,
    World,
    alike,
    is_tame_backward,
    same_backward,
)
from .counters import find_counters, without_counting
from .flags import Flag, find_flag
from .forms import IDENTITY, METHOD_FORMS, METHOD_SOURCES, METHODS, reference_class, without_links, words
from .sandbox import Ids, Sandbox
from .symbolic import Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FIELDS = ("data", "grad", "_children", "_local_grads")
MISSING = object()  # what an attribute holds that nobody has given yet
OURS_ONLY = ("tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu", "__abs__")
# Special methods that a class may add and that the engine's own work never calls.
HARMLESS = {
    f"__{name}__"
    for group in (
        ["init", "repr", "str", "format", "call", "contains", "iter", "len", "getitem", "index"],
        ["add", "mul", "pow", "neg", "radd", "sub", "rsub", "rmul", "truediv", "rtruediv", "rpow"],
        ["iadd", "isub", "imul", "itruediv", "ipow", "abs", "pos", "invert", "round", "trunc", "floor", "ceil"],
        ["matmul", "rmatmul", "floordiv", "rfloordiv", "mod", "rmod", "divmod"],
        ["float", "int", "bool", "complex", "lt", "gt", "le", "ge", "ne", "eq", "hash"],
    )
    for name in group
}


class ClassPlan(Record):
    """What becomes of the user's class."""

    node: ast.ClassDef
    fields: dict[str, str] = fresh({})  # the user's names for FIELDS
    # the constructor's names for data, children and local_grads
    parameters: tuple[str, str, str] = ("data", "children", "local_grads")
    grad_given: str = ""  # the constructor's parameter that a gradient begins as
    signature: tuple[str, ...] = ("data", "children", "local_grads")  # all of the constructor's parameters, in order
    extra: dict[str, Any] = fresh({})  # attributes beside FIELDS that it stores, and what it stores there
    beside: dict[str, Any] = fresh({})  # attributes that are kept beside the instances, with what they hold at first
    flag: Flag | None = None  # what the script switches children off with
    cuts: bool = False  # it does so in the constructor, else in each of the methods that are ours
    counters: dict[str, int] = fresh({})  # class attributes to which the constructor adds a number for every node
    # where numbers are floats that are ints in the script, and the other way round: see forms.KINDS
    kinds: set[str] = fresh(set())
    ours: set[str] = fresh(set())  # methods that the compiled class stands for
    run_alike: set[str] = fresh(set())  # those of them that were recognised by what they do
    numbers_only: set[str] = fresh(set())  # those whose nodes in between may differ
    by_value: bool = False  # it has an __eq__ or a __hash__ that tells other Values apart than `is` does
    pairs_only: bool = False  # backward is the script's where every node has as many local gradients as children
    kept: dict[str, ast.stmt] = fresh({})  # methods and class attributes that stay
    written: set[str] = fresh(set())  # those of them that a decorator would have made (see dataclass.py)
    unseen: set[str] = fresh(set())  # those of these that nobody seems to use, and whose use ends the run
    missing: set[str] = fresh(set())  # methods of the script that the user's class lacks
    patched: set[str] = fresh(set())  # methods that are assigned from outside
    # methods of ours that are used as objects, and therefore stay functions of the user's
    shown: set[str] = fresh(set())
    stubs: set[str] = fresh(set())  # methods of ours whose annotations are evaluated all the same
    float_root: bool = False  # backward starts with 1.0
    older: bool = False  # it was of the form of micrograd.py
    unordered: bool = False  # its children were a set
    has_slots: bool = False  # instances have no attributes but FIELDS
    subclass: bool = False  # it becomes a class derived from ours, instead of ours itself
    shared: bool = False  # others use our class too, which then is not reshaped
    why_not: str = ""  # the reason for leaving the class as it is
    why_scalar: str = ""  # the reason why every node has to be one of the script's

    @property
    def name(self) -> str:
        return self.node.name

    def given(self, call: ast.Call) -> dict[str | None, ast.expr]:
        """What a call of the constructor gives to which parameter; an argument too many to None."""
        names: list[str | None] = [*self.signature, *[None] * len(call.args)]
        return {**dict(zip(names, call.args)), **{keyword.arg: keyword.value for keyword in call.keywords}}

    def node_constants(self) -> list[str]:
        """Attributes of the class itself that methods of ours read."""
        bound = {
            target.id
            for statement in self.node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        bound -= {*self.counters, *([self.flag.name] if self.flag is not None else [])}
        bound |= {s.name for s in self.node.body if isinstance(s, ast.FunctionDef) and s.name not in METHODS}
        return [node.attr for node in dropped(self) if isinstance(node, ast.Attribute) and node.attr in bound]

    def surely(self, *methods: str) -> bool:
        """Whether these methods are the script's, for good."""
        return self.ours.issuperset(methods) and not self.patched.intersection(methods)


def find_class(program: Program) -> ClassPlan | None:
    """The class that plays the part of the script's Value, if there is one. It says itself if it cannot be swapped."""
    found = [node for node in program.of(ast.ClassDef) if looks_like_value(node)]
    found = [node for node in found if stands_once(program, node)]
    if not found:
        return None
    plan = ClassPlan(found[-1])
    if len(found) > 1:
        plan.why_not = f"line {found[0].lineno} has such a class too ({found[0].name})"
        return plan
    program.look_at(plan.node)
    plan.why_not = read_class(program, plan)
    return plan


def stands_once(program: Program, node: ast.ClassDef) -> bool:
    """Whether a class is defined once: in the module, or in a function that the module calls in one place."""
    around = program.parents[node]
    if around is program.tree:
        return True
    if not isinstance(around, ast.FunctionDef) or around not in program.tree.body:
        return False
    mentions = list(program.mentions(around.name))
    return len(mentions) == 1 and is_called_once(program, mentions[0])


def is_called_once(program: Program, name: ast.AST) -> bool:
    """Whether this is the function of a call that the module makes at most once."""
    node = program.parents.get(name)
    if not isinstance(node, ast.Call) or node.func is not name:
        return False
    node = program.parents.get(node)
    while node is not None and node is not program.tree:
        node = program.parents.get(node)
        if isinstance(node, (ast.For, ast.While, ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.comprehension)):
            return False
    return True


def looks_like_value(node: ast.ClassDef) -> bool:
    methods = {statement.name for statement in node.body if isinstance(statement, ast.FunctionDef)}
    return methods.issuperset({"__init__", "__add__", "__mul__", "backward"})


def read_class(program: Program, plan: ClassPlan) -> str:
    """Fill in the plan. Returns why the class must stay, or ""."""
    node = plan.node
    decorators = [one for one in node.decorator_list if program.meaning(one) != "functools.total_ordering"]
    if decorators or node.keywords or getattr(node, "type_params", None):
        return "it has a decorator, a metaclass or type parameters"
    if any(not (isinstance(base, ast.Name) and program.meaning(base) == "object") for base in node.bases):
        return "it has a base class"
    if program.scopes.binders(node.name, program.home) != [node]:
        return f"the name {node.name} is bound more than once"
    plan.counters = find_counters(program, node)
    try:
        plan.flag = find_flag(program, node)
        construction = Construction(program, without_counting(program, node, plan.counters), plan.flag)
    except (Exception, RecursionError) as error:
        return not_constructed(node, error)
    plan.fields = {name: construction.fields[name] for name in FIELDS}
    plan.cuts, plan.grad_given = construction.cuts, construction.grad_given
    plan.parameters = construction.order
    plan.signature, plan.extra = tuple(construction.names), construction.extra
    plan.kinds = {name for name in ("float_data", "float_grad") if getattr(construction, name)}
    plan.ours.add("__init__")
    plan.by_value = compares_by_value(program, node)
    if plan.by_value:
        construction.sandbox.names["__builtins__"]["set"] = Ids
    reader = Methods(program, plan, construction)
    for statement in node.body:
        why = read_member(reader, plan, statement)
        if why:
            return why
    plan.missing = set(METHODS) - plan.ours - set(plan.kept)
    return check_kept(plan)


def compares_by_value(program: Program, node: ast.ClassDef) -> bool:
    """Whether its instances are told apart by anything but `is`: by methods that differ from object's."""
    named = {getattr(s, "name", "") or ast.unparse(s).split(" = ")[0]: s for s in node.body}
    equality = [named[name] for name in ("__eq__", "__hash__") if name in named]
    known = [words_of(source).words for source in IDENTITY] if equality else []
    unhashable = "__eq__" in named and "__hash__" not in named
    return unhashable or any(
        ast.unparse(s) != "__hash__ = object.__hash__"
        if not isinstance(s, ast.FunctionDef)
        else Reading(s, program.scopes, program.meaning).words not in known
        for s in equality
    )


def not_constructed(node: ast.ClassDef, error: BaseException) -> str:
    """Why a constructor cannot be followed: its first line that the script's has not."""
    init = next(s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    known = {ast.unparse(s) for s in ast.parse(METHOD_SOURCES["__init__"]).body[0].body}  # type: ignore[attr-defined]
    other = next((s for s in plain_statements(init.body) if ast.unparse(s) not in known), init)
    why = f" ({error})" if isinstance(error, Unknown) else ""
    return f"its constructor differs from the script's in line {other.lineno}{why}"


class Methods:
    """Says of each method whether it is the script's, and what differs in the kinds of its numbers."""

    def __init__(self, program: Program, plan: ClassPlan, construction: Construction) -> None:
        self.program, self.plan, self.construction = program, plan, construction
        self._worlds: list[World] = []

    def worlds(self) -> Iterator[tuple[World, World]]:
        """The user's class and the script's, in sandboxes; once more with the flag off, if there is one."""
        made, flag = self.construction, self.plan.flag
        if not self._worlds:
            self._worlds = [World(made.sandbox, made.kind, made.fields, made.order), self.reference(False)]
            self._worlds += [self.reference(True)] if flag is not None else []
        mine, *references = self._worlds
        for off, reference in enumerate(references):
            if flag is not None:
                flag.put(mine.sandbox, mine.kind, flag.on != bool(off))
            yield mine, reference
        if flag is not None:
            flag.put(mine.sandbox, mine.kind, flag.on)

    def reference(self, off: bool) -> World:
        made = Sandbox(None, self.construction.sandbox.tracer)
        made.names["math"] = made.math
        made.define(*self.parsed(reference_class(self.plan.kinds), off))
        names = {DATA: DATA, GRAD: GRAD, CHILDREN: CHILDREN, LOCAL_GRADS: LOCAL_GRADS}
        return World(made, made.names["Value"], names, ("data", "children", "local_grads"))

    def parsed(self, source: str, off: bool) -> list[ast.stmt]:
        return ast.parse(without_links(source, self.plan.cuts) if off else source).body

    def is_ours(self, method: ast.FunctionDef) -> bool:
        plan = self.plan
        if method.name == "backward":
            known = plan.flag is None and not plan.by_value
            return (known and self.reads_alike(method)) or self.does_backward(method)
        known = plan.flag is None or plan.cuts
        return (known and self.reads_alike(method)) or self.does_alike(method)

    def is_known(self, node: ast.AST) -> bool:
        """Whether a part of an annotation shows nothing when it is evaluated, or is not."""
        names = isinstance(node, ast.Name) and self.program.meaning(node) is not None
        return names or isinstance(node, (ast.Constant, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.Load))

    def reads_alike(self, method: ast.FunctionDef) -> bool:
        """By its form, names of locals aside."""
        fields = {theirs: ours for ours, theirs in self.plan.fields.items()}
        return Reading(method, self.program.scopes, self.program.meaning, fields).words == words(method.name)

    def does_alike(self, method: ast.FunctionDef) -> bool:
        name = method.name
        if name not in CONTEXTS or not has_its_arguments(method) or name not in vars(self.construction.kind):
            return False
        checked = any(isinstance(part, (ast.Assert, ast.Raise)) for part in walk(method))
        if checked and name == "__pow__" and not number_powers(self.program, set(walk(method))):
            return False
        for source, kinds in METHOD_FORMS.get(name, [(METHOD_SOURCES[name], ())]):
            found = LIKE_NODES
            for off, (mine, reference) in enumerate(self.worlds()):
                reference.sandbox.define(*self.parsed(source, bool(off)))
                setattr(reference.kind, name, reference.sandbox.names[name])
                found = found and min(found, alike(name, mine, reference))
            if found:
                self.plan.kinds.update(kinds)
                self.plan.run_alike.add(name)
                if found == LIKE_NUMBERS:
                    self.plan.numbers_only.add(name)
                return True
        return False

    def does_backward(self, method: ast.FunctionDef) -> bool:
        if not has_its_arguments(method) or not is_tame_backward(method, self.plan.fields, self.plan.by_value):
            return False
        for start in (1, 1.0):
            for unequal in (True, False):
                found = [same_backward(*worlds, start, unequal) for worlds in self.worlds()]
                if all(found):
                    self.plan.pairs_only = not unequal
                    self.plan.float_root = type(start) is float
                    return True
        return False


def has_its_arguments(method: ast.FunctionDef) -> bool:
    """Whether it takes what the script's method takes, and nothing else."""
    arguments = method.args
    reference = ast.parse(METHOD_SOURCES[method.name]).body[0]
    assert isinstance(reference, ast.FunctionDef)
    others = (arguments.vararg, arguments.kwarg, *arguments.kwonlyargs, *arguments.defaults, *method.decorator_list)
    same = len(arguments.posonlyargs) + len(arguments.args) == len(reference.args.args)
    return same and not any(other is not None for other in others)


def read_member(reader: Methods, plan: ClassPlan, statement: ast.stmt) -> str:
    if isinstance(statement, ast.FunctionDef):
        return read_method(reader, plan, statement)
    if isinstance(statement, ast.AnnAssign) and not all(map(reader.is_known, walk(statement.annotation))):
        return f"the annotation in line {statement.lineno} runs code of its own"
    for made in plain_statements([statement]):
        if not (isinstance(made, ast.Assign) and len(made.targets) == 1 and isinstance(made.targets[0], ast.Name)):
            return f"its body does more than define methods (line {statement.lineno})"
        why = read_attribute(plan, made.targets[0].id, made)
        if made in plan.kept.values():
            plan.kept[made.targets[0].id] = statement
        return why
    return ""


def read_attribute(plan: ClassPlan, name: str, statement: ast.Assign) -> str:
    """`__slots__`, `__rmul__ = __mul__`, and constants."""
    if name == "__slots__":
        try:
            slots = ast.literal_eval(statement.value)
        except ValueError:
            return f"its __slots__ in line {statement.lineno} are computed"
        plan.has_slots = True
        if isinstance(slots, str) or set(slots) != {*plan.fields.values(), *plan.extra}:
            return f"its __slots__ in line {statement.lineno} are not those that the constructor fills"
        return ""
    other = statement.value.id if isinstance(statement.value, ast.Name) else None
    if (name, other) in {("__radd__", "__add__"), ("__rmul__", "__mul__")} and other in plan.ours:
        plan.ours.add(name)  # `self + other` is what calling __add__ comes to
    elif name == "__hash__" and ast.unparse(statement.value) in ("None", "object.__hash__"):
        plan.kept[name] = statement
    elif name.startswith("__") or name in plan.kept or name in METHODS or name in plan.ours:
        return f"its attribute {name} in line {statement.lineno} is not known"
    elif not isinstance(statement.value, ast.Constant):
        return f"its attribute {name} in line {statement.lineno} is not a constant"
    else:
        plan.kept[name] = statement
    return ""


def read_method(reader: Methods, plan: ClassPlan, method: ast.FunctionDef) -> str:
    name = method.name
    if name in plan.kept or (name in plan.ours and name != "__init__"):
        return f"{name} is defined twice (line {method.lineno})"
    if name == "__init__":
        return ""
    if name.startswith("__") and name not in HARMLESS:
        return f"{name} (line {method.lineno}) reaches into how the class works"
    if name in METHODS and reader.is_ours(method):
        plan.ours.add(name)
    else:
        plan.kept[name] = method
    return ""


def keep_instead(plan: ClassPlan, names: set[str]) -> None:
    """Let these methods stay the user's after all."""
    for statement in plan.node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name in names & plan.ours:
            plan.ours.discard(statement.name)
            plan.kept[statement.name] = statement


def dropped(plan: ClassPlan) -> set[ast.AST]:
    """Every node of the methods that are dropped for ours, their annotations and defaults aside."""
    return {
        node
        for method in plan.node.body
        if isinstance(method, ast.FunctionDef) and method.name in plan.ours | plan.unseen
        for statement in method.body
        for node in walk(statement)
    }


def check_kept(plan: ClassPlan) -> str:
    """Whether the methods that stay can live in another class."""
    clash = set(FIELDS) & (set(plan.kept) | set(plan.fields.values()))
    if any(plan.fields.get(name, name) != name for name in clash):
        return "its attributes have the script's names with other meanings"
    for name, statement in plan.kept.items():
        if name in plan.fields.values():
            return f"{name} is both a method and an attribute of its instances"
        for node in walk(statement):
            if isinstance(node, ast.Name) and node.id in ("super", "__class__"):
                return f"{name} (line {statement.lineno}) uses {node.id}"
    return ""
