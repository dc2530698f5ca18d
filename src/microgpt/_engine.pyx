# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: c_api_binop_methods=True, binding=False, embedsignature=True, auto_pickle=False, freethreading_compatible=False
"""The typed engine: the script's `Value`, with its nodes in an arena.

A `Value` in Python's hands is a handle of 32 bytes that points to a node; the node (two numbers, two children, two local
gradients) stands in a block of the arena and outlives its handle as long as other nodes are made from it:

    Python          arena (see engine/layout.pxd)
    c  ------->     c: data grad | child0 child1 | local gradients
    (handle)             ^             |    |
                         |   a: ... <--+    +--> b: ...           a, b: their handles may be long gone

Where to look: creating a node is `Value.__mul__` -> `multiply` -> `result_with_handle`; backward is engine/backward.pxd; how
nodes live and die is engine/arena.pxd. Whatever is not two plain Values of floats (subclasses, other numbers, errors) leaves
the fast path at its first test for a slower function beside it, which evaluates the script's own expression.

Thread-safety: all of it runs under the GIL; every operation on the arena is done between two Python calls.
"""
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsDouble, PyLong_Check, PyLong_CheckExact
from cpython.number cimport PyNumber_Add, PyNumber_Multiply
from cpython.object cimport PyObject, PyObject_Size
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, cos, exp, fabs, floor, fmod, isfinite, isinf, log, pow, sin, sqrt, tanh
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from microgpt.engine.arena cimport (
    arena_bytes, arena_start, data_written, graph_begins, leaf_append, local_grad_next, local_grads_next, nodes_made,
    result_append, results_reserve,
)
from microgpt.engine.backward cimport backward_from
from microgpt.engine.collect cimport collect
from microgpt.engine.cpython_api cimport (
    Error, MappingMethods, NumberMethods, PyLong_AsLongLongAndOverflow, PyObject_Free, PyObject_Init, PyObject_Malloc,
    PyType_IsSubtype, PyType_Modified, PyVectorcall_NARGS, Py_TPFLAGS_IMMUTABLETYPE, SequenceMethods, TypeObject, destructor,
    error_put_back, error_take, owned, reference_count, slot, type_of, vectorcallfunc,
)
from microgpt.engine.free_list cimport leaf_free, leaf_in_dots
from microgpt.engine.handles cimport append_number, handle_point, handle_take, result_with_handle
from microgpt.engine.ints cimport fits_int, int_flag
from microgpt.engine.layout cimport (
    BLOCK_NODES, DATA_INT, DOT, GRAD, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, ONES, OP_ABS, OP_ADD, OP_CONSTRUCTOR,
    OP_COS, OP_EXP, OP_GELU, OP_GELU_TANH, OP_LOG, OP_MUL, OP_POW, OP_RELU, OP_RPOW, OP_SIGMOID, OP_SILU, OP_SIN, OP_SQRT,
    OP_TANH, PLACE_MASK, RESULTS, SPARE_HANDLES, SUBCLASS, Arena, Block, Children, Dots, Handle, Kinds, LocalGrads, Operands,
    Replay, RowKernels, UNUSED_REPLAY, block_of, cold_void, likely, unlikely,
)
from microgpt.engine.lifetime cimport handles_gone
from microgpt.engine.records cimport (
    classes_reserve, dot_row, has_operands, operands_allocate, operands_free, replay_release, row_id, set_extras, shared_id,
)
from microgpt.engine.references cimport block_prepare, refer_seen, seen_add_children, targets_reserve
from microgpt.kernels.kernels cimport choose_isa

import copyreg
import math
import os

cdef extern from "kernels/rows.h":
    const RowKernels *row_kernels(int isa) noexcept

cdef Arena arena
cdef TypeObject *VALUE = <TypeObject *>Value
cdef slot built_init = VALUE.tp_init
cdef SequenceMethods no_sequence                            # all empty
cdef MappingMethods no_mapping
cdef NumberMethods operators = VALUE.tp_as_number[0]        # as built; a class that changed one has another pointer there

cdef Arena *engine_arena() noexcept:
    return &arena

include "engine/value/handles.pxi"
include "engine/value/subclasses.pxi"
include "engine/value/numbers.pxi"
include "engine/value/provenance.pxi"
include "engine/value/results.pxi"
include "engine/value/operators.pxi"
include "engine/value/links.pxi"


