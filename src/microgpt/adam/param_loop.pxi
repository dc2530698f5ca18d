# Arithmetic on the numbers of every parameter, as a script's own loop does it: a program of a few operations.
# A part of _adam.pyx, which includes it.

cdef enum:
    LANES_AT_ONCE = 64                  # parameters that one operation is done for
    MOST_REGISTERS = 64
    STEP_ADD = 0
    STEP_SUB
    STEP_MUL
    STEP_DIV
    STEP_POW
    STEP_SQRT
    STEP_NEG
    STEP_MAX
    STEP_MIN
    DATA_REGISTER = 0
    GRAD_REGISTER = 1
    CELLS = 2                           # the first of the lists' registers

ctypedef double Lanes[LANES_AT_ONCE]

ctypedef struct Step:
    int operation
    int left
    int right


cdef bint all_distinct(Handle **handles, uint32_t n) noexcept:
    """Whether no node is there twice. Parameters mostly stand in the order in which they were made."""
    cdef uint32_t i, j
    for i in range(1, n):
        if handles[i].id <= handles[i - 1].id:
            break
    else:
        return True
    for i in range(n):
        for j in range(i):
            if handles[i].id == handles[j].id:
                return False
    return True


cdef bint run_step(const Step *step, const double *a, const double *b, double *result, uint32_t n) except -1:
    """One operation for n parameters. False where Python would raise an exception, or make a complex number."""
    cdef uint32_t k
    cdef bint fine = True
    if step.operation == STEP_ADD:
        for k in range(n):
            result[k] = a[k] + b[k]
    elif step.operation == STEP_SUB:
        for k in range(n):
            result[k] = a[k] - b[k]
    elif step.operation == STEP_MUL:
        for k in range(n):
            result[k] = a[k] * b[k]
    elif step.operation == STEP_NEG:
        for k in range(n):
            result[k] = -a[k]
    elif step.operation == STEP_MAX:
        for k in range(n):
            result[k] = b[k] if b[k] > a[k] else a[k]
    elif step.operation == STEP_MIN:
        for k in range(n):
            result[k] = b[k] if b[k] < a[k] else a[k]
    elif step.operation == STEP_DIV:
        for k in range(n):
            fine = fine and b[k] != 0.0
            result[k] = a[k] / b[k]
    elif step.operation == STEP_SQRT:
        for k in range(n):
            fine = fine and not a[k] < 0.0
            result[k] = sqrt(a[k])
    else:
        for k in range(n):
            real_power(a[k], b[k], &result[k])
    return fine


def update_each(kind, list params, Py_ssize_t n, tuple lists, list settings, list code, dict stores, bint zero, bint zero_int,
                bint negates):
    """Do for each of the first n parameters what a program says, in order. Returns for how many it was done: all before the
    first for which the interpreted loop would raise an exception, or which holds something else than a float.

    kind      the class that all of them must be of
    lists     lists of a float for each parameter, read and written
    settings  numbers that are the same for all
    code      (operation, left, right) for each result. Registers: data, gradient, the lists, the settings, the results
    stores    {register: result that is stored in it}
    zero      set the gradients to 0 afterwards, an int if zero_int
    negates   gradients that are the int 0 end it, of which a minus would make another zero
    """
    cdef Lanes registers[MOST_REGISTERS]
    cdef Step steps[MOST_REGISTERS]
    cdef Handle *handles[LANES_AT_ONCE]
    cdef int n_lists = <int>len(lists), n_code = <int>len(code), base = CELLS + <int>len(lists) + <int>len(settings), k, target
    cdef Py_ssize_t done = 0
    cdef uint32_t lanes, i
    cdef bint fine
    if base + n_code > MOST_REGISTERS:
        return 0
    for k in range(n_code):
        steps[k].operation, steps[k].left, steps[k].right = code[k]
    for k in range(<int>len(settings)):
        for i in range(<uint32_t>LANES_AT_ONCE):
            registers[CELLS + n_lists + k][i] = settings[k]
    while done < n:
        lanes = <uint32_t>min(n - done, <Py_ssize_t>LANES_AT_ONCE)
        if not read_lanes(kind, params, done, lanes, lists, handles, registers, negates):
            return done
        fine = True
        try:
            for k in range(n_code):
                fine = fine and run_step(&steps[k], registers[steps[k].left], registers[steps[k].right], registers[base + k],
                                         lanes)
        except Exception:                                   # for the script's own loop to raise
            fine = False
        if not fine:
            return done
        for register, result in stores.items():
            target = register
            k = result
            write_lanes(params, done, lanes, lists, handles, target, registers[k])
        if zero:
            for i in range(lanes):
                write_gradient(handles[i], 0.0, zero_int)
        done += lanes
    return done


cdef bint read_lanes(object kind, list params, Py_ssize_t start, uint32_t n, tuple lists, Handle **handles, Lanes *registers,
                     bint negates) except -1:
    """The numbers of n parameters into the registers. False if one is not what it should be."""
    cdef uint32_t i
    cdef int k
    cdef Block *block
    if start + n > len(params):
        return False
    for i in range(n):
        parameter = params[start + i]
        if type(parameter) is not kind or (<Handle *>parameter).id == 0:
            return False
        handles[i] = <Handle *>parameter
        block = block_of(engine_arena(), handles[i].id)
        if negates and block.int_grads[handles[i].id & PLACE_MASK]:
            return False
        registers[DATA_REGISTER][i] = handles[i].numbers[0]
        registers[GRAD_REGISTER][i] = handles[i].numbers[GRAD]
    if not all_distinct(handles, n):
        return False
    for k in range(<int>len(lists)):
        cells = <list>lists[k]
        if start + n > len(<list>cells):
            return False
        for i in range(n):
            cell = (<list>cells)[start + i]
            if not PyFloat_CheckExact(cell):
                return False
            registers[CELLS + k][i] = PyFloat_AS_DOUBLE(cell)
    return True


cdef inline void write_gradient(Handle *handle, double value, bint is_int) noexcept:
    handle.numbers[GRAD] = value
    block_of(engine_arena(), handle.id).int_grads[handle.id & PLACE_MASK] = is_int


cdef int write_lanes(list params, Py_ssize_t start, uint32_t n, tuple lists, Handle **handles, int target,
                     const double *values) except -1:
    """Results back to where they belong."""
    cdef uint32_t i
    cdef Block *block
    for i in range(n):
        if target == DATA_REGISTER:
            handles[i].numbers[0] = values[i]
            if handles[i].data_int:
                block = block_of(engine_arena(), handles[i].id)
                block.flags[handles[i].id & PLACE_MASK] &= ~<uint32_t>DATA_INT
                handles[i].data_int = False
        elif target == GRAD_REGISTER:
            write_gradient(handles[i], values[i], False)
        else:
            (<list>lists[target - CELLS])[start + i] = values[i]
    return 0
