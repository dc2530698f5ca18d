# Operators: + and *, which nearly every node is made by; **; and - and /, which the script expresses by these.
# A part of _engine.pyx, which includes it.

# ---- + and * ------------------------------------------------------------------------------------------------------------

cdef inline bint fast_path(object left, object right) noexcept:
    """Whether there are two plain Values of floats, a spare handle, and a place for the result: so it is nearly always."""
    return (is_plain(<PyObject *>left) and is_plain(<PyObject *>right) and arena.spare != NULL
            and arena.open[RESULTS].used < BLOCK_NODES and not ((<Handle *>left).data_int | (<Handle *>right).data_int))


cdef inline object add(Handle *a, Handle *b):
    cdef Handle *handle
    if unlikely(a.id & b.id & IN_LEAF_BLOCK):
        graph_begins(&arena)
    handle = handle_take(&arena)
    a.is_operand = b.is_operand = True
    return result_with_handle(&arena, handle, a.numbers[0] + b.numbers[0], a.id, b.id, ONES)


cdef inline object multiply(Handle *a, Handle *b):
    cdef Handle *handle = handle_take(&arena)
    a.is_operand = b.is_operand = True
    local_grads_next(&arena, b.numbers[0], a.numbers[0])
    return result_with_handle(&arena, handle, a.numbers[0] * b.numbers[0], a.id, b.id, 0)


cdef inline object add_number(Handle *a, double number, bint is_int):
    """`a + number`, and `number + a`, which the script evaluates as the former."""
    cdef Handle *handle = reserve_result(2)
    cdef double data = a.numbers[0] + number
    cdef uint32_t other
    is_int = is_int and not arena.kinds.float_data
    other = append_number(&arena, number, is_int)
    a.is_operand = True
    return result_with_handle(&arena, handle, data, a.id, other, ONES | int_flag(&arena, &data, a.data_int & is_int))


cdef inline object multiply_number(Handle *a, double number, bint is_int):
    cdef double data = a.numbers[0] * number
    cdef Handle *handle = reserve_result(2)
    cdef uint32_t flags, other
    is_int = is_int and not arena.kinds.float_data
    flags = is_int * GRAD0_INT | a.data_int * GRAD1_INT
    other = append_number(&arena, number, is_int)
    flags |= int_flag(&arena, &data, a.data_int & is_int)
    a.is_operand = True
    local_grads_next(&arena, number, a.numbers[0])
    return result_with_handle(&arena, handle, data, a.id, other, flags)


cdef object add_values(Handle *a, Handle *b):
    """+ of plain Values, ints too."""
    cdef Handle *handle = reserve_result(1)
    cdef double data = a.numbers[0] + b.numbers[0]
    cdef uint32_t flags = ONES | int_flag(&arena, &data, a.data_int & b.data_int)
    a.is_operand = b.is_operand = True
    return result_with_handle(&arena, handle, data, a.id, b.id, flags)


cdef object multiply_values(Handle *a, Handle *b):
    """* of plain Values, ints too."""
    cdef Handle *handle = reserve_result(1)
    cdef double data = a.numbers[0] * b.numbers[0]
    cdef uint32_t flags = b.data_int * GRAD0_INT | a.data_int * GRAD1_INT | int_flag(&arena, &data, a.data_int & b.data_int)
    local_grads_next(&arena, b.numbers[0], a.numbers[0])
    a.is_operand = b.is_operand = True
    return result_with_handle(&arena, handle, data, a.id, b.id, flags)