# ---- Value --------------------------------------------------------------------------------------------------------------

cdef double SQRT_2 = math.sqrt(2)
cdef double SQRT_2_PI = math.sqrt(2 * math.pi)
cdef double SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
cdef object python_erf = math.erf       # CPython's own before 3.11, so not libm's


cdef inline double checked_exp(double x) except? -1.0:
    """math.exp"""
    cdef double result = exp(x)
    if unlikely(isinf(result) and not isinf(x)):
        return math.exp(x)              # raises OverflowError with the interpreter's own message
    return result


cdef inline double logistic(double x) except? -1.0:
    """1 / (1 + math.exp(-x))"""
    return 1.0 / (1.0 + checked_exp(-x))


cdef class Value:
    """A number that remembers how it was made, so that `backward` can find its derivatives.

    Value(data, children=(), local_grads=())

    data         a real number, kept as a C double; ints below 2**53 read back as ints
    children     Values that this one was computed from
    local_grads  d self / d child for each of them, as numbers

    The attributes `data`, `grad` (d root / d self, summed over calls of `backward`), `_children` and `_local_grads` can be
    read and written. + - * / ** work with Values and numbers on either side; a result of a subclass is of that subclass. Two
    Values are equal only if they are the same.

    Raises TypeError for anything that is not a real number, ValueError where a result would be complex, and otherwise what
    Python raises for the same arithmetic on floats.

    Thread-safety: threads may build and differentiate graphs of their own at once; they take turns under the GIL.
    """

    def __cinit__(self):
        self.numbers = block_of(&arena, 0).numbers
        block_of(&arena, 0).handles_alive += 1

    def __init__(self, data, children=(), local_grads=()):
        initialise(self, data, children, local_grads)

    @property
    def data(self):
        """The value itself: a float, or an int where the script would show one."""
        if unlikely(self.id == 0):
            require_node(<Handle *>self, "data")
        if unlikely(arena.int_overflowed | recording):
            number_read(self)
        return number_object(self.numbers[0], self.data_int)

    @data.setter
    def data(self, number):
        cdef double value
        cdef bint is_int
        require_number(number, "a Value's data", &value, &is_int)
        require_node(<Handle *>self, "data")
        if unlikely(recording):
            watch(self, "writes .data of a Value")
        data_written(&arena)
        write_data(<Handle *>self, value, is_int)

    @data.deleter
    def data(self):
        raise AttributeError("a Value's data cannot be deleted")

    @property
    def grad(self):
        """The derivative of the root of `backward` with respect to this Value, summed over all calls since it was 0."""
        if unlikely(self.id == 0):
            require_node(<Handle *>self, "grad")
        if unlikely(recording):
            watch(self, "reads .grad of a Value")
        return number_object(self.numbers[GRAD], block_of(&arena, self.id).int_grads[self.id & PLACE_MASK])

    @grad.setter
    def grad(self, number):
        cdef double value
        cdef bint is_int
        require_number(number, "a Value's grad", &value, &is_int)
        require_node(<Handle *>self, "grad")
        if unlikely(recording):
            watch(self, "writes .grad of a Value")
        write_grad(<Handle *>self, value, is_int)

    @grad.deleter
    def grad(self):
        raise AttributeError("a Value's grad cannot be deleted; to clear it, set it to 0")

    @property
    def _children(self):
        """The Values this one was computed from, as a tuple; the same objects for as long as they live."""
        require_node(<Handle *>self, "_children")
        if unlikely(recording):
            watch(self, "reads _children of a Value")
        return children_of(<Handle *>self)

    @_children.setter
    def _children(self, children):
        require_node(<Handle *>self, "_children")
        if unlikely(recording):
            watch(self, "writes _children of a Value")
        relink(<Handle *>self, as_tuple(children, "children"), local_grads_of(<Handle *>self))

    @_children.deleter
    def _children(self):
        raise AttributeError("a Value's _children cannot be deleted; to cut it off, set them to ()")

    @property
    def _local_grads(self):
        """d self / d child for each child, from the values at the time this Value was made, as a tuple."""
        require_node(<Handle *>self, "_local_grads")
        if unlikely(recording):
            watch(self, "reads _local_grads of a Value")
        return local_grads_of(<Handle *>self)

    @_local_grads.setter
    def _local_grads(self, local_grads):
        require_node(<Handle *>self, "_local_grads")
        if unlikely(recording):
            watch(self, "writes _local_grads of a Value")
        relink(<Handle *>self, children_of(<Handle *>self), as_tuple(local_grads, "local gradients"))

    @_local_grads.deleter
    def _local_grads(self):
        raise AttributeError("a Value's _local_grads cannot be deleted; to cut it off, set them to ()")

    def __add__(left, right):
        cdef PyObject *result = NULL
        if likely(fast_path(left, right)):
            return add(<Handle *>left, <Handle *>right)
        add_slow(left, right, &result)
        return owned(result)

    def __mul__(left, right):
        cdef PyObject *result = NULL
        if likely(fast_path(left, right)):
            return multiply(<Handle *>left, <Handle *>right)
        multiply_slow(left, right, &result)
        return owned(result)

    def __pow__(left, right, modulus):
        if modulus is not None:
            raise TypeError("pow() of a Value takes no modulus")
        raised = raise_to(left, right) if is_value(<PyObject *>left) else power_of_number(left, right)
        if unlikely(recording) and raised is not NotImplemented:
            recorder.power(raised, right if is_value(<PyObject *>left) else left)
        return raised

    def __neg__(self):
        if is_plain(<PyObject *>self) and VALUE.tp_as_number.nb_multiply == operators.nb_multiply:
            return multiply_number(<Handle *>self, -1.0, True)
        return self * -1

    def __sub__(left, right):
        cdef double number
        cdef bint is_int
        if operators_unchanged():
            if is_plain(<PyObject *>left):
                if is_plain(<PyObject *>right):
                    return subtract(<Handle *>left, <Handle *>right)
            elif is_plain(<PyObject *>right) and read_number(left, &number, &is_int):
                return subtract_from_number(number, is_int, <Handle *>right)
        return left + -right

    def __truediv__(left, right):
        cdef double number
        cdef bint is_int
        if operators_unchanged():
            if is_plain(<PyObject *>left):
                if is_plain(<PyObject *>right):
                    return divide(<Handle *>left, <Handle *>right)
            elif is_plain(<PyObject *>right) and read_number(left, &number, &is_int):
                return divide_number(number, is_int, <Handle *>right)
        return left * right ** -1

    def __abs__(self):
        return self.abs()

    def log(self):
        """Natural logarithm; local gradient 1 / x. ValueError for x <= 0."""
        cdef double x = self.numbers[0]
        if unlikely(x <= 0.0):
            math.log(self.data)
        return unary(self, log(x), 1.0 / x, 0, OP_LOG)

    def exp(self):
        """e**x; local gradient e**x. OverflowError past the range of a float."""
        cdef double result = checked_exp(self.numbers[0])
        return unary(self, result, result, 0, OP_EXP)

    def relu(self):
        """max(0, x); local gradient 1 where x > 0, else 0. The result is the int 0 for x <= 0 and for NaN, as in the script."""
        cdef double x = self.numbers[0]
        if x > 0.0:
            return unary(self, x, 1.0, data_flag(self.data_int) | GRAD0_INT * arena.kinds.int_slope, OP_RELU)
        return unary(self, 0.0, 0.0, data_flag(not arena.kinds.float_zero) | GRAD0_INT * arena.kinds.int_slope, OP_RELU)

    def tanh(self):
        """Hyperbolic tangent t; local gradient 1 - t**2."""
        cdef double square, t = tanh(self.numbers[0])
        power(t, 2.0, &square)
        return unary(self, t, 1.0 - square, 0, OP_TANH)

    def sigmoid(self):
        """s = 1 / (1 + e**-x); local gradient s * (1 - s). OverflowError for x below about -709."""
        cdef double s = logistic(self.numbers[0])
        return unary(self, s, s * (1.0 - s), 0, OP_SIGMOID)

    def sqrt(self):
        """Square root s; local gradient 0.5 / s. ValueError for x < 0, ZeroDivisionError for x = 0."""
        cdef double s, x = self.numbers[0]
        if x < 0.0:
            math.sqrt(self.data)
        s = sqrt(x)
        if s == 0.0:
            raise ZeroDivisionError("the derivative of sqrt at 0 is infinite")
        return unary(self, s, 0.5 / s, 0, OP_SQRT)

    def sin(self):
        """Sine, x in radians; local gradient cos x. ValueError for infinite x."""
        cdef double x = self.numbers[0]
        if isinf(x):
            math.sin(x)
        return unary(self, sin(x), cos(x), 0, OP_SIN)

    def cos(self):
        """Cosine, x in radians; local gradient -sin x. ValueError for infinite x."""
        cdef double x = self.numbers[0]
        if isinf(x):
            math.cos(x)
        return unary(self, cos(x), -sin(x), 0, OP_COS)

    def abs(self):
        """|x|; local gradient 1 for x > 0, -1 for x < 0, 0 elsewhere."""
        cdef double x = self.numbers[0]
        return unary(self, fabs(x), 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0, DATA_INT * self.data_int, OP_ABS)

    def silu(self):
        """x * s with s = 1 / (1 + e**-x); local gradient s * (1 + x * (1 - s)). OverflowError for x below about -709.

        Also called swish: Elfwing et al., "Sigmoid-weighted linear units" (2017).
        """
        cdef double x = self.numbers[0]
        cdef double s = logistic(x)
        return unary(self, x * s, s * (1.0 + x * (1.0 - s)), 0, OP_SILU)

    def gelu(self, approximate="none"):
        """Gaussian error linear unit, Hendrycks and Gimpel (2016), by PyTorch's two formulas.

        "none": x * p with p = 0.5 * (1 + erf(x / sqrt(2))); local gradient p + x * exp(-0.5 * x * x) / sqrt(2 * pi).
        "tanh": 0.5 * x * (1 + t) with t = tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)); local gradient
        0.5 * (1 + t) + 0.5 * x * (1 - t**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2). ValueError for any other name.
        """
        cdef double x = self.numbers[0]
        cdef double p, t, cube, square, t_square
        if approximate == "none":
            p = 0.5 * (1.0 + <double>python_erf(x / SQRT_2))
            return unary(self, x * p, p + x * exp(-0.5 * x * x) / SQRT_2_PI, 0, OP_GELU)
        if approximate != "tanh":
            raise ValueError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
        power(x, 3.0, &cube)
        power(x, 2.0, &square)
        t = tanh(SQRT_2_OVER_PI * (x + 0.044715 * cube))
        power(t, 2.0, &t_square)
        return unary(self, 0.5 * x * (1.0 + t),
                     0.5 * (1.0 + t) + 0.5 * x * (1.0 - t_square) * SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044715 * square), 0,
                     OP_GELU_TANH)

    def backward(self):
        """Set self.grad to 1 and add to the grad of every Value below it the derivative of self with respect to it.

        Contributions are added in the script's order: depth-first from self, children left to right, then back along that
        list. Gradients of earlier calls are kept and added to. Works without recursion, at any depth.

        Raises MemoryError, with no gradient changed, when there is no room for the list (8 bytes a node, 24 with dot products).
        """
        require_node(<Handle *>self, "backward")
        if unlikely(recording):
            watch(self, "calls backward()")
        while backward_from(&arena, self.id, 1.0, True) < 0:
            if arena.walk_stale:
                late_grads("its .data changed between an operation and backward()")
            if arena.walk_closed == NULL:
                raise MemoryError
            arena.walk_closed.rebuild(arena.walk_closed)

    def __repr__(self):
        return f"Value(data={self.data!r}, grad={self.grad!r})"

    def __copy__(self):
        """A Value of its own with the same children: what copy.copy does to the script's."""
        from ._pickling import copy_value
        return copy_value(self)

    def __reduce_ex__(self, protocol):
        """Pickle and copy.deepcopy: the whole graph below, without recursion; see _pickling.py."""
        from ._pickling import reduce_value
        return reduce_value(self)

    def __setstate__(self, state):
        """The instance attributes of a subclass's instances, as _pickling.reduce_value gave them."""
        try:
            values, attributes = state
            pairs = [(values[k], of_one) for k, of_one in attributes.items()]
        except (AttributeError, IndexError, TypeError, ValueError):
            raise TypeError("not the state of a pickled Value") from None
        for value, of_one in pairs:
            set_attributes(value, of_one)


