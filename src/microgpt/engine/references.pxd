# cython: language_level=3
"""Which block refers to which: the blocks in which a block's nodes have children, counted for many nodes at once."""
from cpython.mem cimport PyMem_RawRealloc
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr
from microgpt.engine.layout cimport (
    BLOCK_BITS, DATA_INT, DOT, LEAF, NARY, SUBCLASS, Arena, Block, Children, Dots, Operands, likely, unlikely,
)
from microgpt.engine.records cimport dot_row, has_operands, operands_free


cdef inline int targets_reserve(Arena *arena, Block *block, uint32_t n) noexcept:
    """Room for n more entries in block.targets. -1 without memory."""
    cdef size_t needed = <size_t>block.n_targets + n
    cdef Block **grown
    if likely(needed <= block.targets_capacity):
        return 0
    needed = 2 * needed + 16
    grown = <Block **>PyMem_RawRealloc(block.targets, needed * sizeof(Block *))
    if grown == NULL:
        return -1
    arena.side_bytes += (needed - block.targets_capacity) * sizeof(Block *)
    block.targets, block.targets_capacity = grown, <uint32_t>needed
    return 0


cdef inline int refer(Arena *arena, Block *block, Block *target) noexcept:
    """A node of `block` has a child in `target`. Counted once for each two blocks; a second count would do no harm. -1
    without memory."""
    if target == block or target.last_referrer == block.serial:
        return 0
    if targets_reserve(arena, block, 1) < 0:
        return -1
    target.last_referrer = block.serial
    target.referrers += 1
    block.targets[block.n_targets] = target
    block.n_targets += 1
    return 0


cdef inline int refer_seen(Arena *arena, Block *block) noexcept:
    """Count the blocks marked in arena.seen, and clear the marks. -1 without memory."""
    cdef uint32_t number
    cdef uint8_t *found = arena.seen
    cdef int failed = 0
    while True:
        found = <uint8_t *>memchr(found, 1, arena.capacity - <size_t>(found - arena.seen))
        if found == NULL:
            return failed
        found[0] = 0
        number = <uint32_t>(found - arena.seen)
        failed |= refer(arena, block, arena.blocks[number])


cdef inline void seen_add_row(Arena *arena, Dots *dots, uint32_t row) noexcept:
    """Mark the blocks in which the operands of a row stand."""
    cdef uint32_t k
    if dots.shared != NULL:
        for k in range(1 if dots.shared_is_range else dots.n):
            arena.seen[dots.shared[k] >> BLOCK_BITS] = 1
    if dots.rows_are_ranges:
        arena.seen[dots.rows[row] >> BLOCK_BITS] = 1
    else:
        for k in range(row * dots.n, (row + 1) * dots.n):
            arena.seen[dots.rows[k] >> BLOCK_BITS] = 1


cdef inline void seen_add_dots(Arena *arena, Block *block) noexcept:
    """The same for the rows of all records that are new since the last time."""
    cdef Dots *dots = block.dots
    cdef uint32_t row
    while dots != block.dots_prepared:
        for row in range(dots.n_rows):
            seen_add_row(arena, dots, row)
        dots = dots.next
    block.dots_prepared = block.dots


cdef inline void seen_add_children(Arena *arena, Block *block, uint32_t place) noexcept:
    """Mark the blocks in which the children of a node stand; missing children count as node 0."""
    cdef Operands *operands
    cdef uint32_t k
    if unlikely(block.flags[place] & NARY):
        if block.flags[place] & DOT == DOT:
            seen_add_row(arena, block.local_grads[place].first.dots, dot_row(block, place))
            return
        operands = block.local_grads[place].first.operands
        for k in range(operands.n_children):
            arena.seen[operands.children[k] >> BLOCK_BITS] = 1
    else:
        arena.seen[block.children[place].first >> BLOCK_BITS] = 1
        arena.seen[block.children[place].second >> BLOCK_BITS] = 1


cdef inline void make_leaves(Arena *arena, Block *block) noexcept:
    """The results appended since the last time have no children after all."""
    cdef uint32_t place
    cdef uint8_t flags
    for place in range(block.prepared, block.used):
        flags = block.flags[place]
        if has_operands(flags):
            operands_free(arena, block.local_grads[place].first.operands)
            block.n_with_extras -= not flags & SUBCLASS
        block.flags[place] = flags & (DATA_INT | SUBCLASS) | LEAF
        block.children[place] = Children(0, 0)
    block.dots_prepared = block.dots
    block.prepared = block.used


cdef inline int block_prepare(Arena *arena, Block *block) noexcept:
    """Count the references of the results appended since the last time: all at once, which is cheaper than one by one. -1
    without memory."""
    cdef uint32_t place
    cdef uint8_t *seen = arena.seen
    cdef Children children
    if unlikely(arena.graph_off):
        make_leaves(arena, block)
    for place in range(block.prepared, block.used):
        children = block.children[place]
        seen[children.first >> BLOCK_BITS] = 1              # of an n-ary node both are 0
        seen[children.second >> BLOCK_BITS] = 1
    if block.dots != block.dots_prepared:
        seen_add_dots(arena, block)
    if block.n_with_extras != 0:
        for place in range(block.prepared, block.used):
            seen_add_children(arena, block, place)
    if refer_seen(arena, block) < 0:
        return -1
    block.prepared = block.used
    return 0
