# cython: language_level=3
"""Dot products of whole rows as single nodes, with the gradients of the script's many.

The script writes `sum(wi * xi for wi, xi in zip(row, x))`: for n terms n products and n additions, 2 n + 1 nodes with the
leading 0. Here it is one node, and the rows of a matrix, which share the vector x, are one `Dots` record:

    node of row 0    node of row 1   ...           (places side by side in a block)
           |               |
           +-------+-------+
                   v
    Dots    shared: x0 x1 ... and its data         rows: w00 w01 ... | w10 w11 ... and their data

What is left out has one parent each, so every hidden product has the gradient g of the sum. But the order in which the
operands receive their contributions has to be the script's. There, product i stands in the walk's list behind whatever was
visited first from its two factors, and its gradient is propagated in the reverse order of that list. So where the walk leaves
a dot product for an unvisited operand, it emits an entry for the terms before it (`emit_terms`); the terms after the last
such entry are propagated with the node itself. Only the first row of a record leaves for the shared vector.

A second backward adds to gradients that the hidden nodes have from the first. As long as they are all the same number, it
is kept in the node (`hidden_grad`); from the second backward on they differ, and stand in `Dots.hidden`.
"""
from cpython.mem cimport PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from microgpt.engine.records cimport dot_row, record_allocate, row_id, shared_id
from microgpt.engine.gradient cimport grad_add, propagate
from microgpt.engine.ints cimport grad_add_int
from microgpt.engine.layout cimport (
    BLOCK_BITS, DOT, GRAD, HIDDEN_FLOAT, IN_LEAF_BLOCK, LEAF, PLACE_MASK, VISITED, Arena, Block, Dots, block_of,
    likely, unlikely,
)


# ---- making ---------------------------------------------------------------------------------------------------------------

cdef inline Dots *dots_allocate(Arena *arena, Block *block, uint32_t n, uint32_t n_rows, bint has_shared,
                                bint shared_is_range, bint rows_are_ranges) noexcept:
    """A record for the next n_rows results, which have their places in this block. NULL without memory."""
    cdef size_t terms = <size_t>n * n_rows
    cdef size_t n_shared = 0 if not has_shared else 1 if shared_is_range else n
    cdef size_t n_ids = n_rows if rows_are_ranges else terms
    cdef size_t n_data = terms + n if has_shared else 0
    cdef Dots *dots = <Dots *>record_allocate(
        arena, block, sizeof(Dots) + n_data * sizeof(double) + (n_shared + n_ids) * sizeof(uint32_t) + n * sizeof(uint8_t))
    if dots == NULL:
        return NULL
    dots.n, dots.n_rows, dots.first = n, n_rows, block.first_id + block.used
    dots.shared_left = False
    dots.shared_is_range, dots.rows_are_ranges, dots.rows_are_leaves = shared_is_range, rows_are_ranges, False
    dots.shared_data = dots.rows_data = NULL
    if has_shared:
        dots.rows_data = <double *>(dots + 1)
        dots.shared_data = dots.rows_data + terms
    dots.rows = <uint32_t *>(<double *>(dots + 1) + n_data)
    dots.shared = dots.rows + n_ids if has_shared else NULL
    dots.shared_int = NULL
    dots.disjoint = False
    dots.walked_by = 0
    dots.hidden = NULL
    arena.dot_terms += terms
    dots.next = block.dots
    block.dots = dots
    return dots


# ---- the walk -------------------------------------------------------------------------------------------------------------
# A dot product has no children inline. While a walk knows it, their two fields count its terms; then both are 0 again.

cdef inline uint32_t *terms_done(Block *block, uint32_t place) noexcept nogil:
    """How many terms have both operands visited."""
    return &block.children[place].first


cdef inline uint32_t *terms_emitted(Block *block, uint32_t place) noexcept nogil:
    """How many of them the list has already."""
    return &block.children[place].second


cdef inline double *hidden_grad(Block *block, uint32_t place) noexcept nogil:
    """The gradient of the hidden terms, while it is the same for all."""
    return &block.local_grads[place].second.hidden


cdef inline bint is_unvisited(Arena *arena, uint32_t child) noexcept nogil:
    """Whether the walk has to visit this child before its parent. Node 0 stands for a missing child and is a leaf."""
    return not block_of(arena, child).flags[child & PLACE_MASK] & (VISITED | LEAF)


cdef inline uint32_t find_unvisited(Arena *arena, const uint32_t *ids, bint is_range, uint32_t start,
                                    uint32_t n) noexcept nogil:
    """The first unvisited of n operands, from `start` on; n if there is none."""
    cdef const uint8_t *flags
    if is_range:
        flags = &block_of(arena, ids[0]).flags[ids[0] & PLACE_MASK]
        while start < n and flags[start] & (VISITED | LEAF):
            start += 1
    else:
        while start < n and not is_unvisited(arena, ids[start]):
            start += 1
    return start


