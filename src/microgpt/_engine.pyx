# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: c_api_binop_methods=True, binding=False, embedsignature=True, auto_pickle=False, freethreading_compatible=False
"""The typed engine: the script's `Value`, with its nodes in an arena.

A `Value` in Python's hands is a handle of 32 bytes that points to a node; the node (two numbers, two children, two local
gradients) stands in a block of the arena and outlives its handle as long as other nodes are made from it:

    Python          arena (see _arena.pxd)
    c  ------->     c: data grad | child0 child1 | local gradients
    (handle)             ^             |    |
                         |   a: ... <--+    +--> b: ...           a, b: their handles may be long gone

Where to look: creating a node is `Value.__mul__` -> `multiply` -> `finish`; backward is _backward.pxd. Whatever is not
the script's everyday (subclasses, numbers that are neither int nor float, errors) leaves these paths at the first test and
goes on in a slower function beside them, which evaluates the script's own expression.

Thread-safety: all of it runs under the GIL; every operation on the arena is done between two Python calls.
"""
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsDouble, PyLong_Check
from cpython.object cimport PyObject, PyObject_Size
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.float cimport DBL_MIN
from libc.math cimport INFINITY, cos, exp, fabs, floor, fmod, isfinite, isinf, log, pow, sin, sqrt, tanh
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from microgpt._arena cimport (
    BLOCK_NODES, DATA_INT, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, ONES, PLACE_MASK, RESULTS, SPECIAL,
    Arena, Block, Children, LocalGrads, Numbers, Operands, arena_bytes, arena_start, block_of, classes_reserve, cold_void,
    collect, handles_gone, leaf_append, leaf_place_free, likely, local_grads_next, make_special, operands_allocate,
    operands_free, refer_to_seen, result_append, results_reserve, see_children, targets_reserve, unlikely,
)
from microgpt._backward cimport backward_from, fits_int
from microgpt._python cimport (
    Error, MappingMethods, NumberMethods, PyObject_Free, PyObject_Init, PyObject_Malloc, PyType_IsSubtype,
    PyType_Modified, PyVectorcall_NARGS, Py_TPFLAGS_IMMUTABLETYPE, SequenceMethods, TypeObject, destructor,
    error_put_back, error_take, owned, reference_count, revive, slot, type_of, vectorcallfunc,
)

import copyreg
import math

cdef Arena arena
cdef TypeObject *VALUE = <TypeObject *>Value
cdef slot built_init = VALUE.tp_init
cdef SequenceMethods no_sequence                        # all empty
cdef MappingMethods no_mapping
cdef NumberMethods operators = VALUE.tp_as_number[0]    # as built; a class that changed one has another pointer there

cdef Arena *engine_arena() noexcept:
    return &arena


# ---- handles ------------------------------------------------------------------------------------------------------------

cdef enum:
    SPARE_HANDLES = 4096                # dead handles kept for the next Values: 128 KiB at most

cdef Handle *spare = NULL               # linked through `numbers`; `id` tells how many there are from here on


cdef inline bint is_plain(PyObject *thing) noexcept:
    return type_of(thing) == VALUE


cdef inline bint is_value(PyObject *thing) noexcept:
    return type_of(thing) == VALUE or PyType_IsSubtype(type_of(thing), VALUE)


cdef int spare_add() except -1:
    """Memory for one more handle."""
    global spare
    cdef Handle *handle = <Handle *>PyObject_Malloc(sizeof(Handle))
    if handle == NULL:
        raise MemoryError
    PyObject_Init(<PyObject *>handle, VALUE)
    handle.numbers = <Numbers *>spare
    handle.id = 1
    spare = handle
    return 0


cdef inline Handle *handle_take() noexcept:
    """A handle of class Value, with one reference, that points nowhere yet. There must be a spare one."""
    global spare
    cdef Handle *handle = spare
    spare = <Handle *>handle.numbers
    revive(<PyObject *>handle, VALUE)
    return handle


cdef void handle_dealloc(PyObject *self) noexcept:
    """tp_dealloc: the node lives on if others were made from it."""
    global spare
    cdef Handle *handle = <Handle *>self
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t n_spare = spare.id if spare != NULL else 0
    block.handles[handle.id & PLACE_MASK] = NULL
    block.handles_alive -= 1
    if unlikely(block.handles_alive == 0 or (handle.id & IN_LEAF_BLOCK and not handle.used)
                or type_of(self) != VALUE or n_spare == SPARE_HANDLES):
        handle_dealloc_rare(handle, block)
        return
    handle.numbers = <Numbers *>spare
    handle.id = n_spare + 1
    spare = handle


cdef cold_void handle_dealloc_rare(Handle *handle, Block *block) noexcept:
    """The rest of handle_dealloc where it is more than a spare handle more."""
    if handle.id & IN_LEAF_BLOCK and not handle.used:
        leaf_place_free(&arena, block, handle.id & PLACE_MASK)
    if block.handles_alive == 0:
        handles_gone(&arena, block)
    if type_of(<PyObject *>handle) == VALUE:
        PyObject_Free(handle)
    else:
        type_of(<PyObject *>handle).tp_free(handle)
    if have_trash:
        trash_empty()


cdef inline void handle_attach(Handle *handle, uint32_t node, bint used) noexcept:
    """Make this the handle of a node that has none."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    if handle.id == 0:                                      # it counted as a handle of node 0
        block_of(&arena, 0).handles_alive -= 1
    block.handles[place] = <PyObject *>handle
    block.handles_alive += 1
    handle.numbers = &block.numbers[place]
    handle.id = node
    handle.data_int = (block.marks[place].flags & DATA_INT) != 0
    handle.used = used


cdef object handle_of(uint32_t node):
    """The Value of a node: the living one, else a new one of the class it had, with the attributes it had."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    cdef object made
    if node == 0:                                           # somebody used a Value before its __init__
        return class_instance(Value)
    if block.handles[place] != NULL:
        return <object>block.handles[place]
    if likely(not block.marks[place].flags & SPECIAL):
        made = class_instance(Value)
        handle_attach(<Handle *>made, node, True)
        return made
    made = class_instance(<object>class_types[block.classes[place]])
    if block.handles[place] != NULL:                        # making an instance may have run anything
        return <object>block.handles[place]
    handle_attach(<Handle *>made, node, True)
    attributes = left_attributes.pop(node, None)
    if attributes is not None:
        set_attributes(made, attributes)
    return made


