# Dot products in pickles and copies: see _pickling.py.
# A part of _functional.pyx, which includes it.

def dot_state(Value value not None):
    """What a dot product or sum has beside its terms: (whether it has products, whether its hidden gradients are floats,
    those gradients, a single one if they are all the same). None for another node."""
    cdef uint32_t node = value.id, place = node & PLACE_MASK, i
    cdef Block *block = block_of(arena, node)
    cdef Dots *dots = block.local_grads[place].first.dots
    cdef double *grads
    if block.flags[place] & DOT != DOT:
        return None
    grads = hidden_grads(dots, dot_row(block, place))
    hidden = (hidden_grad(block, place)[0],) if grads == NULL else tuple([grads[i] for i in range(2 * dots.n)])
    return dots.shared != NULL, (block.flags[place] & HIDDEN_FLOAT) != 0, hidden


cdef int read_terms(list values, list factors, Vector *vector) except -1:
    """Operands with the numbers that they had when the product was made."""
    cdef uint32_t k
    cdef Value value
    vector_new(vector, <uint32_t>len(values))
    for k in range(vector.n):
        value = values[k]
        value.is_operand = True
        vector.ids[k], vector.data[k] = value.id, factors[k]
        vector.has_ints = vector.has_ints or isinstance(factors[k], int)
    return 0


cdef int restore_hidden(Dots *dots, uint32_t node, bint is_float, tuple grads) except -1:
    """Give a new dot product the hidden gradients of another."""
    cdef Block *block = block_of(arena, node)
    cdef uint32_t place = node & PLACE_MASK, i
    cdef double *own
    block.flags[place] |= HIDDEN_FLOAT * is_float
    hidden_grad(block, place)[0] = grads[0]
    if len(grads) == 1:
        return 0
    own = hidden_allocate(dots, 0)
    if own == NULL:
        raise MemoryError
    for i in range(2 * dots.n):
        own[i] = grads[i]
    return 0


def new_dot(children, local_grads, tuple state not None):
    """A dot product or sum with these children and local gradients, and what `dot_state` gave for another one.

    ValueError for what no dot product has.
    """
    cdef bint has_products = len(state) == 3 and state[0]
    cdef list left = list(children[::2] if has_products else children), right = list(children[1::2])
    cdef list left_data = list(local_grads[1::2] if has_products else local_grads), right_data = list(local_grads[::2])
    cdef uint32_t n = size_of(left), k
    cdef Vector row, shared
    cdef Dots *dots
    cdef double data = 0.0
    if (n == 0 or len(local_grads) != len(children) or len(children) != n << has_products or len(state) != 3
            or not isinstance(state[2], tuple) or len(state[2]) not in (1, 2 * n)):
        raise ValueError(f"no dot product has {len(children)} children and {len(local_grads)} local gradients")
    results = new_list(1)
    begin_call(1, 2 * vector_bytes(n))
    read_terms(left, left_data, &row)
    if has_products:
        read_terms(right, right_data, &shared)
    reserve(1)
    dots = dots_new(n, 1, &shared if has_products else NULL, False)
    if dots.shared_int != NULL:
        for k in range(n):
            dots.shared_int[k] = isinstance(right_data[k], int)
    set_row(dots, 0, &row)
    append_rows(dots, &data, 1)
    attach_handles(results, 0, 1)
    restore_hidden(dots, dots.first, state[1], state[2])
    return results[0]
