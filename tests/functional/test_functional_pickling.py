"""Pickles and copies of graphs that hold dot products go on to the same bits as the graph that they were taken from."""

from __future__ import annotations

import copy
import gc
import pickle

import pytest
from bulk import agree
from memory import nodes
from processes import printed
from test_functional import SHARINGS, gauss, layer, total

from microgpt import Value, linear, mean
from microgpt._functional import new_dot

WAYS = {f"pickle {p}": lambda thing, p=p: pickle.loads(pickle.dumps(thing, p)) for p in (2, 5)}
WAYS |= {"deepcopy": copy.deepcopy}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@every_way
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("sharing", SHARINGS, ids=lambda sharing: sharing.__name__)
def test_a_graph_goes_on_where_it_was_before_or_after_a_backward(sharing, before, way):
    """Hidden gradients are a part of a graph: the reference's, which is not copied, has them as nodes."""

    def program(e):
        outputs = e.show(sharing(e))
        e.show(total(e, outputs))
        for k in range(before):
            e.backward(outputs[-1 - k])
        if e.compiled:
            e.shown = way(e.shown)
        outputs, loss = e.shown[-1 - len(outputs) : -1], e.shown[-1]
        e.backward(loss, times=2)
        for output in outputs[:2]:
            e.backward(output)

    agree(program, places=[None, 2])


@every_way
def test_a_whole_loss_goes_on_in_a_copy(way):
    def program(e):
        layer(e)
        if e.compiled:
            e.shown = way(e.shown)
        e.backward(e.shown[-1])

    agree(program)


@every_way
def test_ints_come_back_as_ints(way):
    def program(e):
        x, w = e.leaves([3, 0.5, -2]), e.matrix([[0.25, 0.5, 2.0]])
        e.show([*e.linear(x, w), e.mean(x + w[0])])
        x[0].data = 0.125
        if e.compiled:
            e.shown = way(e.shown)
        *_, y, average = e.shown
        e.backward(y)
        for leaf in e.shown:
            leaf.grad = 0
        e.backward(average)
        e.backward(y)
        e.seen.append(type(e.shown[0].grad))

    agree(program)


def test_a_copy_of_one_dot_product_passes_gradients_on_as_it_does():
    def program(e):
        x = e.leaves(gauss(5))
        inner = e.linear(x, [x[::-1]])
        y = e.linear([x[0], inner[0], x[1]], [[inner[0], x[2], x[0]]])[0]
        e.backward(e.show((copy.copy(y) if e.compiled else y) * 0.1), times=2)

    agree(program)


def test_a_copied_graph_reads_as_the_graph():
    x = [Value(number) for number in gauss(4)]
    graph = [*x, *linear(x, [x, x[::-1]]), mean(x)]
    again = copy.deepcopy(graph)
    number = {value: k for k, value in enumerate(again)}
    for a, b in zip(graph[4:6], again[4:6]):
        assert [graph.index(child) for child in a._children] == [number[child] for child in b._children]
        assert a._local_grads == b._local_grads
    assert again[6]._children[0]._local_grads == (1, 1, 1, 1)


def test_a_copy_is_freed():
    x = [Value(number) for number in gauss(4)]
    y = linear(x, [x])[0]
    gc.collect()
    count = nodes()
    for _ in range(3):
        z = copy.deepcopy(y)
        z.backward()
        z.backward()
        del z
    assert nodes() == count


def test_a_pickle_of_a_deep_stack_of_layers_loads_in_another_process(tmp_path):
    w = [[Value(0.5), Value(0.25)], [Value(-0.25), Value(0.75)]]
    y = [Value(1.0), Value(2.0)]
    for _ in range(5_000):
        y = linear(y, w)
    loss = mean(y)
    (tmp_path / "graph").write_bytes(pickle.dumps((loss, w)))
    loss.backward()
    code = "import pickle; loss, w = pickle.load(open('graph', 'rb')); loss.backward(); print(w[0][1].grad.hex())"
    assert printed(code, cwd=tmp_path) == w[0][1].grad.hex()


NO_STATES = [
    *((4, 4, state) for state in [(), (True,), (True, True), (True, True, 1.0), (True, False, ())]),
    *((4, 4, state) for state in [(True, False, (0.0, 0.0)), (False, True, (1.0,) * 3)]),
    *((3, 3, (True, False, (0.0,))), (0, 0, (True, False, (0.0,))), (4, 3, (True, False, (0.0,)))),
    (2, 2, (False, False, (0.0, 0.0, 0.0))),
]


@pytest.mark.parametrize(("children", "local_grads", "state"), NO_STATES)
def test_what_is_no_dot_product_in_a_pickle_is_refused(children, local_grads, state):
    with pytest.raises(ValueError, match=f"no dot product has {children} children and {local_grads} local gradients"):
        new_dot([Value(1.0)] * children, (1.0,) * local_grads, state)
    with pytest.raises(TypeError):
        new_dot((1.0, 2.0), (2.0, 1.0), (True, False, (0.0,)))
