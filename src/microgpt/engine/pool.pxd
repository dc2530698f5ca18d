# cython: language_level=3
"""The block pool: memory for blocks, from the system, into use, into the pool, back to the system; and scratch for walks.

A block in use or in the pool has a number, by which ids find it. The free numbers are a list threaded through the table of
blocks.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from microgpt.engine.layout cimport (
    BLOCKS_KEPT, BLOCK_BITS, BLOCK_NODES, CACHE_LINE, GRAD, IN_LEAF_BLOCK, LEAVES, MAX_BLOCKS, RESULTS, SCRATCH_KEPT,
    Arena, Block,
)
from microgpt.engine.references cimport block_prepare

cdef extern from *:
    """
    #if defined(__GLIBC__)
    #include <malloc.h>
    #define microgpt_malloc_trim() (void)malloc_trim(0)
    #else
    #define microgpt_malloc_trim() (void)0
    #endif
    """
    void malloc_trim "microgpt_malloc_trim"() noexcept


cdef inline uint32_t number_take(Arena *arena, int kind) noexcept:
    """A block number not in use, or 0 when the table cannot grow (0 itself is taken by arena_start)."""
    cdef uint32_t number = arena.free_number[kind]
    if number != 0:
        arena.free_number[kind] = <uint32_t>(<size_t>arena.blocks[number] >> 1)
        return number
    number = 2 * arena.n_numbers[kind] + kind
    if number >= arena.capacity and (number >= MAX_BLOCKS or table_grow(arena, 2 * number + 64) < 0):
        return 0
    arena.n_numbers[kind] += 1
    return number


cdef inline int table_grow(Arena *arena, uint32_t capacity) noexcept:
    """Room for so many block numbers. -1 without memory."""
    cdef Block **blocks = <Block **>PyMem_RawRealloc(arena.blocks, capacity * sizeof(Block *))
    cdef uint8_t *seen
    if blocks == NULL:
        return -1
    arena.blocks = blocks
    seen = <uint8_t *>PyMem_RawRealloc(arena.seen, capacity)
    if seen == NULL:
        return -1
    memset(seen + arena.capacity, 0, capacity - arena.capacity)
    arena.seen, arena.capacity = seen, capacity
    return 0


cdef inline void number_give_back(Arena *arena, uint32_t number) noexcept:
    cdef int kind = number & 1
    arena.blocks[number] = <Block *>((<size_t>arena.free_number[kind] << 1) | 1)
    arena.free_number[kind] = number


cdef inline uint32_t numbers_end(Arena *arena) noexcept:
    return 2 * max(arena.n_numbers[RESULTS], arena.n_numbers[LEAVES])


cdef inline Block *block_in_use(Arena *arena, uint32_t number) noexcept:
    """The block of this number if there is one and it holds nodes, else NULL."""
    cdef size_t entry
    if (number >> 1) >= arena.n_numbers[number & 1]:
        return NULL
    entry = <size_t>arena.blocks[number]
    if entry & 1 or not (<Block *>entry).in_use:
        return NULL
    return <Block *>entry


cdef inline Block *block_allocate(Arena *arena, uint32_t number) noexcept:
    """Memory for the block of this number, or NULL."""
    cdef void *allocation = PyMem_RawMalloc(sizeof(Block) + CACHE_LINE)
    cdef Block *block
    if allocation == NULL:
        return NULL
    block = <Block *>((<size_t>allocation + CACHE_LINE - 1) & ~<size_t>(CACHE_LINE - 1))
    memset(&block.first_id, 0, sizeof(Block) - <size_t>&(<Block *>0).first_id)
    memset(&block.numbers[GRAD], 0, BLOCK_NODES * sizeof(double))
    memset(block.handles, 0, sizeof(block.handles))
    memset(block.int_grads, not arena.kinds.float_grad, sizeof(block.int_grads))
    block.allocation = allocation
    block.first_id = number << BLOCK_BITS
    arena.blocks[number] = block
    return block


cdef inline void block_free(Arena *arena, Block *block) noexcept:
    arena.side_bytes -= block.targets_capacity * sizeof(Block *) + (BLOCK_NODES * sizeof(uint16_t) if block.classes else 0)
    number_give_back(arena, block.first_id >> BLOCK_BITS)
    if not block.first_id & IN_LEAF_BLOCK:
        arena.results_gone += block.used
    PyMem_RawFree(block.targets)
    PyMem_RawFree(block.classes)
    PyMem_RawFree(block.allocation)


cdef inline void pool_trim(Arena *arena, int kind) noexcept:
    """Once as many blocks were opened as there are, give back to the system those that were never taken from the pool."""
    cdef Block *block
    while arena.pooled_min[kind] > 0:
        arena.pooled_min[kind] -= 1
        arena.pooled[kind] -= 1
        block = arena.pool[kind]
        arena.pool[kind] = block.next
        block_free(arena, block)
    arena.pooled_min[kind] = arena.pooled[kind]
    arena.opened[kind] = 0


cdef inline void block_start(Arena *arena, Block *block) noexcept:
    """Reset a block that is taken into use, or stays in use after its nodes died."""
    arena.last_serial += 1
    block.serial = arena.last_serial
    if not block.first_id & IN_LEAF_BLOCK:
        arena.results_gone += block.used
    memset(&block.numbers[GRAD], 0, block.used * sizeof(double))
    memset(block.int_grads, not arena.kinds.float_grad, block.used)
    if block.first_id & IN_LEAF_BLOCK:
        memset(block.in_dots, 0, sizeof(block.in_dots))
        memset(block.free_places, 0, sizeof(block.free_places))
    else:
        memset(block.constructed, 0, sizeof(block.constructed))
        memset(block.raised, 0, sizeof(block.raised))
    block.used = block.prepared = block.spanned = 0
    block.n_free = 0
    block.begins_graph = False
    block.in_use = True


cdef inline Block *block_open(Arena *arena, int kind) noexcept:
    """Make an empty block the open one of its kind. NULL when there is no memory; then nothing has changed."""
    cdef Block *block
    cdef uint32_t number
    if arena.open[RESULTS] != NULL and block_prepare(arena, arena.open[RESULTS]) < 0:
        return NULL
    block = arena.pool[kind]
    if block != NULL:
        arena.pool[kind] = block.next
        arena.pooled[kind] -= 1
        arena.pooled_min[kind] = min(arena.pooled_min[kind], arena.pooled[kind])
    else:
        number = number_take(arena, kind)
        if number == 0:
            return NULL
        block = block_allocate(arena, number)
        if block == NULL:
            number_give_back(arena, number)
            return NULL
    block_start(arena, block)
    arena.open[kind] = block
    arena.blocks_alive += 1
    arena.opened[kind] += 1
    if arena.opened[kind] > arena.blocks_alive + arena.pooled[kind]:
        pool_trim(arena, kind)
    return block


cdef inline int scratch_reserve(Arena *arena) noexcept:
    """Room for an entry for every node alive, and for two whenever the walk leaves a dot product: not for its first term, and
    each time for another node. -1 without memory."""
    cdef size_t nodes = <size_t>arena.blocks_alive * BLOCK_NODES
    cdef size_t needed = nodes + 2 * min(nodes, arena.dot_terms)
    if needed <= arena.scratch_capacity and needed >= arena.scratch_capacity >> 3:
        return 0
    PyMem_RawFree(arena.scratch)
    arena.scratch_capacity = 0
    arena.scratch = <uint64_t *>PyMem_RawMalloc(needed * sizeof(uint64_t))
    if arena.scratch == NULL:
        return -1
    arena.scratch_capacity = needed
    return 0


cdef inline void scratch_trim(Arena *arena) noexcept:
    """Give a large scratch back to the system."""
    if arena.scratch_capacity > SCRATCH_KEPT:
        PyMem_RawFree(arena.scratch)
        arena.scratch = NULL
        arena.scratch_capacity = 0


cdef inline void heap_trim(Arena *arena) noexcept:
    """Once many blocks were freed, let the C library hand their memory on, which it does not where anything else stands
    behind them."""
    if arena.blocks_freed >= BLOCKS_KEPT // 4:
        arena.blocks_freed = 0
        malloc_trim()


cdef inline void block_give_back(Arena *arena, Block *block) noexcept:
    """An empty block goes to the pool, or back to the system if the pool is full."""
    cdef int kind = (block.first_id >> BLOCK_BITS) & 1
    block.in_use = False
    arena.blocks_alive -= 1
    if arena.pooled[kind] >= BLOCKS_KEPT:
        block_free(arena, block)
        arena.blocks_freed += 1
        return
    block.next = arena.pool[kind]
    arena.pool[kind] = block
    arena.pooled[kind] += 1
