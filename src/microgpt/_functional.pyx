# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: binding=False, embedsignature=True, freethreading_compatible=False
"""Whole vectors a call: the script's functions over lists of Values, without Python per scalar.

The graph is the script's, except that a dot product is one node (engine/dots.pxd) and that constants beside a Value and the
links between two steps of a formula have no node of their own where nobody could see the difference. Every function is
in three parts: read the operands (`Vector`), compute the numbers, append the nodes; a result comes as a list of Values
whose nodes stand side by side, which the next function recognises by one comparison of memory.

Whatever is not a plain Value (subclasses, Values with changed methods, ints where they would show) goes to the
interpreted functions of reference.py, which work on any Values, by their operators.

Thread-safety: as for Value; every call is done between two Python instructions.
"""
from cpython.list cimport PyList_New
from cpython.mem cimport PyMem_RawRealloc
from cpython.number cimport PyNumber_AsSsize_t
from cpython.object cimport PyObject
from libc.math cimport log
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from microgpt._engine cimport Value, engine_arena, engine_recorder, handles_add, methods_unchanged, real_exp, real_power
from microgpt.engine.arena cimport graph_begins, has_places, local_grad_next, local_grads_next, reclaim, result_append
from microgpt.engine.cpython_api cimport TypeObject, is_list, is_tuple, list_set, sequence_items, sequence_size, type_of
from microgpt.engine.dots cimport dots_allocate, hidden_allocate, hidden_grad, hidden_grads
from microgpt.engine.handles cimport append_number, handle_point, handle_take, result_with_handle
from microgpt.engine.layout cimport (
    BLOCK_NODES, DATA_INT, DOT, GRAD0_INT, HIDDEN_FLOAT, IN_LEAF_BLOCK, OP_ADD_NUMBER, OP_EXP, OP_LOG, OP_MUL_NUMBER, OP_POW,
    OP_RELU, ONES, PLACE_MASK, RESULTS, SUBCLASS, UNUSED_REPLAY,
    Arena, Block, Dots, Handle, block_of,
)
from microgpt.engine.pool cimport block_open
from microgpt.engine.records cimport dot_row

import operator

cdef extern from "Python.h":
    int PyGC_Disable() noexcept
    int PyGC_Enable() noexcept

cdef Arena *arena = engine_arena()
cdef TypeObject *VALUE = <TypeObject *>Value


cdef bint fallback_disabled = False     # see `disable_fallback`


def disable_fallback():
    """From now on, raise TypeError instead of calling the interpreted functions, and before anything is read from an
    argument: the caller has code of its own for such arguments, which must find iterators untouched."""
    global fallback_disabled
    fallback_disabled = True


cdef object fallback():
    """The module of the interpreted functions, which is hardly ever needed."""
    recorder = engine_recorder()
    if fallback_disabled:
        raise TypeError("not plain Values")
    if recorder is not None:
        recorder.fell_back()
    from . import reference
    return reference

include "functional/operands.pxi"
include "functional/nodes.pxi"


# ---- linear ---------------------------------------------------------------------------------------------------------------

cdef list checked_rows(object rows, str what, uint32_t n):
    """The rows as lists of Values. ValueError if a row's length is not n."""
    cdef Py_ssize_t k
    cdef list found = [values_of(row) for row in rows]
    for k in range(len(found)):
        if len(found[k]) != n:
            raise ValueError(f"{what} {k} has {len(found[k])} elements")
    return found


cdef bint read_rows(object rows, uint32_t n, Vector *found, Vector *summary) noexcept:
    """Read every row; `summary` says what holds for all of them. False unless all are lists or tuples of n plain Values
    without ints."""
    cdef PyObject **items = sequence_items(<PyObject *>rows)
    cdef uint32_t n_rows = <uint32_t>sequence_size(<PyObject *>rows), k
    summary.is_range, summary.is_leaves = True, True
    for k in range(n_rows):
        if not is_sized(items[k]) or sequence_size(items[k]) != n or not vector_read(items[k], &found[k]):
            return False
        if found[k].has_ints:
            return False
        summary.is_range = summary.is_range and found[k].is_range
        summary.is_leaves = summary.is_leaves and found[k].is_leaves
    return True


