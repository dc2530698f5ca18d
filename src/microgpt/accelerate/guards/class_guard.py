"""What a script may do that shows whose class it is, or what its graph is made of. Such scripts keep what they look at.

class_shows  the class itself is looked at, or what it must not be asked for is asked for
graph_shows  children or local gradients are read: no node may stand for several of the script's
patched      methods that are replaced from outside
"""

from __future__ import annotations

import ast

from ..findings import OWN_BACKWARD
from ..recognise.forms import METHODS
from ..recognise.value_class import FIELDS, MISSING, ClassPlan
from ..syntax.match import is_simple
from ..syntax.program import Program
from ..syntax.scopes import COMPREHENSIONS, FUNCTIONS
from ..syntax.tree import walk
from .children import strange_children
from .flow import values
from .names import BY_NAME, OF_SUBCLASS, TELLING, asks_by_name, never, telling_name

TAKES_CLASSES = ("isinstance", "issubclass", "map", "filter")
SHOWING = {
    "__repr__": ("print", "str", "repr", "format", "ascii", "write", "info", "debug", "warning", "error", "join"),
    "__eq__": ("index", "count", "remove"),
}
FUNCTIONS_OF_ONE = {"log", "exp", "relu"}


def class_shows(program: Program, plan: ClassPlan) -> str:
    """Why the class must stay the script's own, or ""."""
    absent = {f".{name}": never for name in plan.missing if name.startswith("__")}
    return (
        telling_name(program, plan, {**TELLING, **absent})
        or is_derived(program)
        or class_changes(program, plan)
        or calls_by_keyword(program, plan)
        or names_of_ours(program, plan)
        or strange_children(program, plan, bool(graph_reads(program, plan)))
    )


def extra_shows(program: Program, plan: ClassPlan) -> str:
    """Why attributes that the constructor stores beside the script's four cannot be left out, or ""."""
    slots = said_by_class(plan)
    for node, name in program.said():
        if name in plan.extra and node not in slots and not put_beside(program, plan, name):
            return f"line {line_of(node)} uses {name}, for which the compiled class has no room"
    for call in program.class_calls() if plan.signature != plan.parameters else ():
        extra = [value for name, value in plan.given(call).items() if name not in plan.parameters]
        grad = plan.given(call).get(plan.grad_given)
        if grad is not None and ast.unparse(grad) != ("0.0" if "float_grad" in plan.kinds else "0"):
            return f"line {call.lineno} gives a node another gradient than it begins with"
        if not all(map(is_simple, extra)):
            return f"line {call.lineno} computes an argument that the script's constructor does not have"
        if extra and plan.beside:
            return f"line {call.lineno} gives a node {min(plan.beside)}, for which the compiled class has no room"
        if any(isinstance(argument, ast.Starred) for argument in call.args) or None in {k.arg for k in call.keywords}:
            return f"line {call.lineno} unpacks the constructor's arguments"
    return ""


def said_by_class(plan: ClassPlan) -> set[ast.AST]:
    """The nodes of assignments in the class itself, __slots__ among them."""
    return {node for part in plan.node.body if isinstance(part, ast.Assign) for node in walk(part)}


def put_beside(program: Program, plan: ClassPlan, name: str) -> bool:
    """Have a dictionary of instances hold an attribute, if few are given it: it keeps them alive. Whether it will."""
    made_elsewhere = {"copy", "pickle", "marshal", "shelve"} & {name.split(".")[0] for name in program.used_modules()}
    uses = [node for node in program.mentions(name) if isinstance(node, ast.Attribute)]
    stores = [store for store, _ in program.attribute_stores() if store.attr == name]
    if (
        plan.shared
        or made_elsewhere
        or any(True for _ in program.mentions("__init__"))
        or any(isinstance(node.ctx, ast.Del) or program.is_class(node.value) for node in uses)
        or not isinstance(plan.extra.get(name), (int, float, str, type(None)))
        or not all(goes_through_values(program, plan, store) for store in stores)
    ):
        return False
    plan.beside[name] = plan.extra.get(name, MISSING)
    return True


def goes_through_values(program: Program, plan: ClassPlan, node: ast.AST, depth: int = 0) -> bool:
    """Whether this runs once, or once for each of some Values that are there already."""
    around = program.around(node, ast.For, ast.While, ast.ClassDef, *FUNCTIONS, *COMPREHENSIONS)
    if around in (None, program.home.node):
        return True
    if isinstance(around, ast.For):
        holds = values(program, plan.fields["data"], plan.fields["grad"]).holds(around.iter)
        return holds and (is_made_once(program, around.iter) or goes_through_values(program, plan, around, depth))
    if not isinstance(around, ast.FunctionDef) or program.beside != {"."} or depth > 2:  # others may call it
        return False
    uses = [(use, program.parents.get(use)) for use in program.mentions(around.name)]
    called = all(isinstance(call, ast.Call) and call.func is use for use, call in uses)
    return called and all(goes_through_values(program, plan, use, depth + 1) for use, _ in uses)


