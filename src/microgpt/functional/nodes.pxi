# Nodes made by whole vectors: records of dot products, products, functions of one operand; and handles for them.
# A part of _functional.pyx, which includes it.

cdef inline int reserve(uint32_t n) except -1:
    """Places for n results side by side; at most BLOCK_NODES."""
    if not has_places(arena, n) and block_open(arena, RESULTS) == NULL:
        raise MemoryError
    return 0


cdef inline Block *open_block() noexcept:
    return arena.open[RESULTS]


cdef inline void attach_handles(list results, uint32_t start, uint32_t n) noexcept:
    """Handles for the n nodes appended last, as elements of the list from `start` on."""
    cdef Block *block = open_block()
    cdef uint32_t place = block.used - n, k
    cdef Handle *handle
    for k in range(n):
        handle = handle_take(arena)
        handle_point(handle, block, place + k)
        list_set(results, start + k, <PyObject *>handle)


cdef inline uint32_t append_unary(double data, uint32_t child, double local_grad, uint32_t flags, uint32_t operation) noexcept:
    local_grad_next(arena, local_grad, operation)
    return result_append(arena, data, child, 0, flags, NULL)


cdef inline uint32_t append_product(double left_data, uint32_t left, double right_data, uint32_t right) noexcept:
    local_grads_next(arena, right_data, left_data)
    return result_append(arena, left_data * right_data, left, right, 0, NULL)


cdef inline object product_with_number(double data, uint32_t node, double number, bint is_int):
    """`node * number` with a Value of its own, which has the number among its children as the script's does."""
    cdef uint32_t other = append_number(arena, number, is_int)
    local_grads_next(arena, number, data)
    return result_with_handle(arena, handle_take(arena), data * number, node, other, GRAD0_INT * is_int)


cdef inline void append_rows(Dots *dots, const double *data, uint32_t n) noexcept:
    """The nodes of a record, in its block, which is the open one."""
    cdef Block *block = open_block()
    cdef uint32_t place = block.used, k
    memcpy(&block.numbers[place], data, n * sizeof(double))
    memset(&block.children[place], 0, n * sizeof(block.children[0]))
    memset(&block.flags[place], DOT, n)
    for k in range(n):
        block.local_grads[place + k].first.dots = dots
        hidden_grad(block, place + k)[0] = 0.0
    block.used += n


cdef inline void dot_products(const Dots *dots, double *results) noexcept:
    """((0 + r0 * s0) + r1 * s1) + ... for each row."""
    arena.kernels.products(dots.n, dots.n_rows, dots.rows_data, dots.shared_data, results)


cdef inline void share(Dots *dots, const Vector *shared) noexcept:
    """Make this the vector that the rows of a record share."""
    cdef uint32_t k, node
    memcpy(dots.shared_data, shared.data, shared.n * sizeof(double))
    if shared.is_range:
        dots.shared[0] = shared.first
    else:
        memcpy(dots.shared, shared.ids, shared.n * sizeof(uint32_t))
    if shared.has_ints:
        dots.shared_int = <uint8_t *>(dots.rows + (dots.n_rows if dots.rows_are_ranges else <size_t>dots.n_rows * dots.n)
                                      + (1 if shared.is_range else dots.n))
        for k in range(shared.n):
            node = id_at(shared, k)
            dots.shared_int[k] = (block_of(arena, node).flags[node & PLACE_MASK] & DATA_INT) != 0
    dots.disjoint = shared.is_range
    mark_in_dots(shared)


cdef inline bint is_disjoint(const Dots *dots, const Vector *operands) noexcept:
    """Whether none of these is in the shared vector, a range."""
    cdef uint32_t k
    if operands.is_range:
        return operands.first + operands.n <= dots.shared[0] or dots.shared[0] + dots.n <= operands.first
    for k in range(operands.n):
        if operands.ids[k] - dots.shared[0] < dots.n:       # unsigned: also false below it
            return False
    return True


cdef inline void set_row(Dots *dots, uint32_t row, const Vector *operands) noexcept:
    """Make these the operands of a row."""
    cdef uint32_t k
    cdef size_t start = <size_t>row * dots.n
    if dots.rows_data != NULL:
        memcpy(dots.rows_data + start, operands.data, dots.n * sizeof(double))
    if dots.rows_are_ranges:
        dots.rows[row] = operands.first
    else:
        for k in range(dots.n):
            dots.rows[start + k] = id_at(operands, k)
    dots.disjoint = dots.disjoint and is_disjoint(dots, operands)
    mark_in_dots(operands)


cdef inline uint32_t contiguous_rows(const Vector *rows, uint32_t n_rows) noexcept:
    """How many of these ranges, from the first on, follow one another in a block."""
    cdef uint32_t n = 1
    while n < n_rows and rows[n].data == rows[n - 1].data + rows[0].n:
        n += 1
    return n


cdef inline void set_rows(Dots *dots, const Vector *rows) noexcept:
    """Make these the operands of all rows; matrices usually stand in the arena as they were made, row behind row."""
    cdef uint32_t row = 0, n, k
    cdef Vector joined
    if not dots.rows_are_ranges:
        for row in range(dots.n_rows):
            set_row(dots, row, &rows[row])
        return
    while row < dots.n_rows:
        n = contiguous_rows(&rows[row], dots.n_rows - row)
        joined = rows[row]
        joined.n *= n
        memcpy(dots.rows_data + <size_t>row * dots.n, joined.data, joined.n * sizeof(double))
        dots.disjoint = dots.disjoint and is_disjoint(dots, &joined)
        mark_in_dots(&joined)
        for k in range(n):
            dots.rows[row + k] = joined.first + k * dots.n
        row += n


cdef Dots *dots_new(uint32_t n, uint32_t n_rows, const Vector *shared, bint rows_are_ranges) except NULL:
    """A record in the open block, where n_rows places are reserved."""
    cdef Dots *dots = dots_allocate(arena, open_block(), n, n_rows, shared != NULL,
                                    shared != NULL and shared.is_range, rows_are_ranges)
    if dots == NULL:
        raise MemoryError
    if shared != NULL:
        share(dots, shared)
    return dots


cdef int append_sum(const Vector *terms, double *data, uint32_t *node) except -1:
    """sum(terms), which begins with 0: one node."""
    cdef double total = 0.0
    cdef uint32_t k
    cdef Dots *dots
    reserve(1)
    dots = dots_new(terms.n, 1, NULL, terms.is_range)
    set_row(dots, 0, terms)
    dots.rows_are_leaves = terms.is_leaves
    for k in range(terms.n):
        total += terms.data[k]
    append_rows(dots, &total, 1)
    data[0] = total
    node[0] = open_block().first_id + open_block().used - 1
    return 0


cdef inline list new_list(uint32_t n):
    """A list with room for n results; there are spare handles for as many. From here on nothing may run a user's code, which
    could take the handles or change the operands: the garbage collector waits for the next occasion, and methods_unchanged,
    which may set it off as well, is asked before."""
    cdef bint collecting = PyGC_Disable()
    try:
        made = PyList_New(n)
        handles_add(n)
    finally:
        if collecting:
            PyGC_Enable()
    return made