cdef list linear_rows(const Vector *x, const Vector *rows, const Vector *summary, list results):
    """The products of the rows with x, as many at a time as stand in a block."""
    cdef uint32_t n_rows = <uint32_t>len(results)
    cdef uint32_t start = 0, n
    cdef Dots *dots
    cdef double *data = <double *>scratch_take(n_rows * sizeof(double))
    while start < n_rows:
        n = min(n_rows - start, <uint32_t>BLOCK_NODES)
        reserve(n)
        dots = dots_new(x.n, n, x, summary.is_range)
        dots.rows_are_leaves = summary.is_leaves
        set_rows(dots, &rows[start])
        dot_products(dots, data)
        append_rows(dots, data, n)
        attach_handles(results, start, n)
        start += n
    return results


def linear(x, w):
    """w @ x: for each row of w the sum of w[o][i] * x[i], in the script's order of additions.

    x: n Values. w: rows of n Values each. Returns a Value a row, each one node whose `_children` are w[o][0], x[0],
    w[o][1], x[1], ... Plain numbers are converted to Values.

    Raises ValueError if a row of w is not as long as x, TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector, summary
    cdef Vector *rows
    cdef uint32_t n, n_rows
    x, w = sized(x), sized(w)
    unchanged = methods_unchanged()
    n, n_rows = size_of(x), size_of(w)
    results = new_list(n_rows)
    begin_call(n_rows, vector_bytes(n) + n_rows * (sizeof(Vector) + vector_bytes(n) + sizeof(double)))
    rows = <Vector *>scratch_take(n_rows * sizeof(Vector))
    if unchanged and vector_read(<PyObject *>x, &vector) and read_rows(w, n, rows, &summary):
        return linear_rows(&vector, rows, &summary, results)
    return fallback().linear(values_of(x), checked_rows(w, f"linear: x has {n} elements, but row", n))


# ---- element by element -----------------------------------------------------------------------------------------------------

def add(a, b):
    """a + b, element by element.

    a, b: n Values each. Returns n Values. Plain numbers are converted to Values.

    Raises ValueError if one is longer than the other, TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector left, right
    cdef uint32_t n, start = 0, size, k
    cdef list results
    a, b = sized(a), sized(b)
    unchanged = methods_unchanged()
    n = size_of(a)
    if size_of(b) != n:
        raise ValueError(f"add: a has {n} elements, but b has {size_of(b)}")
    results = new_list(n)
    begin_call(n, 2 * vector_bytes(n))
    if (not (unchanged and vector_read(<PyObject *>a, &left) and vector_read(<PyObject *>b, &right))
            or left.has_ints and right.has_ints):
        return fallback().add(values_of(a), values_of(b))
    if left.is_leaves and right.is_leaves:
        graph_begins(arena)
    mark_used(&left)
    mark_used(&right)
    while start < n:
        size = min(n - start, <uint32_t>BLOCK_NODES)
        reserve(size)
        for k in range(start, start + size):
            result_append(arena, left.data[k] + right.data[k], id_at(&left, k), id_at(&right, k), ONES, NULL)
        attach_handles(results, start, size)
        start += size
    return results