# ---- subclasses: nodes remember their class, and the attributes of a handle that is gone ---------------------------------

cdef enum:
    MAX_CLASSES = 1 << 16
    CO_VARARGS = 4                      # in a code object's flags: has *args

cdef PyObject *class_types[MAX_CLASSES]         # by class number, owned; NULL where free. 0 is Value
cdef uint32_t class_nodes[MAX_CLASSES]          # nodes alive of each
cdef destructor class_destructors[MAX_CLASSES]  # the __del__ of the class itself, or NULL
cdef uint32_t n_classes = 1
cdef uint32_t last_class = 0                    # the class asked for last: kept even without nodes
cdef dict left_attributes = {}                  # node id -> attributes of its dropped handle
cdef list trash = []                            # what must be let go, but may run Python code when it is
cdef bint have_trash = False


cdef void trash_empty() noexcept:
    global trash, have_trash
    cdef Error error
    error_take(&error)
    have_trash = False
    old, trash = trash, []
    old = None
    error_put_back(&error)


cdef void class_forget(uint32_t number) noexcept:
    global have_trash
    trash.append(<object>class_types[number])
    have_trash = True
    (<TypeObject *>class_types[number]).tp_finalize = class_destructors[number]
    Py_XDECREF(class_types[number])
    class_types[number] = NULL


cdef void node_forget(uint32_t node, uint32_t number) noexcept:
    """The arena calls this when a node of a subclass dies."""
    global have_trash
    cdef Error error
    class_nodes[number] -= 1
    if class_nodes[number] == 0 and number != last_class or left_attributes:
        error_take(&error)
        attributes = left_attributes.pop(node, None)
        if attributes is not None:
            trash.append(attributes)
            have_trash = True
        if class_nodes[number] == 0 and number != last_class:
            class_forget(number)
        error_put_back(&error)


cdef uint32_t class_number(TypeObject *cls) except 0:
    """The number under which nodes remember a subclass."""
    global n_classes, last_class
    cdef uint32_t number, free = 0
    if last_class != 0 and class_types[last_class] == <PyObject *>cls:
        return last_class
    for number in range(1, n_classes):
        if class_types[number] == <PyObject *>cls:
            break
        if class_types[number] == NULL:
            free = number
    else:
        number = free if free != 0 else n_classes
        if number == MAX_CLASSES:
            raise MemoryError("nodes of more than 65,535 classes are alive")
        n_classes = max(n_classes, number + 1)
        Py_INCREF(<object>cls)
        class_types[number] = <PyObject *>cls
        class_nodes[number] = 0
        class_destructors[number] = NULL if cls.tp_finalize == handle_finalize else cls.tp_finalize
        cls.tp_finalize = handle_finalize                   # it is not inherited from a static type
    if last_class != 0 and class_nodes[last_class] == 0:
        class_forget(last_class)
    last_class = number
    return number


cdef bint constructor_takes(object cls, int n) except -1:
    """Whether results of this class are made by calling it with n arguments, as the script does: its __init__ is its own and
    takes so many. A constructor with other arguments cannot be meant; then instances are made without it."""
    if (<TypeObject *>cls).tp_init == built_init:
        return False
    code = getattr(cls.__init__, "__code__", None)
    if code is None:
        return True
    needed = code.co_argcount - len(cls.__init__.__defaults__ or ()) - 1
    has_needed_keywords = code.co_kwonlyargcount > len(cls.__init__.__kwdefaults__ or ())
    most = n if code.co_flags & CO_VARARGS else code.co_argcount - 1
    return needed <= n <= most and not has_needed_keywords


cdef object class_instance(object cls):
    """An instance of Value or of a subclass, without __init__; it points nowhere yet."""
    cdef TypeObject *kind = <TypeObject *>cls
    if kind == VALUE:
        if spare == NULL:
            spare_add()
        made = owned(<PyObject *>handle_take())
    else:
        made = owned(kind.tp_alloc(kind, 0))
    (<Handle *>made).id = (<Handle *>made).data_int = (<Handle *>made).used = 0
    (<Handle *>made).numbers = &block_of(&arena, 0).numbers[0]
    block_of(&arena, 0).handles_alive += 1
    return made


def get_attributes(value):
    """(the instance's __dict__ or None, its __slots__ by name or None)."""
    slots = {name: getattr(value, name) for name in copyreg._slotnames(type(value)) if hasattr(value, name)}
    return getattr(value, "__dict__", None) or None, slots or None


def set_attributes(value, attributes):
    """Give a Value the instance attributes that `get_attributes` took from another."""
    own, slots = attributes
    if own is not None:
        value.__dict__.update(own)
    if slots is not None:
        for name, attribute in slots.items():
            object.__setattr__(value, name, attribute)


cdef void handle_finalize(PyObject *self) noexcept:
    """tp_finalize of subclasses: a node that outlives its handle keeps the attributes for the next one. A __del__ of the
    class runs whenever a handle goes, be it that the node lives on."""
    cdef Handle *handle = <Handle *>self
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    cdef destructor destroy
    cdef Error error
    if handle.used and reference_count(self) == 1:          # more than one: the collector looks at it, it lives
        error_take(&error)
        attributes = get_attributes(<object>self)
        if attributes != (None, None):
            left_attributes[handle.id] = attributes
        error_put_back(&error)
    if block.marks[place].flags & SPECIAL:                  # not so before __init__, or where it ran out of memory
        destroy = class_destructors[block.classes[place]]
        if destroy != NULL:
            destroy(self)


