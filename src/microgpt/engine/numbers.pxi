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


cdef int need_number(object number, str what, double *value, bint *is_int) except -1:
    if read_number(number, value, is_int) == 0:
        raise TypeError(f"{what} must be a real number, not {type(number).__name__!r}")
    return 0
