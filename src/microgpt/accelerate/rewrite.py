"""From a script's source to code with the swaps made. Line numbers stay the user's.

The code asks for its helpers under one name, `__microgpt__`, which support.py puts among the builtins, so that the
script's own names are not touched.
"""

from __future__ import annotations

import ast
import copy
import itertools
import os
import warnings
from types import CodeType

from .explain import explain_class, explain_function
from .findings import Finding
from .guards.class_guard import (
    class_shows,
    extra_shows,
    graph_reads,
    graph_shows,
    may_use,
    methods_shown,
    needs_subclass,
    patched,
)
from .guards.names import looked_at_again
from .guards.value_guard import strange_number
from .recognise.counters import counters_show
from .recognise.forms import FUNCTION_SOURCES, KINDS, METHODS
from .recognise.micrograd import LOCAL_GRADS, NOTE, Older, convert, find_older
from .recognise.optimiser import LoopSite, find_loop, finding, looks_like_update, swap_loop
from .recognise.value_class import ClassPlan, dropped, find_class, keep_instead
from .recognise.vectors import COMPILED, Swaps
from .syntax.calls import call, helped, helper, placed
from .syntax.program import Program
from .syntax.project import Project
from .syntax.record import Record, fresh
from .syntax.scopes import parameters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TYPED, BULK = 2, 3  # rungs of the ladder; 0 is the script as it is
WRITTEN = ("__repr__", "__eq__")  # methods of dataclasses that nobody may use


class Options(Record):
    """How far to go."""

    rung: int = BULK  # the highest to use
    any_order: bool = False  # also swap classes whose sums have no defined order
    shared: bool = False  # the class may be in use elsewhere in this process, so ours is not reshaped
    folder: str = ""  # where modules of the script's own would lie


class Rewritten(Record):
    """The code to run (None for a cell, whose tree was changed in place), that of modules beside it by their files, and
    what was done. number: of the class; sites: loops by their numbers. By these the code asks for them."""

    code: CodeType | None
    plan: ClassPlan | None = None
    number: int = 0
    sites: dict[int, LoopSite] = fresh({})
    findings: list[Finding] = fresh([])
    modules: dict[str, CodeType] = fresh({})

    @property
    def swapped(self) -> bool:
        return any(finding.swapped for finding in self.findings)


numbers = itertools.count()  # of classes and loops, in the whole process


def rewrite(source: bytes | str, file: str, options: Options) -> Rewritten:
    """Compile a script with all swaps that can be shown to be safe. Raises what compiling the script raises."""
    code = compile(source, file, "exec", dont_inherit=True)  # says what is wrong with it, warnings included
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they have been said
            return rewrite_compiled(source, file, code, options)
    except Exception as error:  # among others RecursionError: expressions can be deeper than these functions
        why = f"it cannot be looked through ({type(error).__name__})"
        return Rewritten(code, findings=[Finding(0, "the script", why)])


def rewrite_compiled(source: bytes | str, file: str, code: CodeType, options: Options) -> Rewritten:
    """The same for a script that compiles to `code`. Raises RecursionError for expressions of a depth beyond us."""
    older: list[Older] = []
    written: list[ast.stmt] = []

    def read(source: bytes | str, file: str) -> Program:
        tree = ast.parse(source, file)
        if b"dataclass" in source if isinstance(source, bytes) else "dataclass" in source:
            from .recognise.dataclass import write_out  # few scripts have one

            written.extend(write_out(tree))
        if options.rung >= TYPED and (found := convert(tree, options.any_order)):
            older.append(found)
        return Program(tree, file)

    program = read(source, file)
    project = Project(program, options.folder, read)
    plan, owner = find_in_project(project)
    if plan is None:
        why = "no class in it reads like the script's Value"
        return Rewritten(code, findings=[Finding(0, "the script", why)])
    plan.older = any(each.node is plan.node for each in older)
    plan.written = {name for name in WRITTEN if plan.kept.get(name) in written}
    plan.unordered = any(each.node is plan.node and each.unordered for each in older)
    made = Rewritten(code, plan, next(numbers))
    why = reason_to_leave(project, owner, plan, options)
    if why:
        line, detail = plan.node.lineno, explain_class(plan)
        made.findings.append(Finding(line, f"class {plan.name}", why, detail=detail, file=beside(program, owner)))
        return made
    others = [each for each in [program, *project.modules.values()] if each is not owner]
    for each in [owner, *others]:
        rewriter = Rewriter(each, made, options.rung >= BULK)
        done = compile(rewriter.module(), each.file, "exec", dont_inherit=True)
        made.findings += [one.but(file=beside(program, each)) for one in rewriter.all_findings()]
        if each is program:
            made.code = done
        else:
            made.modules[each.file] = done
    return made


