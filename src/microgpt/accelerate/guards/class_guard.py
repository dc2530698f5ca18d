"""What a script may do that shows whose class it is, or what its graph is made of. Such scripts keep what they look at.

class_shows  the class itself is looked at, or what it must not be asked for is asked for
graph_shows  children or local gradients are read: no node may stand for several of the script's
patched      methods that are replaced from outside
"""

from __future__ import annotations

import ast

from ..recognise.forms import METHODS
from ..recognise.value_class import FIELDS, ClassPlan
from ..syntax.match import is_simple
from ..syntax.program import Program
from ..syntax.tree import walk
from .children import strange_children
from .escapes import is_type_of_error
from .flow import values
from .reach import may_be_value

CLASS_MODULES = {
    *("inspect", "traceback", "linecache", "cgitb", "pydoc", "weakref", "copyreg", "tracemalloc", "multiprocessing"),
    *("concurrent.futures", "dill", "cloudpickle", "joblib", "pympler", "numba"),
}
CLASS_CALLS = {"sys.getsizeof", "sys.getrefcount", "sys.exc_info", "sys.getallocatedblocks", "help"}
CLASS_CALLS |= {"sys.settrace", "sys.unraisablehook", "typing.get_type_hints", "dataclasses.fields"}
CLASS_ATTRIBUTES = {
    *("RecursionError", "__weakref__", "__new__", "__setattr__", "__delattr__", "__getattribute__", "__sizeof__"),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__subclasses__"),
    *("__traceback__", "with_traceback", "tb_lineno", "__wrapped__", "__defaults__"),
    *("FunctionType", "MethodType", "LambdaType", "exc_info", "format_exc", "print_exc"),
}
PICKLES = {"pickle.dump", "pickle.dumps", "marshal.dump", "marshal.dumps", "torch.save"}
PICKLERS = {"pickle.Pickler", "shelve.open", "numpy.save", "numpy.savez"}
COLLECTOR = {"collect", "disable", "enable", "freeze", "isenabled", "set_threshold"}  # of gc, without a look at results
REFLECTED = {"__rpow__", "__abs__", "__copy__", "__setstate__", "__reduce_cython__", "__setstate_cython__"}


def class_shows(program: Program, plan: ClassPlan) -> str:
    """Why the class must stay the script's own, or ""."""
    for module in sorted(program.used_modules()):
        if module in CLASS_MODULES or module.split(".")[0] in CLASS_MODULES:
            return f"it imports {module}"
    return (
        asks_for_what_differs(program, plan)
        or pickles(program, plan)
        or collects(program)
        or is_derived(program)
        or class_changes(program, plan)
        or class_is_looked_at(program, plan)
        or calls_by_keyword(program, plan)
        or names_of_ours(program, plan)
        or strange_children(program, plan, bool(graph_reads(program, plan)))
    )


def extra_shows(program: Program, plan: ClassPlan) -> str:
    """Why attributes that the constructor stores beside the script's four cannot be left out, or ""."""
    for node, name in program.said():
        if name in plan.extra and not is_slot(program, plan, node):
            return f"line {line_of(node)} uses {name}, for which the compiled class has no room"
    if plan.signature == plan.parameters:
        return ""
    for call in program.class_calls():
        extra = [value for name, value in plan.given(call).items() if name not in plan.parameters]
        if not all(map(is_simple, extra)):
            return f"line {call.lineno} computes an argument that the script's constructor has not"
        unnamed = any(isinstance(argument, ast.Starred) for argument in call.args)
        if unnamed or any(keyword.arg is None for keyword in call.keywords):
            return f"line {call.lineno} unpacks the constructor's arguments"
    return ""


def is_slot(program: Program, plan: ClassPlan, node: ast.AST) -> bool:
    """Whether this is a name among the class's __slots__."""
    while node is not plan.node and program.parents.get(node) is not None:
        node = program.parents[node]
        if isinstance(node, ast.Assign):
            return node in plan.node.body
    return False


def asks_for_what_differs(program: Program, plan: ClassPlan) -> str:
    numbers = {plan.fields["data"], plan.fields["grad"]}
    for call in program.calls("id"):
        if any(may_be_value(program, argument, numbers) for argument in call.args):
            return f"line {call.lineno} asks for the identity of what may be a Value"
    for value in program.values("id"):
        return f"line {value.lineno} hands on id"
    for node, meant in program.meant():
        if meant & CLASS_CALLS:
            return f"line {node.lineno} asks for what differs: {ast.unparse(node)}"
    for node in program.mentions(*CLASS_ATTRIBUTES):
        return f"it uses {spelling(node)} (line {line_of(node)})"
    for node in program.mentions("__slots__", "__doc__", "__annotations__"):
        if isinstance(node, ast.Attribute):
            return f"it uses {node.attr} (line {node.lineno})"
    for node in program.mentions("__init__"):
        if isinstance(node, ast.Attribute) and not isinstance(program.parents.get(node), ast.Call):
            return f"line {node.lineno} looks at a constructor"
    if "logging" in program.roots:
        shown = [node for node in program.of(ast.keyword) if node.arg == "exc_info"]
        for node in [*program.mentions("exception"), *shown]:
            return f"line {line_of(node)} shows the frames of an exception"
    for node in program.values("getattr", "setattr", "hasattr", "delattr", "vars", "dir"):
        return f"line {node.lineno} hands on {ast.unparse(node)}"
    return ""


def pickles(program: Program, plan: ClassPlan) -> str:
    """Where a Value may be written into a file. What is not seen to hold one is looked at once more at run time."""
    calls = list(program.calls(*PICKLES, *PICKLERS))
    flow = values(program, {plan.fields["data"], plan.fields["grad"]}) if calls else None
    for call in calls:
        plain = call.args and not program.may_mean(call.func) & PICKLERS
        if not plain or (flow is not None and any(map(flow.holds, call.args))):
            return f"line {call.lineno} may write Values into a file"
    for value in program.values(*PICKLES):
        return f"line {value.lineno} hands on {ast.unparse(value)}"
    return ""


