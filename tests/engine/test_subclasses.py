"""Subclasses: results, overridden operators, attributes that outlive their handle, slots, destructors."""

from __future__ import annotations

import gc

import pytest
from bits import all_bits, bits, grads_of, snapshot


def test_results_of_operators_on_a_subclass_are_of_that_subclass(compiled):
    class Mine(compiled.Value):
        pass

    a, b = Mine(2.0), Mine(3.0)
    made = [
        a + b,
        a * b,
        a - b,
        a / b,
        a**2,
        -a,
        a + 1,
        1 + a,
        a * 2,
        2 * a,
        a - 1,
        1 - a,
        a / 2,
        2 / a,
        abs(a),
        2**a,
        a.log(),
        a.exp(),
        a.relu(),
        a.tanh(),
        a.sigmoid(),
        a.sqrt(),
        a.sin(),
        a.cos(),
        a.abs(),
        a.silu(),
        a.gelu(),
        a.gelu("tanh"),
        sum([a, b]),
    ]
    for value in made:
        assert type(value) is Mine
    assert type((a - b)._children[1]) is Mine
    assert type((a / b)._children[1]) is Mine


def test_results_on_a_subclass_in_the_reference_are_plain_values_as_in_the_script(reference):
    class Mine(reference.Value):
        pass

    assert type(Mine(2.0) + Mine(3.0)) is reference.Value


def test_a_method_of_ones_own_can_be_chained_through_operators(compiled):
    class Mine(compiled.Value):
        def double(self):
            return self * 2

    a = Mine(1.5)
    b = (((a + 1).double() - 3).relu().double() + 1).double()
    b.backward()
    assert bits(b.data) == bits(10.0)
    assert bits(a.grad) == bits(8.0)


def test_the_class_of_a_result_survives_its_handle(compiled):
    class Mine(compiled.Value):
        pass

    c = (Mine(2.0) * 3.0).exp()
    assert type(c._children[0]) is Mine
    assert type(c._children[0]._children[0]) is Mine
    leaf = c._children[0]._children[0]
    del c
    assert type(leaf) is Mine


def test_a_subclass_and_a_plain_value_can_be_mixed(engine):
    class Mine(engine.Value):
        __slots__ = ()

    a, b = Mine(2.0), engine.Value(3.0)
    for c in (a * b, b * a, a + b, b + a):
        assert isinstance(c, engine.Value)
        c.backward()
    assert bits(a.grad) == bits(3.0 + 3.0 + 1 + 1)
    assert (a * b)._children == (a, b)
    assert (b * a)._children == (b, a)


def test_two_subclasses_can_be_mixed(compiled):
    class One(compiled.Value):
        pass

    class Two(compiled.Value):
        pass

    class Deeper(One):
        pass

    assert type(One(1.0) * Two(2.0)) is One
    assert type(Two(1.0) * One(2.0)) is Two
    assert type(Deeper(1.0) + 1) is Deeper


def test_an_overridden_product_changes_what_is_defined_by_it(engine):
    class Loud(engine.Value):
        def __mul__(self, other):
            made = super().__mul__(other)
            return Loud(made.data + 100, made._children, made._local_grads)

    a, b = Loud(2.0), Loud(3.0)
    assert bits((a * b).data) == bits(106.0)
    assert bits((-a).data) == bits(98.0)
    assert bits((5 * a).data) == bits(110.0)
    assert bits((a - b).data) == bits(2.0 + 97.0)
    assert bits((1 - a).data) == bits(99.0)
    assert bits((a / 2).data) == bits(101.0)
    assert bits((a + b).data) == bits(5.0)


