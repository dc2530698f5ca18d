# Operands: lists of Values read as vectors, in the arena itself where their nodes stand side by side.
# A part of _functional.pyx, which includes it.

ctypedef struct Vector:                 # operands or results in the arena
    uint32_t n
    bint is_range                       # their nodes stand side by side in one block
    bint is_leaves                      # all in leaf blocks
    bint has_ints                       # some data are ints
    uint32_t first                      # id, of a range
    uint32_t *ids                       # n, of others
    double *data                        # n; of a range: in the block itself

cdef char *scratch = NULL               # memory of the running call, given out from the start
cdef size_t scratch_size = 0
cdef size_t scratch_used = 0


cdef int begin_call(size_t n_nodes, size_t size) except -1:
    """Prepare for up to so many nodes, and for so many bytes of scratch memory until the next call of this function.

    Dead blocks are freed now if the nodes may need a new one: later, nodes under construction would be taken for dead.
    """
    global scratch, scratch_size, scratch_used
    cdef char *grown
    scratch_used = 0
    if not has_places(arena, n_nodes):
        reclaim(arena)
    if size > scratch_size:
        grown = <char *>PyMem_RawRealloc(scratch, 2 * size)
        if grown == NULL:
            raise MemoryError
        scratch, scratch_size = grown, 2 * size
    return 0


cdef inline void *scratch_take(size_t size) noexcept:
    global scratch_used
    cdef void *taken = scratch + scratch_used
    scratch_used += (size + 7) & ~<size_t>7
    return taken


cdef inline size_t vector_bytes(size_t n) noexcept:
    """What scratch a vector needs at most."""
    return n * (sizeof(double) + sizeof(uint32_t)) + 16


cdef inline void vector_new(Vector *vector, uint32_t n) noexcept:
    """A vector for results, in scratch memory."""
    vector.n = n
    vector.is_range = vector.is_leaves = vector.has_ints = False
    vector.ids = <uint32_t *>scratch_take(n * sizeof(uint32_t))
    vector.data = <double *>scratch_take(n * sizeof(double))


cdef inline uint32_t id_at(const Vector *vector, uint32_t k) noexcept:
    return vector.first + k if vector.is_range else vector.ids[k]


cdef inline Vector part(const Vector *vector, uint32_t start, uint32_t n) noexcept:
    """Elements start .. start + n."""
    cdef Vector found = vector[0]
    found.n = n
    found.data += start
    if found.is_range:
        found.first += start
    else:
        found.ids += start
    return found


cdef inline uint8_t any_flags(const uint8_t *flags, uint32_t n) noexcept:
    """All flags that any of n nodes side by side has."""
    cdef uint64_t eight, found = 0
    while n >= 8:
        memcpy(&eight, flags, 8)
        found |= eight
        flags += 8
        n -= 8
    while n > 0:
        n -= 1
        found |= flags[n]
    found |= found >> 32
    found |= found >> 16
    return <uint8_t>(found | found >> 8)


cdef inline bint range_read(PyObject **items, uint32_t n, Vector *vector) noexcept:
    """Whether these are the handles of plain Values side by side, whose numbers then need not be gathered."""
    cdef Handle *first = <Handle *>items[0]
    cdef Block *block = block_of(arena, first.id)
    cdef uint32_t place = first.id & PLACE_MASK
    cdef uint8_t flags
    if n > BLOCK_NODES - place or memcmp(items, &block.handles[place], n * sizeof(PyObject *)) != 0:
        return False
    flags = any_flags(&block.flags[place], n)
    if flags & SUBCLASS:
        return False
    vector.n, vector.first, vector.data = n, first.id, &block.numbers[place]
    vector.is_range, vector.is_leaves, vector.has_ints = True, (first.id & IN_LEAF_BLOCK) != 0, (flags & DATA_INT) != 0
    return True


cdef inline bint vector_read(PyObject *sequence, Vector *vector) noexcept:
    """Read a list or tuple. False if not all in it are plain Values."""
    cdef PyObject **items = sequence_items(sequence)
    cdef uint32_t n = <uint32_t>sequence_size(sequence), k
    cdef Handle *handle
    if n == 0 or type_of(items[0]) != VALUE or (<Handle *>items[0]).id == 0:
        return False
    if range_read(items, n, vector):
        return True
    vector_new(vector, n)
    vector.is_leaves = True
    for k in range(n):
        handle = <Handle *>items[k]
        if type_of(items[k]) != VALUE or handle.id == 0:
            return False
        vector.ids[k], vector.data[k] = handle.id, handle.numbers[0]
        vector.is_leaves = vector.is_leaves and handle.id & IN_LEAF_BLOCK != 0
        vector.has_ints = vector.has_ints or handle.data_int
    return True


cdef inline bint is_sized(PyObject *sequence) noexcept:
    return is_list(sequence) or is_tuple(sequence)


cdef list listed(object sequence):
    """Read to its end, which exhausts an iterator: not without the fallback."""
    if fallback_disabled:
        raise TypeError("neither a list nor a tuple")
    return list(sequence)


cdef inline object sized(object sequence):
    """A sequence as a list or tuple."""
    return sequence if is_sized(<PyObject *>sequence) else listed(sequence)


cdef inline uint32_t size_of(object sequence) except? 0xffffffff:
    if sequence_size(<PyObject *>sequence) > 0x7fffffff:
        raise OverflowError("a vector of more than 2**31 elements")
    return <uint32_t>sequence_size(<PyObject *>sequence)


cdef list values_of(object sequence):
    """Numbers made Values, for functions that need methods of them."""
    return [each if isinstance(each, Value) else Value(each) for each in sequence]


cdef inline void mark_in_dots(const Vector *vector) noexcept:
    """Mark leaves to which a record refers, and replayed graphs."""
    cdef uint32_t k, node, place, n
    if arena.has_replays and not (vector.is_range and vector.is_leaves):
        mark_replays(vector)
    if vector.is_range:
        place, n = vector.first & PLACE_MASK, vector.n if vector.is_leaves else 0
        while n > 0:                                        # a word at a time
            k = min(n, 64 - (place & 63))
            block_of(arena, vector.first).in_dots[place >> 6] |= (~<uint64_t>0 >> (64 - k)) << (place & 63)
            place += k
            n -= k
        return
    for k in range(vector.n):
        node = vector.ids[k]
        if node & IN_LEAF_BLOCK:
            block_of(arena, node).in_dots[(node & PLACE_MASK) >> 6] |= <uint64_t>1 << (node & 63)


cdef void mark_replays(const Vector *vector) noexcept:
    """Mark replayed graphs as operands, which outlive their handles then."""
    cdef uint32_t k, node
    cdef Handle *handle
    for k in range(vector.n):
        node = id_at(vector, k)
        handle = <Handle *>block_of(arena, node).handles[node & PLACE_MASK]
        if handle != NULL and handle.is_operand == UNUSED_REPLAY:
            handle.is_operand = True


cdef inline void mark_used(const Vector *vector) noexcept:
    """Mark handles as operands."""
    cdef uint32_t k, node
    cdef PyObject *handle
    for k in range(vector.n):
        node = id_at(vector, k)
        handle = block_of(arena, node).handles[node & PLACE_MASK]
        if handle != NULL:
            (<Handle *>handle).is_operand = True