def collects(program: Program) -> str:
    """Looks at Python's garbage collector, which finds other things to collect."""
    for node, meant in program.meant():
        for name in meant:
            if not name.startswith("gc."):
                continue
            call = program.parents.get(node)
            unseen = isinstance(call, ast.Call) and isinstance(program.parents.get(call), ast.Expr)
            if name.split(".")[1] not in COLLECTOR or (name == "gc.collect" and not unseen):
                return f"line {line_of(node)} looks at the garbage collector"
    return ""


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
    for call in program.calls("delattr"):
        return f"line {call.lineno} may delete an attribute of an instance"
    return ""


def class_is_looked_at(program: Program, plan: ClassPlan) -> str:
    for node in program.mentions("__dict__"):
        if isinstance(node, ast.Attribute) and shows_contents(program, plan, node.value):
            return f"it uses __dict__ (line {node.lineno})"
    for call in program.calls("vars", "dir"):
        always = "dir" in program.may_mean(call.func)
        if call.args and (always or shows_contents(program, plan, call.args[0])):
            return f"line {call.lineno} looks at what an object holds"
    for node in program.mentions("__class__", "__bases__", "__base__", "__mro__", "mro"):
        if not is_type_of_error(program, node):
            return f"it uses {spelling(node)} (line {line_of(node)})"
    absent = {name for name in plan.missing if name.startswith("__")} | REFLECTED
    for node, name in program.said():
        if name in absent:
            return f"it uses {name} (line {line_of(node)})"
    return ""


def names_of_ours(program: Program, plan: ClassPlan) -> str:
    """Names of ours that instances of the user's class do not have, and attributes looked up in the class itself."""
    lacking = set(FIELDS) - set(plan.fields.values())
    for node, name in program.said():
        if name in lacking:
            return f"line {line_of(node)} asks for {name}, which is called otherwise here"
        if isinstance(node, ast.Attribute) and node.attr in plan.fields.values() and program.is_class(node.value):
            return f"line {node.lineno} asks the class for {node.attr}"
    return ""


def shows_contents(program: Program, plan: ClassPlan, node: ast.expr) -> bool:
    """Whether this may be the class or one of its instances: not the arguments of a command line, not a module."""
    if isinstance(node, ast.Name) and node.id in program.imports:
        return False
    if isinstance(node, ast.Name) and not program.is_class(node):
        return not (plan.has_slots or is_command_line(program, node))
    return True


def is_command_line(program: Program, node: ast.Name) -> bool:
    """Whether a name is assigned `parser.parse_args()`, and nothing else."""
    values = [
        statement.value
        for statement in program.of(ast.Assign)
        if any(isinstance(part, ast.Name) and part.id == node.id for part in walk(statement))
        and not any(part is node for part in walk(statement.value))
    ]
    return bool(values) and all(
        isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "parse_args"
        for value in values
    )


def calls_by_keyword(program: Program, plan: ClassPlan) -> str:
    """Arguments by names that ours have not: of methods, and of a constructor whose own names cannot be translated."""
    renamed = set(plan.parameters) - {"data", "children", "local_grads"}
    for node in program.of(ast.Call):
        if not node.keywords:
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in plan.ours:
            return f"line {node.lineno} calls {node.func.attr} with a name for its argument"
        if not renamed:
            continue
        if not program.is_class(node.func) and any(keyword.arg in renamed for keyword in node.keywords):
            return f"line {node.lineno} has an argument of the constructor's name"
        if program.is_class(node.func) and any(keyword.arg is None for keyword in node.keywords):
            return f"line {node.lineno} gives the constructor a dictionary"
    return ""


# ---- the graph ------------------------------------------------------------------------------------------------------


def graph_reads(program: Program, plan: ClassPlan) -> list[ast.AST]:
    """Where children and local gradients are named outside the methods that are ours."""
    names = {plan.fields[name] for name in FIELDS[2:]} | set(FIELDS[2:])
    found = [node for node in program.mentions(*names) if isinstance(node, ast.Attribute)]
    constants = [node for node in program.of(ast.Constant) if node.value in names]
    slots = {node for statement in plan.node.body for node in walk(statement) if isinstance(statement, ast.Assign)}
    return found + [node for node in constants if node not in slots]


def graph_shows(program: Program, plan: ClassPlan) -> str:
    """Why every node has to be the script's, or ""."""
    for node in graph_reads(program, plan):
        return f"line {line_of(node)} looks at the graph"
    if not plan.surely("backward"):
        return "backward is the script's own"
    for call in program.calls("getattr", "setattr", "hasattr", "delattr"):
        if len(call.args) > 1 and not isinstance(call.args[1], ast.Constant):
            return f"line {call.lineno} asks for attributes by computed names"
    return ""


def patched(program: Program, plan: ClassPlan) -> set[str]:
    """Methods of the class that are assigned or deleted from outside; {"*"} where they are computed."""
    names = {
        node.attr
        for node in program.of(ast.Attribute)
        if not isinstance(node.ctx, ast.Load)
        and (program.is_class(node.value) or node.attr in METHODS)  # the class may have other names
    }
    for call in program.calls("setattr", "delattr"):
        if len(call.args) < 2 or not isinstance(call.args[1], ast.Constant):
            return {*METHODS, "*"}
        if call.args[1].value in METHODS or program.is_class(call.args[0]):
            names.add(str(call.args[1].value))
    return names


def spelling(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "?")


def line_of(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)