def new_value(kind, data, grad, children, local_grads):
    """A Value of the class `kind`, made without its __init__."""
    if not issubclass(kind, Value):
        raise TypeError(f"{kind!r} is not Value or a subclass of it")
    made = class_instance(kind)
    kept = set_graph(True)
    try:
        initialise(made, data, children, local_grads)
    finally:
        set_graph(kept)
    made.grad = grad
    return made


# ---- the type, finished by hand --------------------------------------------------------------------------------------------

cdef object value_vectorcall(PyObject *cls, PyObject *const *args, size_t nargsf, PyObject *keywords):
    """Value(...) without a tuple of arguments; with keywords, or once Value.__init__ was replaced, the usual way."""
    cdef Py_ssize_t n = PyVectorcall_NARGS(nargsf)
    cdef Py_ssize_t k
    if likely(keywords == NULL and 1 <= n <= 3 and VALUE.tp_init == built_init):
        made = class_instance(Value)
        initialise(made, <object>args[0], <object>args[1] if n > 1 else (), <object>args[2] if n > 2 else ())
        return made
    positional = [<object>args[k] for k in range(n)]
    named = {} if keywords == NULL else {name: <object>args[n + k] for k, name in enumerate(<tuple>keywords)}
    return type.__call__(<object>cls, *positional, **named)