cdef inline uint32_t next_unvisited_factor(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """The next operand of a dot product to visit, 0 when all are done."""
    cdef Dots *dots = block.local_grads[place].first.dots
    cdef uint32_t *done = terms_done(block, place)
    cdef bint shared_done = dots.walked_by == arena.walk_number or dots.shared == NULL
    cdef bint row_done = dots.rows_are_leaves and not arena.relinked
    cdef uint32_t n = dots.n, of_shared = n, of_row = n, row
    if likely(shared_done and row_done):
        return 0
    # The two are searched one after the other: nothing is visited meanwhile.
    row = dot_row(block, place)
    if not shared_done:
        of_shared = find_unvisited(arena, dots.shared, dots.shared_is_range, done[0], n)
    if not row_done:
        of_row = find_unvisited(arena, dots.rows + (row if dots.rows_are_ranges else row * <size_t>n), dots.rows_are_ranges,
                                done[0], n)
    if of_shared == n and of_row == n:
        done[0] = n
        dots.walked_by = arena.walk_number
        return 0
    if of_shared < of_row or (of_shared == of_row and dots.shared_left):
        done[0] = of_shared
        return shared_id(dots, of_shared)
    done[0] = of_row
    return row_id(dots, row, of_row)


cdef inline bint is_ready(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """Whether this unvisited node is a dot product that the walk need not leave for any operand."""
    return block.flags[place] & DOT == DOT and next_unvisited_factor(arena, block, place) == 0


cdef inline size_t emit_terms(Block *block, uint32_t place, uint64_t *list, size_t n) noexcept nogil:
    """The walk leaves this dot product for an operand: append the terms before it to the list of n entries, as two. Returns
    the new n."""
    cdef uint32_t done = terms_done(block, place)[0], emitted = terms_emitted(block, place)[0]
    if done <= emitted:
        return n
    list[n] = <uint64_t>emitted << 32 | done
    list[n + 1] = <uint64_t>(block.first_id + place) << 32
    terms_emitted(block, place)[0] = done
    return n + 2


cdef inline double *hidden_grads(Dots *dots, uint32_t row) noexcept nogil:
    """The gradients of the products of a row, NULL while they are all the same."""
    return dots.hidden[row] if dots.hidden != NULL else NULL


cdef inline double *hidden_allocate(Dots *dots, uint32_t row) noexcept nogil:
    """Room for the gradients of a row's products, then of its partial sums. NULL without memory."""
    if dots.hidden == NULL:
        dots.hidden = <double **>PyMem_RawMalloc(dots.n_rows * sizeof(double *))
        if dots.hidden == NULL:
            return NULL
        memset(dots.hidden, 0, dots.n_rows * sizeof(double *))
    dots.hidden[row] = <double *>PyMem_RawMalloc(2 * <size_t>dots.n * sizeof(double))
    return dots.hidden[row]


cdef inline void hidden_reserve(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """Before a second backward: give each hidden node of a dot product a gradient of its own. Sets walk_failed without
    memory."""
    cdef Dots *dots = block.local_grads[place].first.dots
    cdef double grad = hidden_grad(block, place)[0]
    cdef uint32_t row = dot_row(block, place), i
    cdef double *grads
    if likely(grad == 0.0) or hidden_grads(dots, row) != NULL:          # the first one, or it had nothing to pass on
        return
    grads = hidden_allocate(dots, row)
    if grads == NULL:
        arena.walk_failed = True
        return
    for i in range(2 * dots.n):
        grads[i] = grad


# ---- the gradients -------------------------------------------------------------------------------------------------------------

cdef inline void hidden_backward(double *grads, uint32_t n, double grad, bint has_products) noexcept nogil:
    """The gradient of a sum goes down its chain of partial sums, and from each of them to its product. Where the sum is of
    Values as they are (no shared vector), it goes straight on to them."""
    cdef double *sums = grads + n
    cdef uint32_t i = n
    while i > 0:
        i -= 1
        if i < n - 1:                                       # the last partial sum is the node itself
            sums[i] += grad
            grad = sums[i]
        grads[i] = grads[i] + grad if has_products else grad


cdef inline double *float_grads(Block **blocks, uint32_t first, uint32_t low, uint32_t n) noexcept nogil:
    """The gradients of n nodes from first + low on, marked as floats, to which floats are added next."""
    cdef Block *block = blocks[first >> BLOCK_BITS]
    cdef uint32_t place = (first & PLACE_MASK) + low
    cdef uint8_t *int_grads = &block.int_grads[place]
    while n >= 8:                                           # of a known size it takes no call
        memset(int_grads, 0, 8)
        int_grads += 8
        n -= 8
    while n > 0:
        n -= 1
        int_grads[n] = 0
    return &block.numbers[GRAD + place]


cdef inline void row_backward(Arena *arena, Dots *dots, uint32_t row, uint32_t low, uint32_t n, double grad) noexcept nogil:
    """The row's operands of terms low .. low + n, which are no range, from the last one to the first."""
    cdef const uint32_t *ids = dots.rows + row * <size_t>dots.n
    cdef uint32_t i = low + n
    while i > low:
        i -= 1
        grad_add(arena.blocks, ids[i], dots.shared_data[i] * grad)


cdef inline void ranges_backward(Arena *arena, Dots *dots, uint32_t row, uint32_t low, uint32_t n, double grad) noexcept nogil:
    """Terms low .. low + n where the shared vector is a range and disjoint from the row: no gradient is added to from both
    sides, nor twice from one, so the order does not matter.

    Hot loop: with terms_backward and the kernels (kernels/rows_body.h) 20 % of the instructions of a step on the bulk rung
    (measured as in backward.pxd).
    """
    cdef const double *factors = dots.rows_data + row * <size_t>dots.n + low
    cdef double *grads = float_grads(arena.blocks, dots.shared[0], low, n)
    if likely(dots.rows_are_ranges):
        arena.kernels.axpy_pair(n, grad, float_grads(arena.blocks, dots.rows[row], low, n), dots.shared_data + low,
                                grads, factors)
    else:
        row_backward(arena, dots, row, low, n, grad)
        arena.kernels.axpy(n, grad, grads, factors)


cdef inline void term_backward(Block **blocks, Dots *dots, uint32_t row, uint32_t i, double grad,
                               bint int_grad) noexcept nogil:
    """Propagate the gradient of one product to its left factor, then to its right one. int_grad: it is an int."""
    cdef uint32_t of_row = row_id(dots, row, i), of_shared
    cdef double to_row, to_shared
    if dots.shared == NULL:
        if int_grad:
            grad_add_int(blocks, of_row, grad)
        else:
            grad_add(blocks, of_row, grad)
        return
    of_shared = shared_id(dots, i)
    to_row, to_shared = dots.shared_data[i] * grad, dots.rows_data[row * <size_t>dots.n + i] * grad
    if dots.shared_left:
        grad_add(blocks, of_shared, to_shared)
    if int_grad and dots.shared_int != NULL and dots.shared_int[i]:
        grad_add_int(blocks, of_row, to_row)
    else:
        grad_add(blocks, of_row, to_row)
    if not dots.shared_left:
        grad_add(blocks, of_shared, to_shared)


cdef inline void terms_backward(Arena *arena, Block *block, uint32_t place, uint32_t low, uint32_t high) noexcept nogil:
    """Propagate the gradients of the terms high - 1 down to low of a dot product."""
    cdef Dots *dots = block.local_grads[place].first.dots
    cdef uint32_t row = dot_row(block, place)
    cdef double grad = hidden_grad(block, place)[0]
    cdef double *grads = hidden_grads(dots, row)
    cdef bint int_grad = not block.flags[place] & HIDDEN_FLOAT
    if dots.shared == NULL and high == dots.n:              # nothing hidden between the node and the last term of a sum
        high -= 1
        propagate(arena.blocks, row_id(dots, row, high), 1.0, block.numbers[GRAD + place], block.int_grads[place])
    if dots.disjoint and grads == NULL and not int_grad and high > low + 2:
        ranges_backward(arena, dots, row, low, high - low, grad)
        return
    while high > low:
        high -= 1
        term_backward(arena.blocks, dots, row, high, grad if grads == NULL else grads[high], int_grad)


cdef inline void entry_backward(Arena *arena, Block *block, uint32_t place, uint32_t low, uint32_t high) noexcept nogil:
    """The same for an entry of the walk's list: nearly always one term, for which all of that is much ado."""
    cdef Dots *dots = block.local_grads[place].first.dots
    if likely(high == low + 1 and dots.hidden == NULL and dots.shared != NULL and block.flags[place] & HIDDEN_FLOAT):
        term_backward(arena.blocks, dots, dot_row(block, place), low, hidden_grad(block, place)[0], False)
    else:
        terms_backward(arena, block, place, low, high)


cdef inline void dot_backward(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """Propagate the gradient of a dot product: to its hidden nodes, and from those not emitted apart to the operands."""
    cdef Dots *dots = block.local_grads[place].first.dots
    cdef double grad = block.numbers[GRAD + place]
    cdef uint32_t row = dot_row(block, place), low = terms_emitted(block, place)[0]
    cdef double *grads = hidden_grads(dots, row)
    terms_done(block, place)[0] = terms_emitted(block, place)[0] = 0
    if likely(not block.int_grads[place]):
        block.flags[place] |= HIDDEN_FLOAT
    if likely(grads == NULL):
        hidden_grad(block, place)[0] = 0.0 + grad           # as the script's sum adds it to a 0
    else:
        hidden_backward(grads, dots.n, grad, dots.shared != NULL)
    terms_backward(arena, block, place, low, dots.n)
