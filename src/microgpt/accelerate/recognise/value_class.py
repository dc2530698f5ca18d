"""The script's `Value` under any name: which of its methods are ours, and which stay the user's.

A class is swapped when its constructor stores what the script's stores. Each method that reads as the script's is
dropped, the compiled one does the same. A method that differs, or is new, stays as the user wrote it. One that the
user's class lacks is taken away from ours, so that its use fails as before.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from ..syntax.match import plain_statements
from ..syntax.program import Program
from .forms import METHODS
from .simplify import simplify

FIELDS = ("data", "grad", "_children", "_local_grads")
OURS_ONLY = ("tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "silu", "gelu", "__abs__")
# Special methods that a class may add and that the engine's own work never calls.
HARMLESS = {
    f"__{name}__"
    for group in (
        ["init", "repr", "str", "format", "call", "contains", "iter", "len", "getitem", "index"],
        ["add", "mul", "pow", "neg", "radd", "sub", "rsub", "rmul", "truediv", "rtruediv", "rpow"],
        ["iadd", "isub", "imul", "itruediv", "ipow", "abs", "pos", "invert", "round", "trunc", "floor", "ceil"],
        ["matmul", "rmatmul", "floordiv", "rfloordiv", "mod", "rmod", "divmod"],
        ["float", "int", "bool", "complex", "lt", "gt", "le", "ge", "ne"],
    )
    for name in group
}


@dataclass
class ClassPlan:
    """What becomes of the user's class.

    fields        the user's names for FIELDS
    parameters    the constructor's names for data, children and local_grads
    ours          methods that the compiled class stands for
    kept          methods and class attributes that stay
    missing       methods of the script that the user's class lacks
    patched       methods that are assigned from outside
    shown         methods of ours that are used as objects, and therefore stay functions of the user's
    stubs         methods of ours whose annotations are evaluated all the same
    float_root    backward starts with 1.0
    older         it was of the form of micrograd.py
    has_slots     instances have no attributes but FIELDS
    subclass      it becomes a class derived from ours, instead of ours itself
    shared        others use our class too, which then is not reshaped
    mask_rpow     number ** Value may be asked for, and must fail
    why_not       the reason for leaving the class as it is
    why_scalar    the reason why every node has to be one of the script's
    """

    node: ast.ClassDef
    fields: dict[str, str] = field(default_factory=dict)
    parameters: tuple[str, str, str] = ("data", "children", "local_grads")
    ours: set[str] = field(default_factory=set)
    kept: dict[str, ast.stmt] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    patched: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    stubs: set[str] = field(default_factory=set)
    float_root: bool = False
    older: bool = False
    has_slots: bool = False
    subclass: bool = False
    shared: bool = False
    mask_rpow: bool = False
    why_not: str = ""
    why_scalar: str = ""

    @property
    def name(self) -> str:
        return self.node.name

    def surely(self, *methods: str) -> bool:
        """Whether these methods are the script's, for good."""
        return self.ours.issuperset(methods) and not self.patched.intersection(methods)


def find_class(program: Program) -> ClassPlan | None:
    """The class that plays the part of the script's Value, if there is one. It says itself if it cannot be swapped."""
    found = [node for node in program.tree.body if isinstance(node, ast.ClassDef) and looks_like_value(node)]
    if not found:
        return None
    plan = ClassPlan(found[-1])
    if len(found) > 1:
        plan.why_not = f"line {found[0].lineno} has such a class too ({found[0].name})"
        return plan
    program.look_at(plan.node)
    plan.why_not = read_class(program, plan)
    return plan


def looks_like_value(node: ast.ClassDef) -> bool:
    methods = {statement.name for statement in node.body if isinstance(statement, ast.FunctionDef)}
    return methods.issuperset({"__init__", "__add__", "__mul__", "backward"})


