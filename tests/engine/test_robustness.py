"""Misuse: half-made objects, deleted attributes, cycles, Python code that runs in the middle of an operation."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys

import pytest
from bits import all_bits, bits, snapshot

REFUSALS = (AttributeError, TypeError, ValueError, RuntimeError)


def test_a_value_that_was_never_initialised_does_no_harm(engine):
    """Either it behaves like some leaf, or it refuses."""
    for use in (
        lambda v: v.data,
        lambda v: v.grad,
        lambda v: v._children,
        lambda v: v._local_grads,
        lambda v: v + 1,
        lambda v: 1 * v,
        lambda v: v**2,
        lambda v: -v,
        lambda v: v.exp(),
        lambda v: v.relu(),
        lambda v: v.backward(),
        lambda v: engine.Value(1.0) * v,
        lambda v: engine.Value(1.0, (v,), (1.0,)).backward(),
        lambda v: repr(v),
        lambda v: setattr(v, "data", 1.0),
        lambda v: setattr(v, "grad", 1.0),
        lambda v: setattr(v, "_children", (v,)),
        lambda v: setattr(v, "_local_grads", (1.0,)),
        lambda v: hash(v),
        lambda v: v == v,
    ):
        empty = engine.Value.__new__(engine.Value)
        with contextlib.suppress(*REFUSALS):
            use(empty)
        del empty
    late = engine.Value.__new__(engine.Value)
    late.__init__(2.5)
    assert bits((late * 2).data) == bits(5.0)


def test_new_with_arguments_but_without_init_does_no_harm(engine):
    for arguments in ((), (1.0,), (1.0, (), ()), ("x",)):
        with contextlib.suppress(*REFUSALS):
            v = engine.Value.__new__(engine.Value, *arguments)
            repr(v.data)


def test_an_uninitialised_subclass_instance_does_no_harm(engine):
    class Lazy(engine.Value):
        def __init__(self):
            pass

    v = Lazy()
    for use in (lambda: v.data, lambda: v * 2, lambda: v.backward(), lambda: repr(v)):
        with contextlib.suppress(*REFUSALS):
            use()
    engine.Value.__init__(v, 3.0)
    assert bits((v * 2).data) == bits(6.0)


@pytest.mark.parametrize("name", ["data", "grad", "_children", "_local_grads"])
def test_attributes_cannot_be_deleted(compiled, name):
    a = compiled.Value(1.5)
    b = a * 2.0
    before = snapshot([b])
    with pytest.raises((AttributeError, TypeError, NotImplementedError)):
        delattr(b, name)
    assert snapshot([b]) == before


def test_the_type_itself_keeps_working_after_attributes_were_set_and_deleted(engine):
    engine.Value.helper = 1
    del engine.Value.helper
    with pytest.raises(AttributeError):
        del engine.Value.helper
    assert bits((engine.Value(2.0) * 3).data) == bits(6.0)


def test_longer_cycles_of_children_are_walked_as_the_script_walks_them(engine, reference):
    def build(V):
        a = V(1.0)
        r = 0.111 - a
        n = r._children[0]
        a._children, a._local_grads = (r,), (2.0,)
        m = a * a
        m.backward()
        found = [bits(v.grad) for v in (a, r, n, n._children[1], m)]
        a._children = ()
        return found

    assert build(engine.Value) == build(reference.Value)


def test_a_cycle_of_children_neither_hangs_nor_crashes(engine):
    for n in (1, 2, 3, 50):
        values = [engine.Value(float(i)) for i in range(n)]
        nodes = [v * 2.0 for v in values]
        for i, v in enumerate(values):
            v._children, v._local_grads = (nodes[(i + 1) % n], nodes[i - 1]), (0.5, 0.25)
        nodes[0].backward()
        (nodes[-1] + 1).backward()
        assert repr(nodes[0]).startswith("Value") or "Value" in repr(nodes[0])
        del values, nodes, v
        gc.collect()
    a = engine.Value(1.0)
    a._children, a._local_grads = (a, a), (1.0, 1.0)
    a.backward()
    a._children = ()
    assert bits((a * 2.0).data) == bits(2.0)


def test_a_broken_cycle_gives_its_nodes_back(compiled, swept):
    from microgpt import arena_stats

    before = arena_stats()["nodes"]
    for _ in range(50):
        a = compiled.Value(1.0)
        b = a * 2.0 + 1
        a._children, a._local_grads = (b,), (1.0,)
        b.backward()
        a._children = ()
    del a, b
    assert arena_stats()["nodes"] == before


class Sly:
    """A number whose conversion runs arbitrary code first."""

    def __init__(self, action, number=2.0):
        self.action, self.number = action, number

    def __float__(self):
        self.action()
        return self.number

    def __neg__(self):
        self.action()
        return -self.number

    def __pow__(self, other):
        return float(self) ** other


def churn(V, n=3000):
    """Make and drop so many nodes that blocks are emptied and used again."""
    kept = [V(float(i)) * 2.0 for i in range(n)]
    kept[0].backward()


def test_a_conversion_that_churns_through_the_arena_does_not_confuse_an_operation(compiled):
    V = compiled.Value
    a = V(3.0)
    sly = Sly(lambda: churn(V))
    for use, expected in [
        (lambda: V(sly).data, 2.0),
        (lambda: (a * sly).data, 6.0),
        (lambda: (sly * a).data, 6.0),
        (lambda: (a + sly).data, 5.0),
        (lambda: (a - sly).data, 1.0),
        (lambda: (sly - a).data, -1.0),
        (lambda: (a / sly).data, 1.5),
        (lambda: (sly / a).data, 3.0**-1 * 2.0),
        (lambda: (a**sly).data, 9.0),
        (lambda: V(1.0, (a,), (sly,))._local_grads[0], 2.0),
        (lambda: V(1.0, (a, a, a), (1.0, sly, sly))._local_grads[2], 2.0),
    ]:
        with contextlib.suppress(TypeError):  # where Python itself would refuse such a number
            assert bits(use()) == bits(expected)
    a.data = sly
    a.grad = sly
    assert (bits(a.data), bits(a.grad)) == (bits(2.0), bits(2.0))
    a._local_grads = (sly, 1.0)
    assert all_bits(a._local_grads) == all_bits([2.0, 1.0])


def test_a_conversion_that_drops_the_operand_itself_is_safe(compiled):
    V = compiled.Value
    box = [V(3.0) * 2.0]
    assert bits((box[0] * Sly(box.clear)).data) == bits(12.0)
    box.append(V(3.0) * 2.0)
    node = V(1.0, (v for v in [box[0]]), (Sly(box.clear),))
    assert bits(node._children[0].data) == bits(6.0)
    box.append(V(3.0))
    box[0].data = Sly(box.clear)
    box.append(V(3.0) * 1.0)
    box[0]._local_grads = (Sly(box.clear), 1.0)
    box.append(V(3.0) * 1.0)
    box[0].__init__(Sly(box.clear))


def test_a_conversion_that_rewires_the_value_being_changed_is_safe(compiled):
    V = compiled.Value
    a, b = V(1.0), V(2.0)
    c = a * b
    c._local_grads = (Sly(lambda: setattr(c, "_children", ())), 5.0)
    assert all_bits(c._local_grads) == all_bits([2.0, 5.0])
    c = a * b
    c.__init__(Sly(lambda: c.__init__(9.0)), (a,), (Sly(lambda: setattr(c, "_children", (b, b, b))),))
    assert bits(c.data) == bits(2.0) and c._children == (a,)
    c = a * b
    c.data = Sly(c.backward)
    assert bits(c.data) == bits(2.0) and bits(a.grad) == bits(2.0)


def test_a_conversion_that_fails_changes_nothing(compiled):
    def fail():
        raise LookupError("no number today")

    a, b = compiled.Value(1.0), compiled.Value(2.0)
    c = a * b
    before = snapshot([c])
    for use in (
        lambda: setattr(c, "data", Sly(fail)),
        lambda: setattr(c, "grad", Sly(fail)),
        lambda: setattr(c, "_local_grads", (1.0, Sly(fail))),
        lambda: c.__init__(Sly(fail)),
        lambda: c.__init__(1.0, (a,), (Sly(fail),)),
        lambda: c * Sly(fail),
        lambda: Sly(fail) + c,
        lambda: compiled.Value(Sly(fail)),
        lambda: compiled.Value(1.0, (a, b), (1.0, Sly(fail))),
    ):
        with pytest.raises(LookupError):
            use()
    assert snapshot([c]) == before


def test_a_conversion_that_returns_no_float_is_a_type_error(compiled):
    class Liar:
        def __float__(self):
            return "2.0"

    for use in (
        lambda: compiled.Value(Liar()),
        lambda: compiled.Value(1.0) * Liar(),
        lambda: setattr(compiled.Value(1.0), "grad", Liar()),
    ):
        with pytest.raises(TypeError):
            use()


def test_iterables_that_change_while_they_are_read_are_safe(compiled):
    V = compiled.Value
    values = [V(float(i)) for i in range(5)]

    class Growing(list):
        def __iter__(self):
            for i in range(len(self)):
                yield self[i]
                self.append(V(9.0))

    node = V(1.0, Growing(values), [1.0, 2.0])
    assert node._children == tuple(values)

    def emptying():
        while values:
            yield values.pop()
            churn(V, 500)

    node = V(1.0, emptying(), (0.5,) * 5)
    assert [bits(v.data) for v in node._children] == all_bits([4.0, 3.0, 2.0, 1.0, 0.0])
    node.backward()
    grads = [1.0, 2.0, 3.0]

    def shrinking():
        for _ in range(3):
            yield Sly(grads.clear, 0.5)

    node = V(1.0, [V(1.0) for _ in range(3)], shrinking())
    assert all_bits(node._local_grads) == all_bits([0.5] * 3)


def test_an_iterable_that_drops_the_node_it_is_assigned_to_is_safe(compiled):
    V = compiled.Value
    box = [V(1.0) * 2.0]

    def children():
        box.clear()
        churn(V, 2000)
        yield V(3.0)

    box[0]._children = children()
    box.append(V(1.0) * 2.0)
    box[0].__init__(1.0, children(), (1.0,))


def test_a_children_attribute_with_the_node_itself_among_many(compiled):
    V = compiled.Value
    a = V(1.0)
    c = a * 2.0
    c._children, c._local_grads = (a, c, a), (1.0, 0.5, 1.0)
    c.backward()
    assert len(c._children) == 3 and c._children[1] is c
    c._children = ()


def test_a_long_iterable_of_numbers_with_a_wrong_one_is_refused(compiled):
    def numbers():
        for i in range(100):
            yield float(i)
        yield "wrong"
        while True:
            yield 0.0

    with pytest.raises(TypeError):
        compiled.Value(1.0, (), (g for _, g in zip(range(200), numbers())))


def test_a_destructor_that_rewires_the_graph_being_dropped_is_safe(compiled):
    V = compiled.Value
    survivors = []

    class Clinging(V):
        def __del__(self):
            survivors.append(V(1.0, (self,), (2.0,)))

    for i in range(50):
        y = Clinging(float(i)) * 3.0 + 1
        del y
        if len(survivors) > 5:
            survivors.pop(0)
    gc.collect()
    for v in survivors:
        v.backward()
    Clinging.__del__ = lambda self: None
    survivors.clear()
    gc.collect()
    assert bits((V(2.0) * 2.0).data) == bits(4.0)


def test_garbage_collection_in_the_middle_of_building_is_safe(compiled):
    V = compiled.Value

    class Linked(V):
        pass

    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for i in range(300):
            a = Linked(float(i))
            a.me = a
            b = a * 2 + V(1.0, [a, a, a], [1.0, 2.0, 3.0])
            b.backward()
            assert b._children[0]._children[0].me is a
    finally:
        gc.set_threshold(*before)


def test_recursion_through_a_repr_of_the_user_is_a_recursion_error_not_a_crash(engine):
    class Endless(engine.Value):
        __slots__ = ()

        def __repr__(self):
            return f"{self!r}"

    with pytest.raises(RecursionError):
        repr(Endless(1.0))


def test_a_subclass_whose_operator_calls_itself_is_a_recursion_error(engine):
    class Endless(engine.Value):
        __slots__ = ()

        def __mul__(self, other):
            return -self

    with pytest.raises(RecursionError):
        Endless(1.0) * 2


def run_python(code):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


EXITS = {
    "values left in globals": """
