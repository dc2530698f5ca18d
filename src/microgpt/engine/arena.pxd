# cython: language_level=3
"""The arena: the few functions that own the memory of nodes (laid out in layout.pxd) and decide how long they live.

A block lives while a handle points into it or a living block has children in it (`handles_alive`, `referrers`).
References between blocks go back in time, so a dead block is freed with all it alone kept alive by a loop over blocks: no
node is touched, and the graph of a training step vanishes in a microsecond. Blocks are too coarse in one case: where one
graph ends and the next begins inside the same block, the dead half would hold on to the blocks of the old graph, and so
on for ever. Three things prevent that: `backward` closes the open block, so that graphs of training begin with a block
(seal_results); so do, mostly, graphs that begin with embeddings (graph_begins); and when twice as many blocks are alive
as after the last look, `collect` marks what the handles really reach and lets the rest go. It also frees what no count of
references can: cycles, made by assigning `_children`.

Thread-safety: every function here runs under the GIL, and none runs Python code.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from microgpt.engine.layout cimport (
    BLOCK_NODES, BLOCK_BITS, CACHE_LINE, COLLECT_FROM, DOT, GRAD, IN_LEAF_BLOCK, LEAF, LEAVES, MAX_BLOCKS, NARY, PLACE_MASK,
    RESULTS, VISITED, Arena, Block, Children, Dots, Operands, block_of, likely, unlikely,
)
from microgpt.engine.records cimport dot_row, records_free, row_id, shared_id, special_forget, specials_forget
from microgpt.engine.references cimport block_prepare, refer_to_seen, see_children


cdef inline int scratch_reserve(Arena *arena) noexcept:
    """Room for an entry for every node alive, and two for every event of a dot product: it has none for its first term, and
    each for another node that it is left for. -1 without memory."""
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


# ---- blocks: from the system, into use, into the pool, back to the system -----------------------------------------------

cdef inline uint32_t number_take(Arena *arena, int kind) noexcept:
    """A block number nobody uses, or 0 when the table cannot grow (0 itself is given out by arena_start alone)."""
    cdef uint32_t number = arena.vacant[kind]
    if number != 0:
        arena.vacant[kind] = <uint32_t>(<size_t>arena.blocks[number] >> 1)
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
    arena.blocks[number] = <Block *>((<size_t>arena.vacant[kind] << 1) | 1)
    arena.vacant[kind] = number


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
    memset(block.int_grads, True, sizeof(block.int_grads))
    block.allocation = allocation
    block.first_id = number << BLOCK_BITS
    arena.blocks[number] = block
    return block


cdef inline void block_free(Arena *arena, Block *block) noexcept:
    arena.side_bytes -= block.targets_capacity * sizeof(Block *) + (BLOCK_NODES * sizeof(uint16_t) if block.classes else 0)
    number_give_back(arena, block.first_id >> BLOCK_BITS)
    PyMem_RawFree(block.targets)
    PyMem_RawFree(block.classes)
    PyMem_RawFree(block.allocation)


cdef inline void pool_trim(Arena *arena, int kind) noexcept:
    """Once the blocks have turned over, give the system back those that lay in the pool all the while."""
    cdef Block *block
    while arena.pooled_least[kind] > 0:
        arena.pooled_least[kind] -= 1
        arena.pooled[kind] -= 1
        block = arena.pool[kind]
        arena.pool[kind] = block.next
        block_free(arena, block)
    arena.pooled_least[kind] = arena.pooled[kind]
    arena.openings[kind] = 0


cdef inline void block_start(Arena *arena, Block *block) noexcept:
    """An empty block that is taken into use, or stays in use after its nodes died."""
    arena.serials += 1
    block.serial = arena.serials
    memset(&block.numbers[GRAD], 0, block.used * sizeof(double))
    memset(block.int_grads, True, block.used)
    if block.first_id & IN_LEAF_BLOCK:
        memset(block.in_dots, 0, sizeof(block.in_dots))
        memset(block.free_places, 0, sizeof(block.free_places))
    else:
        memset(block.by_hand, 0, sizeof(block.by_hand))
    block.used = block.prepared = block.spanned = 0
    block.n_free = 0
    block.has_start = False
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
        arena.pooled_least[kind] = min(arena.pooled_least[kind], arena.pooled[kind])
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
    arena.openings[kind] += 1
    if arena.openings[kind] > arena.blocks_alive + arena.pooled[kind]:
        pool_trim(arena, kind)
    return block


cdef inline void gaps_add(Arena *arena, Block *block) noexcept:
    block.listed = True
    block.previous = NULL
    block.next = arena.with_gaps
    if block.next != NULL:
        block.next.previous = block
    arena.with_gaps = block


cdef inline void gaps_remove(Arena *arena, Block *block) noexcept:
    block.listed = False
    if block.previous != NULL:
        block.previous.next = block.next
    else:
        arena.with_gaps = block.next
    if block.next != NULL:
        block.next.previous = block.previous


# ---- death of blocks -----------------------------------------------------------------------------------------------------

cdef inline void doubt(Arena *arena, Block *block) noexcept:
    """The block has lost its last handle or referrer. It may be dead; the open block, not yet prepared, may refer to it."""
    if not block.doubted and block.in_use:
        block.doubted = True
        block.next_doubtful = arena.doubtful
        arena.doubtful = block


cdef inline void targets_release(Arena *arena, Block *block) noexcept:
    """The block no longer refers to others."""
    cdef Block *target
    while block.n_targets > 0:
        block.n_targets -= 1
        target = block.targets[block.n_targets]
        target.referrers -= 1
        if target.referrers == 0 and target.handles_alive == 0:
            doubt(arena, target)


cdef inline void block_empty(Arena *arena, Block *block) noexcept:
    """All nodes of the block are dead. An open block starts anew, another goes to the pool."""
    cdef int kind = (block.first_id >> BLOCK_BITS) & 1
    targets_release(arena, block)
    if unlikely(block.n_special != 0):
        specials_forget(arena, block)
    if block.chunks != NULL:
        records_free(arena, block)
    if block == arena.open[kind]:
        block_start(arena, block)
        return
    if block.listed:
        gaps_remove(arena, block)
    block.in_use = False
    block.next = arena.pool[kind]
    arena.pool[kind] = block
    arena.pooled[kind] += 1
    arena.blocks_alive -= 1


cdef inline void doubtful_settle(Arena *arena) noexcept:
    """Empty the blocks that are really dead, and those that they alone kept alive. The open block must be prepared."""
    cdef Block *block
    while arena.doubtful != NULL:
        block = arena.doubtful
        arena.doubtful = block.next_doubtful
        block.doubted = False
        if block.handles_alive == 0 and block.referrers == 0 and block.in_use:
            block_empty(arena, block)


cdef inline void handles_gone(Arena *arena, Block *block) noexcept:
    """The block has no handle any more."""
    if block == arena.open[RESULTS] and block.referrers == 0:
        block_empty(arena, block)                           # nothing can refer to it: the next result takes place 0
    elif block.referrers == 0:
        doubt(arena, block)


cdef inline void tidy(Arena *arena) noexcept:
    """Free what is dead, before a new block is opened. Not to be called while nodes are in the making that have neither
    handle nor parent yet: they would be taken for dead."""
    if block_prepare(arena, arena.open[RESULTS]) < 0:
        return
    doubtful_settle(arena)
    if arena.blocks_alive >= arena.collect_at:
        collect(arena)


# ---- nodes --------------------------------------------------------------------------------------------------------------

cdef inline bint has_places(Arena *arena, size_t n) noexcept:
    """Whether the next n results fit into the open block."""
    return likely(arena.open[RESULTS].used + n <= BLOCK_NODES)


cdef inline int results_reserve(Arena *arena, uint32_t n) noexcept:
    """See to it that the next n results have places, so that nothing can fail between them. -1 without memory."""
    if has_places(arena, n):
        return 0
    tidy(arena)
    return 0 if has_places(arena, n) or block_open(arena, RESULTS) != NULL else -1


cdef inline void seal_results(Arena *arena) noexcept:
    """Let the next result begin a new block, if the open one is worth it: where a graph ends, block and graph end."""
    if arena.open[RESULTS].used >= BLOCK_NODES // 8:
        results_reserve(arena, BLOCK_NODES)


cdef inline void graph_begins(Arena *arena) noexcept:
    """Two leaves are added: perhaps an embedding of a token and one of its position, and a graph begins. Where nothing went
    backward, the graph before it may end in the open block. So the first such sum in a block that is half full begins a new
    one; of those that are many, as in a sum over all parameters, every block has one early."""
    cdef Block *block = arena.open[RESULTS]
    if not block.has_start and block.used >= BLOCK_NODES // 2:
        results_reserve(arena, BLOCK_NODES)
    arena.open[RESULTS].has_start = True


cdef inline uint32_t result_append(Arena *arena, double data, uint32_t first, uint32_t second, uint32_t flags,
                                   PyObject *handle) noexcept:
    """Write a node into the next reserved place and return its id; its local gradients are there already, or ONES."""
    cdef Block *block = arena.open[RESULTS]
    cdef uint32_t place = block.used
    block.used = place + 1
    block.numbers[place] = data
    block.children[place] = Children(first, second)
    block.flags[place] = <uint8_t>flags
    if handle != NULL:
        block.handles[place] = handle
    return block.first_id + place


cdef inline void local_grads_next(Arena *arena, double first, double second) noexcept:
    """The local gradients of the result that is appended next."""
    cdef Block *block = arena.open[RESULTS]
    block.local_grads[block.used].first.value = first
    block.local_grads[block.used].second = second


cdef inline bint is_full(const Block *block) noexcept:
    """Whether a leaf block has no place left."""
    return block.n_free == 0 and block.used == BLOCK_NODES


cdef inline Block *leaf_block(Arena *arena) noexcept:
    """The open leaf block, with a place to give; NULL when there is no memory."""
    if likely(not is_full(arena.open[LEAVES])):
        return arena.open[LEAVES]
    if arena.with_gaps == NULL:
        tidy(arena)
    if not is_full(arena.open[LEAVES]):
        return arena.open[LEAVES]
    if arena.with_gaps == NULL:
        return block_open(arena, LEAVES)
    arena.open[LEAVES] = arena.with_gaps
    gaps_remove(arena, arena.with_gaps)
    return arena.open[LEAVES]


cdef inline uint32_t free_place_take(Block *block) noexcept:
    """The first free place of a leaf block, of which there are some. The first, so that leaves made one after the other stand
    side by side, as vectors should."""
    cdef uint32_t place = block.free_from
    while not (block.free_places[place >> 6] >> (place & 63)) & 1:
        place = place + 1 if block.free_places[place >> 6] else (place | 63) + 1
    block.free_places[place >> 6] &= ~(<uint64_t>1 << (place & 63))
    block.n_free -= 1
    block.free_from = place + 1
    return place


cdef inline uint32_t leaf_append(Arena *arena, double data) noexcept:
    """Write a leaf into a free place of a leaf block and return its id, or 0 when there is no memory."""
    cdef Block *block = leaf_block(arena)
    cdef uint32_t place
    if block == NULL:
        return 0
    if block.n_free != 0:
        place = free_place_take(block)
    else:
        place = block.used
        block.used += 1
    block.numbers[place] = data
    block.numbers[GRAD + place] = 0.0
    block.children[place] = Children(0, 0)
    block.flags[place] = LEAF
    block.int_grads[place] = True
    block.spans[place] = 1
    return block.first_id + place


cdef inline bint leaf_in_dots(Block *block, uint32_t place) noexcept nogil:
    return (block.in_dots[place >> 6] >> (place & 63)) & 1


cdef inline void leaf_place_free(Arena *arena, Block *block, uint32_t place) noexcept:
    """Nothing refers to this leaf: its place may be used again."""
    special_forget(arena, block, place)
    block.in_dots[place >> 6] &= ~(<uint64_t>1 << (place & 63))
    block.spans[place] = 0                             # says that the place is free
    block.free_places[place >> 6] |= <uint64_t>1 << (place & 63)
    block.free_from = place if block.n_free == 0 else min(block.free_from, place)
    block.n_free += 1
    if not block.listed and block != arena.open[LEAVES]:
        gaps_add(arena, block)


# ---- what is really reached ---------------------------------------------------------------------------------------------

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


cdef inline bint is_taken(Block *block, uint32_t place) noexcept:
    """Whether there is a node at this place, in use or dead."""
    return not block.first_id & IN_LEAF_BLOCK or block.spans[place] != 0


cdef inline void sweep(Arena *arena, Block *block) noexcept:
    """Forget the nodes of a block that no handle reached, and count the references of the others anew."""
    cdef uint32_t place
    for place in range(block.used):
        if block.flags[place] & VISITED:
            block.flags[place] &= ~<uint8_t>VISITED
            arena.nodes_alive += 1
            see_children(arena, block, place)
        elif is_taken(block, place):
            if (block.first_id & IN_LEAF_BLOCK) != 0:
                leaf_place_free(arena, block, place)
            else:
                special_forget(arena, block, place)
    refer_to_seen(arena, block)                             # no more blocks than before: there is room


cdef inline Block *block_in_use(Arena *arena, uint32_t number) noexcept:
    """The block of this number if there is one and it holds nodes, else NULL."""
    cdef size_t entry
    if (number >> 1) >= arena.n_numbers[number & 1]:
        return NULL
    entry = <size_t>arena.blocks[number]
    if entry & 1 or not (<Block *>entry).in_use:
        return NULL
    return <Block *>entry


cdef inline uint32_t numbers_end(Arena *arena) noexcept:
    return 2 * max(arena.n_numbers[RESULTS], arena.n_numbers[LEAVES])


cdef inline void mark_all(Arena *arena) noexcept:
    """Mark what handles reach, and forget which block refers to which."""
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
                if is_taken(block, place) and block.handles[place] != NULL:
                    mark_from(arena, block.first_id + place)


cdef inline void collect(Arena *arena) noexcept:
    """Free every block that no handle reaches, and find out which blocks the living nodes refer to.

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
            doubt(arena, block)
    doubtful_settle(arena)
    arena.collect_at = max(<uint32_t>COLLECT_FROM, 2 * arena.blocks_alive)