if arena_start(&arena) < 0:
    raise MemoryError
arena.kernels = row_kernels(choose_isa(os.environ.get("MICROGPT_ISA")))
if VALUE.tp_basicsize != sizeof(Handle):
    raise ImportError("microgpt._engine: Handle in engine/layout.pxd does not mirror Value")
arena.on_node_freed = on_node_freed
VALUE.tp_dealloc = handle_dealloc
VALUE.tp_as_sequence = &no_sequence                         # room for what a script may assign: `Value.__getitem__ = f`
VALUE.tp_as_mapping = &no_mapping
VALUE.tp_vectorcall = <vectorcallfunc>value_vectorcall
VALUE.tp_flags &= ~Py_TPFLAGS_IMMUTABLETYPE                 # a script may assign `Value.gelu = f`, as on a class of its own
PyType_Modified(VALUE)


cdef bytes own_name


def rename(str name):
    """Call the class by another name, without a module, in its repr and in the words of errors."""
    global own_name
    own_name = name.encode()
    VALUE.tp_name = own_name
    PyType_Modified(VALUE)


def set_kinds(float_data=False, float_grad=False, float_ones=False, float_zero=False, int_slope=False):
    """From now on, numbers that the script's class has as ints are floats, and the other way round: see Kinds in
    engine/layout.pxd. For a process of which the class belongs to one script; gradients that are there become that kind."""
    cdef uint32_t kind
    cdef Block *block
    arena.kinds = Kinds(float_data, float_grad, float_ones, float_zero, int_slope)
    for kind in range(2):
        if arena.open[kind] != NULL:
            memset(arena.open[kind].int_grads, not float_grad, sizeof(arena.open[kind].int_grads))
        block = arena.pool[kind]
        while block != NULL:
            memset(block.int_grads, not float_grad, sizeof(block.int_grads))
            block = block.next