def beside(script: Program, program: Program) -> str:
    return "" if program is script else os.path.basename(program.file)


def find_in_project(project: Project) -> tuple[ClassPlan | None, Program]:
    """The class, and the program that it stands in: the script, else the one module that has such a class."""
    plan = find_class(project.script)
    if plan is not None:
        return plan, project.script
    found: dict[str, ClassPlan] = {}
    for name, program in project.modules.items():
        if (inside := find_class(program)) is not None:
            found[name] = inside
    if len(found) != 1:
        return None, project.script
    ((name, plan),) = found.items()
    project.name_class(name, plan.name)
    return plan, project.modules[name]


def rewrite_cell(tree: ast.Module) -> Rewritten | None:
    """Swap the class that a notebook's cell defines, in the tree itself. None where the cell stays as it is."""
    try:
        program = Program(copy.deepcopy(tree), "<cell>")
        plan = find_class(program)
        if plan is None or reason_to_leave(Project(program, ""), program, plan, Options(TYPED, shared=True)):
            return None
        made = Rewritten(None, plan, next(numbers))
        tree.body[:] = Rewriter(program, made, False).module().body
    except Exception:  # a cell like no other, which the notebook then runs as it is
        return None
    return made


def reason_to_leave(project: Project, owner: Program, plan: ClassPlan, options: Options) -> str:
    """Why the class must stay, "" when it can go; the plan is completed on the way."""
    if options.rung < TYPED:
        return "asked to stay on the interpreted rung"
    programs = [owner, *(p for p in [project.script, *project.modules.values()] if p is not owner)]
    why = plan.why_not
    if why and not plan.older and (older := find_older(owner.tree)):
        why = why_older_stays(older, options)
    if project.unreadable:
        why = why or f"it imports {project.unreadable}, which cannot be read"
    if why:
        return why
    plan.shared = options.shared
    settle_methods(programs, plan)
    why = next(filter(None, (look_at(program, plan, project) for program in programs)), "")
    if plan.flag is not None and options.shared:
        why = why or f"{plan.flag.name} switches off the graph, and others use the class too"
    plan.subclass = plan.subclass or (options.shared and not is_wholly_ours(plan))
    if plan.counters:
        plan.why_scalar = plan.why_scalar or f"every node is counted in {', '.join(sorted(plan.counters))}"
        why = why or ("it counts its nodes, and others use the class too" if options.shared else "")
    if options.shared and plan.kinds:
        why = why or f"{KINDS[min(plan.kinds)]}, which is not so in the class that others use too"
    if plan.subclass:
        plan.why_scalar = plan.why_scalar or "the class is derived from ours"
    return why


def why_older_stays(older: Older, options: Options) -> str:
    """Why a class of micrograd's form was not brought into the script's, and what to do about it."""
    if older.unordered and not options.any_order:
        given = f"write self.{older.children} = {older.given}, or --any-order"
        return f"it keeps children in a set, whose order comes from the addresses of objects: {given}"
    return "not all of its closures add a local gradient times out.grad to each child in turn"