def test_overridden_sums_and_powers_change_what_is_defined_by_them(engine):
    class Loud(engine.Value):
        def __add__(self, other):
            made = super().__add__(other)
            return Loud(made.data + 1000, made._children, made._local_grads)

        def __pow__(self, other):
            made = super().__pow__(other)
            return Loud(made.data + 10, made._children, made._local_grads)

    a, b = Loud(2.0), Loud(4.0)
    assert bits((a + b).data) == bits(1006.0)
    assert bits((1 + a).data) == bits(1003.0)
    assert bits((a - 1).data) == bits(1001.0)
    assert bits((a / b).data) == bits(2.0 * 10.25)
    assert bits((1 / b).data) == bits(10.25)
    assert bits((a / 2).data) == bits(1.0)


def test_an_overridden_method_may_call_the_inherited_one(engine):
    class Safe(engine.Value):
        def log(self):
            return super().log() if self.data > 0 else engine.Value(-99.0, (self,), (0.0,))

        def relu(self):
            return engine.Value.relu(self)

    assert bits(Safe(0.0).log().data) == bits(-99.0)
    assert bits(Safe(1.0).log().data) == bits(0.0)
    assert bits(Safe(-1.0).relu().data) == "0"


def test_an_overridden_reflected_operator_may_call_the_inherited_one(engine):
    class Mine(engine.Value):
        def __radd__(self, other):
            return super().__radd__(other)

        def __rmul__(self, other):
            return super().__rmul__(other)

        def __rsub__(self, other):
            return super().__rsub__(other)

        def __rtruediv__(self, other):
            return super().__rtruediv__(other)

    a, b = Mine(4.0), engine.Value(8.0)
    assert [bits(v.data) for v in (3 + a, 3 * a, 3 - a, 3 / a)] == all_bits([7.0, 12.0, -1.0, 0.75])
    assert [bits(v.data) for v in (b + a, b * a, b - a, b / a)] == all_bits([12.0, 32.0, 4.0, 2.0])


def test_operators_on_other_types_can_be_overridden_in_a_subclass(engine):
    class Vector(engine.Value):
        def __mul__(self, other):
            if isinstance(other, list):
                return [self * x for x in other]
            return super().__mul__(other)

    assert [bits(v.data) for v in Vector(2.0) * [1.0, 2.5]] == [bits(2.0), bits(5.0)]


def test_a_constructor_with_further_arguments_works(engine):
    class Named(engine.Value):
        def __init__(self, data, name, *, children=(), local_grads=()):
            super().__init__(data, children, local_grads)
            self.name = name

    a, b = Named(2.0, "a"), Named(3.0, name="b")
    c = a * b + 1
    c.backward()
    assert (bits(a.grad), bits(b.grad)) == (bits(3.0), bits(2.0))
    assert (a.name, b.name) == ("a", "b")
    assert isinstance(-a, engine.Value) and isinstance(a.exp(), engine.Value)


def test_results_of_operators_do_not_call_an_overridden_constructor_with_surprising_arguments(compiled):
    """A subclass with another signature must not break operators; whether its constructor runs is not promised."""

    class Odd(compiled.Value):
        def __init__(self):
            super().__init__(5.0)

    a = Odd()
    assert bits((a * a + 1).data) == bits(26.0)
    assert type(a * a) is Odd


def test_attributes_of_an_instance_survive_while_the_node_is_alive(engine):
    class Named(engine.Value):
        def __init__(self, data, name):
            super().__init__(data)
            self.name = name
            self.parts = [name]

    c = Named(2.0, "two") * Named(3.0, "three")
    gc.collect()
    for _ in range(3000):
        engine.Value(1.0) * 2
    assert [child.name for child in c._children] == ["two", "three"]
    c._children[0].parts.append("more")
    c._children[0].extra = c
    gc.collect()
    assert c._children[0].parts == ["two", "more"]
    assert c._children[0].extra is c
    assert c._children[0] is c._children[0]
    del c._children[0].extra


def test_attributes_set_on_a_result_survive_as_well(compiled):
    class Named(compiled.Value):
        pass

    a = Named(1.5)
    inner = a * 2
    inner.label = "inner"
    outer = inner + 1
    del inner
    gc.collect()
    assert outer._children[0].label == "inner"
    assert bits(outer._children[0].data) == bits(3.0)


