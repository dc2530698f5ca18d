# cython: language_level=3
"""Where nodes live: the data dictionary of the arena, and the few functions that own its memory.

A graph of scalars is millions of tiny records that are born together, read in order and die together. They stand in
blocks that never move; a node is named by a 32-bit id (block number, place in the block), so two children take eight
bytes and a handle or a running backward never sees a reallocation.

    id  =  block number (21 bits) . place (10 bits)          blocks[id >> BLOCK_BITS]
                                                                      |
    Block   numbers[0..1023]  data, grad, two local gradients         |  32 bytes a node
            links  [0..1023]  two children, references, flags   <-----+  16
            handles[0..1023]  the living Value, or NULL                   8
            int_grad[0..1023] does grad read back as an int?              1
                                                                         57 bytes a node

The arrays are kept apart because they are read apart: the walk that orders a graph reads links only, four nodes a cache
line; the accumulation reads numbers.

Lifetime is reference counting, as in Python, node by node. A node lives while a handle points at it or a living node
has it as a child. What makes it cheap: while a handle lives, its node's new parents are counted in the handle (`uses`),
which is in cache anyway, and are added to `refs` when the handle goes. A block whose nodes are all dead is used again.

Blocks come in two kinds. Results of operations are appended to one open block, never into gaps, so creation order is
memory order. Leaves (`Value(x)`) have blocks of their own, where single places are used again: keeping one number does
not keep a step's graph. Odd block numbers are leaf blocks, so a child's id alone tells the walk that it may pass by.

Thread-safety: every function here runs under the GIL.
"""
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

cdef extern from *:
    bint likely(bint) noexcept nogil
    bint unlikely(bint) noexcept nogil

cdef enum:
    BLOCK_BITS = 10                     # 1,024 nodes a block: 57 KiB, small beside a second-level cache
    BLOCK_NODES = 1 << BLOCK_BITS
    PLACE_MASK = BLOCK_NODES - 1
    IN_LEAF_BLOCK = 1 << BLOCK_BITS     # this bit of an id: the node stands in a leaf block
    MAX_BLOCKS = 1 << 21                # ids stay below 2**31, which leaves the walk one bit for its own use

cdef enum:                              # Links.flags
    LEAF = 1                            # no children: the walk has nothing to do here
    NARY = 2                            # children in an Operands record, not inline
    VISITED = 4                         # set by a running walk, cleared by the accumulation that follows it
    HAS_HANDLE = 8                      # handles[place] is alive
    DATA_INT = 16                       # data reads back as an int
    GRAD0_INT = 32                      # local_grad0 reads back as an int
    GRAD1_INT = 64                      # local_grad1 reads back as an int
    HAS_STATE = 128                     # (it and all above it: a node that needs more at its death) a dropped handle of a subclass left attributes in `left_attributes`
    CLASS_SHIFT = 16                    # the upper half: number of the node's class, 0 for Value itself

cdef enum:
    CACHE_LINE = 64

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

cdef union GradOrOperands:
    double local_grad0                  # d result / d child0 at the time the node was made
    Operands *operands                  # with NARY

ctypedef struct Numbers:                # 32 bytes
    double data                         # the value
    double grad                         # d root / d this, summed up by backward
    GradOrOperands first
    double local_grad1                  # d result / d child1

ctypedef struct Links:                  # 16 bytes
    uint32_t child0                     # id, 0 for none
    uint32_t child1
    uint32_t refs                       # living parents (modulo 2**32 while a handle counts too); in a dead node: next
    uint32_t flags

ctypedef struct Block:
    Numbers numbers[BLOCK_NODES]
    Links links[BLOCK_NODES]
    PyObject *handles[BLOCK_NODES]
    uint8_t int_grad[BLOCK_NODES]       # apart from flags, so that backward can clear it by a plain store
    uint32_t first_id                   # id of the node at place 0
    uint32_t used                       # places handed out so far
    uint32_t dead                       # of these, how many are dead (results), or free again (leaves)
    uint32_t free_place                 # leaves: first free place, linked through child0; BLOCK_NODES for none
    bint listed                         # leaves: this block is in `with_gaps`
    Block *next                         # in the pool, or in `with_gaps`
    Block *previous                     # in `with_gaps`
    void *allocation                    # what to free: the block starts at the next cache line