def what_is_changed(program: Program, plan: ClassPlan, modules: set[str]) -> str:
    """Why what was found out by running code does not hold for good, or ""."""
    constants = set(plan.node_constants())
    if constants & plan.patched:
        return f"{min(constants & plan.patched)} of the class is changed later, which its methods may read"
    for target, _ in program.attribute_stores():
        if target.attr in constants:
            return f"line {target.lineno} changes {target.attr}, which its methods may read"
        if program.meaning(target.value) in modules:
            return f"line {target.lineno} changes the module {program.meaning(target.value)}"
    if plan.flag is not None and not plan.cuts:
        for call in program.class_calls():
            if plan.given(call).keys() & {*plan.parameters[1:], None}:
                return f"line {call.lineno} makes a node with children, whatever {plan.flag.name} is"
    return ""


def look_at(program: Program, plan: ClassPlan, project: Project) -> str:
    """What one program does with the class: why it must stay, if it must."""
    script, modules = project.script, set(project.modules)
    plan.shown |= methods_shown(program, plan)
    why = (
        what_is_changed(program, plan, modules)
        or extra_shows(program, plan)
        or class_shows(program, plan)
        or strange_number(program, plan, not (modules or plan.shared))
        or counters_show(program, plan.node, plan.counters)
    )
    of_subclass = needs_subclass(program, plan)
    plan.subclass = plan.subclass or bool(of_subclass)
    plan.why_scalar = plan.why_scalar or graph_shows(program, plan) or of_subclass
    if why and program is not script:
        return f"{os.path.basename(program.file)}, which it imports, needs the class as it is: {why}"
    return why


def settle_methods(programs: list[Program], plan: ClassPlan) -> None:
    """Methods that are the script's only as far as numbers go stay the user's where more can be seen."""
    if plan.written:
        plan.unseen = {*plan.written}
        programs[0].forget(dropped(plan))
        plan.unseen -= {name for name in plan.written if any(may_use(program, plan, name) for program in programs)}
    programs[0].forget(dropped(plan))
    plan.patched = set().union(*(patched(program, plan) for program in programs))
    keep: set[str] = set()
    if plan.pairs_only and not all(has_pairs(call, plan) for p in programs for call in p.class_calls()):
        keep |= {"backward"}
    if any(graph_reads(program, plan) for program in programs) or "backward" not in plan.ours - keep:
        keep |= plan.numbers_only
    if plan.patched & {*METHODS, "*"} or plan.counters:
        keep |= plan.run_alike
    if plan.counters and plan.float_root:
        keep |= {"backward"}  # ours would make a node for it
    keep_instead(plan, keep)
    programs[0].forget(dropped(plan))


def has_pairs(call: ast.Call, plan: ClassPlan) -> bool:
    """Whether this makes a node with as many local gradients as children, for all that can be seen."""
    given = plan.given(call)
    links = [given.get(name) for name in plan.parameters[1:]]
    if links == [None, None]:
        return not any(isinstance(argument, ast.Starred) for argument in call.args)
    sizes = [len(link.elts) if isinstance(link, (ast.Tuple, ast.List)) else None for link in links]
    return None not in sizes and sizes[0] == sizes[1]


def is_wholly_ours(plan: ClassPlan) -> bool:
    return not (plan.kept or plan.missing or plan.float_root) and set(plan.fields) == set(plan.fields.values())