# ---- the arena as a whole -----------------------------------------------------------------------------------------------

cdef inline int arena_start(Arena *arena) noexcept:
    """An empty arena: the first block of each kind, and node 0, which stands for "no node" and is never freed.

    -1 when there is no memory.
    """
    memset(arena, 0, sizeof(Arena))
    arena.collect_at = COLLECT_FROM
    if table_grow(arena, 64) < 0:
        return -1
    arena.n_numbers[RESULTS] = 1
    arena.pool[RESULTS] = block_allocate(arena, 0)
    if arena.pool[RESULTS] == NULL:
        return -1
    arena.pooled[RESULTS] = 1
    if block_open(arena, RESULTS) == NULL or block_open(arena, LEAVES) == NULL:
        return -1
    result_append(arena, NAN, 0, 0, LEAF, NULL)
    arena.open[RESULTS].handles_alive = 1
    return 0


cdef inline size_t arena_bytes(Arena *arena) noexcept:
    """All memory the arena holds: blocks in use and in the pools, what hangs on them, scratch, the table of blocks."""
    cdef size_t n_blocks = arena.blocks_alive + arena.pooled[RESULTS] + arena.pooled[LEAVES]
    return (n_blocks * (sizeof(Block) + CACHE_LINE) + arena.side_bytes
            + arena.scratch_capacity * sizeof(uint64_t) + arena.capacity * (sizeof(Block *) + 1))