# ---- numbers in and out -------------------------------------------------------------------------------------------------

cdef inline object number_object(double value, bint is_int):
    if is_int:
        return <long long>value
    return value


cdef inline bint is_everyday(object number) noexcept:
    return PyFloat_CheckExact(number) or PyLong_Check(number)


cdef int read_number(object number, double *value, bint *is_int) except -1:
    """1: `number` is a real number, now in `value`. 0: it is not. -1: OverflowError, or what its __float__ raised."""
    is_int[0] = False
    if likely(PyFloat_CheckExact(number)):
        value[0] = PyFloat_AS_DOUBLE(number)
        return 1
    if likely(PyLong_Check(number)):
        value[0] = PyLong_AsDouble(number)
        is_int[0] = fits_int(value[0])
        return 1
    return read_other_number(number, value)


cdef int read_other_number(object number, double *value) except -1:
    """NumPy scalars, Fractions and the like; not complex numbers, not strings, not arrays with a length."""
    cdef TypeObject *kind = type_of(<PyObject *>number)
    if is_value(<PyObject *>number) or kind.tp_as_number == NULL:
        return 0
    if kind.tp_as_number.nb_float == NULL and kind.tp_as_number.nb_index == NULL:
        return 0
    if isinstance(number, complex) or hasattr(type(number), "__complex__") and is_complex_type(number):
        return 0
    if (kind.tp_as_sequence != NULL and kind.tp_as_sequence.sq_length != NULL) or (
            kind.tp_as_mapping != NULL and kind.tp_as_mapping.mp_length != NULL):
        try:
            PyObject_Size(number)
            return 0
        except TypeError:               # an array without dimensions
            pass
    value[0] = float(number)
    return 1


cdef bint is_complex_type(object number) except -1:
    import numbers
    return isinstance(number, numbers.Complex) and not isinstance(number, numbers.Real)


cdef int need_number(object number, str what, double *value, bint *is_int) except -1:
    if read_number(number, value, is_int) == 0:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return 0


# ---- making nodes -------------------------------------------------------------------------------------------------------

cdef inline object finish(Handle *handle, double data, uint32_t first, uint32_t second, uint32_t flags):
    """Append the result of an operation in a reserved place, held by `handle`."""
    cdef Block *block = arena.open[RESULTS]
    handle.numbers = &block.numbers[block.used]
    handle.id = block.first_id + block.used
    handle.data_int = (flags & DATA_INT) != 0
    handle.used = False
    block.handles_alive += 1
    result_append(&arena, data, first, second, flags, <PyObject *>handle)
    return owned(<PyObject *>handle)


cdef cold_void make_ready(uint32_t n) except *:
    if spare == NULL:
        spare_add()
    if results_reserve(&arena, n) < 0:
        raise MemoryError


cdef inline Handle *begin(uint32_t n) except NULL:
    """A handle for a result, and places for it and the n - 1 nodes made on the way; after this nothing can fail."""
    if unlikely(spare == NULL or arena.open[RESULTS].used + n > BLOCK_NODES):
        make_ready(n)
    return handle_take()


cdef inline uint32_t constant(double value, bint is_int) noexcept:
    """A node for a number that stands beside a Value in an expression; its one parent is made next."""
    return result_append(&arena, value, 0, 0, LEAF | DATA_INT if is_int else LEAF, NULL)


cdef inline uint32_t int_mark(double *value, bint is_int) noexcept:
    """DATA_INT for a result of ints, unless it is too large; an int has no minus zero."""
    if likely(not is_int):
        return 0
    value[0] += 0.0
    return DATA_INT if fits_int(value[0]) else 0


cdef object unary(object self, double data, double local_grad, uint32_t flags):
    """The result of a function of one Value."""
    if likely(is_plain(<PyObject *>self)):
        handle = begin(1)
        (<Handle *>self).used = True
        local_grads_next(&arena, local_grad, 0.0)
        return finish(handle, data, (<Handle *>self).id, 0, flags)
    return result_of_class(type(self), data, (self,), (number_object(local_grad, flags & GRAD0_INT),), flags & DATA_INT)


cdef object result_of_class(object cls, double data, tuple children, tuple local_grads, bint is_int):
    """The result of an operation on a subclass: an instance of it, made as the script makes its own."""
    number = number_object(data, is_int)
    if constructor_takes(cls, 3):
        return cls(number, children, local_grads)
    made = class_instance(cls)
    initialise(made, number, children, local_grads)
    return made


cdef object result_class(object left, object right):
    """The class of a result of two operands, one of which is of a subclass: the more special one, else the left one's."""
    if not is_value(<PyObject *>right):
        return type(left)
    if not is_value(<PyObject *>left) or issubclass(type(right), type(left)):
        return type(right)
    return type(left)


cdef tuple operands_of_class(object cls, object left, object right):
    """The two children of a result of a subclass, the number among them (if any) made a Value of that class."""
    if is_value(<PyObject *>right):
        return left, right
    if constructor_takes(cls, 1):
        return left, cls(right)
    return left, new_value(cls, right, 0, (), ())


# ---- + and * ------------------------------------------------------------------------------------------------------------

cdef inline bint both_everyday(object left, object right) noexcept:
    """Two plain Values of floats, a spare handle, and a place for the result: the path of nearly every operation."""
    return (is_plain(<PyObject *>left) and is_plain(<PyObject *>right) and spare != NULL
            and arena.open[RESULTS].used < BLOCK_NODES and not ((<Handle *>left).data_int | (<Handle *>right).data_int))


cdef inline object add(Handle *a, Handle *b):
    cdef Handle *handle = handle_take()
    a.used = b.used = True
    return finish(handle, a.numbers.data + b.numbers.data, a.id, b.id, ONES)