class Rewriter(ast.NodeTransformer):
    """One walk through a program's tree, from the outside to the inside: what is swapped is not looked into any more.

    bulk: whether vectors and loops over parameters are swapped too.
    """

    def __init__(self, program: Program, made: Rewritten, bulk: bool) -> None:
        assert made.plan is not None
        self.program, self.made, self.plan, self.bulk = program, made, made.plan, bulk
        self.vectors = bulk and not self.plan.why_scalar
        self.swaps = Swaps(program, self.plan, COMPILED if self.vectors else frozenset())
        self.again = looked_at_again(program, self.plan)
        self.findings: list[Finding] = []
        self.done: set[ast.AST] = set()  # not to be looked into
        self.whole: dict[ast.AST, tuple[str, tuple[int, ...]]] = {}  # functions handed over as a whole

    def module(self) -> ast.Module:
        for node in self.program.of(ast.FunctionDef):
            found = self.swaps.function(node)
            if found is not None:
                self.whole[node] = found
        return self.visit(self.program.tree)  # type: ignore[no-any-return]

    def visit(self, node: ast.AST) -> Any:
        if node in self.done:
            return node
        if isinstance(node, (ast.ListComp, ast.Call)) and (swapped := self.swaps.expression(node)) is not None:
            return swapped
        visited = super().visit(node)
        return self.looked_at(node) if node in self.again else visited

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, self.with_attention(body))
        return super().generic_visit(node)

    def with_attention(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        while body:
            statements, n = self.swaps.attention(body, 0) or (body[:1], 1)
            if statements[0] is not body[0]:
                self.done.update(statements)
            made += statements
            body = body[n:]
        return made

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node not in self.whole:
            return self.generic_visit(node)
        node.body = self.swaps.guard(node, *self.whole[node])
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """Of a class, the methods: its own statements keep their lists, since there is no scope to call from."""
        if node is self.plan.node:
            self.swap_class(node)
        else:
            for parts in (node.bases, node.keywords, node.decorator_list):
                parts[:] = [self.visit(part) for part in parts]
        node.body = [self.visit(part) if isinstance(part, ast.FunctionDef) else part for part in node.body]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if self.is_counter(node.targets[0]):
            node.value = self.counted("uncounted", node.targets[0], node.value)
        flag = self.plan.flag
        if flag is not None and any(flag.is_stored(self.program, target) for target in node.targets):
            switch = helped("switched", node.value, ast.Constant(flag.on), ast.Constant(self.plan.cuts))
            node.value = placed(switch, node.value)
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if self.is_counter(node) and isinstance(node.ctx, ast.Load):
            return self.counted("counted", node, node)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.program.is_class(node.func):
            self.arguments(node)
        return self.generic_visit(node)

    def looked_at(self, node: Any) -> Any:
        """A call, or a look at an attribute, whose object is looked at once more."""
        thing = node.args[0] if isinstance(node, ast.Call) else node.value
        checked = placed(helped("no_value", thing, ast.Constant(self.again[node])), node)
        if isinstance(node, ast.Call):
            node.args[0] = checked
        else:
            node.value = checked
        return node

    def is_counter(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and node.attr in self.plan.counters and self.program.is_class(node.value)

    def counted(self, helper: str, counter: ast.expr, number: ast.expr) -> ast.expr:
        """A number with the nodes made so far, or without them."""
        step = ast.Constant(self.plan.counters[counter.attr])  # type: ignore[attr-defined]
        return placed(helped(helper, number, step), number)

    def arguments(self, node: ast.Call) -> None:
        """The constructor's arguments in our order and by our names, without those that nobody reads."""
        plan = self.plan
        ours = dict(zip(plan.parameters, ("data", "children", "local_grads")))
        if plan.signature[:3] != plan.parameters and len(node.args) > 1:
            named = [ast.keyword(name, value) for name, value in zip(plan.signature[1:], node.args[1:])]
            node.keywords = [*(placed(one, one.value) for one in named), *node.keywords]
            del node.args[1:]
        del node.args[3:]
        node.keywords = [k for k in node.keywords if k.arg is None or k.arg in ours or k.arg not in plan.signature]
        for keyword in node.keywords:
            if keyword.arg is not None:
                keyword.arg = ours.get(keyword.arg, keyword.arg)
            if plan.older and keyword.arg == LOCAL_GRADS and isinstance(keyword.value, ast.Tuple):
                # closures would have computed them later: what they raise is not the script's
                keyword.value = placed(call("local_grads", [keyword.value]), keyword.value)

    def visit_For(self, node: ast.For) -> ast.AST:
        """Hand a loop over parameters over, if this is one."""
        found = find_loop(self.program, node, self.plan) if self.bulk else None
        if found is not None and self.swaps.can_repeat(found[1]):
            number = next(numbers)
            swap_loop(node, *found, number)
            self.made.sites[number] = found[0]
            self.findings.append(finding(found[0]))
        elif self.bulk and found is None and looks_like_update(node, self.plan.fields):
            why = "it does more than arithmetic on each parameter's data, gradient and cells of lists"
            self.findings.append(Finding(node.lineno, "loop over parameters", why))
        return self.generic_visit(node)

    def swap_class(self, node: ast.ClassDef) -> None:
        """The class without what is ours, and a decorator that puts the rest onto ours."""
        kept = [made for statement in node.body if (made := self.kept(statement)) is not None]
        if self.plan.subclass:
            node.bases = [placed(helper("Value"), node)]
            if self.plan.has_slots:  # attributes of its own only where the user's class had room for them
                slots = ast.Assign([ast.Name("__slots__", ast.Store())], ast.Tuple([], ast.Load()))
                kept = [placed(slots, node), *kept]
        node.body = kept or [placed(ast.Pass(), node)]
        adopt = placed(helped("adopt", ast.Constant(self.made.number)), node)
        node.decorator_list = [adopt, *node.decorator_list]
        note, detail = class_note(self.plan), explain_class(self.plan)
        self.findings.append(Finding(node.lineno, f"class {self.plan.name}", note=note, detail=detail))

    def kept(self, statement: ast.stmt) -> ast.stmt | None:
        """What stays of a statement of the class: of a method that is ours, what its annotations may do."""
        if isinstance(statement, ast.FunctionDef) and statement.name in self.plan.unseen:
            unseen = ast.Return(helped("unseen", ast.Constant(statement.name)))
            statement.body = [placed(unseen, statement)]
        if statement in self.plan.kept.values() or not isinstance(statement, ast.FunctionDef):
            return statement if statement in self.plan.kept.values() else None
        notes = [argument.annotation for argument in parameters(statement)] + [statement.returns]
        if statement.name not in self.plan.shown:
            if all(note is None or isinstance(note, ast.Constant) for note in notes):
                return None
            self.plan.stubs.add(statement.name)
            statement.body = [placed(ast.Pass(), statement.body[-1])]
        return statement

    # ---- what to say ----

    def all_findings(self) -> list[Finding]:
        found = [*self.findings, *self.swaps.findings]
        if self.vectors:
            found += self.not_recognised()
        elif self.bulk and self.plan.node in self.program.nodes:
            found.append(Finding(self.plan.node.lineno, "vectors", self.plan.why_scalar))
        return sorted(found, key=lambda one: one.line)

    def not_recognised(self) -> list[Finding]:
        """Functions with the script's names that were not handed over."""
        lines = {one.line for one in self.swaps.findings}
        found = []
        for node in self.program.of(ast.FunctionDef):
            if node.name not in FUNCTION_SOURCES or node in self.whole:
                continue
            inside = any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
            if not (node.name == "linear" and inside):
                allowed = node.name in self.swaps.allowed
                why = (
                    "it differs from the script's" if allowed else "the class's own operators differ from the script's"
                )
                found.append(Finding(node.lineno, node.name, why, detail=explain_function(node)))
        return found


def class_note(plan: ClassPlan) -> str:
    """What stays the user's, in words."""
    changed = sorted(name for name in plan.kept if name in METHODS)
    added = sorted(name for name in plan.kept if name not in METHODS)
    parts = [NOTE] if plan.unordered else []
    if changed:
        parts.append(f"with its own {', '.join(changed)}")
    if added:
        parts.append(f"with its additional {', '.join(added)}")
    if plan.patched & set(METHODS):
        parts.append("whose methods it replaces later")
    return "; ".join(parts)
