# cython: language_level=3
"""Where nodes live: the data dictionary of the arena, and the few functions that own its memory.

A graph of scalars is millions of tiny records that are born together, read in order and die together. They stand in
blocks that never move; a node is named by a 32-bit id (block number, place in the block), so two children take eight
bytes and neither a handle nor a running backward ever sees a reallocation.

    id  =  block number . place (10 bits)           blocks[id >> BLOCK_BITS]
                                                               |
    Block   numbers     [0..1023]  data, grad                  |  16 bytes a node
            local_grads [0..1023]  d node / d child         <--+  16
            children    [0..1023]  two ids                         8
            handles     [0..1023]  the living Value, or NULL       8
            marks       [0..1023]  flags, span                     4
                                                                  52 bytes a node

The arrays are kept apart because they are used apart: ordering a graph reads children and marks, a sum has no local
gradients to write (both are 1).

Lifetime. A block lives while a handle points into it or a living block has children in it (`handles_alive`, `referrers`).
References between blocks go back in time, so a dead block is freed with all it alone kept alive by a loop over blocks: no
node is touched, and the graph of a training step vanishes in a microsecond. Blocks are too coarse in one case: where one
graph ends and the next begins inside the same block, the dead half would hold on to the blocks of the old graph, and so
on for ever. Two things prevent that: `backward` closes the open block, so that graphs of training begin with a block
(seal_results); and when twice as many blocks are alive as after the last look, `collect` marks what the handles really
reach and lets the rest go. It also frees what no count of references can: cycles, made by assigning `_children`.

Blocks come in two kinds. Results of operations are appended to one open block, never into gaps: creation order is
memory order. Leaves (`Value(x)`) have blocks of their own, where single places are used again: keeping one number does
not keep a step's graph. Odd block numbers are leaf blocks, so a child's id alone tells the walk that it may pass by.

Thread-safety: every function here runs under the GIL, and none runs Python code.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memset

cdef extern from *:
    """
    #ifndef MICROGPT_COLD
    #if defined(__GNUC__)
    #define MICROGPT_COLD __attribute__((cold, noinline))
    #else
    #define MICROGPT_COLD
    #endif
    #endif
    """
    # The result type of functions that must stay out of line, so that the path beside them needs few registers.
    ctypedef void cold_void "MICROGPT_COLD void"
    bint likely(bint) noexcept nogil
    bint unlikely(bint) noexcept nogil

cdef enum:
    BLOCK_BITS = 10                     # 1,024 nodes a block: 52 KiB, small beside a second-level cache
    BLOCK_NODES = 1 << BLOCK_BITS
    PLACE_MASK = BLOCK_NODES - 1
    IN_LEAF_BLOCK = 1 << BLOCK_BITS     # this bit of an id: the node stands in a leaf block
    MAX_BLOCKS = 1 << 22                # a block number and a place fill 32 bits
    CACHE_LINE = 64
    COLLECT_FROM = 256                  # blocks alive (13 MiB) below which nobody looks for garbage

cdef enum:                              # Mark.flags
    LEAF = 1                            # no children: the walk has nothing to do here
    VISITED = 2                         # set by a running walk or collection, cleared before it ends
    NARY = 4                            # children in an Operands record, not inline
    ONES = 8                            # both local gradients are the int 1, and not stored
    GRAD0_INT = 16                      # local gradient 0 reads back as an int
    GRAD1_INT = 32                      # local gradient 1 reads back as an int
    DATA_INT = 64                       # data reads back as an int
    SPECIAL = 128                       # of a subclass: see Block.classes

cdef enum:                              # kinds of blocks, and the lowest bit of their numbers
    RESULTS = 0
    LEAVES = 1

ctypedef struct Operands:               # children of a node that has other than one or two with a local gradient each
    uint32_t n_children                 # how many children
    uint32_t n_grads                    # how many local gradients; the shorter of the two counts in backward
    uint32_t cursor                     # next child to visit, while the walk has this node on its stack
    double *local_grads                 # n_grads of them; behind them, in the same allocation:
    uint32_t *children                  # n_children ids
    uint8_t *is_int                     # n_grads marks: reads back as an int

ctypedef struct Numbers:                # 16 bytes
    double data                         # the value
    double grad                         # d root / d this, summed up by backward

cdef union FirstGrad:
    double value                        # d node / d child0 at the time the node was made
    Operands *operands                  # with NARY

ctypedef struct LocalGrads:             # 16 bytes
    FirstGrad first
    double second                       # d node / d child1

ctypedef struct Children:               # 8 bytes
    uint32_t first                      # id, 0 for none
    uint32_t second

ctypedef struct Mark:                   # 4 bytes
    uint8_t flags
    uint8_t int_grad                    # grad reads back as an int; apart from flags, so that a plain store clears it
    uint16_t span                       # see span_of; 0 at a free place

ctypedef struct Block:
    Numbers numbers[BLOCK_NODES]
    LocalGrads local_grads[BLOCK_NODES]
    Children children[BLOCK_NODES]
    PyObject *handles[BLOCK_NODES]
    Mark marks[BLOCK_NODES]
    uint32_t first_id                   # id of the node at place 0
    uint32_t used                       # places handed out so far
    uint32_t handles_alive              # handles that point into this block
    uint32_t referrers                  # other living blocks with children here
    uint32_t prepared                   # results: places whose span and references are worked out
    uint64_t serial                     # no other block, now or before, has it
    uint64_t last_referrer              # serial of the block that was counted in `referrers` last
    Block **targets                     # the blocks that this one is counted at
    uint32_t n_targets
    uint32_t targets_capacity
    uint32_t n_special                  # nodes that need more than forgetting when they die: SPECIAL or NARY
    uint16_t *classes                   # class number of each node, 0 for Value; NULL if there was never another
    uint32_t free_place                 # leaves: first free place, linked through children.first; BLOCK_NODES for none
    bint in_use                         # neither in a pool nor about to go there
    bint listed                         # leaves: in `with_gaps`
    bint doubted                        # in `doubtful`
    Block *next                         # in the pool, in `with_gaps`, or among the dying
    Block *previous                     # in `with_gaps`
    Block *next_doubtful
    void *allocation                    # what to free: the block starts at the next cache line

ctypedef struct Arena:
    Block **blocks                      # by block number; a number not in use holds (next such number << 1) | 1
    uint8_t *seen                       # by block number: scratch of block_prepare, all 0 between its calls
    uint32_t capacity                   # entries allocated in `blocks` and `seen`
    uint32_t n_numbers[2]               # block numbers given out so far, a kind
    uint32_t vacant[2]                  # first number not in use, 0 for none
    Block *open[2]                      # where the next node of a kind goes
    Block *with_gaps                    # leaf blocks, not the open one, with free places
    Block *doubtful                     # blocks that lost their last handle or referrer: dead unless the open block refers
    Block *pool[2]                      # empty blocks, most recently emptied first
    uint32_t pooled[2]                  # how many
    uint32_t pooled_least[2]            # fewest since the last trim: what nobody needed
    uint32_t openings[2]                # blocks taken into use since the last trim
    uint32_t blocks_alive
    uint32_t collect_at                 # look for garbage when so many are alive
    uint64_t serials                    # given out so far
    size_t side_bytes                   # held by Operands records, `targets` and `classes`
    bint rewired                        # children were assigned: IN_LEAF_BLOCK and spans no longer tell the truth
    uint64_t *scratch                   # of the walk and of collect
    size_t scratch_capacity
    size_t nodes_alive                  # as of the last collect
    void (*forget)(uint32_t node, uint32_t class_number) noexcept   # a SPECIAL node is dead


cdef inline Block *block_of(Arena *arena, uint32_t node) noexcept nogil:
    return arena.blocks[node >> BLOCK_BITS]


cdef inline int scratch_reserve(Arena *arena) noexcept:
    """Room for an entry for every node alive. -1 without memory."""
    cdef size_t needed = <size_t>arena.blocks_alive * BLOCK_NODES
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
    block.used = block.prepared = 0
    block.free_place = BLOCK_NODES
    block.in_use = True


cdef inline Block *block_open(Arena *arena, int kind) noexcept:
    """Make an empty block the open one of its kind. NULL when there is no memory; then nothing has changed."""
    cdef Block *block
    cdef uint32_t number
    if arena.open[RESULTS] != NULL:
        if block_prepare(arena, arena.open[RESULTS]) < 0:
            return NULL
        doubtful_settle(arena)
        if arena.blocks_alive >= arena.collect_at:
            collect(arena)
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


# ---- what a node may have beside its place: operands, a class ------------------------------------------------------------

cdef inline void operands_free(Arena *arena, Operands *operands) noexcept:
    arena.side_bytes -= operands_size(operands.n_children, operands.n_grads)
    PyMem_RawFree(operands)


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
    operands.local_grads = <double *>(operands + 1)
    operands.children = <uint32_t *>(operands.local_grads + n_grads)
    operands.is_int = <uint8_t *>(operands.children + n_children)
    return operands


cdef inline void make_special(Block *block, uint32_t place, uint8_t why) noexcept:
    """Note that the node needs more than forgetting when it dies: it is of a subclass (SPECIAL), or NARY."""
    if not block.marks[place].flags & (SPECIAL | NARY):
        block.n_special += 1
    block.marks[place].flags |= why


cdef inline int classes_reserve(Arena *arena, Block *block) noexcept:
    """Room for the class numbers of the block's nodes. -1 without memory."""
    if block.classes == NULL:
        block.classes = <uint16_t *>PyMem_RawMalloc(BLOCK_NODES * sizeof(uint16_t))
        if block.classes == NULL:
            return -1
        arena.side_bytes += BLOCK_NODES * sizeof(uint16_t)
    return 0