cdef inline object multiply(Handle *a, Handle *b):
    cdef Handle *handle = handle_take()
    a.used = b.used = True
    local_grads_next(&arena, b.numbers.data, a.numbers.data)
    return finish(handle, a.numbers.data * b.numbers.data, a.id, b.id, 0)


cdef inline object add_number(Handle *a, double number, bint is_int):
    """`a + number`, and `number + a`, which the script turns round."""
    cdef Handle *handle = begin(2)
    cdef uint32_t other = constant(number, is_int)
    cdef double data = a.numbers.data + number
    a.used = True
    return finish(handle, data, a.id, other, ONES | int_mark(&data, a.data_int & is_int))


cdef inline object multiply_number(Handle *a, double number, bint is_int):
    cdef double data = a.numbers.data * number
    cdef uint32_t flags = is_int * GRAD0_INT | a.data_int * GRAD1_INT
    cdef Handle *handle = begin(2)
    cdef uint32_t other = constant(number, is_int)
    flags |= int_mark(&data, a.data_int & is_int)
    a.used = True
    local_grads_next(&arena, number, a.numbers.data)
    return finish(handle, data, a.id, other, flags)


cdef object add_values(Handle *a, Handle *b):
    """+ of plain Values, ints too."""
    cdef Handle *handle = begin(1)
    cdef double data = a.numbers.data + b.numbers.data
    cdef uint32_t flags = ONES | int_mark(&data, a.data_int & b.data_int)
    a.used = b.used = True
    return finish(handle, data, a.id, b.id, flags)


cdef object multiply_values(Handle *a, Handle *b):
    """* of plain Values, ints too."""
    cdef Handle *handle = begin(1)
    cdef double data = a.numbers.data * b.numbers.data
    cdef uint32_t flags = b.data_int * GRAD0_INT | a.data_int * GRAD1_INT | int_mark(&data, a.data_int & b.data_int)
    local_grads_next(&arena, b.numbers.data, a.numbers.data)
    a.used = b.used = True
    return finish(handle, data, a.id, b.id, flags)


cdef cold_void add_others(object left, object right, PyObject **result) except *:
    """+ of whatever is not two plain Values of floats, as a new reference."""
    cdef double number
    cdef bint is_int
    if is_plain(<PyObject *>right):
        if is_plain(<PyObject *>left):
            made = add_values(<Handle *>left, <Handle *>right)
        elif is_everyday(left) and VALUE.tp_as_number.nb_add == operators.nb_add:
            read_number(left, &number, &is_int)             # as every sum() begins
            made = add_number(<Handle *>right, number, is_int)
        else:
            made = add_of_class(left, right)
    else:
        made = add_of_class(left, right)
    Py_INCREF(made)
    result[0] = <PyObject *>made


cdef object add_of_class(object left, object right):
    cdef double number
    cdef bint is_int
    if not is_value(<PyObject *>left):                      # the script's __radd__ is `self + other`
        if type_of(<PyObject *>right).tp_as_number.nb_add != operators.nb_add:
            return right + left
        left, right = right, left
    if not is_value(<PyObject *>right):
        if read_number(right, &number, &is_int) == 0:
            return NotImplemented
        if is_plain(<PyObject *>left):
            return add_number(<Handle *>left, number, is_int)
    cls = result_class(left, right)
    left, right = operands_of_class(cls, left, right)
    number = (<Handle *>left).numbers.data + (<Handle *>right).numbers.data
    is_int = int_mark(&number, (<Handle *>left).data_int & (<Handle *>right).data_int)
    return result_of_class(cls, number, (left, right), (1, 1), is_int)


cdef cold_void multiply_others(object left, object right, PyObject **result) except *:
    """* of whatever is not two plain Values of floats, as a new reference."""
    cdef double number
    cdef bint is_int
    if is_plain(<PyObject *>right):
        if is_plain(<PyObject *>left):
            made = multiply_values(<Handle *>left, <Handle *>right)
        elif is_everyday(left) and VALUE.tp_as_number.nb_multiply == operators.nb_multiply:
            read_number(left, &number, &is_int)
            made = multiply_number(<Handle *>right, number, is_int)
        else:
            made = multiply_of_class(left, right)
    else:
        made = multiply_of_class(left, right)
    Py_INCREF(made)
    result[0] = <PyObject *>made


cdef object multiply_of_class(object left, object right):
    cdef double number
    cdef bint is_int
    if not is_value(<PyObject *>left):                      # the script's __rmul__ is `self * other`
        if type_of(<PyObject *>right).tp_as_number.nb_multiply != operators.nb_multiply:
            return right * left
        left, right = right, left
    if not is_value(<PyObject *>right):
        if read_number(right, &number, &is_int) == 0:
            return NotImplemented
        if is_plain(<PyObject *>left):
            return multiply_number(<Handle *>left, number, is_int)
    cls = result_class(left, right)
    left, right = operands_of_class(cls, left, right)
    number = (<Handle *>left).numbers.data * (<Handle *>right).numbers.data
    is_int = int_mark(&number, (<Handle *>left).data_int & (<Handle *>right).data_int)
    return result_of_class(cls, number, (left, right), (right.data, left.data), is_int)


# ---- ** -----------------------------------------------------------------------------------------------------------------

cdef inline int power(double base, double exponent, double *result) except -1:
    """base ** exponent of Python floats, with its exceptions: libm's pow of |base|, the sign put back."""
    cdef double raised
    if likely(base > 0.0 and isfinite(base) and isfinite(exponent)):
        raised = pow(base, exponent)
        if likely(DBL_MIN <= raised < INFINITY):
            result[0] = raised
            return 0
    elif base < 0.0 and isfinite(base) and isfinite(exponent) and exponent == floor(exponent):
        raised = pow(-base, exponent)
        if likely(DBL_MIN <= raised < INFINITY):
            result[0] = -raised if fmod(exponent, 2.0) != 0.0 else raised
            return 0
    result[0] = real_result(<object>base ** <object>exponent)
    return 0


