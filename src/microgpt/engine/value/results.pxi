# Results of operations: places and handles for them, on the fast path and of a subclass.
# A part of _engine.pyx, which includes it.

cdef cold_void reserve_slow(uint32_t n) except *:
    if arena.spare == NULL:
        handles_add(1)
    if results_reserve(&arena, n) < 0:
        raise MemoryError


cdef inline Handle *reserve_result(uint32_t n) except NULL:
    """A handle for a result, and places for it and the n - 1 nodes made on the way; after this nothing can fail."""
    if unlikely(arena.spare == NULL or arena.open[RESULTS].used + n > BLOCK_NODES):
        reserve_slow(n)
    return handle_take(&arena)


cdef inline uint32_t data_flag(bint is_int) noexcept:
    """DATA_INT for the data of a result that Python gave as an int."""
    return DATA_INT * (is_int and not arena.kinds.float_data)


cdef object unary(object self, double data, double local_grad, uint32_t flags, uint32_t operation):
    """The result of a function of one Value."""
    if likely(is_plain(<PyObject *>self)):
        handle = reserve_result(1)
        (<Handle *>self).is_operand = True
        local_grad_next(&arena, local_grad, operation)
        return result_with_handle(&arena, handle, data, (<Handle *>self).id, 0, flags)
    return result_of_class(type(self), data, (self,), (number_object(local_grad, flags & GRAD0_INT),), flags & DATA_INT,
                           operation)


cdef object result_of_class(object cls, double data, tuple children, tuple local_grads, bint is_int, uint32_t operation):
    """The result of an operation on a subclass: an instance of it, made as the script makes its own."""
    number = number_object(data, is_int)
    if constructor_takes(cls, 3):
        made = cls(number, children, local_grads)
    else:
        made = class_instance(cls)
        initialise(made, number, children, local_grads)
    set_operation(made, children, operation)
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
