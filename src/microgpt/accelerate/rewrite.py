"""From a script's source to code with the swaps made. Line numbers stay the user's.

The code asks for its helpers under one name, `__microgpt__`, which support.py puts among the builtins, so that the
script's own names are not touched.
"""

from __future__ import annotations

import ast
import copy
import warnings
from dataclasses import dataclass, field
from types import CodeType

from .explain import explain_class, explain_function
from .findings import Finding
from .guards.class_guard import class_shows, graph_shows, own_methods, patched
from .guards.escapes import methods_shown, needs_subclass
from .guards.local_modules import beside_shows
from .guards.powers import number_powers
from .guards.program_guard import opaque
from .guards.value_guard import strange_number
from .recognise.adam import AdamSite, find_adam, finding, swap_adam
from .recognise.forms import METHODS
from .recognise.micrograd import NOTE, convert, mentions
from .recognise.value_class import ClassPlan, find_class
from .recognise.vectors import COMPILED, HELPER, Swaps
from .syntax.program import Program
from .syntax.scopes import parameters

INTERPRETED, TYPED, BULK = 0, 2, 3  # rungs of the ladder
THE_SCRIPT_S_OWN = ("linear", "softmax", "rmsnorm")


@dataclass
class Options:
    """How far to go.

    rung        the highest to use
    any_order   also swap classes whose sums have no defined order
    shared      the class may be in use elsewhere in this process, so ours is not reshaped
    folder      where modules of the script's own would lie
    watched     support.Support.on_class gets the class in any case
    """

    rung: int = BULK
    any_order: bool = False
    shared: bool = False
    folder: str = ""
    watched: bool = False


@dataclass
class Rewritten:
    """The code to run (None for a cell, whose tree was changed in place), and what was done to it."""

    code: CodeType | None
    plan: ClassPlan | None = None
    sites: list[AdamSite] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def swapped(self) -> bool:
        return any(finding.swapped for finding in self.findings)


@dataclass
class Numbering:
    """The numbers that the next class and the next Adam loop get: those in the lists of support.Support."""

    classes: int = 0
    sites: int = 0


def rewrite(source: bytes | str, file: str, options: Options, numbering: Numbering | None = None) -> Rewritten:
    """Compile a script with all swaps that can be shown to be safe. Raises what compiling the script raises."""
    code = compile(source, file, "exec", dont_inherit=True)  # says what is wrong with it, warnings included
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they have been said
            return rewrite_compiled(source, file, code, options, numbering or Numbering())
    except Exception as error:  # among others RecursionError: expressions can be deeper than these functions
        why = f"it cannot be looked through ({type(error).__name__})"
        return Rewritten(code, None, [], [Finding(0, "the script", why)])


def rewrite_compiled(
    source: bytes | str, file: str, code: CodeType, options: Options, numbering: Numbering
) -> Rewritten:
    """The same for a script that compiles to `code`. Raises RecursionError for expressions of a depth beyond us."""
    tree = ast.parse(source, file)
    older = convert(tree) if options.any_order and options.rung >= TYPED else None
    program = Program(tree, file)
    plan = find_class(program)
    if plan is None:
        return Rewritten(code, None, [], [Finding(0, "the script", no_class(program, options))])
    plan.older = older is not None
    why = reason_to_leave(program, plan, options)
    if why:
        left = Finding(plan.node.lineno, f"class {plan.name}", why, detail=explain_class(plan))
        return Rewritten(watched(program, plan) if options.watched else code, plan, [], [left])
    rewriter = Rewriter(program, plan, options, numbering)
    swapped = compile(rewriter.module(program.tree), file, "exec", dont_inherit=True)
    return Rewritten(swapped, plan, rewriter.sites, rewriter.all_findings())


def no_class(program: Program, options: Options) -> str:
    beside = sorted(program.local_modules(options.folder))
    hint = f"; {', '.join(beside)} beside it: see `import microgpt.accelerate`" if beside else ""
    return f"no class in it reads like the script's Value{hint}"


def rewrite_cell(tree: ast.Module, numbering: Numbering) -> Rewritten | None:
    """Swap the class that a notebook's cell defines, in the tree itself. None where the cell stays as it is."""
    try:
        made = copy.deepcopy(tree)
        program = Program(made, "<cell>")
        plan = find_class(program)
        options = Options(TYPED, shared=True)
        if plan is None or reason_to_leave(program, plan, options):
            return None
        rewriter = Rewriter(program, plan, options, numbering)
        tree.body[:] = rewriter.module(made).body
    except Exception:  # a cell like no other, which the notebook then runs as it is
        return None
    return Rewritten(None, plan, rewriter.sites, rewriter.all_findings())


