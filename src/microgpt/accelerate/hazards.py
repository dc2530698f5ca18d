"""What a script may do that shows whose class it is, or what its graph is made of. Such scripts keep what they look at.

opaque          nothing at all can be shown, all stays
class_shows     the class itself is looked at
graph_shows     children or local gradients are read: no node may stand for several of the script's
needs_subclass  instances carry attributes of their own, or the class's name is looked at
"""

from __future__ import annotations

import ast

from .classes import FIELDS, ClassPlan
from .forms import METHODS
from .program import Program
from .scopes import bindings

OPAQUE_NAMES = {"exec", "eval", "__import__", "__builtins__"}
OPAQUE_MODULES = {"__main__", "builtins", "ctypes", "dis", "importlib", "runpy", "code", "codeop"}
CLASS_MODULES = {
    "inspect",
    "weakref",
    "multiprocessing",
    "concurrent.futures",
    "dill",
    "cloudpickle",
    "joblib",
    "pympler",
    "numba",
}
CLASS_CALLS = ("id", "sys.getsizeof", "sys.getrefcount", "gc.get_objects", "gc.get_referrers", "gc.get_referents")
PICKLES = ("pickle.dump", "pickle.dumps", "marshal.dump", "marshal.dumps", "shelve.open")
SEARCHES = ("sys._getframe", "sys.settrace", "sys.setprofile", "sys.modules")


def opaque(program: Program) -> str:
    """Why nothing can be shown about this program, or ""."""
    for node in program.nodes:
        if isinstance(node, ast.Name) and node.id in OPAQUE_NAMES and isinstance(node.ctx, ast.Load):
            return f"it uses {node.id} (line {node.lineno})"
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return f"line {node.lineno} imports whatever there is"
        if isinstance(node, ast.expr) and program.meaning(node) in SEARCHES:
            return f"it uses {program.meaning(node)} (line {node.lineno})"
    for module in sorted(program.modules & OPAQUE_MODULES):
        return f"it imports {module}"
    for target, _ in program.attribute_stores():
        if isinstance(target.value, ast.Name) and program.meaning(target.value) in ("math", "builtins"):
            return f"line {target.lineno} changes the module {target.value.id}"
    for call in program.calls("setattr"):
        if call.args and program.meaning(call.args[0]) in ("math", "builtins"):
            return f"line {call.lineno} changes a module"
    for call in program.calls("globals", "locals", "vars"):
        if not call.args and is_changed(program, call):
            return f"line {call.lineno} may bind names through {ast.unparse(call.func)}()"
    return ""


def is_changed(program: Program, call: ast.Call) -> bool:
    """Whether a dictionary of names is stored in, or goes where that cannot be seen."""
    for node in program.nodes:
        if isinstance(node, ast.Attribute) and node.value is call:
            return node.attr not in ("get", "items", "keys", "values", "copy")
        if isinstance(node, ast.Subscript) and node.value is call:
            return not isinstance(node.ctx, ast.Load)
        if isinstance(node, ast.Compare) and call in node.comparators:
            return False
    return True


def class_shows(program: Program, plan: ClassPlan) -> str:
    for module in sorted(program.modules):
        if module in CLASS_MODULES or module.split(".")[0] in CLASS_MODULES:
            return f"it imports {module}"
    for call in program.calls(*CLASS_CALLS):
        return f"line {call.lineno} asks for what differs: {ast.unparse(call.func)}"
    for call in program.calls(*PICKLES):
        if not (call.args and is_plain_data(program, call.args[0])):
            return f"line {call.lineno} may write Values into a file"
    for node in program.mentions("RecursionError", "__weakref__", "__reduce__", "__reduce_ex__", "__getstate__"):
        return f"it uses {spelling(node)} (line {line_of(node)})"
    for node in program.mentions("__slots__"):
        if isinstance(node, ast.Attribute):
            return f"it uses __slots__ (line {node.lineno})"
    for node in program.nodes:
        if isinstance(node, ast.ClassDef) and any(program.is_class(base) for base in node.bases):
            return f"line {node.lineno} derives a class from it"
    return class_changes(program, plan) or class_is_looked_at(program, plan)


def class_changes(program: Program, plan: ClassPlan) -> str:
    """What makes another class of it later on: another constructor, other attributes."""
    changed = plan.patched & {"__init__", "__new__", "__setattr__", "__getattribute__", "__getattr__", "__del__"}
    changed |= plan.patched & {"__eq__", "__hash__", "__class__", *plan.fields.values()}
    for name in sorted(changed):
        return f"{name} of the class is replaced later"
    for node in program.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Del) and node.attr in plan.fields.values():
            return f"line {node.lineno} deletes an attribute of an instance"
    return ""


def class_is_looked_at(program: Program, plan: ClassPlan) -> str:
    if not plan.has_slots:
        for node in program.mentions("__dict__", "vars", "dir"):
            return f"line {line_of(node)} looks at what its instances hold"
    for node in program.mentions("__class__", "__bases__", "__mro__", "mro"):
        if not is_type_of_error(program, node):
            return f"it uses {spelling(node)} (line {line_of(node)})"
    return read_as_list(program, plan)