def relu(x):
    """max(0, x), element by element: for each of n Values what its method `relu` gives.

    Raises TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector
    cdef uint32_t n, start = 0, size, k
    cdef uint32_t zero = 0 if arena.kinds.float_data or arena.kinds.float_zero else DATA_INT
    cdef uint32_t slope = GRAD0_INT * arena.kinds.int_slope
    cdef list results
    x = sized(x)
    unchanged = methods_unchanged()
    n = size_of(x)
    results = new_list(n)
    begin_call(n, vector_bytes(n))
    if not (unchanged and vector_read(<PyObject *>x, &vector)) or vector.has_ints:
        return fallback().relu(values_of(x))
    mark_used(&vector)
    while start < n:
        size = min(n - start, <uint32_t>BLOCK_NODES)
        reserve(size)
        for k in range(start, start + size):
            if vector.data[k] > 0.0:
                append_unary(vector.data[k], id_at(&vector, k), 1.0, slope, OP_RELU)
            else:
                append_unary(0.0, id_at(&vector, k), 0.0, zero | slope, OP_RELU)
        attach_handles(results, start, size)
        start += size
    return results


# ---- rmsnorm ----------------------------------------------------------------------------------------------------------------

cdef list rmsnorm_vector(const Vector *x, list results):
    """ms = sum(x * x) / n as dot product and product, + 1e-5, ** -0.5: four nodes; and a product for each element."""
    cdef double inverse, ms, scale, deriv
    cdef uint32_t node, start = 0, n, k
    cdef Dots *dots
    reserve(4)
    dots = dots_new(x.n, 1, x, x.is_range)
    set_row(dots, 0, x)
    dots.rows_are_leaves = x.is_leaves
    dot_products(dots, &ms)
    real_power(<double>x.n, -1.0, &inverse)
    real_power(ms * inverse + 1e-5, -0.5, &scale)
    real_power(ms * inverse + 1e-5, -1.5, &deriv)
    append_rows(dots, &ms, 1)
    node = open_block().first_id + open_block().used - 1
    node = append_unary(ms * inverse, node, inverse, 0, OP_MUL_NUMBER)
    node = append_unary(ms * inverse + 1e-5, node, 1.0, GRAD0_INT, OP_ADD_NUMBER)
    node = append_unary(scale, node, -0.5 * deriv, 0, OP_POW)
    while start < x.n:
        n = min(x.n - start, <uint32_t>BLOCK_NODES)
        reserve(n)
        for k in range(start, start + n):
            append_product(x.data[k], id_at(x, k), scale, node)
        attach_handles(results, start, n)
        start += n
    return results


def rmsnorm(x):
    """x * (mean(x**2) + 1e-5)**-0.5, element by element: root mean square normalisation, Zhang and Sennrich (2019).

    x: n Values. Returns n Values. Plain numbers are converted to Values.

    Raises ValueError if x is empty, TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector
    x = sized(x)
    unchanged = methods_unchanged()
    if size_of(x) == 0:
        raise ValueError("rmsnorm: x is empty")
    results = new_list(size_of(x))
    begin_call(size_of(x) + <size_t>4, vector_bytes(size_of(x)))
    if not (unchanged and vector_read(<PyObject *>x, &vector)) or vector.has_ints:
        return fallback().rmsnorm(values_of(x))
    mark_used(&vector)
    return rmsnorm_vector(&vector, results)


# ---- softmax and cross-entropy ------------------------------------------------------------------------------------------

cdef int append_exps(const Vector *logits, Vector *exps, double scale, bint scaled) except -1:
    """exp(logit * scale - max(logits * scale)) as three nodes each, two if not scaled. The maximum is a number, found as
    Python's max() finds it."""
    cdef double max_logit = logits.data[0] * scale, logit, exponent
    cdef uint32_t k, node
    for k in range(1, logits.n):
        if logits.data[k] * scale > max_logit:
            max_logit = logits.data[k] * scale
    for k in range(logits.n):
        logit = logits.data[k] * scale
        exponent = logit - max_logit
        exps.data[k] = real_exp(exponent)
        reserve(3)
        node = id_at(logits, k)
        if scaled:
            node = append_unary(logit, node, scale, 0, OP_MUL_NUMBER)
        node = append_unary(exponent, node, 1.0, GRAD0_INT, OP_ADD_NUMBER)
        exps.ids[k] = append_unary(exps.data[k], node, exps.data[k], 0, OP_EXP)
    return 0


cdef int append_weights(const Vector *exps, uint32_t total, double total_data, Vector *weights) except -1:
    """e * total**-1 for each of exps, with a node of its own for every total**-1, as the script's division makes it. The
    products stand side by side if a block has room for them."""
    cdef double inverse, deriv
    cdef uint32_t k
    real_power(total_data, -1.0, &inverse)
    real_power(total_data, -2.0, &deriv)
    for k in range(exps.n):
        reserve(1)
        weights.ids[k] = append_unary(inverse, total, -1.0 * deriv, 0, OP_POW)
    weights.is_range = exps.n <= BLOCK_NODES
    if weights.is_range:
        reserve(exps.n)
    for k in range(exps.n):
        reserve(1)
        weights.ids[k] = append_product(exps.data[k], exps.ids[k], inverse, weights.ids[k])
        weights.data[k] = exps.data[k] * inverse
    weights.first = weights.ids[0]
    return 0


cdef int append_softmax(const Vector *logits, double scale, bint scaled, Vector *weights) except -1:
    """Nodes of softmax(logits * scale), whose last ones are the weights."""
    cdef Vector exps
    cdef double total_data
    cdef uint32_t total
    vector_new(&exps, logits.n)
    append_exps(logits, &exps, scale, scaled)
    append_sum(&exps, &total_data, &total)
    append_weights(&exps, total, total_data, weights)
    return 0


