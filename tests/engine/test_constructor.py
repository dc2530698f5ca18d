"""The constructor and the four attributes: user-made operations, what may be written, what is a number."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from bits import all_bits, bits, snapshot


class Half:
    def __float__(self):
        return 0.5


class Index:
    def __index__(self):
        return 7


def name_of(thing):
    """For the id of a test, the same in every run: no address of an object."""
    return re.sub(r" object at 0x\w+", "", repr(thing))


NOT_NUMBERS = ["1.0", b"1", None, [1.0], (1.0,), {}, object(), 1j, int, math.sin, Ellipsis]


def test_an_operation_of_ones_own_passes_its_slopes_on(engine):
    a, b = engine.Value(3.0), engine.Value(4.0)
    c = engine.Value(5.0, (a, b), (0.6, 0.8))
    (c * 10).backward()
    assert bits(a.grad) == bits(0.6 * 10.0)
    assert bits(b.grad) == bits(0.8 * 10.0)


def test_keywords_name_the_three_arguments(engine):
    a = engine.Value(data=2.0)
    b = engine.Value(data=4.0, children=(a,), local_grads=(4.0,))
    assert b._children == (a,) and bits(b._local_grads[0]) == bits(4.0)
    c = engine.Value(1.0, local_grads=(2.0,), children=[a])
    assert c._children[0] is a
    for wrong in ({}, {"data": 1.0, "grad": 2.0}, {"value": 1.0}):
        with pytest.raises(TypeError):
            engine.Value(**wrong)
    with pytest.raises(TypeError):
        engine.Value(1.0, (), (), ())
    with pytest.raises(TypeError):
        engine.Value(1.0, data=2.0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 128, 1000])
def test_any_number_of_children_is_allowed(engine, n):
    leaves = [engine.Value(float(i)) for i in range(n)]
    node = engine.Value(1.5, tuple(leaves), tuple(i * 0.1 for i in range(n)))
    assert len(node._children) == n
    assert all(child is leaf for child, leaf in zip(node._children, leaves))
    assert all_bits(node._local_grads) == all_bits(i * 0.1 for i in range(n))
    (node * 3.0).backward()
    assert [bits(leaf.grad) for leaf in leaves] == all_bits(0 + i * 0.1 * 3.0 for i in range(n))


def test_lists_serve_as_children_and_local_gradients(engine):
    a, b = engine.Value(1.0), engine.Value(2.0)
    c = engine.Value(3.0, [a, b], [0.5, 0.25])
    c.backward()
    assert list(c._children) == [a, b]
    assert (bits(a.grad), bits(b.grad)) == (bits(0.5), bits(0.25))


def test_children_of_any_kind_read_back_as_tuples(compiled):
    a, b = compiled.Value(1.0), compiled.Value(2.0)
    c = compiled.Value(3.0, (v for v in (a, b)), (g for g in (0.5, 1)))
    assert c._children == (a, b) and type(c._children) is tuple
    assert c._local_grads == (0.5, 1) and type(c._local_grads) is tuple
    c = compiled.Value(3.0, {a: None, b: None}, [True])
    assert c._children == (a, b)
    assert all_bits(c._local_grads) == ["1"]


def test_a_list_given_as_children_may_change_afterwards_without_effect(compiled):
    a, b = compiled.Value(1.0), compiled.Value(2.0)
    children, grads = [a, b], [1.0, 2.0]
    c = compiled.Value(3.0, children, grads)
    children.clear()
    grads[0] = 9.0
    assert c._children == (a, b)
    assert all_bits(c._local_grads) == all_bits([1.0, 2.0])


@pytest.mark.parametrize(
    ("n_children", "n_grads"), [(2, 0), (2, 1), (1, 2), (0, 2), (0, 1), (1, 0), (5, 3), (3, 5), (40, 1), (1, 40)]
)
def test_surplus_children_or_local_gradients_take_no_part_in_the_sums(engine, n_children, n_grads):
    leaves = [engine.Value(1.0 + i) for i in range(n_children)]
    node = engine.Value(2.0, tuple(leaves), tuple(0.5 + i for i in range(n_grads)))
    assert node._children == tuple(leaves)
    assert all_bits(node._local_grads) == all_bits(0.5 + i for i in range(n_grads))
    node.backward()
    assert [bits(leaf.grad) for leaf in leaves] == [bits(0.5 + i) if i < n_grads else "0" for i in range(n_children)]


def test_a_child_without_local_gradient_is_walked_all_the_same(engine):
    """Visited early through `node`, `one` comes late in the reversed order: 1e16 - 1e16 + 1, not 1 + 1e16 - 1e16."""
    x = engine.Value(1.0)
    big, minus_big, one = x * 1e16, x * -1e16, x * 1.0
    node = engine.Value(0.0, (engine.Value(0.0), one), (1.0,))
    root = engine.Value(0.0, (node, minus_big, big, one), (1.0, 1.0, 1.0, 1.0))
    root.backward()
    assert bits(x.grad) == bits(1.0)


def test_the_same_child_may_stand_in_several_places(engine):
    a = engine.Value(2.0)
    c = engine.Value(1.0, (a, a, a), (0.1, 0.2, 0.3))
    assert c._children[0] is a and c._children[2] is a
    c.backward()
    assert bits(a.grad) == bits(((0 + 0.1 * 1) + 0.2 * 1) + 0.3 * 1)
    many = engine.Value(1.0, (a,) * 50, (0.1,) * 50)
    a.grad = 0
    many.backward()
    expected = 0
    for _ in range(50):
        expected += 0.1 * 1
    assert bits(a.grad) == bits(expected)


def test_boolean_and_integer_local_gradients_work_as_numbers(engine):
    a, b, c = engine.Value(1.0), engine.Value(2.0), engine.Value(3.0)
    node = engine.Value(0.5, (a, b, c), (True, False, 3))
    assert all_bits(node._local_grads) == ["1", "0", "3"]
    node.backward()
    assert [bits(v.grad) for v in (a, b, c)] == ["1", "0", "3"]
    (engine.Value(1.5, (a,), (a.data > 0,)) * 2.5).backward()
    assert bits(a.grad) == bits(1 + True * 2.5)


def test_data_and_grad_can_be_written_as_floats_and_ints(engine):
    a = engine.Value(1.0)
    for number in (2.5, -0.0, 3, 0, 5e-324, math.inf, math.nan, True, -(2**51)):
        a.data = number
        a.grad = number
        assert bits(a.data) == bits(number)
        assert bits(a.grad) == bits(number)
    a.data -= 0.5
    a.grad *= 2
    assert bits(a.data) == bits(-(2.0**51) - 0.5)
    assert bits(a.grad) == str(-(2**52))


def test_children_and_local_gradients_can_be_written(engine):
    a, b = engine.Value(2.0), engine.Value(3.0)
    c = a * b
    c._local_grads = (10.0, 20.0)
    c.backward()
    assert (bits(a.grad), bits(b.grad)) == (bits(10.0), bits(20.0))
    c._children = (b,)
    assert c._children[0] is b and len(c._children) == 1
    c.backward()
    assert (bits(a.grad), bits(b.grad)) == (bits(10.0), bits(20.0 + 10.0))
    c._children = ()
    c._local_grads = ()
    assert c._children == () and c._local_grads == ()
    c.backward()
    assert (bits(a.grad), bits(b.grad)) == (bits(10.0), bits(30.0))


def test_a_leaf_can_be_given_children_later_older_or_younger(engine):
    leaf = engine.Value(1.0)
    child = engine.Value(2.0)
    y = leaf * 3.0
    leaf._children = (child,)
    leaf._local_grads = (0.5,)
    y.backward()
    assert bits(leaf.grad) == bits(3.0)
    assert bits(child.grad) == bits(1.5)
    grown = child * child
    old = engine.Value(1.0)
    older = old * 1.0
    old._children, old._local_grads = (grown,), (1.0,)
    child.grad = 0
    older.backward()
    assert bits(child.grad) == bits(4.0)


def test_written_children_keep_what_they_depend_on_alive(engine):
    a = engine.Value(1.0)
    for _ in range(3):
        node = engine.Value(2.0)
        node._children = (a * 2.0 + 1.0,)
        node._local_grads = (1.0,)
        for _ in range(5000):
            engine.Value(1.0) * 2.0
        a.grad = 0
        node.backward()
        assert bits(a.grad) == bits(2.0)
        assert bits(node._children[0]._children[0].data) == bits(2.0)


def test_writing_children_frees_the_old_ones_and_keeps_shared_ones(compiled):
    import microgpt

    a = compiled.Value(1.0)
    node = a * 2.0
    before = microgpt.arena_stats()["nodes"]
    for _ in range(100):
        node._children = (a, a * 3.0 + 1.0)
        node._local_grads = (1.0, 1.0)
    node._children = (a,)
    assert microgpt.arena_stats()["nodes"] <= before
    assert node._children[0] is a


def test_initialising_again_makes_a_leaf_of_the_same_value(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    parent = b + 1.0
    b.grad = 5.0
    b.__init__(7.0)
    assert parent._children[0] is b
    assert (bits(b.data), bits(b.grad), b._children, b._local_grads) == (bits(7.0), "0", (), ())
    parent.backward()
    assert bits(b.grad) == "1"
    assert bits(a.grad) == "0"
    b.__init__(1.0, (a,), (4.0,))
    parent.backward()
    assert bits(a.grad) == bits(4.0)


def test_initialising_again_with_wrong_arguments_changes_nothing(engine):
    a = engine.Value(2.0)
    b = a * 3.0
    before = snapshot([b])
    with pytest.raises(TypeError):
        b.__init__()
    with pytest.raises(TypeError):
        b.__init__(1.0, (), (), ())
    assert snapshot([b]) == before


@pytest.mark.parametrize(
    "number", [Fraction(1, 3), Fraction(4, 2), Half(), Index(), 2**53 + 1, -(2**60), 2**1000], ids=name_of
)
def test_anything_with_a_float_is_a_number(compiled, number):
    expected = float(number) if hasattr(number, "__float__") else float(number.__index__())
    a = compiled.Value(1.5)
    assert float(compiled.Value(number).data) == expected
    a.data = number
    assert float(a.data) == expected
    a.grad = number
    assert float(a.grad) == expected
    a = compiled.Value(1.5)
    for got, wanted in [
        (a + number, 1.5 + expected),
        (number + a, 1.5 + expected),
        (a * number, 1.5 * expected),
        (number * a, 1.5 * expected),
        (number - a, -1.5 + expected),
    ]:
        assert bits(got.data) == bits(wanted)
    if hasattr(number, "__neg__"):
        assert bits((a - number).data) == bits(1.5 - expected)


def test_fractions_and_large_ints_read_back_as_floats(compiled):
    assert bits(compiled.Value(Fraction(1, 3)).data) == bits(1 / 3)
    assert type(compiled.Value(Fraction(4, 2)).data) is float
    assert type(compiled.Value(2**53 + 2).data) is float
    assert bits(compiled.Value(2**53 + 3).data) == float(2**53 + 3).hex()
    assert type(compiled.Value(2**53 - 1).data) is int
    assert type(compiled.Value(1 - 2**53).data) is int


def test_bools_read_back_as_ints(compiled):
    for number in (True, False):
        a = compiled.Value(number)
        a.grad = number
        assert type(a.data) is int and type(a.grad) is int
        assert (a.data, a.grad) == (number, number)


def test_an_int_subclass_counts_as_an_int_and_a_float_subclass_as_a_float(compiled):
    class Count(int):
        pass

    class Length(float):
        pass

    assert bits(compiled.Value(Count(3)).data) == "3"
    assert bits(compiled.Value(Length(3)).data) == bits(3.0)
    assert bits((compiled.Value(1) + Count(3)).data) == "4"
    assert bits((compiled.Value(1) + Length(3)).data) == bits(4.0)


def test_an_int_beyond_the_range_of_floats_is_an_overflow_error(compiled):
    a = compiled.Value(1.0)
    for use in (
        lambda: compiled.Value(10**400),
        lambda: a + 10**400,
        lambda: a * -(10**400),
        lambda: setattr(a, "data", 10**400),
        lambda: setattr(a, "grad", 10**400),
        lambda: compiled.Value(1.0, (a,), (10**400,)),
        lambda: a**10**400,
    ):
        with pytest.raises(OverflowError):
            use()
    assert (bits(a.data), bits(a.grad)) == (bits(1.0), "0")


@pytest.mark.parametrize("wrong", NOT_NUMBERS, ids=name_of)
def test_what_is_not_a_real_number_is_a_type_error_with_a_sentence(compiled, wrong):
    a = compiled.Value(1.0)
    for use in (
        lambda: compiled.Value(wrong),
        lambda: setattr(a, "data", wrong),
        lambda: setattr(a, "grad", wrong),
        lambda: compiled.Value(1.0, (a,), (wrong,)),
        lambda: setattr(a, "_local_grads", (wrong,)),
    ):
        with pytest.raises(TypeError, match=r"\w+ \w+ \w+"):
            use()
    for use in (
        lambda: a + wrong,
        lambda: wrong + a,
        lambda: a * wrong,
        lambda: wrong * a,
        lambda: a - wrong,
        lambda: wrong - a,
        lambda: a / wrong,
        lambda: wrong / a,
        lambda: a**wrong,
        lambda: wrong**a,
    ):
        with pytest.raises(TypeError, match=r"\w+ \w+ \w+"):
            use()
    assert (bits(a.data), bits(a.grad), a._children, a._local_grads) == (bits(1.0), "0", (), ())


def test_the_sentence_about_a_wrong_number_names_its_type(compiled):
    with pytest.raises(TypeError, match="str"):
        compiled.Value("1.0")
    with pytest.raises(TypeError, match="NoneType"):
        compiled.Value(1.0).data = None
    with pytest.raises(TypeError, match="complex"):
        compiled.Value(1j)


def test_a_value_is_not_accepted_as_a_number_in_a_value(compiled):
    a = compiled.Value(1.0)
    for use in (
        lambda: compiled.Value(a),
        lambda: setattr(a, "data", a),
        lambda: setattr(a, "grad", a),
        lambda: compiled.Value(1.0, (a,), (a,)),
    ):
        with pytest.raises(TypeError):
            use()


@pytest.mark.parametrize("wrong", [(1.0,), ("a",), (None,), 5, 1.5, object()], ids=name_of)
def test_children_that_are_not_values_are_a_type_error(compiled, wrong):
    a = compiled.Value(1.0)
    with pytest.raises(TypeError, match=r"\w+ \w+"):
        compiled.Value(1.0, wrong, (1.0,))
    with pytest.raises(TypeError, match=r"\w+ \w+"):
        a._children = wrong
    if not isinstance(wrong, tuple):
        with pytest.raises(TypeError, match=r"\w+ \w+"):
            a._local_grads = wrong
    assert a._children == () and a._local_grads == ()


def test_a_decimal_is_a_number_of_the_constructor(compiled):
    """Decimal has a float; Python refuses Decimal + float, the leaf made from it is a float from the start."""
    assert bits(compiled.Value(Decimal("0.1")).data) == bits(0.1)


def test_numpy_scalars_work_as_numbers(compiled):
    np = pytest.importorskip("numpy")
    a = compiled.Value(1.5)
    for number in (np.float64(0.1), np.float32(0.1), np.int64(3), np.int8(-3), np.uint64(7), np.bool_(True)):
        plain = number.item()
        assert float(compiled.Value(number).data) == float(plain)
        assert bits((a * number).data) == bits(1.5 * plain)
        assert bits((a + number).data) == bits(1.5 + plain)
        a.data = number
        assert float(a.data) == float(plain)
        a.data = 1.5
    assert type(compiled.Value(np.float64(0.1)).data) is float


def test_numpy_scalars_on_the_left_give_values(engine):
    np = pytest.importorskip("numpy")
    a = engine.Value(1.5)
    for result, expected in [
        (np.float64(2.5) * a, 1.5 * 2.5),
        (np.float64(2.5) + a, 4.0),
        (np.float64(2.5) - a, 1.0),
        (np.float64(3.0) / a, 1.5**-1 * 3.0),
    ]:
        assert type(result) is engine.Value
        assert bits(float(result.data)) == bits(expected)


def test_a_user_class_may_answer_operators_that_a_value_refuses(compiled):
    class Probe:
        def __radd__(self, other):
            return "probe"

        def __rmul__(self, other):
            return "probe"

    assert compiled.Value(1.0) + Probe() == "probe"
    assert compiled.Value(1.0) * Probe() == "probe"