def read_as_list(program: Program, plan: ClassPlan) -> str:
    """Children given as something else than a tuple, and read: ours read back as tuples."""
    given = [
        argument
        for call in program.class_calls()
        for argument in [*call.args[1:], *(k.value for k in call.keywords if k.arg in plan.parameters[1:])]
        if not isinstance(argument, ast.Tuple) and not is_tuple_call(program, argument)
    ]
    if given and graph_reads(program, plan):
        return f"the children in line {given[0].lineno} are not a tuple, and the script looks at children"
    return ""


def is_tuple_call(program: Program, node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mult)):
        return is_tuple_call(program, node.left) or is_tuple_call(program, node.right)
    return isinstance(node, ast.Tuple) or (isinstance(node, ast.Call) and program.meaning(node.func) == "tuple")


def is_plain_data(program: Program, node: ast.expr) -> bool:
    """Whether what is pickled is built from numbers, going by how it is spelled: `[p.data for p in params]`."""
    if isinstance(node, ast.Name) and node in program.scopes.scope_of:
        scope = program.scopes.meaning(node)
        values = [
            statement.value
            for statement in program.nodes
            if isinstance(statement, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == node.id for t in statement.targets)
        ]
        return scope is not None and bool(values) and all(is_plain_data(program, value) for value in values)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return is_plain_data(program, node.elt)
    if isinstance(node, ast.DictComp):
        return is_plain_data(program, node.value)
    if isinstance(node, ast.Dict):
        return all(is_plain_data(program, value) for value in node.values)
    if isinstance(node, (ast.List, ast.Tuple)):
        return all(is_plain_data(program, part) for part in node.elts)
    if isinstance(node, ast.Attribute):
        return node.attr in ("data", "grad")
    return isinstance(node, ast.Constant)


def own_methods(plan: ClassPlan) -> set[ast.AST]:
    """Every node of the methods that are dropped for ours."""
    return {
        node
        for method in plan.node.body
        if isinstance(method, ast.FunctionDef) and method.name in plan.ours
        for node in ast.walk(method)
    }


# ---- the graph ------------------------------------------------------------------------------------------------------


def graph_reads(program: Program, plan: ClassPlan) -> list[ast.AST]:
    """Where children and local gradients are named outside the methods that are ours."""
    names = {plan.fields[name] for name in FIELDS[2:]} | set(FIELDS[2:])
    ours = own_methods(plan)
    found = [node for node in program.mentions(*names) if isinstance(node, ast.Attribute) and node not in ours]
    constants = [node for node in program.nodes if isinstance(node, ast.Constant) and node.value in names]
    slots = {node for statement in plan.node.body for node in ast.walk(statement) if isinstance(statement, ast.Assign)}
    return found + [node for node in constants if node not in slots]


def graph_shows(program: Program, plan: ClassPlan, local_modules: set[str]) -> str:
    """Why every node has to be the script's, or ""."""
    for node in graph_reads(program, plan):
        return f"line {line_of(node)} looks at the graph"
    if not plan.surely("backward"):
        return "backward is the script's own"
    for module in sorted(local_modules):
        return f"it imports {module}, which may look at the graph"
    for call in program.calls("getattr", "setattr", "hasattr", "delattr"):
        if len(call.args) > 1 and not isinstance(call.args[1], ast.Constant):
            return f"line {call.lineno} asks for attributes by computed names"
    return ""


# ---- names ----------------------------------------------------------------------------------------------------------


def needs_subclass(program: Program, plan: ClassPlan) -> str:
    """Why the class must remain one of the script's own, derived from ours, or ""."""
    if not plan.has_slots:
        for target, _ in program.attribute_stores():
            if target.attr not in plan.fields.values() and not is_elsewhere(program, plan, target):
                return f"line {target.lineno} gives an instance the attribute {target.attr}"
        for call in program.calls("setattr"):
            return f"line {call.lineno} may give an instance attributes"
    for node in program.mentions("__name__", "__qualname__", "__module__", "__doc__"):
        if isinstance(node, ast.Attribute) and not is_type_of_error(program, node.value):
            return f"line {node.lineno} asks for {node.attr}"
    for call in program.calls("type"):
        if not is_type_of_error(program, call):
            return f"line {call.lineno} asks for a type"
    for call in program.calls("print", "str", "repr", "format"):
        if any(program.is_class(argument) for argument in call.args):
            return f"line {call.lineno} prints the class"
    return ""


def is_type_of_error(program: Program, node: ast.AST) -> bool:
    """`type(error)` or `error.__class__`, where `except ... as error` is all that binds the name."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    elif isinstance(node, ast.Attribute) and node.attr == "__class__":
        node = node.value
    else:
        return False
    if not isinstance(node, ast.Name) or node not in program.scopes.scope_of:
        return False
    scope = program.scopes.meaning(node)
    return scope is not None and all(
        isinstance(binder, ast.ExceptHandler) for name, binder in bindings(scope.node) if name == node.id
    )


def is_elsewhere(program: Program, plan: ClassPlan, target: ast.Attribute) -> bool:
    """Whether an attribute is stored on something that is surely no Value."""
    if program.is_class(target.value) or not isinstance(target.value, ast.Name):
        return program.is_class(target.value)
    if target.value.id == "self":
        return not any(node is target for node in ast.walk(plan.node))
    return target.value.id in program.imports


def patched(program: Program, plan: ClassPlan) -> set[str]:
    """Methods of the class that are assigned or deleted from outside; {"*"} where they are computed."""
    names = {
        node.attr
        for node in program.nodes
        if isinstance(node, ast.Attribute)
        and not isinstance(node.ctx, ast.Load)
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