def set_late_grads(refuse):
    """The script's class takes local gradients when backward() runs, this one when a node is made. Call refuse(why) where that
    could make a difference: data of any node were written in between, or a local gradient raises an exception."""
    global late_grads
    late_grads = refuse
    arena.late_grads = refuse is not None


def note_data_written():
    """Data were written by another module."""
    data_written(&arena)


def set_graph(bint kept, bint local_grads=True):
    """Whether results of operations have children from now on, or are leaves, as under `no_grad`; local_grads: whether powers
    compute them all the same, and raise what that raises. Returns whether results had children. Raises MemoryError."""
    if block_prepare(&arena, arena.open[RESULTS]) < 0:
        raise MemoryError
    before, arena.graph_off = not arena.graph_off, not kept
    arena.no_local_grads = not (kept or local_grads)
    return before


def count_nodes():
    """How many nodes were made so far, constants beside Values included."""
    return nodes_made(&arena)


def arena_stats():
    """What the arena holds, after a look for what no Value reaches any more, as a dict:

    nodes           alive: reached by a Value of yours
    blocks          that they stand in, some places being empty or dead
    bytes           everything the arena keeps: blocks, empty blocks held ready, scratch of `backward`, tables
    bytes_per_node  bytes / nodes
    """
    collect(&arena)
    if has_deferred:
        release_deferred()
    cdef size_t nodes = arena.nodes_alive - 1               # node 0 is nobody's
    cdef size_t size = arena_bytes(&arena)
    return {"nodes": nodes, "blocks": arena.blocks_alive, "bytes": size, "bytes_per_node": size / nodes if nodes else 0.0}