ctypedef struct Arena:
    Block **blocks                      # by block number; a number not in use holds (next such number << 1) | 1
    uint32_t capacity                   # entries allocated in `blocks`
    uint32_t n_numbers[2]               # block numbers given out so far, a kind
    uint32_t vacant[2]                  # first number not in use, 0 for none
    Block *open[2]                      # where the next node of a kind goes
    Block *with_gaps                    # leaf blocks, not the open one, with free places
    Block *pool[2]                      # empty blocks, most recently emptied first
    uint32_t pooled[2]                  # how many
    uint32_t pooled_least[2]            # fewest since the last trim: what nobody needed
    uint32_t openings[2]                # blocks taken into use since the last trim
    uint32_t blocks_alive               # taken into use and not all dead
    size_t operand_bytes                # held by Operands records
    bint rewired                        # a leaf was given children: IN_LEAF_BLOCK no longer means LEAF
    uint32_t *order                     # backward's scratch: the order grows from the front, its stack from the back
    size_t order_capacity
    void (*forget)(uint32_t node, uint32_t flags) noexcept   # a node with a class or state of its own died


cdef inline Block *block_of(Arena *arena, uint32_t node) noexcept nogil:
    return arena.blocks[node >> BLOCK_BITS]


cdef inline Links *links_of(Arena *arena, uint32_t node) noexcept nogil:
    return &arena.blocks[node >> BLOCK_BITS].links[node & PLACE_MASK]


cdef inline Numbers *numbers_of(Arena *arena, uint32_t node) noexcept nogil:
    return &arena.blocks[node >> BLOCK_BITS].numbers[node & PLACE_MASK]


# ---- blocks: from the pool, from the system, back again ----------------------------------------------------------------

cdef inline uint32_t number_take(Arena *arena, int kind) noexcept:
    """A block number nobody uses, or 0 when the table cannot grow (0 itself is given out by arena_start alone)."""
    cdef uint32_t number = arena.vacant[kind]
    cdef uint32_t capacity
    cdef Block **grown
    if number != 0:
        arena.vacant[kind] = <uint32_t>(<size_t>arena.blocks[number] >> 1)
        return number
    number = 2 * arena.n_numbers[kind] + kind
    if number >= arena.capacity:
        if number >= MAX_BLOCKS:
            return 0
        capacity = 2 * number + 64
        grown = <Block **>PyMem_RawRealloc(arena.blocks, capacity * sizeof(Block *))
        if grown == NULL:
            return 0
        arena.blocks, arena.capacity = grown, capacity
    arena.n_numbers[kind] += 1
    return number


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
    block.allocation = allocation
    block.first_id = number << BLOCK_BITS
    arena.blocks[number] = block
    return block


cdef inline void pool_trim(Arena *arena, int kind) noexcept:
    """Once the blocks have turned over, give the system back those that lay in the pool all the while."""
    cdef Block *block
    while arena.pooled_least[kind] > 0:
        arena.pooled_least[kind] -= 1
        arena.pooled[kind] -= 1
        block = arena.pool[kind]
        arena.pool[kind] = block.next
        number_give_back(arena, block.first_id >> BLOCK_BITS)
        PyMem_RawFree(block.allocation)
    arena.pooled_least[kind] = arena.pooled[kind]
    arena.openings[kind] = 0