def test_attributes_hold_through_many_reads_and_drops(compiled):
    class Counter(compiled.Value):
        pass

    a = Counter(1.0)
    a.n = 0
    c = a * 2
    del a
    for _ in range(1000):
        child = c._children[0]
        child.n += 1
        del child
    assert c._children[0].n == 1000


def test_slots_of_a_subclass_survive_while_the_node_is_alive(engine):
    class Slotted(engine.Value):
        __slots__ = ("label", "other")

        def __init__(self, data, label):
            super().__init__(data)
            self.label = label

    a = Slotted(2.0, "a")
    with pytest.raises(AttributeError):
        a.other  # noqa: B018
    c = a * 3.0
    del a
    gc.collect()
    assert c._children[0].label == "a"
    with pytest.raises(AttributeError):
        c._children[0].other  # noqa: B018
    c._children[0].other = 5
    assert c._children[0].other == 5


def test_a_subclass_without_slots_takes_any_attribute_and_one_with_empty_slots_none(engine):
    class Open(engine.Value):
        pass

    class Shut(engine.Value):
        __slots__ = ()

    Open(1.0).anything = 1
    with pytest.raises(AttributeError):
        Shut(1.0).anything = 1
    assert bits((Shut(2.0) * 2).data) == bits(4.0)


def test_class_attributes_and_properties_of_a_subclass_work(engine):
    class Scaled(engine.Value):
        scale = 10

        @property
        def scalar(self):
            return self.data * self.scale

        @classmethod
        def one(cls):
            return cls(1.0)

        @staticmethod
        def two():
            return 2

    a = Scaled.one()
    assert type(a) is Scaled and a.scalar == 10.0 and a.two() == 2


def test_a_property_may_shadow_an_attribute_of_the_node(engine):
    writes = []

    class Watched(engine.Value):
        __slots__ = ()

        @property
        def grad(self):
            return engine.Value.grad.__get__(self)

        @grad.setter
        def grad(self, number):
            writes.append(number)
            engine.Value.grad.__set__(self, number)

    a = Watched(2.0)
    a.grad = 3.0
    assert writes[-1] == 3.0
    assert bits(a.grad) == bits(3.0)


def test_values_of_a_subclass_are_dict_keys_and_set_members(engine):
    class Mine(engine.Value):
        __slots__ = ()

    a, b = Mine(1.0), Mine(1.0)
    velocity = {a: 0.5, b: 0.25}
    assert velocity[a] == 0.5 and velocity[b] == 0.25
    c = a * b
    assert velocity[c._children[1]] == 0.25


def test_a_backward_of_ones_own_overrides_the_inherited_one_iteratively_and_recursively(engine):
    class Recursive(engine.Value):
        __slots__ = ()

        def backward(self):
            order, visited = [], set()

            def visit(v):
                if v not in visited:
                    visited.add(v)
                    for child in v._children:
                        visit(child)
                    order.append(v)

            visit(self)
            self.grad = 1
            while order:
                v = order.pop()
                for child, g in zip(v._children, v._local_grads):
                    child.grad += g * v.grad

    class Iterative(engine.Value):
        __slots__ = ()

        def backward(self):
            order, visited, stack = [], {self}, [(self, iter(self._children))]
            while stack:
                v, children = stack[-1]
                for child in children:
                    if child not in visited:
                        visited.add(child)
                        stack.append((child, iter(child._children)))
                        break
                else:
                    stack.pop()
                    order.append(v)
            self.grad = 1
            for v in reversed(order):
                for child, g in zip(v._children, v._local_grads):
                    child.grad += g * v.grad

    def build(cls):
        xs = [cls(0.1 * i + 0.05) for i in range(8)]
        y = sum(x * xs[i - 1] for i, x in enumerate(xs)) ** 2
        y = (y / xs[3] - xs[4]).exp() * xs[5] + xs[3].log()
        root = cls(y.data * 1.0, (y,), (1.0,))
        return root, xs

    root, xs = build(engine.Value)
    root.backward()
    for cls in (Recursive, Iterative):
        other, ys = build(cls)
        other.backward()
        assert grads_of(ys) == grads_of(xs)
        assert snapshot([other])[1] == snapshot([root])[1]