cdef inline void special_forget(Arena *arena, Block *block, uint32_t place) noexcept:
    """A dead node gives back what it has beside its place."""
    cdef uint8_t flags = block.marks[place].flags
    if not flags & (SPECIAL | NARY):
        return
    if flags & NARY:
        operands_free(arena, block.local_grads[place].first.operands)
    if flags & SPECIAL:
        arena.forget(block.first_id + place, block.classes[place])
    block.marks[place].flags = LEAF
    block.n_special -= 1


cdef inline void specials_forget(Arena *arena, Block *block) noexcept:
    cdef uint32_t place
    for place in range(block.used):
        special_forget(arena, block, place)


# ---- references between blocks, and death -------------------------------------------------------------------------------

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


cdef inline int refer_to_seen(Arena *arena, Block *block) noexcept:
    """Count the blocks marked in arena.seen, and take the marks away. -1 without memory."""
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


cdef inline void see_children(Arena *arena, Block *block, uint32_t place) noexcept:
    """Mark the blocks in which the children of a node stand; for those it has not, node 0's."""
    cdef Operands *operands
    cdef uint32_t k
    if block.marks[place].flags & NARY:
        operands = block.local_grads[place].first.operands
        for k in range(operands.n_children):
            arena.seen[operands.children[k] >> BLOCK_BITS] = 1
    else:
        arena.seen[block.children[place].first >> BLOCK_BITS] = 1
        arena.seen[block.children[place].second >> BLOCK_BITS] = 1