def reason_to_leave(program: Program, plan: ClassPlan, options: Options) -> str:
    """Why the class must stay, "" when it can go; the plan is completed on the way."""
    if options.rung < TYPED:
        return "asked to stay on the interpreted rung"
    why = opaque(program) or plan.why_not
    if why and mentions(plan.node, {"_backward", "_prev"}):
        why = f"it is of micrograd's form, and {NOTE.removesuffix(' (--any-order)')}: --any-order swaps it if it can"
    if why:
        return why
    plan.shared = options.shared
    plan.patched = patched(program, plan)
    plan.shown = methods_shown(program, plan)
    why = class_shows(program, plan) or strange_number(program, plan) or beside_shows(program, plan, options.folder)
    plan.subclass = bool(needs_subclass(program, plan)) or (options.shared and not is_wholly_ours(plan))
    plan.mask_rpow = "__rpow__" not in plan.kept and not number_powers(program, own_methods(plan))
    plan.why_scalar = graph_shows(program, plan, program.local_modules(options.folder))
    if plan.subclass:
        plan.why_scalar = plan.why_scalar or needs_subclass(program, plan) or "the class is derived from ours"
    return why


def is_wholly_ours(plan: ClassPlan) -> bool:
    return not (plan.kept or plan.missing or plan.float_root) and set(plan.fields) == set(plan.fields.values())


def watched(program: Program, plan: ClassPlan) -> CodeType:
    """The script as it is, but for a decorator of the class that shows it to Support.on_class."""
    decorator = helper("watch", plan.node)
    plan.node.decorator_list.insert(0, decorator)
    return compile(program.tree, program.file, "exec", dont_inherit=True)


def helper(name: str, at: ast.AST) -> ast.expr:
    """`__microgpt__.name`, at a place in the source."""
    made = ast.Attribute(ast.Name(HELPER, ast.Load()), name, ast.Load())
    for part in ast.walk(made):
        ast.copy_location(part, at)
    return made