x = Value(1.0)
y = x * 2
y.backward()
""",
    "a subclass with attributes left": """
class N(Value): pass
x = N(1.0)
x.me = x
y = x * 2
""",
    "a destructor at exit": """
class N(Value):
  def __del__(self): print(self.data * 2)
x = N(1.0)
""",
    "a value in an exit handler": """
x = Value(3.0)
atexit.register(lambda: print((x * 2).data))
""",
    "an optimizer left": """
a = Adam([Value(1.0)])
a.step()
""",
    "values in a cycle": """
x = Value(1.0)
y = x * 2
x._children = (y,)
l = [y]
l.append(l)
""",
    "a value kept by the class": """
Value.kept = Value(1.0) * 2
""",
    "a value kept by a subclass": """
class N(Value): pass
N.kept = N(1.0) * 2
""",
    "a value kept by a builtin module": """
sys.kept = Value(1.0) * 2
""",
    "a daemon thread building": """
def f():
  while True:
    Value(1.0) * 2 + 1
threading.Thread(target=f, daemon=True).start()
""",
}


@pytest.mark.parametrize("how", EXITS)
def test_the_process_ends_quietly_with(how):
    done = run_python("import atexit, sys, threading\nfrom microgpt import Adam, Value\n" + EXITS[how])
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_twice_or_reloading_the_package_keeps_values_working():
    code = """