cdef inline uint32_t span_of(Block *block, uint32_t place, Children children) noexcept nogil:
    """How many nodes, up to and including the one at `place`, are just its own subgraph in the order in which a depth-first
    walk leaves them, children left to right. The walk takes such a stretch as a whole: it passes along it, and only leaves
    it for children that lie outside. A dot product written as a sum is one stretch.
    """
    cdef uint32_t before = block.first_id + place - 1       # the neighbour; 0 stands for no node and is never asked for
    cdef uint32_t span
    if children.second != before:
        if children.first != before or place == 0:
            return 1                                        # children, if any, lie outside
        return 1 + block.marks[place - 1].span              # the first one's stretch; then comes the second, outside
    if place == 0:
        return 1
    span = block.marks[place - 1].span
    if span < place and children.first == before - span:             # the first one's stretch stands before the second one's
        return 1 + span + block.marks[place - 1 - span].span
    if children.first == children.second or children.first & IN_LEAF_BLOCK:
        return 1 + span
    return 1                                                # the first lies outside and must be visited before the second


cdef inline int block_prepare(Arena *arena, Block *block) noexcept:
    """Work out span and references of the results appended since the last time: all at once, since it is cheaper than one
    by one, and nobody needs them before. -1 without memory."""
    cdef uint32_t place
    cdef uint8_t *seen = arena.seen
    cdef Children children
    for place in range(block.prepared, block.used):
        children = block.children[place]
        block.marks[place].span = <uint16_t>span_of(block, place, children)
        seen[children.first >> BLOCK_BITS] = 1              # of an n-ary node both are 0
        seen[children.second >> BLOCK_BITS] = 1
    if block.n_special != 0:
        for place in range(block.prepared, block.used):
            see_children(arena, block, place)
    if refer_to_seen(arena, block) < 0:
        return -1
    block.prepared = block.used
    return 0


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


