"""Names by which a script may see or change what is swapped: one table, looked up by whatever a name is spelled or may
mean. Beside each stands the use of it that shows nothing; any other keeps the class the script's own.

    "sys._getframe"   a builtin, or a member of a module, under whatever name
    ".__dict__"       an attribute, or a name or text of two underscores, spelled so
    "import ctypes"   a module that is used
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from ..recognise.value_class import ClassPlan
from ..syntax.program import Program
from ..syntax.record import Record
from .flow import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PICKLES = ("pickle.dump", "pickle.dumps", "marshal.dump", "marshal.dumps", "torch.save")
BY_NAME = ("getattr", "setattr", "hasattr")


class Use(Record):
    """One place where a name of the table stands."""

    program: Program
    plan: ClassPlan
    node: Any

    @property
    def parent(self) -> ast.AST | None:
        return self.program.parents.get(self.node)

    @property
    def call(self) -> ast.Call | None:
        """The call of what is named, where it is called at once: else it may go anywhere under another name."""
        parent = self.parent
        return parent if isinstance(parent, ast.Call) and parent.func is self.node else None


# ---- uses that show nothing -----------------------------------------------------------------------------------------


def never(use: Use) -> bool:
    return False


def is_no_attribute(use: Use) -> bool:
    return not isinstance(use.node, ast.Attribute)


def is_called_method(use: Use) -> bool:
    return is_no_attribute(use) or isinstance(use.parent, ast.Call)


def is_looked_up(use: Use) -> bool:
    """`math.exp`: a module that goes anywhere else may be changed."""
    parent = use.parent
    return not isinstance(use.node.ctx, ast.Load) or (
        isinstance(parent, ast.Attribute) and isinstance(parent.ctx, ast.Load)
    )


def evaluates_constants(use: Use) -> bool:
    """eval("1 + 1"): a text that stands there and has no names in it."""
    texts = [getattr(argument, "value", None) for argument in use.call.args] if use.call is not None else []
    return bool(texts) and all(isinstance(text, str) and not any(map(str.isidentifier, text)) for text in texts)


def only_reads_names(use: Use) -> bool:
    """globals()["x"], "x" in locals(): a dictionary of names that is not stored in, and goes nowhere. The order of a
    function's own names may be another one."""
    call, program = use.call, use.program
    parent = program.parents.get(call) if call is not None and not call.args else None
    if isinstance(parent, ast.Attribute):
        is_module_s = program.scopes.scope_of.get(use.node) is program.scopes.module
        ordered = is_module_s or "globals" in program.may_mean(use.node)
        return parent.attr == "get" or (ordered and parent.attr in ("items", "keys", "values", "copy"))
    if isinstance(parent, ast.Subscript):
        return parent.value is call and isinstance(parent.ctx, ast.Load)
    return isinstance(parent, ast.Compare) and call in parent.comparators


def looks_at_others(use: Use) -> bool:
    """vars(arguments)"""
    if use.call is not None and use.call.args:
        return not shows_contents(use, use.call.args[0])
    return only_reads_names(use)


def holds_others(use: Use) -> bool:
    return is_no_attribute(use) or not shows_contents(use, use.node.value)


def shows_contents(use: Use, node: ast.expr) -> bool:
    """Whether this may be the class or one of its instances: not the arguments of a command line, not a module. Where
    instances have slots, those show nothing."""
    if isinstance(node, ast.Name) and (use.plan.has_slots or node.id in use.program.imports):
        return use.program.is_class(node)
    return use.plan.shared or values(use.program, use.plan.fields["data"], use.plan.fields["grad"]).may_be(node)


def is_given_others(use: Use, first: int | None = None) -> bool:
    """A call whose arguments are no Values, nor the class, nor hold one; or whose first ones are not. What is not seen
    to be one is looked at once more when the script runs."""
    if use.call is None or not use.call.args or (first is not None and use.plan.shared):
        return False
    flow = values(use.program, use.plan.fields["data"], use.plan.fields["grad"])
    return not any(map(flow.holds if first is None else flow.may_be, use.call.args[:first]))


def is_asked_of_others(use: Use) -> bool:
    return is_given_others(use, 1)


def shows_no_id(use: Use) -> bool:
    """id(a) == id(b), the id of what is no Value, or `return id(self)` in the class's own __hash__."""
    return is_compared(use.program, use.call) or is_asked_of_others(use)