def read_class(program: Program, plan: ClassPlan) -> str:
    """Fill in the plan. Returns why the class must stay, or ""."""
    node = plan.node
    if node.decorator_list or node.keywords or getattr(node, "type_params", None):
        return "it has a decorator, a metaclass or type parameters"
    if any(not (isinstance(base, ast.Name) and program.meaning(base) == "object") for base in node.bases):
        return "it has a base class"
    if program.scopes.binders(node.name) != [node]:
        return f"the name {node.name} is bound more than once"
    init = next(s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    why = read_constructor(plan, init)
    if why:
        return why
    plan.ours.add("__init__")
    for statement in node.body:
        why = read_member(program, plan, statement)
        if why:
            return why
    plan.missing = set(METHODS) - plan.ours - set(plan.kept)
    return check_kept(plan)


def read_constructor(plan: ClassPlan, init: ast.FunctionDef) -> str:
    """Whether __init__(self, data, children=(), local_grads=()) stores its arguments, and a gradient of 0."""
    arguments = init.args
    names = [argument.arg for argument in arguments.args]
    if init.decorator_list or len(names) != 4 or arguments.posonlyargs or arguments.kwonlyargs:
        return different("its constructor", init)
    if arguments.vararg or arguments.kwarg or [ast.unparse(default) for default in arguments.defaults] != ["()", "()"]:
        return different("its constructor", init)
    stored: dict[str, str] = {}
    for statement in plain_statements(init.body):
        target, value = store_on(names[0], statement)
        if target is None or target in stored.values():
            return different("its constructor", statement)
        source = ast.unparse(value) if value is not None else ""
        stored["grad" if source == "0" else source] = target
    if set(stored) != {"grad", *names[1:]} or len(stored) != 4:
        return different("its constructor", init)
    plan.parameters = (names[1], names[2], names[3])
    plan.fields = dict(zip(FIELDS, (stored[names[1]], stored["grad"], stored[names[2]], stored[names[3]])))
    return ""


def store_on(owner: str, statement: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """Attribute and value of a statement `owner.attribute = value`."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == owner:
            return target.attr, statement.value
    return None, None


def different(what: str, node: ast.AST) -> str:
    return f"{what} differs from the script's in line {getattr(node, 'lineno', 0)}"


def read_member(program: Program, plan: ClassPlan, statement: ast.stmt) -> str:
    if isinstance(statement, ast.FunctionDef):
        return read_method(program, plan, statement)
    if not plain_statements([statement]):
        return ""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return read_attribute(plan, statement.targets[0].id, statement)
    return f"its body does more than define methods (line {statement.lineno})"


def read_attribute(plan: ClassPlan, name: str, statement: ast.Assign) -> str:
    """`__slots__`, `__rmul__ = __mul__`, and constants."""
    if name == "__slots__":
        try:
            slots = ast.literal_eval(statement.value)
        except ValueError:
            return f"its __slots__ in line {statement.lineno} are computed"
        plan.has_slots = True
        if isinstance(slots, str) or sorted(slots) != sorted(plan.fields.values()):
            return f"its __slots__ in line {statement.lineno} are not the four that the constructor fills"
        return ""
    other = statement.value.id if isinstance(statement.value, ast.Name) else None
    if (name, other) in {("__radd__", "__add__"), ("__rmul__", "__mul__")} and other in plan.ours:
        plan.ours.add(name)  # `self + other` is what calling __add__ comes to
    elif name.startswith("__") or name in plan.kept or name in METHODS or name in plan.ours:
        return f"its attribute {name} in line {statement.lineno} is not known"
    elif not isinstance(statement.value, ast.Constant):
        return f"its attribute {name} in line {statement.lineno} is not a constant"
    else:
        plan.kept[name] = statement
    return ""


def read_method(program: Program, plan: ClassPlan, method: ast.FunctionDef) -> str:
    name = method.name
    if name in plan.kept or (name in plan.ours and name != "__init__"):
        return f"{name} is defined twice (line {method.lineno})"
    if name == "__init__":
        return ""
    if name.startswith("__") and name not in HARMLESS:
        return f"{name} (line {method.lineno}) reaches into how the class works"
    form = METHODS.get(name)
    if form is not None:
        found = form.match_statements([simplify(program, method)], program.meaning, plan.fields)
        if found is not None:
            plan.ours.add(name)
            start = found.holes.get("START")
            plan.float_root |= isinstance(start, ast.Constant) and isinstance(start.value, float)
            return ""
    plan.kept[name] = method
    return ""


def check_kept(plan: ClassPlan) -> str:
    """Whether the methods that stay can live in another class."""
    clash = set(FIELDS) & (set(plan.kept) | set(plan.fields.values()))
    if any(plan.fields.get(name, name) != name for name in clash):
        return "its attributes have the script's names with other meanings"
    for name, statement in plan.kept.items():
        if name in plan.fields.values():
            return f"{name} is both a method and an attribute of its instances"
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in ("super", "__class__"):
                return f"{name} (line {statement.lineno}) uses {node.id}"
    if "__eq__" in plan.kept or "__hash__" in plan.kept:
        return "it compares by value, which decides what its backward visits"
    return ""