def softmax(logits):
    """exp(logits) / sum(exp(logits)), computed from logits - max(logits) as the script does.

    logits: n Values. Returns n Values that add up to 1. Plain numbers are converted to Values.

    Raises ValueError if logits is empty, TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector, weights
    cdef uint32_t n, k
    cdef list results
    logits = sized(logits)
    unchanged = methods_unchanged()
    n = size_of(logits)
    if n == 0:
        raise ValueError("softmax: logits is empty")
    results = new_list(n)
    begin_call(4 * <size_t>n + 1, 3 * vector_bytes(n))
    if not (unchanged and vector_read(<PyObject *>logits, &vector)) or vector.has_ints:
        return fallback().softmax(values_of(logits))
    mark_used(&vector)
    vector_new(&weights, n)
    append_softmax(&vector, 1.0, False, &weights)
    for k in range(n):
        attach_handle(results, k, weights.ids[k])
    recorder = engine_recorder()
    return results if recorder is None else recorder.choice(results)


cdef inline void attach_handle(list results, uint32_t k, uint32_t node) noexcept:
    """A handle for a node that has none, as element k of the list."""
    cdef Handle *handle = handle_take(arena)
    handle_point(handle, block_of(arena, node), node & PLACE_MASK)
    list_set(results, k, <PyObject *>handle)


def cross_entropy(logits, target):
    """-softmax(logits)[target].log(), the negative log-likelihood of `target`: one Value. Only the nodes that it needs are made.

    logits: n Values. target: an index, counted from the end if negative. Plain numbers are converted to Values.

    Raises IndexError if target is out of range, ValueError if logits is empty or the probability is 0, TypeError for
    anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector, exps, one, weight
    cdef uint32_t n, total, node
    cdef double total_data, nll
    cdef Py_ssize_t index
    recorder = engine_recorder()
    if recorder is not None and recorder.is_index(target):
        return recorder.cross_entropy(logits, target)
    index = PyNumber_AsSsize_t(target, IndexError)
    logits = sized(logits)
    unchanged = methods_unchanged()
    n = size_of(logits)
    if n == 0:
        raise ValueError("cross_entropy: logits is empty")
    if not -<Py_ssize_t>n <= index < <Py_ssize_t>n:
        raise IndexError(f"cross_entropy: target {index} is out of range for {n} logits")
    index += n if index < 0 else 0
    begin_call(2 * <size_t>n + 6, 3 * vector_bytes(n))
    if not (unchanged and vector_read(<PyObject *>logits, &vector)) or vector.has_ints:
        return fallback().cross_entropy(values_of(logits), index)
    handles_add(1)
    mark_used(&vector)
    vector_new(&exps, n)
    vector_new(&weight, 1)
    append_exps(&vector, &exps, 1.0, False)
    append_sum(&exps, &total_data, &total)
    one = part(&exps, <uint32_t>index, 1)
    append_weights(&one, total, total_data, &weight)
    if weight.data[0] <= 0.0:
        raise ValueError("math domain error: the logarithm of a probability of 0")
    nll = log(weight.data[0])
    reserve(3)
    node = append_unary(nll, weight.ids[0], 1.0 / weight.data[0], 0, OP_LOG)
    return product_with_number(nll, node, -1.0, True)


def mean(losses):
    """(1 / n) * sum(losses): one Value.

    losses: n Values. Plain numbers are converted to Values.

    Raises ZeroDivisionError if losses is empty, TypeError for anything that is neither a Value nor a real number.
    """
    cdef bint unchanged
    cdef Vector vector
    cdef uint32_t total
    cdef double total_data, share_of_one
    losses = sized(losses)
    unchanged = methods_unchanged()
    begin_call(3, vector_bytes(size_of(losses)))
    if not (unchanged and vector_read(<PyObject *>losses, &vector)) or vector.has_ints:
        return fallback().mean(values_of(losses))
    handles_add(1)
    mark_used(&vector)
    share_of_one = 1.0 / <double>vector.n
    append_sum(&vector, &total_data, &total)
    reserve(2)
    return product_with_number(total_data, total, share_of_one, False)


include "functional/attention.pxi"
include "functional/pickles.pxi"
