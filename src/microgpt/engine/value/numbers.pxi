# Numbers in and out: which Python objects are real numbers, and which doubles read back as ints.
# A part of _engine.pyx, which includes it.

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


cdef object on_strange = None           # see `strictly`


def strictly(function):
    """From now on, ask f(number, what) before anything but a float or an int below 2**53 goes into a Value: the script's own
    class keeps such things as they are, this one would not. It returns to let a number pass, or raises. Errors are then
    the script's, and `number ** value`, which the script's class lacks, is none of our business."""
    global on_strange
    on_strange = function


cdef inline bint keeps_its_kind(object number) noexcept:
    """Whether a Value gives back this very number."""
    cdef int overflow = 0
    cdef long long whole
    if PyFloat_CheckExact(number):
        return True
    if not PyLong_CheckExact(number):
        return False
    whole = PyLong_AsLongLongAndOverflow(number, &overflow)
    return overflow == 0 and fits_int(<double>whole)


cdef bint too_large = False             # a result of ints was, while somebody wanted to know


cdef inline uint32_t whole_mark(double *value, bint is_int) noexcept:
    """int_mark, and a note where ints gave a number that the script would show as an int and this class cannot."""
    global too_large
    cdef uint32_t mark = int_mark(value, is_int)
    if unlikely(is_int and not mark):
        too_large = on_strange is not None
    return mark


cdef inline int ask(object number, str what) except -1:
    if unlikely(on_strange is not None) and not keeps_its_kind(number):
        on_strange(number, what)
    return 0


cdef cold_void ask_number() except *:
    """Before a number is looked at, once one was too large."""
    if on_strange is not None:
        on_strange(1 << 53, "a result")


cdef int ask_operand(object result, object number) except -1:
    """The same about `number` beside a Value, whose data and it gave this result; bools and ints vanish in floats."""
    if not PyLong_Check(number) or not keeps_its_kind(result):
        ask(number, "an operand")
    return 0


cdef tuple links_tuple(object links, str what):
    """Children or local gradients as a tuple."""
    if unlikely(on_strange is not None) and not isinstance(links, (tuple, list)):
        on_strange(links, what)
    return tuple(links)


cdef int need_number(object number, str what, double *value, bint *is_int) except -1:
    ask(number, what)
    if read_number(number, value, is_int) == 0:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return 0
