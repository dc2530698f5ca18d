# cython: language_level=3
"""When blocks die: by two counts a block, without touching a node.

A block lives while a handle points into it or a living block has children in it (`handles_alive`, `referrers`). Where a
count falls to zero, the block is a candidate: the references of the open block are counted late (references.pxd), so
whether a candidate is dead is found out when a new block is needed.
"""
from microgpt.engine.free_list cimport partial_list_remove
from microgpt.engine.layout cimport BLOCK_BITS, BLOCKS_KEPT, RESULTS, Arena, Block, unlikely
from microgpt.engine.pool cimport block_give_back, block_start, heap_trim
from microgpt.engine.records cimport nodes_release_extras, records_free
from microgpt.engine.references cimport block_prepare


cdef inline void mark_candidate(Arena *arena, Block *block) noexcept:
    """The block has lost its last handle or referrer. It is dead unless the open block refers to it."""
    if not block.is_candidate and block.in_use:
        block.is_candidate = True
        block.next_candidate = arena.candidates
        arena.candidates = block


cdef inline void targets_release(Arena *arena, Block *block) noexcept:
    """The block no longer refers to others."""
    cdef Block *target
    while block.n_targets > 0:
        block.n_targets -= 1
        target = block.targets[block.n_targets]
        target.referrers -= 1
        if target.referrers == 0 and target.handles_alive == 0:
            mark_candidate(arena, target)


cdef inline void block_empty(Arena *arena, Block *block) noexcept:
    """All nodes of the block are dead. An open block starts anew, another is given back."""
    cdef int kind = (block.first_id >> BLOCK_BITS) & 1
    targets_release(arena, block)
    if unlikely(block.n_with_extras != 0):
        nodes_release_extras(arena, block)
    if block.chunks != NULL:
        records_free(arena, block)
    if block == arena.open[kind]:
        block_start(arena, block)
        return
    if block.in_partial_list:
        partial_list_remove(arena, block)
    block_give_back(arena, block)


cdef inline void reclaim_candidates(Arena *arena) noexcept:
    """Empty the candidates that are dead, and the blocks that they alone kept alive. The open block must be prepared."""
    cdef Block *block
    while arena.candidates != NULL:
        block = arena.candidates
        arena.candidates = block.next_candidate
        block.is_candidate = False
        if block.handles_alive == 0 and block.referrers == 0 and block.in_use:
            block_empty(arena, block)
    heap_trim(arena)


cdef inline void handles_gone(Arena *arena, Block *block) noexcept:
    """The block has lost its last handle."""
    if block == arena.open[RESULTS] and block.referrers == 0:
        block_empty(arena, block)                           # nothing can refer to it: the next result takes place 0
    elif block.referrers == 0:
        mark_candidate(arena, block)
    if unlikely(arena.blocks_alive > BLOCKS_KEPT) and block_prepare(arena, arena.open[RESULTS]) == 0:
        reclaim_candidates(arena)                           # a large graph: its memory is not kept until the next block