cdef inline Block *block_open(Arena *arena, int kind) noexcept:
    """Make an empty block the open one of its kind. NULL when there is no memory; then nothing has changed."""
    cdef Block *block = arena.pool[kind]
    cdef uint32_t number
    if block != NULL:
        arena.pool[kind] = block.next
        arena.pooled[kind] -= 1
        if arena.pooled[kind] < arena.pooled_least[kind]:
            arena.pooled_least[kind] = arena.pooled[kind]
    else:
        number = number_take(arena, kind)
        if number == 0:
            return NULL
        block = block_allocate(arena, number)
        if block == NULL:
            number_give_back(arena, number)
            return NULL
    block.used = block.dead = 0
    block.free_place = BLOCK_NODES
    block.listed = False
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


cdef inline void block_emptied(Arena *arena, Block *block, int kind) noexcept:
    """Every node of the block is dead: start it anew if it is the open one, else put it into the pool."""
    if block == arena.open[kind]:
        block.used = block.dead = 0
        block.free_place = BLOCK_NODES
        return
    if block.listed:
        gaps_remove(arena, block)
    block.next = arena.pool[kind]
    arena.pool[kind] = block
    arena.pooled[kind] += 1
    arena.blocks_alive -= 1


# ---- nodes: birth and death ---------------------------------------------------------------------------------------------

cdef inline int results_reserve(Arena *arena, uint32_t n) noexcept:
    """See to it that the next n results have places, so that nothing can fail between them. -1 without memory."""
    if unlikely(arena.open[RESULTS].used + n > BLOCK_NODES) and block_open(arena, RESULTS) == NULL:
        return -1
    return 0


cdef inline uint32_t result_append(Arena *arena, double data, uint32_t child0, uint32_t child1, double local_grad0,
                                   double local_grad1, uint32_t flags, uint32_t refs, PyObject *handle) noexcept:
    """Write a node into the next reserved place and return its id. The caller counts the references to its children."""
    cdef Block *block = arena.open[RESULTS]
    cdef uint32_t place = block.used
    cdef Numbers *numbers = &block.numbers[place]
    cdef Links *links = &block.links[place]
    block.used = place + 1
    numbers.data = data
    numbers.grad = 0.0
    numbers.first.local_grad0 = local_grad0
    numbers.local_grad1 = local_grad1
    links.child0, links.child1 = child0, child1
    links.refs = refs
    links.flags = flags
    block.handles[place] = handle
    block.int_grad[place] = True
    return block.first_id + place


cdef inline uint32_t leaf_place(Arena *arena) noexcept:
    """The id of a place for a leaf, one that died before if there is any, or 0 when there is no memory."""
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
        block.free_place = block.links[place].child0
        block.dead -= 1
    else:
        place = block.used
        block.used += 1
    return block.first_id + place


cdef inline void place_give_back(Arena *arena, uint32_t node) noexcept:
    """The node at this id is dead."""
    cdef Block *block = block_of(arena, node)
    cdef int kind = LEAVES if node & IN_LEAF_BLOCK else RESULTS
    block.dead += 1
    if block.dead == block.used:
        block_emptied(arena, block, kind)
    elif kind == LEAVES:
        block.links[node & PLACE_MASK].child0 = block.free_place
        block.free_place = node & PLACE_MASK
        if not block.listed and block != arena.open[LEAVES]:
            gaps_add(arena, block)


cdef inline uint32_t drop_reference(Arena *arena, uint32_t child, uint32_t dying) noexcept:
    """One parent of `child` is dead. Returns the head of the list of dying nodes, which `child` joins if it dies of it."""
    cdef Links *links = links_of(arena, child)
    links.refs -= 1
    if links.refs != 0 or links.flags & HAS_HANDLE:
        return dying
    links.refs = dying
    return child


cdef inline size_t operands_size(uint32_t n_children, uint32_t n_grads) noexcept nogil:
    """Bytes of an Operands record with its arrays."""
    return sizeof(Operands) + n_children * sizeof(uint32_t) + n_grads * (sizeof(double) + 1)


