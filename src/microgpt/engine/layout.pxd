# cython: language_level=3
"""Where nodes live: the data dictionary of the engine, every struct and field with its meaning.

A graph of scalars is millions of tiny records that are born together, read in order and die together. They stand in
blocks that never move; a node is named by a 32-bit id (block number, place in the block), so two children take eight
bytes and neither a handle nor a running backward ever sees a reallocation.

    id  =  block number . place (10 bits)           blocks[id >> BLOCK_BITS]
                                                               |
    Block   numbers     [0..1023]  data                        |   8 bytes a node
                        [1024..2047]  grad                     |   8
            local_grads [0..1023]  d node / d child         <--+  16
            children    [0..1023]  two ids                         8
            handles     [0..1023]  the living Value, or NULL       8
            flags, int_grads, spans                            1 + 1 + 2
                                                                  52 bytes a node

The arrays are kept apart because they are used apart: ordering a graph reads children, flags and spans, a sum has no
local gradients to write (both are 1), and operations on whole vectors run along data and gradients with SIMD.

Blocks come in two kinds. Results of operations are appended to one open block, never into gaps: creation order is
memory order. Leaves (`Value(x)`) have blocks of their own, where single places are used again: keeping one number does
not keep a step's graph. Odd block numbers are leaf blocks, so a child's id alone tells the walk that it may pass by.
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

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

cdef extern from "kernels/rows.h":
    ctypedef struct RowKernels:
        void (*products)(size_t, size_t, const double *, const double *, double *) noexcept nogil
        void (*axpy)(size_t, double, double *, const double *) noexcept nogil
        void (*axpy_pair)(size_t, double, double *, const double *, double *, const double *) noexcept nogil

cdef enum:
    BLOCK_BITS = 10                     # 1,024 nodes a block: 52 KiB, small beside a second-level cache
    BLOCK_NODES = 1 << BLOCK_BITS
    BLOCK_WORDS = BLOCK_NODES >> 6      # words of a set of places, a bit each
    PLACE_MASK = BLOCK_NODES - 1
    GRAD = BLOCK_NODES                  # how far, in doubles, a node's grad stands behind its data
    IN_LEAF_BLOCK = 1 << BLOCK_BITS     # this bit of an id: the node stands in a leaf block
    MAX_BLOCKS = 1 << 22                # a block number and a place fill 32 bits
    CACHE_LINE = 64
    COLLECT_FROM = 64                   # fewer blocks alive (3 MiB) than this: no mark and sweep
    CHUNK_BYTES = 1 << 16               # memory for the records of a block is taken in pieces of this size, or twice, or ...
    CHUNK_SIZES = 7                     # ... 64 times it, 4 MiB, which are held ready when empty; larger ones are not
    BLOCKS_KEPT = 1 << 10               # at most so many empty blocks of a kind, 52 MiB, are held ready
    SCRATCH_KEPT = 1 << 21              # at most so many entries of scratch, 16 MiB, outlive the call that needed them
    CHUNK_BYTES_KEPT = 1 << 24          # at most so many bytes of empty ones
    SPARE_HANDLES = 4096                # dead handles kept for the next Values: 128 KiB at most

cdef enum:                              # Block.flags
    LEAF = 1                            # no children: the walk has nothing to do here
    VISITED = 2                         # set by a running walk or mark and sweep, cleared before it ends
    NARY = 4                            # children in a record (Operands; with ONES: Dots), not inline
    ONES = 8                            # both local gradients are the int 1, and not stored
    GRAD0_INT = 16                      # local gradient 0 is an int: see ints.pxd
    GRAD1_INT = 32                      # local gradient 1 is an int
    HIDDEN_FLOAT = GRAD0_INT            # with DOT, whose local gradients are elsewhere: its hidden gradients are floats
    DATA_INT = 64                       # data is an int
    SUBCLASS = 128                      # made for a handle of a subclass: see Block.classes
    DOT = NARY | ONES                   # both: one row of a Dots record

cdef enum:                              # which operation made a node with one child
    OP_CONSTRUCTOR = 0
    OP_LOG
    OP_EXP
    OP_RELU
    OP_TANH
    OP_SIGMOID
    OP_SQRT
    OP_SIN
    OP_COS
    OP_ABS
    OP_SILU
    OP_GELU
    OP_GELU_TANH
    OP_POW                              # x ** number
    OP_RPOW                             # number ** x
    OP_ADD_NUMBER                       # x + number, x * number where the number has no node: in functions over lists
    OP_MUL_NUMBER
    OP_ADD                              # of two children: not stored, see operation_of
    OP_MUL

cdef enum:
    UNUSED_REPLAY = 2                   # Handle.is_operand of a replayed graph that was none: it ends with its handle

cdef enum:                              # kinds of blocks, and the lowest bit of their numbers
    RESULTS = 0
    LEAVES = 1

ctypedef struct Replay:                 # a recorded graph that was replayed, for which one node stands: see _recorded.pyx
    void (*backward)(Replay *replay, double grad, bint int_grad) noexcept nogil     # propagates the gradient of the node
    int (*rebuild)(Replay *replay) except -1    # puts a graph of nodes in its place
    void (*release)(Replay *replay) noexcept    # the node is dead, or nobody can call backward on it any more
    bint closed                         # backward can go through it after `rebuild` only

ctypedef struct Operands:               # children of a node that has other than one or two with a local gradient each
    uint32_t n_children                 # how many children
    uint32_t n_grads                    # how many local gradients; the shorter of the two counts in backward
    uint32_t cursor                     # next child to visit, while the walk is below this node
    Replay *replay                      # the node stands for a recorded graph; else NULL
    double *local_grads                 # n_grads of them; behind them, in the same allocation:
    uint32_t *children                  # n_children ids
    uint8_t *is_int                     # n_grads marks: it is an int

ctypedef struct Dots:                   # dot products of rows with one shared vector, a node each: see dots.pxd
    uint32_t n                          # terms of each product
    uint32_t n_rows
    uint32_t first                      # id of the first row's node; the others stand behind it
    bint shared_left                    # each term is shared * row; else row * shared
    bint shared_is_range                # shared ids follow one another in a block: `shared` holds the first only
    bint rows_are_ranges                # so do those of each row: `rows` holds the first of each
    bint rows_are_leaves                # all of them in leaf blocks
    bint disjoint                       # the shared vector is a range, and no operand of a row is in it
    uint32_t *shared                    # ids; NULL: the products are plain sums of a row
    double *shared_data                 # n, as of the time of the product
    uint8_t *shared_int                 # n marks: it is an int; NULL if none is
    uint32_t *rows                      # ids, n a row
    double *rows_data                   # n a row, as of the time of the product; NULL for sums
    uint64_t walked_by                  # the last walk that has visited the whole shared vector
    double **hidden                     # by row, from its second backward on: grads of its n terms, then of its partial sums
    Dots *next                          # of the same block

cdef union FirstGrad:
    double value                        # d node / d child0 at the time the node was made
    Operands *operands                  # with NARY
    Dots *dots                          # with DOT

cdef union SecondGrad:
    double value                        # with two children: d node / d child1
    size_t operation                    # with one: OP_...
    double hidden                       # with DOT: the gradient of its hidden terms so far, while it is the same for all

ctypedef struct LocalGrads:             # 16 bytes
    FirstGrad first
    SecondGrad second

ctypedef struct Children:               # 8 bytes; of a DOT node the two stand for something else: see terms_done
    uint32_t first                      # id, 0 for none
    uint32_t second

ctypedef struct Chunk:                  # memory for records, which die with their block
    Chunk *next                         # of the same block, or in the pool
    size_t size                         # bytes, this header included
    size_t used                         # of them, so far
    uint32_t kind                       # CHUNK_BYTES << kind of them for records; CHUNK_SIZES: another size
    void *allocation                    # what to free: the chunk starts at the next cache line

ctypedef struct Block:
    double numbers[2 * BLOCK_NODES]     # data of each node; then grads: d root / d node, summed up by backward
    LocalGrads local_grads[BLOCK_NODES]
    Children children[BLOCK_NODES]
    PyObject *handles[BLOCK_NODES]
    uint16_t spans[BLOCK_NODES]         # see span_of; 0 at a free place of a leaf block
    uint8_t flags[BLOCK_NODES]
    uint8_t int_grads[BLOCK_NODES]      # grad is an int
    uint32_t first_id                   # id of the node at place 0
    uint32_t used                       # places handed out so far; beyond them grads are 0, int_grads 1 and handles NULL
    uint32_t handles_alive              # handles that point into this block
    uint32_t referrers                  # other living blocks with children here
    uint32_t prepared                   # results: places whose references are counted
    uint32_t spanned                    # results: places whose span is known
    uint64_t serial                     # no other block, now or before, has it
    uint64_t last_referrer              # serial of the block that was counted in `referrers` last
    Block **targets                     # the blocks in whose `referrers` this one is counted
    uint32_t n_targets
    uint32_t targets_capacity
    uint32_t n_with_extras              # nodes with something outside the block to release: SUBCLASS, or NARY but not DOT
    uint16_t *classes                   # class number of each node, 0 for Value; NULL if there was never another
    Dots *dots                          # records of its nodes, the latest first
    Dots *dots_prepared                 # the latest whose references are counted
    Chunk *chunks                       # memory of the records, the latest first
    uint64_t in_dots[BLOCK_WORDS]       # leaves: bit set when a Dots record has this node among its operands
    uint64_t raised[BLOCK_WORDS]        # results: bit set when this node of two children is a Value ** Value
    uint64_t constructed[BLOCK_WORDS]   # results: bit set when the constructor made this node, not an operation
    uint64_t free_places[BLOCK_WORDS]   # leaves: bit set where a place below `used` is free
    uint32_t n_free                     # leaves: how many
    uint32_t free_from                  # leaves: no free place stands before this one
    bint begins_graph                   # two leaves were added here: see graph_begins
    bint in_use                         # holds nodes; else it is in the pool
    bint in_partial_list                # leaves: in Arena.partial_blocks
    bint is_candidate                   # in Arena.candidates
    Block *next                         # in the pool or in Arena.partial_blocks
    Block *previous                     # in Arena.partial_blocks
    Block *next_candidate
    void *allocation                    # what to free: the block starts at the next cache line

ctypedef struct Handle:                 # a Value, 32 bytes: what a script holds
    PyObject base
    double *numbers                     # data of the node, and GRAD further on its grad; in a spare handle: the next spare one
    uint32_t id                         # the node; 0 before __init__
    uint8_t data_int                    # data is an int (as in the node's flags)
    uint8_t is_operand                  # it was one, so its node may have parents (see also Block.in_dots); or UNUSED_REPLAY

ctypedef struct Kinds:                  # what is an int in a class like the script's: see ints.pxd
    bint float_data                     # data are made floats
    bint float_grad                     # a gradient begins as 0.0
    bint float_ones                     # the local gradients of a sum are 1.0
    bint float_zero                     # relu of what is not positive is 0.0
    bint int_slope                      # the local gradient of relu is an int


ctypedef struct Arena:
    Block **blocks                      # by block number; a number not in use holds (next such number << 1) | 1
    uint8_t *seen                       # by block number: scratch of block_prepare, all 0 between its calls
    uint32_t capacity                   # entries allocated in `blocks` and `seen`
    uint32_t n_numbers[2]               # block numbers given out so far, a kind
    uint32_t free_number[2]             # first number given back, 0 for none
    Block *open[2]                      # where the next node of a kind goes
    Handle *spare                       # dead handles for the next Values, linked; `id` tells how many from here on
    Block *partial_blocks               # leaf blocks, not the open one, with free places
    Block *candidates                   # blocks without handles or referrers: dead unless the open block refers to them
    Block *pool[2]                      # empty blocks, most recently emptied first
    uint32_t pooled[2]                  # how many
    uint32_t pooled_min[2]              # fewest since the last trim: as many were not needed
    uint32_t opened[2]                  # blocks taken into use since the last trim
    Chunk *chunks[CHUNK_SIZES]          # empty ones, by kind
    size_t chunk_bytes                  # of all of them
    uint32_t blocks_freed               # since the heap was trimmed
    uint32_t blocks_alive
    size_t dot_terms                    # of all dot products in them
    uint32_t collect_at                 # mark and sweep when so many are alive
    uint64_t last_serial                # of blocks
    uint64_t leaves_made                # by the constructor, so far
    uint64_t results_gone               # results that stood in blocks which were emptied or freed: see nodes_made
    uint64_t written_serial             # where the open block of results stood when data were written last: its serial ...
    uint32_t written_place              # ... and the places in use
    bint late_grads                     # a graph with nodes from before that must not be walked: see set_late_grads
    bint walk_stale                     # the running walk has found such a graph
    uint64_t walk_number                # of the last walk
    size_t side_bytes                   # held by Operands records, chunks, `targets` and `classes`
    bint graph_off                      # results of operations are leaves: see set_graph
    bint no_local_grads                 # and powers do not compute local gradients
    bint relinked                       # children were assigned: IN_LEAF_BLOCK and spans no longer hold
    bint int_overflowed                 # a result of ints was too large for one: see ints.pxd
    Kinds kinds
    bint walk_failed                    # the running walk found no memory
    Replay *walk_closed                 # a replayed graph that the running walk cannot go through; NULL: there is none
    bint has_replays                    # there have been replayed graphs
    const RowKernels *kernels           # for the instruction set of this CPU
    uint64_t *scratch                   # of the walk and of collect
    size_t scratch_capacity
    size_t nodes_alive                  # found by the last mark and sweep
    void (*on_node_freed)(uint32_t node, uint32_t class_number) noexcept    # called for SUBCLASS nodes


cdef inline Block *block_of(Arena *arena, uint32_t node) noexcept nogil:
    return arena.blocks[node >> BLOCK_BITS]
