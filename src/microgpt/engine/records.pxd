# cython: language_level=3
"""What a node may have outside its block: an Operands record, a row of a Dots record, a class of its own.

Operands are allocated one by one. Dots stand in chunks of memory that belong to a block and die with it: a record has as
many rows as a call of `linear`, and none of them can outlive the block.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from microgpt.engine.layout cimport (
    BLOCK_NODES, CACHE_LINE, CHUNK_BYTES, CHUNK_BYTES_KEPT, CHUNK_SIZES, DOT, LEAF, NARY, SUBCLASS, Arena, Block, Chunk, Dots,
    Operands,
)


# ---- rows of dot products -------------------------------------------------------------------------------------------------

cdef inline uint32_t shared_id(Dots *dots, uint32_t i) noexcept nogil:
    return dots.shared[0] + i if dots.shared_is_range else dots.shared[i]


cdef inline uint32_t row_id(Dots *dots, uint32_t row, uint32_t i) noexcept nogil:
    return dots.rows[row] + i if dots.rows_are_ranges else dots.rows[row * dots.n + i]


cdef inline uint32_t dot_row(Block *block, uint32_t place) noexcept nogil:
    """Which row of its Dots record a node is."""
    return block.first_id + place - block.local_grads[place].first.dots.first


# ---- memory ---------------------------------------------------------------------------------------------------------------

cdef inline void operands_free(Arena *arena, Operands *operands) noexcept:
    arena.side_bytes -= operands_size(operands.n_children, operands.n_grads)
    replay_release(operands)
    PyMem_RawFree(operands)


cdef inline void replay_release(Operands *operands) noexcept:
    if operands.replay != NULL:
        operands.replay.release(operands.replay)
        operands.replay = NULL


cdef inline size_t operands_size(uint32_t n_children, uint32_t n_grads) noexcept nogil:
    """Bytes of an Operands record with its arrays."""
    return sizeof(Operands) + n_children * sizeof(uint32_t) + n_grads * (sizeof(double) + 1)


cdef inline Operands *operands_allocate(Arena *arena, uint32_t n_children, uint32_t n_grads) noexcept:
    """A record with room for so many children and local gradients, or NULL."""
    cdef size_t size = operands_size(n_children, n_grads)
    cdef Operands *operands = <Operands *>PyMem_RawMalloc(size)
    if operands == NULL:
        return NULL
    arena.side_bytes += size
    operands.n_children, operands.n_grads, operands.cursor = n_children, n_grads, 0
    operands.replay = NULL
    operands.local_grads = <double *>(operands + 1)
    operands.children = <uint32_t *>(operands.local_grads + n_grads)
    operands.is_int = <uint8_t *>(operands.children + n_children)
    return operands


cdef inline void *record_allocate(Arena *arena, Block *block, size_t size) noexcept:
    """Memory that lives as long as the nodes of this block, aligned to cache lines, or NULL."""
    cdef Chunk *chunk = block.chunks
    size = (size + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1)
    if chunk == NULL or chunk.size - chunk.used < size:
        chunk = chunk_take(arena, size)
        if chunk == NULL:
            return NULL
        chunk.next = block.chunks
        block.chunks = chunk
    chunk.used += size
    return <char *>chunk + chunk.used - size


cdef inline uint32_t chunk_kind(size_t size) noexcept:
    """The smallest kind of chunk with room for so many bytes; CHUNK_SIZES if there is none."""
    cdef uint32_t kind = 0
    while kind < CHUNK_SIZES and size > <size_t>CHUNK_BYTES << kind:
        kind += 1
    return kind


cdef inline Chunk *chunk_take(Arena *arena, size_t size) noexcept:
    """A chunk that has room for so many bytes, or NULL. Its records begin a cache line behind it."""
    cdef uint32_t kind = chunk_kind(size)
    cdef Chunk *chunk
    cdef void *allocation
    if kind < CHUNK_SIZES:
        chunk = arena.chunks[kind]
        if chunk != NULL:
            arena.chunks[kind] = chunk.next
            arena.chunk_bytes -= chunk.size
            return chunk
        size = <size_t>CHUNK_BYTES << kind
    size += 2 * CACHE_LINE
    allocation = PyMem_RawMalloc(size)
    if allocation == NULL:
        return NULL
    chunk = <Chunk *>((<size_t>allocation + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1))
    chunk.allocation, chunk.size, chunk.used, chunk.kind = allocation, size - CACHE_LINE, CACHE_LINE, kind
    arena.side_bytes += size
    return chunk


cdef inline void chunk_free(Arena *arena, Chunk *chunk) noexcept:
    """Keep an empty chunk for later, or give it back to the system."""
    if chunk.kind < CHUNK_SIZES and arena.chunk_bytes + chunk.size <= CHUNK_BYTES_KEPT:
        chunk.used = CACHE_LINE
        chunk.next = arena.chunks[chunk.kind]
        arena.chunks[chunk.kind] = chunk
        arena.chunk_bytes += chunk.size
    else:
        arena.side_bytes -= chunk.size + CACHE_LINE
        PyMem_RawFree(chunk.allocation)


cdef inline void records_free(Arena *arena, Block *block) noexcept:
    """The block's nodes are dead, and their records with them."""
    cdef Dots *dots = block.dots
    cdef Chunk *chunk
    cdef uint32_t row
    while dots != NULL:
        arena.dot_terms -= <size_t>dots.n * dots.n_rows
        if dots.hidden != NULL:
            for row in range(dots.n_rows):
                PyMem_RawFree(dots.hidden[row])
            PyMem_RawFree(dots.hidden)
        dots = dots.next
    block.dots = block.dots_prepared = NULL
    while block.chunks != NULL:
        chunk = block.chunks
        block.chunks = chunk.next
        chunk_free(arena, chunk)


cdef inline bint has_operands(uint8_t flags) noexcept nogil:
    """Whether the node has an Operands record of its own."""
    return flags & DOT == NARY


cdef inline void set_extras(Block *block, uint32_t place, uint8_t why) noexcept:
    """The node has something outside its block from here on: a class of its own (SUBCLASS) or an Operands record (NARY)."""
    if not block.flags[place] & SUBCLASS and not has_operands(block.flags[place]):
        block.n_with_extras += 1
    block.flags[place] |= why


cdef inline int classes_reserve(Arena *arena, Block *block) noexcept:
    """Room for the class numbers of the block's nodes. -1 without memory."""
    if block.classes == NULL:
        block.classes = <uint16_t *>PyMem_RawMalloc(BLOCK_NODES * sizeof(uint16_t))
        if block.classes == NULL:
            return -1
        arena.side_bytes += BLOCK_NODES * sizeof(uint16_t)
    return 0


cdef inline void node_release_extras(Arena *arena, Block *block, uint32_t place) noexcept:
    """Release what a dead node has outside its block."""
    cdef uint8_t flags = block.flags[place]
    if not flags & SUBCLASS and not has_operands(flags):
        return
    if has_operands(flags):
        operands_free(arena, block.local_grads[place].first.operands)
    if flags & SUBCLASS:
        arena.on_node_freed(block.first_id + place, block.classes[place])
    block.flags[place] = LEAF
    block.n_with_extras -= 1


cdef inline void nodes_release_extras(Arena *arena, Block *block) noexcept:
    cdef uint32_t place
    for place in range(block.used):
        node_release_extras(arena, block, place)