cdef inline Operands *operands_allocate(Arena *arena, uint32_t n_children, uint32_t n_grads) noexcept:
    """A record with room for so many children and local gradients, or NULL."""
    cdef size_t size = operands_size(n_children, n_grads)
    cdef Operands *operands = <Operands *>PyMem_RawMalloc(size)
    if operands == NULL:
        return NULL
    arena.operand_bytes += size
    operands.n_children, operands.n_grads, operands.cursor = n_children, n_grads, 0
    operands.local_grads = <double *>(operands + 1)
    operands.children = <uint32_t *>(operands.local_grads + n_grads)
    operands.is_int = <uint8_t *>(operands.children + n_children)
    return operands


cdef inline void operands_free(Arena *arena, Operands *operands) noexcept:
    arena.operand_bytes -= operands_size(operands.n_children, operands.n_grads)
    PyMem_RawFree(operands)


cdef inline uint32_t drop_children(Arena *arena, uint32_t node, uint32_t dying) noexcept:
    """The node no longer refers to its children. Returns the head of the list of dying nodes."""
    cdef Links *links = links_of(arena, node)
    cdef Operands *operands
    cdef uint32_t k
    if links.flags & NARY:
        operands = numbers_of(arena, node).first.operands
        for k in range(operands.n_children):
            dying = drop_reference(arena, operands.children[k], dying)
        operands_free(arena, operands)
    elif not links.flags & LEAF:
        dying = drop_reference(arena, links.child0, dying)
        if links.child1 != 0:
            dying = drop_reference(arena, links.child1, dying)
    return dying


cdef inline void nodes_release(Arena *arena, uint32_t dying) noexcept:
    """Free a list of nodes that nothing refers to, and all that they alone kept alive: a loop, however deep the graph.

    The list is linked through `refs`, which nobody counts any more, and ends with 0.
    """
    cdef uint32_t node
    cdef Links *links
    while dying != 0:
        node = dying
        links = links_of(arena, node)
        dying = drop_children(arena, node, links.refs)
        if unlikely(links.flags >= HAS_STATE):
            arena.forget(node, links.flags)
        place_give_back(arena, node)


cdef inline int arena_start(Arena *arena) noexcept:
    """An empty arena: the first block of each kind, and node 0, which stands for "no node" and is never freed.

    -1 when there is no memory.
    """
    memset(arena, 0, sizeof(Arena))
    arena.capacity = 64
    arena.blocks = <Block **>PyMem_RawMalloc(arena.capacity * sizeof(Block *))
    if arena.blocks == NULL:
        return -1
    arena.n_numbers[RESULTS] = 1
    arena.pool[RESULTS] = block_allocate(arena, 0)
    if arena.pool[RESULTS] == NULL:
        return -1
    arena.pool[RESULTS].next = NULL
    arena.pooled[RESULTS] = 1
    if block_open(arena, RESULTS) == NULL or block_open(arena, LEAVES) == NULL:
        return -1
    result_append(arena, NAN, 0, 0, 0.0, 0.0, LEAF | HAS_HANDLE, 0, NULL)
    return 0


cdef inline size_t arena_nodes(Arena *arena) noexcept:
    """Nodes alive, node 0 not counted. Looks at every block, so that no operation has to keep count."""
    cdef size_t nodes = 0
    cdef size_t entry
    cdef uint32_t kind, k
    for kind in range(2):
        for k in range(arena.n_numbers[kind]):
            entry = <size_t>arena.blocks[2 * k + kind]
            if not entry & 1:
                nodes += (<Block *>entry).used - (<Block *>entry).dead
    return nodes - 1


cdef inline size_t arena_bytes(Arena *arena) noexcept:
    """All memory the arena holds: blocks in use and in the pools, operands, scratch, the table of blocks."""
    cdef size_t n_blocks = arena.blocks_alive + arena.pooled[RESULTS] + arena.pooled[LEAVES]
    return (n_blocks * (sizeof(Block) + CACHE_LINE) + arena.operand_bytes
            + arena.order_capacity * sizeof(uint32_t) + arena.capacity * sizeof(Block *))