cdef double real_result(object result) except? -1.0:
    """The float of what `**` gave on the numbers themselves."""
    cdef double value
    cdef bint is_int
    if isinstance(result, complex):
        raise ValueError("a negative number to a fractional power is complex; a Value holds real numbers")
    need_number(result, "the result of **", &value, &is_int)
    return value


cdef object raise_to(object self, object exponent):
    """self ** exponent: data x**n, local gradient n * x**(n - 1)."""
    cdef Handle *base = <Handle *>self
    cdef double number, data, slope
    cdef bint is_int
    if isinstance(exponent, complex):
        raise TypeError("the exponent of ** must be a real number, not 'complex'")
    if is_value(<PyObject *>exponent):
        raise TypeError("the exponent of ** must be a number, not a Value; for Values a > 0 and b write (b * a.log()).exp()")
    if not base.data_int and (PyFloat_CheckExact(exponent) or PyLong_Check(exponent)):
        read_number(exponent, &number, &is_int)
        if PyFloat_CheckExact(exponent) or is_int:
            power(base.numbers.data, number, &data)
            power(base.numbers.data, number - 1.0, &slope)
            return unary(self, data, number * slope, 0)
    return raise_objects(self, exponent)


cdef object raise_objects(object self, object exponent):
    """The same on the Python numbers: exact for ints, and right for whatever has ** with them."""
    cdef double data, slope
    cdef bint data_int, slope_int
    number = self.data
    raised = number ** exponent
    if isinstance(raised, complex):
        real_result(raised)
    need_number(raised, "the result of **", &data, &data_int)
    need_number(exponent * number ** (exponent - 1), "a local gradient", &slope, &slope_int)
    return unary(self, data, slope, DATA_INT * data_int | GRAD0_INT * slope_int)


cdef object power_of_number(object base, object self):
    """base ** self: data c**x, local gradient log(c) * c**x."""
    cdef double data, slope
    cdef bint data_int, slope_int
    if read_number(base, &data, &data_int) == 0:
        return NotImplemented
    number = self.data
    raised = base ** number
    if isinstance(raised, complex):
        real_result(raised)
    need_number(raised, "the result of **", &data, &data_int)
    need_number(math.log(base) * raised, "a local gradient", &slope, &slope_int)
    return unary(self, data, slope, DATA_INT * data_int | GRAD0_INT * slope_int)


# ---- - and /, which the script expresses by the others -------------------------------------------------------------------

cdef inline bint expressions_hold() noexcept:
    """Whether the operators that the expressions below stand for are as built (one may assign `Value.__mul__ = f`)."""
    cdef NumberMethods *now = VALUE.tp_as_number
    return (now.nb_multiply == operators.nb_multiply and now.nb_add == operators.nb_add
            and now.nb_power == operators.nb_power and now.nb_negative == operators.nb_negative)


cdef inline uint32_t negated(Handle *value, double *data, bint *is_int) noexcept:
    """`value * -1` as a node without a handle, in two reserved places; its data and whether that is an int."""
    cdef uint32_t minus_one = constant(-1.0, True)
    cdef uint32_t flags
    data[0] = value.numbers.data * -1.0
    flags = int_mark(data, value.data_int)
    is_int[0] = flags != 0
    value.used = True
    local_grads_next(&arena, -1.0, value.numbers.data)
    return result_append(&arena, data[0], value.id, minus_one, flags | GRAD0_INT | value.data_int * GRAD1_INT, NULL)


cdef object subtract(Handle *a, Handle *b):
    """a + (b * -1)"""
    cdef Handle *handle = begin(3)
    cdef bint is_int
    cdef double data
    cdef uint32_t other = negated(b, &data, &is_int)
    data += a.numbers.data
    a.used = True
    return finish(handle, data, a.id, other, ONES | int_mark(&data, is_int & a.data_int))


cdef object subtract_from_number(double number, bint number_int, Handle *b):
    """(b * -1) + number"""
    cdef Handle *handle = begin(4)
    cdef bint is_int
    cdef double data
    cdef uint32_t left = negated(b, &data, &is_int)
    cdef uint32_t right = constant(number, number_int)
    data += number
    return finish(handle, data, left, right, ONES | int_mark(&data, is_int & number_int))


cdef inline uint32_t inverted(Handle *value, double inverse, double slope) noexcept:
    """`value ** -1`, whose data and derivative are known, as a node without a handle, in a reserved place."""
    value.used = True
    local_grads_next(&arena, slope, 0.0)
    return result_append(&arena, inverse, value.id, 0, 0, NULL)


cdef inline int inverse_of(Handle *value, double *inverse, double *slope) except -1:
    """x**-1 and -1 * x**-2."""
    power(value.numbers.data, -1.0, inverse)
    power(value.numbers.data, -2.0, slope)
    slope[0] = -1.0 * slope[0]
    return 0


cdef object divide(Handle *a, Handle *b):
    """a * b**-1"""
    cdef double inverse, slope, numerator = a.numbers.data
    cdef uint32_t other
    cdef Handle *handle
    inverse_of(b, &inverse, &slope)
    handle = begin(2)
    other = inverted(b, inverse, slope)
    a.used = True
    local_grads_next(&arena, inverse, numerator)
    return finish(handle, numerator * inverse, a.id, other, a.data_int * GRAD1_INT)


cdef object divide_number(double number, bint is_int, Handle *b):
    """b**-1 * number"""
    cdef double inverse, slope
    cdef uint32_t left, right
    cdef Handle *handle
    inverse_of(b, &inverse, &slope)
    handle = begin(3)
    left = inverted(b, inverse, slope)
    right = constant(number, is_int)
    local_grads_next(&arena, number, inverse)
    return finish(handle, inverse * number, left, right, is_int * GRAD0_INT)


# ---- construction, and children of any number ----------------------------------------------------------------------------