# ---- nodes --------------------------------------------------------------------------------------------------------------

cdef inline int results_reserve(Arena *arena, uint32_t n) noexcept:
    """See to it that the next n results have places, so that nothing can fail between them. -1 without memory."""
    if likely(arena.open[RESULTS].used + n <= BLOCK_NODES):
        return 0
    return -1 if block_open(arena, RESULTS) == NULL else 0


cdef inline void seal_results(Arena *arena) noexcept:
    """Let the next result begin a new block, if the open one is worth it: where a graph ends, block and graph end."""
    if arena.open[RESULTS].used >= BLOCK_NODES // 8:
        block_open(arena, RESULTS)


cdef inline uint32_t result_append(Arena *arena, double data, uint32_t first, uint32_t second, uint32_t flags,
                                   PyObject *handle) noexcept:
    """Write a node into the next reserved place and return its id; its local gradients are there already, or ONES."""
    cdef Block *block = arena.open[RESULTS]
    cdef uint32_t place = block.used
    block.used = place + 1
    block.numbers[place] = Numbers(data, 0.0)
    block.children[place] = Children(first, second)
    block.handles[place] = handle
    block.marks[place] = Mark(<uint8_t>flags, True, 1)
    return block.first_id + place


cdef inline void local_grads_next(Arena *arena, double first, double second) noexcept:
    """The local gradients of the result that is appended next."""
    cdef Block *block = arena.open[RESULTS]
    block.local_grads[block.used].first.value = first
    block.local_grads[block.used].second = second


cdef inline uint32_t leaf_append(Arena *arena, double data) noexcept:
    """Write a leaf into a free place of a leaf block and return its id, or 0 when there is no memory."""
    cdef Block *block = arena.open[LEAVES]
    cdef uint32_t place
    if block.free_place == BLOCK_NODES and block.used == BLOCK_NODES:
        block = arena.with_gaps
        if block != NULL:
            gaps_remove(arena, block)
            arena.open[LEAVES] = block
        else:
            block = block_open(arena, LEAVES)
            if block == NULL:
                return 0
    place = block.free_place
    if place != BLOCK_NODES:
        block.free_place = block.children[place].first
    else:
        place = block.used
        block.used += 1
    block.numbers[place] = Numbers(data, 0.0)
    block.children[place] = Children(0, 0)
    block.handles[place] = NULL
    block.marks[place] = Mark(LEAF, True, 1)
    return block.first_id + place


cdef inline void leaf_place_free(Arena *arena, Block *block, uint32_t place) noexcept:
    """Nothing refers to this leaf: its place may be used again."""
    special_forget(arena, block, place)
    block.marks[place].span = 0                             # says that the place is free
    block.children[place].first = block.free_place
    block.free_place = place
    if not block.listed and block != arena.open[LEAVES]:
        gaps_add(arena, block)


# ---- what is really reached ---------------------------------------------------------------------------------------------

cdef inline size_t mark_child(Arena *arena, uint32_t node, size_t n) noexcept:
    """Mark a node as reached, and put it on the stack of n nodes if it was not. Returns the new height."""
    cdef Mark *mark = &block_of(arena, node).marks[node & PLACE_MASK]
    if mark.flags & VISITED:
        return n
    mark.flags |= VISITED
    arena.scratch[n] = node
    return n + 1


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
        if block.marks[place].flags & NARY:
            operands = block.local_grads[place].first.operands
            for k in range(operands.n_children):
                n = mark_child(arena, operands.children[k], n)
        elif not block.marks[place].flags & LEAF:
            n = mark_child(arena, block.children[place].first, n)
            n = mark_child(arena, block.children[place].second, n)


cdef inline void sweep(Arena *arena, Block *block) noexcept:
    """Forget the nodes of a block that no handle reached, and count the references of the others anew."""
    cdef uint32_t place
    cdef Mark *mark
    for place in range(block.used):
        mark = &block.marks[place]
        if mark.flags & VISITED:
            mark.flags &= ~<uint8_t>VISITED
            arena.nodes_alive += 1
            see_children(arena, block, place)
        elif mark.span != 0:
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
                if block.marks[place].span != 0 and block.handles[place] != NULL:
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