def is_made_once(program: Program, over: ast.expr) -> bool:
    """Whether a loop runs over a list that is made once, and not empty at first: as often as it runs, over the same."""
    if isinstance(over, ast.Call) and program.meaning(over.func) == "enumerate" and over.args:
        over = over.args[0]
    made = program.definition(over.id) if isinstance(over, ast.Name) else None
    return isinstance(made, ast.ListComp) or (isinstance(made, ast.Call) and program.meaning(made.func) is None)


def is_derived(program: Program) -> str:
    for node in program.of(ast.ClassDef):
        if any(program.is_class(base) for base in node.bases):
            used = [*program.mentions(node.name), *program.calls("globals", "vars", "locals")]
            if not used and len(node.bases) == 1 and not (node.keywords or node.decorator_list):
                continue
            return f"line {node.lineno} derives a class from it"
    return ""


def class_changes(program: Program, plan: ClassPlan) -> str:
    """What makes another class of it later on: another constructor, other attributes."""
    changed = plan.patched & {"__init__", "__new__", "__setattr__", "__getattribute__", "__getattr__", "__del__"}
    changed |= plan.patched & {"__eq__", "__hash__", "__class__", "__bool__", "__len__", *plan.fields.values()}
    for name in sorted(changed):
        return f"{name} of the class is replaced later"
    for node in program.of(ast.Attribute):
        if isinstance(node.ctx, ast.Del) and node.attr in plan.fields.values():
            return f"line {node.lineno} deletes an attribute of an instance"
    return ""


def names_of_ours(program: Program, plan: ClassPlan) -> str:
    """Names of ours that instances of the user's class do not have, and attributes looked up in the class itself."""
    lacking = set(FIELDS) - set(plan.fields.values())
    for node, name in program.said():
        if name in lacking:
            return f"line {line_of(node)} asks for {name}, which has another name in this class"
        if isinstance(node, ast.Attribute) and node.attr in plan.fields.values() and program.is_class(node.value):
            return f"line {node.lineno} asks the class for {node.attr}"
    return ""


def calls_by_keyword(program: Program, plan: ClassPlan) -> str:
    """Arguments by names that ours have not: of methods, and of a constructor whose own names cannot be translated."""
    renamed = set(plan.parameters) - {"data", "children", "local_grads"}
    for node in program.of(ast.Call):
        if not node.keywords:
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in plan.ours:
            return f"line {node.lineno} calls {node.func.attr} with a keyword argument"
        if not renamed:
            continue
        if not program.is_class(node.func) and any(keyword.arg in renamed for keyword in node.keywords):
            return f"line {node.lineno} passes a keyword that the constructor has too"
        if program.is_class(node.func) and any(keyword.arg is None for keyword in node.keywords):
            return f"line {node.lineno} unpacks a dictionary into the constructor"
    return ""


def may_use(program: Program, plan: ClassPlan, method: str) -> bool:
    """Whether the script may show a Value as a text (__repr__), or compare it (__eq__), as far as that is seen."""
    flow = values(program, plan.fields["data"], plan.fields["grad"])
    given: list[ast.expr] = []
    for call in program.of(ast.Call):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given += call.args if name in SHOWING.get(method, ()) else []
    if method == "__repr__":
        given += [part.value for part in program.of(ast.FormattedValue)]
        given += [part.right for part in program.of(ast.BinOp) if isinstance(part.op, ast.Mod)]
    else:
        for part in program.of(ast.Compare):
            if not all(isinstance(op, (ast.Is, ast.IsNot, ast.Lt, ast.Gt, ast.LtE, ast.GtE)) for op in part.ops):
                given += [part.left, *part.comparators]
    return any(map(flow.holds, given))


# ---- the graph ------------------------------------------------------------------------------------------------------


def graph_reads(program: Program, plan: ClassPlan) -> list[ast.AST]:
    """Where children and local gradients are named outside the methods that are ours."""
    names = {plan.fields[name] for name in FIELDS[2:]} | set(FIELDS[2:])
    slots = said_by_class(plan)
    return [node for node, name in program.said() if name in names and node not in slots]


def graph_shows(program: Program, plan: ClassPlan) -> str:
    """Why every node has to be the script's, or ""."""
    if not plan.surely("backward"):
        return OWN_BACKWARD
    for node in graph_reads(program, plan):
        return f"line {line_of(node)} looks at the graph"
    for call in asks_by_name(program, plan, *BY_NAME):
        return f"line {call.lineno} asks for attributes by computed names"
    return ""