cdef Operands *read_operands(tuple children, tuple local_grads) except NULL:
    """Children and local gradients as an Operands record; the references to the children are not counted yet."""
    cdef Operands *operands = operands_allocate(&arena, <uint32_t>len(children), <uint32_t>len(local_grads))
    cdef uint32_t k
    cdef bint is_int
    if operands == NULL:
        raise MemoryError
    try:
        for k in range(operands.n_children):
            if not is_value(<PyObject *>children[k]):
                raise TypeError(f"children must be Values, not {type(children[k]).__name__!r}")
            operands.children[k] = (<Handle *>children[k]).id
        for k in range(operands.n_grads):
            need_number(local_grads[k], "a local gradient", &operands.local_grads[k], &is_int)
            operands.is_int[k] = is_int
    except BaseException:
        operands_free(&arena, operands)
        raise
    return operands


cdef inline bint is_inline(Operands *operands) noexcept:
    """One or two children with a local gradient each."""
    return 1 <= operands.n_children <= 2 and operands.n_children == operands.n_grads


cdef uint32_t operand_flags(Operands *operands) noexcept:
    return operands.is_int[0] * GRAD0_INT | (GRAD1_INT if operands.n_children == 2 and operands.is_int[1] else 0)


cdef uint32_t node_append(double data, Operands *operands) except 0:
    """A result with these children. It owns the record from here on."""
    cdef uint32_t n = operands.n_children, node
    if results_reserve(&arena, 1) < 0:
        operands_free(&arena, operands)
        raise MemoryError
    if not is_inline(operands):
        node = result_append(&arena, data, 0, 0, LEAF, NULL)
        link_many(node, operands)
        return node
    local_grads_next(&arena, operands.local_grads[0], operands.local_grads[1] if n == 2 else 0.0)
    node = result_append(&arena, data, operands.children[0], operands.children[1] if n == 2 else 0,
                         operand_flags(operands), NULL)
    operands_free(&arena, operands)
    return node


cdef void link_many(uint32_t node, Operands *operands) noexcept:
    """Make this the record of a node."""
    cdef Block *block = block_of(&arena, node)
    cdef uint32_t place = node & PLACE_MASK
    block.marks[place].flags &= ~<uint8_t>(LEAF | ONES | GRAD0_INT | GRAD1_INT)
    make_special(block, place, NARY)
    block.local_grads[place].first.operands = operands
    block.children[place] = Children(0, 0)


cdef int initialise(object self, object data, children, local_grads) except -1:
    """What __init__ does to a fresh handle: a node of its own. A second __init__ writes into the node it has."""
    cdef Handle *handle = <Handle *>self
    cdef tuple links = tuple(children), grads = tuple(local_grads)
    cdef bint is_int
    cdef double value
    cdef uint32_t node
    need_number(data, "a Value's data", &value, &is_int)
    if handle.id != 0:
        relink(handle, links, grads)
        write_data(handle, value, is_int)
        write_grad(handle, 0.0, True)
        return 0
    if links or grads:
        node = node_append(value, read_operands(links, grads))
        mark_used(links)
    else:
        node = leaf_append(&arena, value)
        if node == 0:
            raise MemoryError
    handle_attach(handle, node, False)
    write_data(handle, value, is_int)
    if type_of(<PyObject *>self) != VALUE:
        remember_class(node, class_number(type_of(<PyObject *>self)))
    return 0


cdef void mark_used(tuple children) noexcept:
    for child in children:
        (<Handle *>child).used = True


cdef int remember_class(uint32_t node, uint32_t number) except -1:
    cdef Block *block = block_of(&arena, node)
    if classes_reserve(&arena, block) < 0:
        raise MemoryError
    make_special(block, node & PLACE_MASK, SPECIAL)
    block.classes[node & PLACE_MASK] = <uint16_t>number
    class_nodes[number] += 1
    return 0


cdef int relink(Handle *handle, tuple children, tuple local_grads) except -1:
    """Other children or local gradients for a node that exists. They are kept in an Operands record, however few."""
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    cdef tuple old = children_of(handle)
    cdef Operands *operands
    if not (children or local_grads or old or local_grads_of(handle)):
        return 0
    operands = read_operands(children, local_grads)
    if targets_reserve(&arena, block, operands.n_children) < 0:
        operands_free(&arena, operands)
        raise MemoryError
    if block.marks[place].flags & NARY:
        operands_free(&arena, block.local_grads[place].first.operands)
    link_many(handle.id, operands)
    see_children(&arena, block, place)
    refer_to_seen(&arena, block)                            # there is room
    mark_used(children)
    if children != old:
        arena.rewired = True
    return 0


cdef inline void write_data(Handle *handle, double value, bint is_int) noexcept:
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK
    handle.numbers.data = value
    handle.data_int = is_int
    block.marks[place].flags = (block.marks[place].flags & ~<uint32_t>DATA_INT) | DATA_INT * is_int


cdef inline void write_grad(Handle *handle, double value, bint is_int) noexcept:
    handle.numbers.grad = value
    block_of(&arena, handle.id).marks[handle.id & PLACE_MASK].int_grad = is_int


cdef tuple children_of(Handle *handle):
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK, k
    cdef Operands *operands
    if block.marks[place].flags & LEAF:
        return ()
    if block.marks[place].flags & NARY:
        operands = block.local_grads[place].first.operands
        return tuple([handle_of(operands.children[k]) for k in range(operands.n_children)])
    if block.children[place].second == 0:
        return (handle_of(block.children[place].first),)
    return (handle_of(block.children[place].first), handle_of(block.children[place].second))


cdef tuple local_grads_of(Handle *handle):
    cdef Block *block = block_of(&arena, handle.id)
    cdef uint32_t place = handle.id & PLACE_MASK, k
    cdef uint8_t flags = block.marks[place].flags
    cdef LocalGrads *local_grads = &block.local_grads[place]
    cdef Operands *operands
    if flags & LEAF:
        return ()
    if flags & ONES:
        return (1, 1)
    if flags & NARY:
        operands = local_grads.first.operands
        return tuple([number_object(operands.local_grads[k], operands.is_int[k]) for k in range(operands.n_grads)])
    first = number_object(local_grads.first.value, flags & GRAD0_INT)
    if block.children[place].second == 0:
        return (first,)
    return (first, number_object(local_grads.second, flags & GRAD1_INT))