class Rewriter:
    """One walk through the tree, from the outside to the inside: what is swapped is not looked into any more."""

    def __init__(self, program: Program, plan: ClassPlan, options: Options, numbering: Numbering) -> None:
        self.program = program
        self.plan = plan
        self.rung = options.rung
        self.bulk = options.rung >= BULK and not plan.why_scalar
        self.swaps = Swaps(program, plan, COMPILED if self.bulk else frozenset())
        self.sites: list[AdamSite] = []
        self.numbering = numbering
        self.findings: list[Finding] = []
        self.whole: dict[ast.AST, str] = {}  # functions handed over as a whole

    def module(self, tree: ast.Module) -> ast.Module:
        for node in self.program.nodes:
            if isinstance(node, ast.FunctionDef):
                name = self.swaps.function(node)
                if name is not None:
                    self.whole[node] = name
        tree.body = self.statements(tree.body)
        return tree

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        index = 0
        while index < len(body):
            attention = self.swaps.attention(body, index)
            if attention is not None:
                made += attention
                index += 2
                continue
            made += self.adam(body[index]) or [self.statement(body[index])]
            index += 1
        return made

    def statement(self, node: ast.stmt) -> ast.stmt:
        if node is self.plan.node:
            return self.swap_class(self.plan.node)
        if isinstance(node, ast.FunctionDef) and node in self.whole:
            node.body = self.swaps.guard(node, self.whole[node])
            return node
        self.children(node)
        return node

    def children(self, node: ast.AST) -> None:
        """Rewrite what a node is made of. Direct statements of a class body keep their lists: no scope to call from."""
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self.expression(value))
            elif isinstance(value, list) and value and all(isinstance(part, ast.stmt) for part in value):
                setattr(
                    node, name, self.class_body(value) if isinstance(node, ast.ClassDef) else self.statements(value)
                )
            elif isinstance(value, list):
                for index, part in enumerate(value):
                    if isinstance(part, ast.expr):
                        value[index] = self.expression(part)
                    elif isinstance(part, ast.AST):
                        self.children(part)
            elif isinstance(value, ast.AST):
                self.children(value)

    def class_body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [self.statement(part) if isinstance(part, ast.FunctionDef) else part for part in body]

    def expression(self, node: ast.expr) -> ast.expr:
        swapped = self.swaps.expression(node)
        if swapped is not None:
            return swapped
        if isinstance(node, ast.Call) and self.program.is_class(node.func):
            self.keywords(node)
        self.children(node)
        return node

    def keywords(self, node: ast.Call) -> None:
        """The constructor's arguments by our names."""
        ours = dict(zip(self.plan.parameters, ("data", "children", "local_grads")))
        for keyword in node.keywords:
            if keyword.arg is not None:
                keyword.arg = ours.get(keyword.arg, keyword.arg)

    def adam(self, node: ast.stmt) -> list[ast.stmt]:
        """What takes the place of the script's Adam loop; nothing for other statements."""
        found = find_adam(self.program, node) if isinstance(node, ast.For) and self.rung >= BULK else None
        if found is None or not isinstance(node, ast.For) or not self.swaps.can_repeat(found[1]):
            return []
        site, match = found
        made = swap_adam(node, match, self.numbering.sites + len(self.sites))
        self.sites.append(site)
        self.findings.append(finding(site))
        return made

    def swap_class(self, node: ast.ClassDef) -> ast.ClassDef:
        """The class without what is ours, and a decorator that puts the rest onto ours."""
        kept = [made for statement in node.body if (made := self.kept(statement)) is not None]
        if self.plan.subclass:
            kept = [*self.slots(node), *kept]
            node.bases = [helper("Value", node)]
        node.body = self.class_body(kept) or [ast.copy_location(ast.Pass(), node)]
        decorator = ast.Call(helper("adopt", node), [ast.Constant(self.numbering.classes)], [])
        for part in ast.walk(decorator):
            ast.copy_location(part, node)
        node.decorator_list = [decorator]
        self.findings.append(
            Finding(node.lineno, f"class {self.plan.name}", note=class_note(self.plan), detail=explain_class(self.plan))
        )
        return node

    def kept(self, statement: ast.stmt) -> ast.stmt | None:
        """What stays of a statement of the class: of a method that is ours, what its annotations may do."""
        if not isinstance(statement, ast.FunctionDef):
            return statement if statement in self.plan.kept.values() else None
        if statement in self.plan.kept.values() or statement.name in self.plan.shown:
            return statement
        notes = [argument.annotation for argument in parameters(statement)] + [statement.returns]
        if all(note is None or isinstance(note, ast.Constant) for note in notes):
            return None
        self.plan.stubs.add(statement.name)
        statement.body = [ast.copy_location(ast.Pass(), statement.body[-1])]
        return statement

    def slots(self, node: ast.ClassDef) -> list[ast.stmt]:
        """A subclass has attributes of its own only where the user's class had room for them."""
        if not self.plan.has_slots:
            return []
        made = ast.parse("__slots__ = ()").body
        for part in ast.walk(made[0]):
            ast.copy_location(part, node)
        return list(made)

    # ---- what to say ----

    def all_findings(self) -> list[Finding]:
        found = [*self.findings, *self.swaps.findings]
        if self.plan.why_scalar and self.rung >= BULK:
            found.append(Finding(self.plan.node.lineno, "vectors", self.plan.why_scalar))
        elif self.bulk:
            found += self.not_recognised()
        return sorted(found, key=lambda one: one.line)

    def not_recognised(self) -> list[Finding]:
        """Functions with the script's names that were not handed over."""
        lines = {one.line for one in self.swaps.findings}
        found = []
        for node in self.program.nodes:
            if not isinstance(node, ast.FunctionDef) or node.name not in THE_SCRIPT_S_OWN or node in self.whole:
                continue
            inside = any(node.lineno <= line <= (node.end_lineno or 0) for line in lines)
            if not (node.name == "linear" and inside):
                found.append(Finding(node.lineno, node.name, self.why_not(node), detail=explain_function(node)))
        return found

    def why_not(self, node: ast.FunctionDef) -> str:
        if node.name not in self.swaps.available:
            return f"this microgpt has no compiled {node.name}"
        if node.name not in self.swaps.allowed:
            return "the class's own operators differ from the script's"
        return "it differs from the script's"


def class_note(plan: ClassPlan) -> str:
    """What stays the user's, in words."""
    changed = sorted(name for name in plan.kept if name in METHODS)
    added = sorted(name for name in plan.kept if name not in METHODS)
    parts = [NOTE] if plan.older else []
    if changed:
        parts.append(f"with its own {', '.join(changed)}")
    if added:
        parts.append(f"with its additional {', '.join(added)}")
    if plan.patched & set(METHODS):
        parts.append("whose methods it replaces later")
    return "; ".join(parts)