def patched(program: Program, plan: ClassPlan) -> set[str]:
    """Methods of the class that are assigned or deleted from outside; {"*"} where they are computed."""
    if asks_by_name(program, plan, "setattr", "delattr"):
        return {*METHODS, "*"}
    changes = [(node.value, node.attr) for node in program.of(ast.Attribute) if not isinstance(node.ctx, ast.Load)]
    calls = [call.args for call in program.calls("setattr", "delattr") if len(call.args) > 1]
    changes += [(thing, name.value) for thing, name, *_ in calls if isinstance(name, ast.Constant)]
    # the class may have other names
    return {str(name) for thing, name in changes if name in METHODS or program.is_class(thing)}


def line_of(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


# ---- the class is derived from ours ----


def needs_subclass(program: Program, plan: ClassPlan) -> str:
    """Why the class must remain one of the script's own, derived from ours, or ""."""
    return gives_attributes(program, plan) or telling_name(program, plan, OF_SUBCLASS) or class_goes_elsewhere(program)


def gives_attributes(program: Program, plan: ClassPlan) -> str:
    for target, _ in program.attribute_stores() if not plan.has_slots else ():
        if target.attr in plan.fields.values() or is_elsewhere(program, plan, target):
            continue
        if not put_beside(program, plan, target.attr):
            return f"line {target.lineno} gives an instance the attribute {target.attr}"
    return ""


def is_elsewhere(program: Program, plan: ClassPlan, target: ast.Attribute) -> bool:
    """Whether an attribute is stored on something that is surely no Value."""
    if program.is_class(target.value) or not isinstance(target.value, ast.Name):
        return program.is_class(target.value)
    if target.value.id == "self":
        return not any(node is target for node in walk(plan.node))
    return target.value.id in program.imports


# ---- the class under other names ------------------------------------------------------------------------------------


def class_goes_elsewhere(program: Program) -> str:
    """Where the class is used as an object like any other, and so may be printed."""
    for node in program.of(ast.Name):
        if program.is_class(node) and isinstance(node.ctx, ast.Load) and not is_harmless(program, node):
            return f"line {node.lineno} passes on the class itself"
    return ""


def is_harmless(program: Program, node: ast.expr, depth: int = 0) -> bool:
    """A call of the class, a look at its attributes, a test against it, an annotation; another name for the same."""
    parent = program.parents.get(node)
    if isinstance(parent, ast.Call):
        return parent.func is node or not program.may_mean(parent.func).isdisjoint(TAKES_CLASSES)
    if isinstance(parent, ast.Compare):
        return all(isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in parent.ops)
    if isinstance(parent, (ast.Tuple, ast.BinOp)) or (isinstance(parent, ast.Subscript) and parent.slice is node):
        return is_harmless(
            program, parent, depth
        )  # isinstance(x, (int, Value)), isinstance(x, int | Value), list[Value]
    if isinstance(parent, ast.Assign) and depth < 3:
        names = [target.id for target in parent.targets if isinstance(target, ast.Name)]
        uses = [use for use in program.mentions(*names) if isinstance(use, ast.Name) and isinstance(use.ctx, ast.Load)]
        return len(names) == len(parent.targets) and all(is_harmless(program, use, depth + 1) for use in uses)
    if isinstance(parent, (ast.arg, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef)):  # which nobody asks for
        return node in (getattr(parent, "annotation", None), getattr(parent, "returns", None))
    # a class derived from it is one that nobody uses, see is_derived
    return isinstance(parent, (ast.Attribute, ast.ClassDef, ast.MatchClass))


# ---- methods --------------------------------------------------------------------------------------------------------


def methods_shown(program: Program, plan: ClassPlan) -> set[str]:
    """Methods that are used as objects, as in `{"relu": Value.relu}`. They stay functions of the script's."""
    names = {
        node.attr
        for node in program.of(ast.Attribute)
        if (isinstance(node.ctx, ast.Load) or isinstance(program.parents.get(node), ast.AugAssign))
        and not is_called(program, node)
        and not program.may_mean(node)
    }
    texts = [call.args[1] for call in program.calls("getattr") if len(call.args) > 1]
    names |= {text.value for text in texts if isinstance(text, ast.Constant)}
    if asks_by_name(program, plan, "getattr"):
        names |= FUNCTIONS_OF_ONE
    return names & plan.ours & METHODS


def is_called(program: Program, node: ast.expr) -> bool:
    parent = program.parents.get(node)
    return isinstance(parent, ast.Call) and parent.func is node