cdef int need_node(Handle *handle, str what) except -1:
    if handle.id == 0:
        raise AttributeError(f"{what}: this Value has not been initialised; call super().__init__(data) first")
    return 0


# ---- Value --------------------------------------------------------------------------------------------------------------

cdef double SQRT_2 = math.sqrt(2)
cdef double SQRT_2_PI = math.sqrt(2 * math.pi)
cdef double SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
cdef object python_erf = math.erf       # CPython's own before 3.11, so not libm's


cdef inline double checked_exp(double x) except? -1.0:
    """math.exp"""
    cdef double result = exp(x)
    if unlikely(isinf(result) and not isinf(x)):
        return math.exp(x)              # raises OverflowError in the words of this Python
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
    read and written. + - * / ** work with Values and numbers on either side (the exponent of ** is a number, or the base
    is); a result of a subclass is of that subclass. Two Values are equal only if they are the same.

    Raises TypeError for what is not a real number, ValueError where a result would be complex, and in all other cases what
    Python raises for the same arithmetic on floats.

    Thread-safety: threads may build and differentiate graphs of their own at once; they take turns under the GIL.
    """

    def __cinit__(self):
        self.numbers = &block_of(&arena, 0).numbers[0]
        block_of(&arena, 0).handles_alive += 1

    def __init__(self, data, children=(), local_grads=()):
        initialise(self, data, children, local_grads)

    @property
    def data(self):
        """The value itself: a float, or an int where the script would show one."""
        if unlikely(self.id == 0):
            need_node(<Handle *>self, "data")
        return number_object(self.numbers.data, self.data_int)

    @data.setter
    def data(self, number):
        cdef double value
        cdef bint is_int
        need_number(number, "a Value's data", &value, &is_int)
        need_node(<Handle *>self, "data")
        write_data(<Handle *>self, value, is_int)

    @property
    def grad(self):
        """The derivative of the root of `backward` with respect to this Value, summed over all calls since it was 0."""
        if unlikely(self.id == 0):
            need_node(<Handle *>self, "grad")
        return number_object(self.numbers.grad, block_of(&arena, self.id).marks[self.id & PLACE_MASK].int_grad)

    @grad.setter
    def grad(self, number):
        cdef double value
        cdef bint is_int
        need_number(number, "a Value's grad", &value, &is_int)
        need_node(<Handle *>self, "grad")
        write_grad(<Handle *>self, value, is_int)

    @property
    def _children(self):
        """The Values this one was computed from, as a tuple; the same objects for as long as they live."""
        need_node(<Handle *>self, "_children")
        return children_of(<Handle *>self)

    @_children.setter
    def _children(self, children):
        need_node(<Handle *>self, "_children")
        relink(<Handle *>self, tuple(children), local_grads_of(<Handle *>self))

    @property
    def _local_grads(self):
        """d self / d child for each child, from the values at the time this Value was made, as a tuple."""
        need_node(<Handle *>self, "_local_grads")
        return local_grads_of(<Handle *>self)

    @_local_grads.setter
    def _local_grads(self, local_grads):
        need_node(<Handle *>self, "_local_grads")
        relink(<Handle *>self, children_of(<Handle *>self), tuple(local_grads))

    def __add__(left, right):
        cdef PyObject *result = NULL
        if likely(both_everyday(left, right)):
            return add(<Handle *>left, <Handle *>right)
        add_others(left, right, &result)
        return owned(result)

    def __mul__(left, right):
        cdef PyObject *result = NULL
        if likely(both_everyday(left, right)):
            return multiply(<Handle *>left, <Handle *>right)
        multiply_others(left, right, &result)
        return owned(result)

    def __pow__(left, right, modulus):
        if modulus is not None:
            raise TypeError("pow() of a Value takes no modulus")
        if is_value(<PyObject *>left):
            return raise_to(left, right)
        return power_of_number(left, right)

    def __neg__(self):
        if is_plain(<PyObject *>self) and VALUE.tp_as_number.nb_multiply == operators.nb_multiply:
            return multiply_number(<Handle *>self, -1.0, True)
        return self * -1

    def __sub__(left, right):
        cdef double number
        cdef bint is_int
        if expressions_hold():
            if is_plain(<PyObject *>left):
                if is_plain(<PyObject *>right):
                    return subtract(<Handle *>left, <Handle *>right)
            elif is_plain(<PyObject *>right) and read_number(left, &number, &is_int):
                return subtract_from_number(number, is_int, <Handle *>right)
        return left + -right

    def __truediv__(left, right):
        cdef double number
        cdef bint is_int
        if expressions_hold():
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
        cdef double x = self.numbers.data
        if unlikely(x <= 0.0):
            math.log(self.data)
        return unary(self, log(x), 1.0 / x, 0)

    def exp(self):
        """e**x; local gradient e**x. OverflowError past the range of a float."""
        cdef double result = checked_exp(self.numbers.data)
        return unary(self, result, result, 0)

    def relu(self):
        """max(0, x); local gradient 1 where x > 0, else 0. The result is the int 0 for x <= 0 and for NaN, as in the script."""
        cdef double x = self.numbers.data
        if x > 0.0:
            return unary(self, x, 1.0, DATA_INT * self.data_int)
        return unary(self, 0.0, 0.0, DATA_INT)

    def tanh(self):
        """Hyperbolic tangent t; local gradient 1 - t**2."""
        cdef double square, t = tanh(self.numbers.data)
        power(t, 2.0, &square)
        return unary(self, t, 1.0 - square, 0)

    def sigmoid(self):
        """s = 1 / (1 + e**-x); local gradient s * (1 - s). OverflowError for x below about -709."""
        cdef double s = logistic(self.numbers.data)
        return unary(self, s, s * (1.0 - s), 0)

    def sqrt(self):
        """Square root s; local gradient 0.5 / s. ValueError for x < 0, ZeroDivisionError for x = 0."""
        cdef double s, x = self.numbers.data
        if x < 0.0:
            math.sqrt(self.data)
        s = sqrt(x)
        if s == 0.0:
            raise ZeroDivisionError("the derivative of sqrt at 0 is infinite")
        return unary(self, s, 0.5 / s, 0)

    def sin(self):
        """Sine, x in radians; local gradient cos x. ValueError for infinite x."""
        cdef double x = self.numbers.data
        if isinf(x):
            math.sin(x)
        return unary(self, sin(x), cos(x), 0)

    def cos(self):
        """Cosine, x in radians; local gradient -sin x. ValueError for infinite x."""
        cdef double x = self.numbers.data
        if isinf(x):
            math.cos(x)
        return unary(self, cos(x), -sin(x), 0)

    def abs(self):
        """|x|; local gradient 1 for x > 0, -1 for x < 0, 0 elsewhere."""
        cdef double x = self.numbers.data
        return unary(self, fabs(x), 1.0 if x > 0.0 else -1.0 if x < 0.0 else 0.0, DATA_INT * self.data_int)

    def silu(self):
        """x * s with s = 1 / (1 + e**-x); local gradient s * (1 + x * (1 - s)). OverflowError for x below about -709.

        Also called swish: Elfwing et al., "Sigmoid-weighted linear units" (2017).
        """
        cdef double x = self.numbers.data
        cdef double s = logistic(x)
        return unary(self, x * s, s * (1.0 + x * (1.0 - s)), 0)

    def gelu(self, approximate="none"):
        """Gaussian error linear unit, Hendrycks and Gimpel (2016), by PyTorch's two formulas.

        "none": x * p with p = 0.5 * (1 + erf(x / sqrt(2))); local gradient p + x * exp(-0.5 * x * x) / sqrt(2 * pi).
        "tanh": 0.5 * x * (1 + t) with t = tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)); local gradient
        0.5 * (1 + t) + 0.5 * x * (1 - t**2) * sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2). ValueError for any other name.
        """
        cdef double x = self.numbers.data
        cdef double p, t, cube, square, t_square
        if approximate == "none":
            p = 0.5 * (1.0 + <double>python_erf(x / SQRT_2))
            return unary(self, x * p, p + x * exp(-0.5 * x * x) / SQRT_2_PI, 0)
        if approximate != "tanh":
            raise ValueError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
        power(x, 3.0, &cube)
        power(x, 2.0, &square)
        t = tanh(SQRT_2_OVER_PI * (x + 0.044715 * cube))
        power(t, 2.0, &t_square)
        return unary(self, 0.5 * x * (1.0 + t),
                     0.5 * (1.0 + t) + 0.5 * x * (1.0 - t_square) * SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044715 * square), 0)

    def backward(self):
        """Set self.grad to 1 and add to the grad of every Value below it the derivative of self with respect to it.

        Contributions are added in the script's order: depth-first from self, children left to right, then back along that
        list. Gradients of earlier calls are kept and added to. Works without recursion, at any depth.

        Raises MemoryError, with no gradient changed, when there is no room for the list (4 bytes a node).
        """
        need_node(<Handle *>self, "backward")
        if backward_from(&arena, self.id) < 0:
            raise MemoryError

    def __repr__(self):
        return f"Value(data={self.data!r}, grad={self.grad!r})"

    def __copy__(self):
        """A Value of its own with the same children: what copy.copy does to the script's."""
        made = new_value(type(self), self.data, self.grad, self._children, self._local_grads)
        set_attributes(made, get_attributes(self))
        return made

    def __reduce_ex__(self, protocol):
        """Pickle and copy.deepcopy: the whole graph below, without recursion; see _pickling.py."""
        from ._pickling import reduce_value
        return reduce_value(self)

    def __setstate__(self, state):
        """The instance attributes of a subclass's instances, as _pickling.reduce_value gave them."""
        values, attributes = state
        for k, of_one in attributes.items():
            set_attributes(values[k], of_one)


