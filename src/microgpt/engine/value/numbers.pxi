# Numbers in and out: which Python objects are real numbers, and which doubles read back as ints.
# A part of _engine.pyx, which includes it.

cdef inline object number_object(double value, bint is_int):
    if is_int:
        return <long long>value
    return value


cdef inline bint is_float_or_int(object number) noexcept:
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
    return read_any_number(number, value)


cdef int read_any_number(object number, double *value) except -1:
    """NumPy scalars, Fractions and the like; not complex numbers, strings, or arrays with a length."""
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


cdef object number_guard = None         # see set_number_guard


def set_number_guard(guard):
    """Call guard(number, what) before anything but a float or an int below 2**53 goes into a Value: the script's own class
    keeps such things as they are, this one would not. The guard returns to let a number pass, or raises. While it is set,
    errors are the script's, and `number ** value`, which the script's class lacks, is refused."""
    global number_guard
    number_guard = guard
    arena.int_overflowed = False


cdef inline bint round_trips(object number) noexcept:
    """Whether a Value gives back this very number."""
    cdef int overflow = 0
    cdef long long whole
    if PyFloat_CheckExact(number):
        return True
    if not PyLong_CheckExact(number):
        return False
    whole = PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0 and fits_int(<double>whole)


cdef inline int guard_number(object number, str what) except -1:
    if unlikely(number_guard is not None) and not round_trips(number):
        number_guard(number, what)
    return 0


cdef cold_void guard_overflow() except *:
    """Before data are read, once a result of ints was too large for one (arena.int_overflowed)."""
    if number_guard is not None:
        number_guard(1 << 53, "a result")


cdef int guard_operand(object result, object number) except -1:
    """guard_number for a number beside a Value, by the result of the two: bools and ints vanish in floats."""
    if not PyLong_Check(number) or not round_trips(result):
        guard_number(number, "an operand")
    return 0


cdef tuple as_tuple(object links, str what):
    """Children or local gradients as a tuple."""
    if unlikely(number_guard is not None) and not isinstance(links, (tuple, list)):
        number_guard(links, what)
    return tuple(links)


cdef int require_number(object number, str what, double *value, bint *is_int) except -1:
    guard_number(number, what)
    if read_number(number, value, is_int) == 0:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return 0


# ---- recording: see recording/ -------------------------------------------------------------------------------------------

cdef object recorder = None             # who is told, while a function is recorded, what it does with numbers
cdef bint recording = False             # whether somebody is


def set_recorder(listener):
    """From now on, tell `listener` of every number that is read or written (`watch`), of the exponents of powers (`power`), and
    ask it what number a new Value gets (`leaf`). None ends that."""
    global recorder, recording
    recorder = listener
    recording = listener is not None


cdef object engine_recorder():
    return recorder


cdef cold_void watch(object value, str what) except *:
    recorder.watch(value, what)


cdef cold_void number_read(object value) except *:
    """Before somebody looks at a number who is not to do so, or to be told."""
    if recording:
        watch(value, "reads .data of a Value")
    if arena.int_overflowed:
        guard_overflow()