def is_compared(program: Program, call: ast.AST | None) -> bool:
    parent = program.parents.get(call) if call is not None else None
    if isinstance(parent, ast.Compare):
        sides = [parent.left, *parent.comparators]
        asked = [side for side in sides if isinstance(side, ast.Call) and program.meaning(side.func) == "id"]
        # what has a name is alive while it is compared: another Value cannot have its id
        return len(asked) == len(sides) and all(isinstance(one, ast.Name) for side in asked for one in side.args)
    if isinstance(parent, ast.Call) and program.meaning(parent.func) == "hash":
        parent = program.parents.get(parent)
    function = program.parents.get(parent) if isinstance(parent, ast.Return) else None
    in_class = program.parents.get(function) in program.names_class.values() if function is not None else False
    return in_class and isinstance(function, ast.FunctionDef) and function.name == "__hash__"


def is_only_compared(use: Use) -> bool:
    """type(x) is Value, type(x).__name__, isinstance(y, type(x)), type(error)"""
    if use.call is None or is_type_of_error(use.program, use.call):
        return use.call is not None
    parent = use.program.parents.get(use.call)
    if isinstance(parent, ast.Tuple):
        parent = use.program.parents.get(parent)
    if isinstance(parent, ast.Call):
        return use.call not in parent.args[:1] and use.program.meaning(parent.func) in ("isinstance", "issubclass")
    return isinstance(parent, ast.Compare) or getattr(parent, "attr", "") == "__name__"


def is_type_of_others(use: Use) -> bool:
    return is_only_compared(use) or is_asked_of_others(use)


def is_of_error(use: Use) -> bool:
    return is_no_attribute(use) or is_type_of_error(use.program, use.node.value)