import importlib, sys, microgpt
a = microgpt.Value(2.0) * 3
importlib.reload(microgpt)
b = a * microgpt.Value(2.0)
b.backward()
assert a.grad == 2.0, a.grad
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_a_forked_child_has_the_values_of_its_parent():
    code = """
import os, sys
from microgpt import Value
x = Value(2.0); y = x * 3
if not hasattr(os, "fork"):
    sys.exit(0)
pid = os.fork()
if pid == 0:
    y.backward()
    os._exit(0 if x.grad == 3.0 and (y * 2).data == 12.0 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
y.backward()
assert x.grad == 3.0
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr


SECOND_INTERPRETER = """
try:
    import _xxsubinterpreters as interpreters
except ImportError:
    import _interpreters as interpreters
code = "try: from microgpt import Value\\nexcept ImportError: print('refused', flush=True)"
from microgpt import Value
for _ in range(2):
    interpreter = interpreters.create()
    interpreters.run_string(interpreter, code)
    interpreters.destroy(interpreter)
print((Value(2.0) * 3).data)
"""


def test_a_second_interpreter_in_the_process_is_refused(compiled):
    """One arena a process: the import is an ImportError, and the first interpreter goes on."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    done = subprocess.run([sys.executable, "-c", SECOND_INTERPRETER], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == "refused\nrefused\n6.0\n"


@pytest.mark.parametrize("state", [5, (), ([],), ([], 1), ([], {0: (None, None)})])
def test_what_is_no_state_is_a_type_error(compiled, state):
    with pytest.raises(TypeError, match="not the state of a pickled Value"):
        compiled.Value(2.0).__setstate__(state)