cdef cold_void add_slow(object left, object right, PyObject **result) except *:
    """+ of whatever is not two plain Values of floats, as a new reference."""
    cdef double number
    cdef bint is_int
    if is_plain(<PyObject *>right):
        if is_plain(<PyObject *>left):
            made = add_values(<Handle *>left, <Handle *>right)
        elif is_float_or_int(left) and VALUE.tp_as_number.nb_add == operators.nb_add:
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
        if unlikely(number_guard is not None) and not round_trips(right):
            guard_operand(PyNumber_Add((<Value>left).data, right), right)
        if read_number(right, &number, &is_int) == 0:
            return NotImplemented
        if is_plain(<PyObject *>left):
            return add_number(<Handle *>left, number, is_int)
    cls = result_class(left, right)
    left, right = operands_of_class(cls, left, right)
    number = (<Handle *>left).numbers[0] + (<Handle *>right).numbers[0]
    is_int = int_flag(&arena, &number, (<Handle *>left).data_int & (<Handle *>right).data_int)
    return result_of_class(cls, number, (left, right), (1, 1), is_int, OP_ADD)


cdef cold_void multiply_slow(object left, object right, PyObject **result) except *:
    """* of whatever is not two plain Values of floats, as a new reference."""
    cdef double number
    cdef bint is_int
    if is_plain(<PyObject *>right):
        if is_plain(<PyObject *>left):
            made = multiply_values(<Handle *>left, <Handle *>right)
        elif is_float_or_int(left) and VALUE.tp_as_number.nb_multiply == operators.nb_multiply:
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
        if unlikely(number_guard is not None) and not round_trips(right):
            guard_operand(PyNumber_Multiply((<Value>left).data, right), right)
        if read_number(right, &number, &is_int) == 0:
            return NotImplemented
        if is_plain(<PyObject *>left):
            return multiply_number(<Handle *>left, number, is_int)
    cls = result_class(left, right)
    left, right = operands_of_class(cls, left, right)
    number = (<Handle *>left).numbers[0] * (<Handle *>right).numbers[0]
    is_int = int_flag(&arena, &number, (<Handle *>left).data_int & (<Handle *>right).data_int)
    return result_of_class(cls, number, (left, right), (right.data, left.data), is_int, OP_MUL)


# ---- ** -----------------------------------------------------------------------------------------------------------------

cdef int real_power(double base, double exponent, double *result) except -1:
    """The same for other modules."""
    return power(base, exponent, result)


cdef double real_exp(double x) except? -1.0:
    """math.exp"""
    return checked_exp(x)


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


cdef object late_grads = None           # see set_late_grads


cdef int refuse_late(object error) except -1:
    if late_grads is not None:
        late_grads(f"a local gradient raises {type(error).__name__}, in yours only when backward() runs")
    return 0


cdef inline int power_of_grad(double base, double exponent, double *result) except -1:
    """power() for a local gradient."""
    if unlikely(arena.no_local_grads):
        result[0] = 0.0
        return 0
    if likely(not arena.late_grads):
        return power(base, exponent, result)
    try:
        return power(base, exponent, result)
    except ArithmeticError as error:
        refuse_late(error)
        raise


cdef double real_result(object result) except? -1.0:
    """The float of what `**` gave on the numbers themselves."""
    cdef double value
    cdef bint is_int
    guard_number(result, "the result of **")
    if isinstance(result, complex):
        raise ValueError("a negative number to a fractional power is complex; a Value holds real numbers")
    require_number(result, "the result of **", &value, &is_int)
    return value


cdef object raise_to(object self, object exponent):
    """self ** exponent: data x**n, local gradient n * x**(n - 1)."""
    cdef Handle *base = <Handle *>self
    cdef double number, data, deriv
    cdef bint is_int
    if unlikely(number_guard is not None) and (isinstance(exponent, complex) or is_value(<PyObject *>exponent)):
        guard_number((<Value>self).data ** exponent, "the result of **")        # the script's class raises for a Value
    if isinstance(exponent, complex):
        raise TypeError("the exponent of ** must be a real number, not 'complex'")
    if is_value(<PyObject *>exponent):
        return raise_to_value(self, exponent)
    if not base.data_int and (PyFloat_CheckExact(exponent) or PyLong_Check(exponent)):
        read_number(exponent, &number, &is_int)
        if PyFloat_CheckExact(exponent) or is_int:
            power(base.numbers[0], number, &data)
            power_of_grad(base.numbers[0], number - 1.0, &deriv)
            return unary(self, data, number * deriv, 0, OP_POW)
    return raise_objects(self, exponent)