def is_type_of_error(program: Program, node: ast.AST) -> bool:
    """`type(error)` or `error.__class__`, where `except ... as error` is all that binds the name."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        node = node.args[0]
    elif isinstance(node, ast.Attribute) and node.attr == "__class__":
        node = node.value
    else:
        return False
    binders = program.binders(node) if isinstance(node, ast.Name) else []
    return bool(binders) and all(isinstance(binder, ast.ExceptHandler) for binder in binders)


# ---- the table ------------------------------------------------------------------------------------------------------

Rule = Callable[[Use], bool]


def words(text: str, rule: Rule, before: str = "") -> dict[str, Rule]:
    return {before + word: rule for word in text.split()}


TELLING: dict[str, Rule] = {
    # code and names that come to be at run time, modules that are changed, the frames of functions
    **words("exec __import__ breakpoint sys._getframe sys._current_frames sys.settrace sys.setprofile", never),
    **words("sys.modules threading.settrace threading.setprofile", never),
    **words("__globals__ __builtins__ __code__ __closure__ f_globals f_locals f_code f_back", never, "."),
    **words("tb_frame gi_frame cr_frame", never, "."),
    **words("__main__ builtins ctypes dis importlib runpy code codeop doctest unittest.mock", never, "import "),
    **words("bdb pdb trace profile cProfile", never, "import "),
    "eval": evaluates_constants,
    "math": is_looked_up,
    **words("globals locals", only_reads_names),
    # what an object holds, how large it is, who refers to it, where an exception came from
    **words("inspect traceback linecache cgitb pydoc weakref copyreg tracemalloc multiprocessing", never, "import "),
    **words("concurrent.futures dill cloudpickle joblib pympler numba", never, "import "),
    **words("sys.getsizeof sys.getrefcount sys.exc_info sys.getallocatedblocks sys.unraisablehook help", never),
    **words("typing.get_type_hints dataclasses.fields RecursionError delattr", never),
    **words("types.FunctionType types.MethodType types.LambdaType", never),
    **words("__weakref__ __new__ __setattr__ __delattr__ __getattribute__ __sizeof__ __subclasses__", never, "."),
    **words("__reduce__ __reduce_ex__ __getstate__ __setstate__ __copy__ __deepcopy__ __wrapped__", never, "."),
    **words("__defaults__ __traceback__ with_traceback tb_lineno exc_info format_exc print_exc", never, "."),
    **words("__rpow__ __abs__ __reduce_cython__ __setstate_cython__", never, "."),
    **words("__bases__ __base__ __mro__ mro", never, "."),
    **words("__slots__ __doc__ __annotations__", is_no_attribute, "."),
    **words("getattr setattr hasattr", lambda use: use.call is not None),
    "vars": looks_at_others,
    "dir": lambda use: use.call is not None and not use.call.args,
    ".__dict__": holds_others,
    ".__class__": lambda use: is_type_of_error(use.program, use.node),
    ".__init__": is_called_method,
    "id": shows_no_id,
    # the garbage collector finds other things to collect, which its result counts
    **words("gc.get_objects gc.get_referrers gc.get_referents gc.get_count gc.get_stats gc.get_freeze_count", never),
    **words("gc.callbacks gc.garbage gc.set_debug gc.get_debug gc.unfreeze gc.is_tracked gc.is_finalized", never),
    "gc.collect": lambda use: use.call is not None and isinstance(use.program.parents.get(use.call), ast.Expr),
    # logging shows the frames of an exception
    **words("exception exc_info=", lambda use: "logging" not in use.program.roots, "."),
    "logging.exception": never,
    # Values in files
    **words(" ".join(PICKLES), is_given_others),
    **words("pickle.Pickler shelve.open numpy.save numpy.savez", never),
}
# With these the class can be one of the script's own that is derived from ours.
OF_SUBCLASS: dict[str, Rule] = {
    "type": is_type_of_others,
    **words("__qualname__ __module__", is_of_error, "."),  # its __name__ is the same
    "setattr": lambda use: use.plan.has_slots,
}


SAID: dict[Rule, str] = {
    only_reads_names: "may bind names through {}()",
    is_looked_up: "may change the module {}",
    is_called_method: "looks at a constructor",
    looks_at_others: "looks at what an object holds",
    is_given_others: "gives {} what may hold a Value",
    shows_no_id: "asks for the {} of what may be a Value",
    is_type_of_others: "asks for the type of what may be a Value",
}


def telling_name(program: Program, plan: ClassPlan, table: dict[str, Rule]) -> str:
    """Why a name that the script uses decides what becomes of its class, or ""."""
    for node, name in named(program):
        rule = table.get(name)
        if rule is not None and not rule(Use(program, plan, node)):
            said, name = SAID.get(rule), name.removeprefix(".")
            return f"line {node.lineno} {said.format(name)}" if said else f"it uses {name} (line {node.lineno})"
    for module in sorted(program.used_modules()):
        if module.endswith(".*"):
            return f"it imports everything from {module[:-2]}"
        if f"import {module}" in table or f"import {module.split('.')[0]}" in table:
            return f"it imports {module}"
    return ""


def computed_names(program: Program, *functions: str) -> list[ast.Call]:
    """getattr(x, name) and the like, where the name does not stand there."""
    found = program.calls(*functions)
    return [call for call in found if len(call.args) < 2 or not isinstance(call.args[1], ast.Constant)]


def asks_by_name(program: Program, plan: ClassPlan, *functions: str) -> list[ast.Call]:
    """Those of them where x may be a Value or the class."""
    found = computed_names(program, *functions)
    return [call for call in found if not is_given_others(Use(program, plan, call.func), 1)]


def looked_at_again(program: Program, plan: ClassPlan) -> dict[ast.expr, str]:
    """Calls whose argument was not seen to be a Value, and x.__dict__: a helper looks once more at run time."""
    found: dict[ast.expr, str] = dict.fromkeys(program.calls(*PICKLES), "pickle")
    found |= dict.fromkeys((call for call in program.calls("id") if not is_compared(program, call)), "id")
    by_name = {*computed_names(program, *BY_NAME)} - {*asks_by_name(program, plan, *BY_NAME)}
    found |= dict.fromkeys(by_name, "attributes")
    if not plan.has_slots:  # else there is nothing to see
        found |= dict.fromkeys((call for call in program.calls("vars") if call.args), "attributes")
        found |= {node: "attributes" for node in program.mentions("__dict__") if isinstance(node, ast.Attribute)}
    for call in program.calls("type"):
        if not plan.subclass and not is_only_compared(Use(program, plan, call.func)):
            found[call] = "type"
    return found


def named(program: Program) -> Iterator[tuple[Any, str]]:
    """(node, what it is called in the table) of every name, attribute, keyword, and text of two underscores."""
    for node in program.of(ast.Name, ast.Attribute, ast.Constant):
        word = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None) or getattr(node, "value", None)
        if isinstance(word, str) and (isinstance(node, ast.Attribute) or word.startswith("__")):
            yield node, f".{word}"
    for node in program.of(ast.keyword):
        yield node, f".{node.arg}="
    for node, meant in program.meant():
        for name in meant:
            yield node, name
