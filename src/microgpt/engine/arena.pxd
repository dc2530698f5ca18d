# cython: language_level=3
"""The arena: how nodes get their places (laid out in layout.pxd), and when dead ones are looked for.

Results are appended to the open block; leaves take free places. Below are the block pool (pool.pxd), the free lists of leaves
(free_list.pxd), the counts by which blocks live (lifetime.pxd), and mark and sweep (collect.pxd).

Counts of blocks are too coarse in one case: where one graph ends and the next begins inside the same block, the dead half
would keep the blocks of the old graph alive, and so on for ever. Three things prevent that: `backward` closes the open block,
so that graphs of training begin with a block (seal_results); so do, mostly, graphs that begin with embeddings (graph_begins);
and when twice as many blocks are alive as after the last look, `collect` marks what the handles really reach and frees the
rest. It also frees what no count of references can: cycles, made by assigning `_children`.

Thread-safety: every function of the arena runs under the GIL, and none runs Python code.
"""
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from microgpt.engine.collect cimport collect
from microgpt.engine.free_list cimport free_place_take, is_full, partial_list_remove
from microgpt.engine.layout cimport (
    BLOCK_NODES, CACHE_LINE, COLLECT_FROM, GRAD, LEAF, LEAVES, RESULTS, Arena, Block, Children, likely,
)
from microgpt.engine.lifetime cimport reclaim_candidates
from microgpt.engine.pool cimport block_allocate, block_in_use, block_open, table_grow
from microgpt.engine.references cimport block_prepare


cdef inline void reclaim(Arena *arena) noexcept:
    """Free what is dead, before a new block is opened. Not to be called while nodes under construction have neither handle nor
    parent: they would be collected."""
    if block_prepare(arena, arena.open[RESULTS]) < 0:
        return
    reclaim_candidates(arena)
    if arena.blocks_alive >= arena.collect_at:
        collect(arena)


cdef inline bint has_places(Arena *arena, size_t n) noexcept:
    """Whether the next n results fit into the open block."""
    return likely(arena.open[RESULTS].used + n <= BLOCK_NODES)


cdef inline int results_reserve(Arena *arena, uint32_t n) noexcept:
    """Reserve places for the next n results, so that nothing can fail between them. -1 without memory."""
    if has_places(arena, n):
        return 0
    reclaim(arena)
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
    if not block.begins_graph and block.used >= BLOCK_NODES // 2:
        results_reserve(arena, BLOCK_NODES)
    arena.open[RESULTS].begins_graph = True


cdef inline void local_grads_next(Arena *arena, double first, double second) noexcept:
    """The local gradients of the result of two operands that is appended next."""
    cdef Block *block = arena.open[RESULTS]
    block.local_grads[block.used].first.value = first
    block.local_grads[block.used].second.value = second


cdef inline void local_grad_next(Arena *arena, double local_grad, uint32_t operation) noexcept:
    """The local gradient of the result of one operand that is appended next, and the operation that made it."""
    cdef Block *block = arena.open[RESULTS]
    block.local_grads[block.used].first.value = local_grad
    block.local_grads[block.used].second.operation = operation


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


cdef inline Block *leaf_block(Arena *arena) noexcept:
    """The open leaf block, with a place to give; NULL when there is no memory."""
    if likely(not is_full(arena.open[LEAVES])):
        return arena.open[LEAVES]
    if arena.partial_blocks == NULL:
        reclaim(arena)
    if not is_full(arena.open[LEAVES]):
        return arena.open[LEAVES]
    if arena.partial_blocks == NULL:
        return block_open(arena, LEAVES)
    arena.open[LEAVES] = arena.partial_blocks
    partial_list_remove(arena, arena.partial_blocks)
    return arena.open[LEAVES]


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
    arena.leaves_made += 1
    block.numbers[place] = data
    block.numbers[GRAD + place] = 0.0
    block.children[place] = Children(0, 0)
    block.flags[place] = LEAF
    block.int_grads[place] = not arena.kinds.float_grad
    block.spans[place] = 1
    return block.first_id + place


cdef inline void data_written(Arena *arena) noexcept:
    """Data of nodes are written: results that are there already were computed from other numbers."""
    arena.written_serial, arena.written_place = arena.open[RESULTS].serial, arena.open[RESULTS].used


cdef inline uint64_t nodes_made(Arena *arena) noexcept:
    """How many nodes there have been so far. On the typed rung, that is how often the script's constructor would have run."""
    cdef uint64_t n = arena.leaves_made + arena.results_gone
    cdef Block *block = arena.pool[RESULTS]
    cdef uint32_t number
    while block != NULL:
        n += block.used
        block = block.next
    for number in range(0, 2 * arena.n_numbers[RESULTS], 2):
        block = block_in_use(arena, number)
        if block != NULL:
            n += block.used
    return n


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