def new_value(kind, data, grad, children, local_grads):
    """A Value of the class `kind`, made without its __init__."""
    if not issubclass(kind, Value):
        raise TypeError(f"{kind!r} is not Value or a subclass of it")
    made = class_instance(kind)
    initialise(made, data, children, local_grads)
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
if VALUE.tp_basicsize != sizeof(Handle):
    raise ImportError("microgpt._engine: Handle in _engine.pxd does not mirror Value")
arena.forget = node_forget
VALUE.tp_dealloc = handle_dealloc
VALUE.tp_as_sequence = &no_sequence                         # room for what a script may assign: `Value.__getitem__ = f`
VALUE.tp_as_mapping = &no_mapping
VALUE.tp_vectorcall = <vectorcallfunc>value_vectorcall
VALUE.tp_flags &= ~Py_TPFLAGS_IMMUTABLETYPE                 # a script may assign `Value.gelu = f`, as on a class of its own
PyType_Modified(VALUE)


def arena_stats():
    """What the arena holds, after a look for what no Value reaches any more, as a dict:

    nodes           alive: reached by a Value of yours
    blocks          that they stand in, some places being empty or dead
    bytes           everything the arena keeps: blocks, empty blocks held ready, scratch of `backward`, tables
    bytes_per_node  bytes / nodes
    """
    collect(&arena)
    if have_trash:
        trash_empty()
    cdef size_t nodes = arena.nodes_alive - 1               # node 0 is nobody's
    cdef size_t size = arena_bytes(&arena)
    return {"nodes": nodes, "blocks": arena.blocks_alive, "bytes": size, "bytes_per_node": size / nodes if nodes else 0.0}