def test_a_destructor_runs_once_and_not_while_a_parent_can_reach_the_value(engine):
    deleted = []

    class Mortal(engine.Value):
        def __init__(self, data, name):
            super().__init__(data)
            self.name = name

        def __del__(self):
            deleted.append(self.name)

    a = Mortal(1.0, "a")
    del a
    gc.collect()
    assert deleted == ["a"]
    deleted.clear()
    if not engine.compiled:
        c = Mortal(2.0, "b") * 3.0
        gc.collect()
        assert deleted == []
        del c
        gc.collect()
        assert deleted == ["b"]


def test_attributes_survive_in_a_class_with_a_destructor_too(engine):
    class Mortal(engine.Value):
        def __init__(self, data, name):
            super().__init__(data)
            self.name = name

        def __del__(self):
            deleted.append(self.data)

    deleted = []
    c = Mortal(2.0, "b") * 3.0
    gc.collect()
    assert c._children[0].name == "b"
    assert c._children[0].name == "b"


def test_a_destructor_may_make_and_drop_values(engine):
    class Busy(engine.Value):
        def __del__(self):
            x = self.data * engine.Value(2.0)
            x.backward()

    a = engine.Value(1.0)
    for i in range(500):
        node = Busy(float(i)) * a
        node = node + 1
    del node
    gc.collect()
    assert bits((a * 2.0).data) == bits(2.0)


def test_a_reference_cycle_through_attributes_is_collected(compiled):
    import microgpt

    class Linked(compiled.Value):
        pass

    gc.collect()
    before = microgpt.arena_stats()["nodes"]
    for _ in range(200):
        a, b = Linked(1.0), Linked(2.0)
        a.partner, b.partner = b, a
        a.me = a
    del a, b
    gc.collect()
    assert microgpt.arena_stats()["nodes"] == before


def test_many_subclasses_come_and_go(compiled):
    for i in range(300):
        cls = type(f"Sub{i}", (compiled.Value,), {"mark": i})
        c = cls(1.0) * 2 + 1
        assert type(c) is cls and c.mark == i
        assert type(c._children[0]) is cls
        c.backward()
    gc.collect()
    assert bits(c._children[0].data) == bits(2.0)


def test_a_subclass_of_a_subclass_with_two_bases_works(engine):
    class Mixin:
        def twice(self):
            return self * 2

    class Mine(Mixin, engine.Value):
        pass

    assert bits(Mine(1.5).twice().data) == bits(3.0)


def test_a_subclass_can_be_a_generic_alias_or_carry_annotations(engine):
    class Typed(engine.Value):
        label: str = "?"

    assert Typed(1.0).label == "?"
    assert all_bits((Typed(2.0) * 3)._local_grads) == ["3", bits(2.0)]


def test_class_assignment_between_subclasses_keeps_the_number(compiled):
    class One(compiled.Value):
        pass

    class Two(compiled.Value):
        pass

    a = One(1.5)
    try:
        a.__class__ = Two
    except TypeError:
        assert type(a) is One
    else:
        assert type(a) is Two
        c = a * 2
        del a
        gc.collect()
        assert type(c._children[0]) in (One, Two)
    assert bits((One(1.5) * 2).data) == bits(3.0)


def test_destructors_stay_with_their_class_when_class_numbers_are_used_again(compiled):
    seen = []

    def make(name, with_destructor):
        body = {"__del__": lambda self: seen.append(name)} if with_destructor else {}
        return type(name, (compiled.Value,), body)

    first, second = make("First", True), make("Second", False)
    for _ in range(3):  # all nodes of a class die before the next class is met
        for kind in (first, second, make("Third", False)):
            value = kind(1.0)
            del value
    assert seen == ["First"] * 3