cdef object raise_objects(object self, object exponent):
    """The same on the Python numbers: exact for ints, and right for whatever has ** with them."""
    cdef double data, deriv
    cdef bint data_int, deriv_int
    number = number_object((<Handle *>self).numbers[0], (<Handle *>self).data_int)
    raised = number ** exponent
    if isinstance(raised, complex):
        real_result(raised)
    require_number(raised, "the result of **", &data, &data_int)
    try:
        deriv_number = exponent * number ** (exponent - 1)
    except ArithmeticError as error:
        refuse_late(error)
        raise
    require_number(deriv_number, "a local gradient", &deriv, &deriv_int)
    return unary(self, data, deriv, data_flag(data_int) | GRAD0_INT * deriv_int, OP_POW)


cdef object raise_to_value(object left, object right):
    """left ** right: data a**b, local gradients b * a**(b - 1) and log(a) * a**b."""
    cdef Handle *a = <Handle *>left
    cdef Handle *b = <Handle *>right
    cdef Handle *handle
    cdef double data, base_deriv, exponent_deriv
    cdef bint data_int = False, deriv_int = False, is_int
    if a.data_int | b.data_int:                             # exact for ints
        x, y = (<Value>left).data, (<Value>right).data
        raised = x ** y
        data = real_result(raised)
        data_int = isinstance(raised, int) and fits_int(data)
        require_number(y * x ** (y - 1), "a local gradient", &base_deriv, &deriv_int)
        require_number(math.log(x) * raised, "a local gradient", &exponent_deriv, &is_int)
    else:
        power(a.numbers[0], b.numbers[0], &data)
        power(a.numbers[0], b.numbers[0] - 1.0, &base_deriv)
        base_deriv *= b.numbers[0]
        if a.numbers[0] <= 0.0:
            math.log(a.numbers[0])                          # raises ValueError
        exponent_deriv = log(a.numbers[0]) * data
    if not is_plain(<PyObject *>left) or not is_plain(<PyObject *>right):
        return result_of_class(result_class(left, right), data, (left, right),
                               (number_object(base_deriv, deriv_int), exponent_deriv), data_int, OP_POW)
    handle = reserve_result(1)
    a.is_operand = b.is_operand = True
    local_grads_next(&arena, base_deriv, exponent_deriv)
    made = result_with_handle(&arena, handle, data, a.id, b.id, DATA_INT * data_int | GRAD0_INT * deriv_int)
    mark_raised(handle.id)
    return made


cdef object power_of_number(object base, object self):
    """base ** self: data c**x, local gradient log(c) * c**x."""
    cdef double data, deriv
    cdef bint data_int, deriv_int
    if number_guard is not None or read_number(base, &data, &data_int) == 0:
        return NotImplemented
    number = number_object((<Handle *>self).numbers[0], (<Handle *>self).data_int)
    raised = base ** number
    if isinstance(raised, complex):
        real_result(raised)
    require_number(raised, "the result of **", &data, &data_int)
    require_number(math.log(base) * raised, "a local gradient", &deriv, &deriv_int)
    return unary(self, data, deriv, DATA_INT * data_int | GRAD0_INT * deriv_int, OP_RPOW)


# ---- - and /, which the script expresses by the others -------------------------------------------------------------------

cdef dict built_attributes = dict(Value.__dict__)
cdef unsigned int checked_version = 0   # type version tag at the last check
cdef bint checked_unchanged = True      # its answer


cdef bint methods_unchanged() except -1:
    """Whether every method of Value is still the one below, so that what they do together may be done in one go. The
    interpreter gives a class another version tag when it changes."""
    global checked_version, checked_unchanged
    if VALUE.tp_version_tag == 0 or VALUE.tp_version_tag != checked_version:
        now = Value.__dict__
        checked_unchanged = True
        for name, attribute in built_attributes.items():
            if now.get(name) is not attribute:
                checked_unchanged = False
        Value.backward                                      # a look-up gives the class a tag if it has none
        checked_version = VALUE.tp_version_tag
    return checked_unchanged


