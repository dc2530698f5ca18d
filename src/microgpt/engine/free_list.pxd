# cython: language_level=3
"""Free lists of leaves: single places used again, and the list of leaf blocks that have some ("partial blocks")."""
from libc.stdint cimport uint32_t, uint64_t
from microgpt.engine.layout cimport BLOCK_NODES, IN_LEAF_BLOCK, LEAVES, Arena, Block
from microgpt.engine.records cimport node_release_extras


cdef inline void partial_list_add(Arena *arena, Block *block) noexcept:
    block.in_partial_list = True
    block.previous = NULL
    block.next = arena.partial_blocks
    if block.next != NULL:
        block.next.previous = block
    arena.partial_blocks = block


cdef inline void partial_list_remove(Arena *arena, Block *block) noexcept:
    block.in_partial_list = False
    if block.previous != NULL:
        block.previous.next = block.next
    else:
        arena.partial_blocks = block.next
    if block.next != NULL:
        block.next.previous = block.previous


cdef inline bint is_full(const Block *block) noexcept:
    """Whether a leaf block has no place left."""
    return block.n_free == 0 and block.used == BLOCK_NODES


cdef inline bint holds_node(Block *block, uint32_t place) noexcept:
    """Whether there is a node at this place, in use or dead."""
    return not block.first_id & IN_LEAF_BLOCK or block.spans[place] != 0


cdef inline uint32_t free_place_take(Block *block) noexcept:
    """The first free place of a leaf block that has some. The first, so that leaves made one after the other stand side by
    side, as vectors should."""
    cdef uint32_t place = block.free_from
    while not (block.free_places[place >> 6] >> (place & 63)) & 1:
        place = place + 1 if block.free_places[place >> 6] else (place | 63) + 1
    block.free_places[place >> 6] &= ~(<uint64_t>1 << (place & 63))
    block.n_free -= 1
    block.free_from = place + 1
    return place


cdef inline bint leaf_in_dots(Block *block, uint32_t place) noexcept nogil:
    return (block.in_dots[place >> 6] >> (place & 63)) & 1


cdef inline void leaf_free(Arena *arena, Block *block, uint32_t place) noexcept:
    """Nothing refers to this leaf: its place may be used again."""
    node_release_extras(arena, block, place)
    block.in_dots[place >> 6] &= ~(<uint64_t>1 << (place & 63))
    block.spans[place] = 0                                  # says that the place is free
    block.free_places[place >> 6] |= <uint64_t>1 << (place & 63)
    block.free_from = place if block.n_free == 0 else min(block.free_from, place)
    block.n_free += 1
    if not block.in_partial_list and block != arena.open[LEAVES]:
        partial_list_add(arena, block)
