# cython: language_level=3
"""Mark and sweep: what no handle reaches, where counts of blocks cannot tell (half-dead blocks, cycles)."""
from libc.stdint cimport uint8_t, uint32_t
from microgpt.engine.free_list cimport holds_node, leaf_free
from microgpt.engine.layout cimport (
    COLLECT_FROM, DOT, IN_LEAF_BLOCK, LEAF, NARY, PLACE_MASK, RESULTS, VISITED, Arena, Block, Dots, Operands, block_of,
)
from microgpt.engine.lifetime cimport mark_candidate, reclaim_candidates
from microgpt.engine.pool cimport block_in_use, numbers_end, scratch_reserve, scratch_trim
from microgpt.engine.records cimport dot_row, node_release_extras, row_id, shared_id
from microgpt.engine.references cimport block_prepare, refer_seen, seen_add_children


cdef inline size_t mark_child(Arena *arena, uint32_t node, size_t n) noexcept:
    """Mark a node as reached, and put it on the stack of n nodes if it was not. Returns the new height."""
    cdef uint8_t *flags = &block_of(arena, node).flags[node & PLACE_MASK]
    if flags[0] & VISITED:
        return n
    flags[0] |= VISITED
    arena.scratch[n] = node
    return n + 1


cdef inline size_t mark_row(Arena *arena, Dots *dots, uint32_t row, size_t n) noexcept:
    """Mark the operands of a dot product, as mark_child does."""
    cdef uint32_t i
    for i in range(dots.n):
        if dots.shared != NULL:
            n = mark_child(arena, shared_id(dots, i), n)
        n = mark_child(arena, row_id(dots, row, i), n)
    return n


cdef inline void mark_from(Arena *arena, uint32_t root) noexcept:
    """Mark what this node reaches."""
    cdef size_t n = mark_child(arena, root, 0)
    cdef uint32_t node, place, k
    cdef Block *block
    cdef Operands *operands
    while n > 0:
        n -= 1
        node = <uint32_t>arena.scratch[n]
        block, place = block_of(arena, node), node & PLACE_MASK
        if block.flags[place] & DOT == DOT:
            n = mark_row(arena, block.local_grads[place].first.dots, dot_row(block, place), n)
        elif block.flags[place] & NARY:
            operands = block.local_grads[place].first.operands
            for k in range(operands.n_children):
                n = mark_child(arena, operands.children[k], n)
        elif not block.flags[place] & LEAF:
            n = mark_child(arena, block.children[place].first, n)
            n = mark_child(arena, block.children[place].second, n)


cdef inline void mark_all(Arena *arena) noexcept:
    """Mark what handles reach, and reset the counts of references between blocks."""
    cdef uint32_t number, place
    cdef Block *block
    mark_from(arena, 0)
    for number in range(numbers_end(arena)):
        block = block_in_use(arena, number)
        if block == NULL:
            continue
        block.n_targets = block.referrers = 0
        block.last_referrer = 0
        if block.handles_alive != 0:
            for place in range(block.used):
                if holds_node(block, place) and block.handles[place] != NULL:
                    mark_from(arena, block.first_id + place)


cdef inline void sweep(Arena *arena, Block *block) noexcept:
    """Free the unmarked nodes of a block, and count the references of the others anew."""
    cdef uint32_t place
    for place in range(block.used):
        if block.flags[place] & VISITED:
            block.flags[place] &= ~<uint8_t>VISITED
            arena.nodes_alive += 1
            seen_add_children(arena, block, place)
        elif holds_node(block, place):
            if (block.first_id & IN_LEAF_BLOCK) != 0:
                leaf_free(arena, block, place)
            else:
                node_release_extras(arena, block, place)
    refer_seen(arena, block)                                # no more blocks than before: there is memory


cdef inline void collect(Arena *arena) noexcept:
    """Free every block that no handle reaches, and count the references between the others anew.

    Takes a few nanoseconds a living node. Does nothing when there is no memory for its stack.
    """
    cdef uint32_t number
    cdef Block *block
    if block_prepare(arena, arena.open[RESULTS]) < 0 or scratch_reserve(arena) < 0:
        return
    mark_all(arena)
    arena.nodes_alive = 0
    for number in range(numbers_end(arena)):
        block = block_in_use(arena, number)
        if block != NULL:
            sweep(arena, block)
    for number in range(numbers_end(arena)):
        block = block_in_use(arena, number)
        if block != NULL and block.handles_alive == 0 and block.referrers == 0 and block.used != 0:
            mark_candidate(arena, block)
    reclaim_candidates(arena)
    scratch_trim(arena)
    arena.collect_at = max(<uint32_t>COLLECT_FROM, 2 * arena.blocks_alive)