def ignore_changes(names):
    """Exempt these methods from `methods_unchanged`: the caller knows that changes of them do not matter."""
    global checked_version
    for name in names:
        built_attributes.pop(name, None)
    checked_version = 0


cdef inline bint operators_unchanged() noexcept:
    """Whether the operators that the expressions below stand for are as built (one may assign `Value.__mul__ = f`)."""
    cdef NumberMethods *now = VALUE.tp_as_number
    return (now.nb_multiply == operators.nb_multiply and now.nb_add == operators.nb_add
            and now.nb_power == operators.nb_power and now.nb_negative == operators.nb_negative)


cdef inline uint32_t negated(Handle *value, double *data, bint *is_int) noexcept:
    """`value * -1` as a node without a handle, in two reserved places; its data and whether that is an int."""
    cdef uint32_t minus_one = append_number(&arena, -1.0, True)
    cdef uint32_t flags
    data[0] = value.numbers[0] * -1.0
    flags = int_flag(&arena, data, value.data_int)
    is_int[0] = flags != 0
    value.is_operand = True
    local_grads_next(&arena, -1.0, value.numbers[0])
    flags |= GRAD0_INT * (not arena.kinds.float_data) | value.data_int * GRAD1_INT
    return result_append(&arena, data[0], value.id, minus_one, flags, NULL)


cdef object subtract(Handle *a, Handle *b):
    """a + (b * -1)"""
    cdef Handle *handle = reserve_result(3)
    cdef bint is_int
    cdef double data
    cdef uint32_t other = negated(b, &data, &is_int)
    data += a.numbers[0]
    a.is_operand = True
    return result_with_handle(&arena, handle, data, a.id, other, ONES | int_flag(&arena, &data, is_int & a.data_int))


cdef object subtract_from_number(double number, bint number_int, Handle *b):
    """(b * -1) + number"""
    cdef Handle *handle = reserve_result(4)
    cdef bint is_int
    cdef double data
    cdef uint32_t left = negated(b, &data, &is_int)
    cdef uint32_t right
    number_int = number_int and not arena.kinds.float_data
    right = append_number(&arena, number, number_int)
    data += number
    return result_with_handle(&arena, handle, data, left, right, ONES | int_flag(&arena, &data, is_int & number_int))


cdef inline uint32_t inverted(Handle *value, double inverse, double deriv) noexcept:
    """`value ** -1`, whose data and derivative are known, as a node without a handle, in a reserved place."""
    value.is_operand = True
    local_grad_next(&arena, deriv, OP_POW)
    return result_append(&arena, inverse, value.id, 0, 0, NULL)


cdef inline int inverse_of(Handle *value, double *inverse, double *deriv) except -1:
    """x**-1 and -1 * x**-2."""
    power(value.numbers[0], -1.0, inverse)
    power_of_grad(value.numbers[0], -2.0, deriv)
    deriv[0] = -1.0 * deriv[0]
    return 0


cdef object divide(Handle *a, Handle *b):
    """a * b**-1"""
    cdef double inverse, deriv, numerator = a.numbers[0]
    cdef uint32_t other
    cdef Handle *handle
    inverse_of(b, &inverse, &deriv)
    handle = reserve_result(2)
    other = inverted(b, inverse, deriv)
    a.is_operand = True
    local_grads_next(&arena, inverse, numerator)
    return result_with_handle(&arena, handle, numerator * inverse, a.id, other, a.data_int * GRAD1_INT)


cdef object divide_number(double number, bint is_int, Handle *b):
    """b**-1 * number"""
    cdef double inverse, deriv
    cdef uint32_t left, right
    cdef Handle *handle
    inverse_of(b, &inverse, &deriv)
    handle = reserve_result(3)
    left = inverted(b, inverse, deriv)
    is_int = is_int and not arena.kinds.float_data
    right = append_number(&arena, number, is_int)
    local_grads_next(&arena, number, inverse)
    return result_with_handle(&arena, handle, inverse * number, left, right, is_int * GRAD0_INT)
