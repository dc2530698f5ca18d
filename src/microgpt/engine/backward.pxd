# cython: language_level=3
"""Backward over the arena: the order of the script, without its recursion. The hot loops of the package are here.

The order in which contributions reach a gradient is part of the result, since floating-point addition is not
associative. The script's order: depth-first from the root, children left to right, a node listed after its children;
then that list from its end to its start. `walk_from` writes the list, `accumulate` runs along it.

Most of a graph was created in the very order in which the walk leaves it. So the walk takes spans: nodes side by side in
a block that are just the subgraph of the last one, in the order of the walk (span_of). It follows a span, and
leaves it only for an unvisited child outside. The list consists of spans, too, and both loops go through memory in order.

Shares below are by lines of `valgrind --tool=callgrind python train.py`, ten steps, AVX2 kernels.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from microgpt.engine.arena cimport seal_results
from microgpt.engine.dots cimport (
    dot_backward, emit_terms, entry_backward, hidden_reserve, is_ready, is_unvisited, next_unvisited_factor, terms_done,
    terms_emitted,
)
from microgpt.engine.gradient cimport grad_add, propagate
from microgpt.engine.layout cimport (
    BLOCK_BITS, DOT, GRAD, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, ONES, PLACE_MASK, RESULTS, VISITED,
    Arena, Block, Children, LocalGrads, Operands, block_of, unlikely,
)
from microgpt.engine.pool cimport block_in_use, scratch_reserve, scratch_trim
from microgpt.engine.references cimport block_prepare


# ---- the list -----------------------------------------------------------------------------------------------------------

cdef inline uint32_t span_of(Block *block, uint32_t place, Children children) noexcept nogil:
    """How many nodes, up to and including the one at `place`, are just its own subgraph in the order in which a depth-first
    walk leaves them, children left to right. Such a span is walked as a whole: along it, and away from it only for children
    that lie outside. A dot product written as a sum is one span.
    """
    cdef uint32_t before = block.first_id + place - 1       # the neighbour; 0 stands for no node and is never asked for
    cdef uint32_t span
    if children.second != before:
        if children.first != before or place == 0:
            return 1                                        # children, if any, lie outside
        return 1 + block.spans[place - 1]                   # the first one's span; then comes the second, outside
    if place == 0:
        return 1
    span = block.spans[place - 1]
    if span < place and children.first == before - span:    # the first one's span stands before the second one's
        return 1 + span + block.spans[place - 1 - span]
    if children.first == children.second or children.first & IN_LEAF_BLOCK:
        return 1 + span
    return 1                                                # the first lies outside and must be visited before the second


cdef inline void spans_prepare(Arena *arena) noexcept:
    """Find the spans of all results that have none yet. Only `backward` needs them."""
    cdef uint32_t number, place
    cdef Block *block
    for number in range(0, 2 * arena.n_numbers[RESULTS], 2):
        block = block_in_use(arena, number)
        if block != NULL:
            for place in range(block.spanned, block.used):
                block.spans[place] = <uint16_t>span_of(block, place, block.children[place])
            block.spanned = block.used


cdef inline uint32_t span_start(Arena *arena, uint32_t last) noexcept nogil:
    """The first node of the span that ends here; once children were assigned, no span longer than a node is trusted."""
    if unlikely(arena.relinked):
        return last
    return last + 1 - block_of(arena, last).spans[last & PLACE_MASK]


cdef inline uint32_t next_unvisited_operand(Arena *arena, Operands *operands) noexcept nogil:
    """The next child of an n-ary node to visit, 0 when all are done."""
    cdef uint32_t child
    while operands.cursor < operands.n_children:
        child = operands.children[operands.cursor]
        operands.cursor += 1
        if is_unvisited(arena, child):
            return child
    return 0


cdef inline uint32_t next_unvisited_nary(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    if block.flags[place] & ONES:
        return next_unvisited_factor(arena, block, place)
    return next_unvisited_operand(arena, block.local_grads[place].first.operands)


cdef inline uint32_t next_unvisited_child(Arena *arena, Block *block, uint32_t place, uint32_t skip_mask) noexcept nogil:
    """The first child to visit before this node, 0 for none. skip_mask: a bit that ids of leaves have."""
    cdef Children *children = &block.children[place]
    if unlikely(block.flags[place] & NARY):
        return next_unvisited_nary(arena, block, place)
    if not children.first & skip_mask and is_unvisited(arena, children.first):
        return children.first
    if not children.second & skip_mask and is_unvisited(arena, children.second):
        return children.second
    return 0


cdef inline void start_nary(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """The walk comes to a node with a record for the first time."""
    if block.flags[place] & ONES:
        hidden_reserve(arena, block, place)
    else:
        block.local_grads[place].first.operands.cursor = 0
        if block.local_grads[place].first.operands.replay != NULL and block.local_grads[place].first.operands.replay.closed:
            arena.walk_closed = block.local_grads[place].first.operands.replay


# The walk and its scratch, an array of uint64 that is used from both ends:
#
#     | first : last | node : 0 | first : last |  ->    free    <-  | node : last | node : last | ... |
#      0                                     n                       top                          capacity
#      the list: spans in the order in which the walk                the stack: spans left for a child,
#      leaves them; `node : 0`, the terms before it                  each as the node to go on at and the last
#      belong to this dot product (emit_terms)                       one of the span
#
# The walk is on the span node .. last of `block`. The nodes from `passed` to the one before `node` are done, but not emitted
# yet: where one of the span was visited before, or the walk leaves it, they go to the list as one entry.

ctypedef struct Walk:
    uint64_t *list
    size_t n
    size_t top
    Block *block
    uint32_t node
    uint32_t last
    uint32_t passed
    uint32_t skip_mask                  # a bit that ids of leaves have; 0 once children were assigned


cdef inline void emit_passed(Walk *walk) noexcept nogil:
    """Append to the list what was passed since the last entry."""
    if walk.passed < walk.node:
        walk.list[walk.n] = <uint64_t>walk.passed << 32 | (walk.node - 1)
        walk.n += 1


cdef inline void emit(Arena *arena, Walk *walk, uint32_t node) noexcept nogil:
    """Visit a node, all of whose children are visited, and append it to the list as a span of its own."""
    cdef Block *block = block_of(arena, node)
    if block.flags[node & PLACE_MASK] & NARY:
        start_nary(arena, block, node & PLACE_MASK)
    block.flags[node & PLACE_MASK] |= VISITED
    walk.list[walk.n] = <uint64_t>node << 32 | node
    walk.n += 1


cdef inline bint emit_if_ready(Arena *arena, Walk *walk, uint32_t node) noexcept nogil:
    """Emit this unvisited node if that takes no walk: if it is a dot product, or made from dot products, whose operands are
    all visited. The vectors of a model are full of such nodes. False if it is not."""
    cdef Block *block = block_of(arena, node)
    cdef Children *children = &block.children[node & PLACE_MASK]
    cdef bint first, second
    if block.flags[node & PLACE_MASK] & NARY:
        if not is_ready(arena, block, node & PLACE_MASK):
            return False
    else:
        first, second = is_unvisited(arena, children.first), is_unvisited(arena, children.second)
        if first and not is_ready(arena, block_of(arena, children.first), children.first & PLACE_MASK):
            return False
        if second and not is_ready(arena, block_of(arena, children.second), children.second & PLACE_MASK):
            return False
        if first:
            emit(arena, walk, children.first)
        if second and children.second != children.first:
            emit(arena, walk, children.second)
    emit(arena, walk, node)
    return True


cdef inline uint32_t follow_span(Arena *arena, Walk *walk) noexcept nogil:
    """Visit nodes to the end of the span, or to the first one that has an unvisited child outside: that child, else 0."""
    cdef Block *block = walk.block
    cdef uint32_t child = 0, flags, node = walk.node
    while node <= walk.last:
        flags = block.flags[node & PLACE_MASK]
        if not flags & (LEAF | VISITED):
            if unlikely(flags & NARY):
                start_nary(arena, block, node & PLACE_MASK)
            child = next_unvisited_child(arena, block, node & PLACE_MASK, walk.skip_mask)
            block.flags[node & PLACE_MASK] |= VISITED
            if unlikely(child != 0):
                break
        elif unlikely(flags & VISITED):                     # the walk came here another way before
            walk.node = node
            emit_passed(walk)
            walk.passed = node + 1
        node += 1
    walk.node = node
    emit_passed(walk)
    return child


cdef inline void enter_span(Arena *arena, Walk *walk, uint32_t last) noexcept nogil:
    walk.last, walk.block = last, block_of(arena, last)
    walk.node = walk.passed = span_start(arena, last)


cdef inline void descend(Arena *arena, Walk *walk, uint32_t child) noexcept nogil:
    """Leave the span at its node for a child of it."""
    walk.top -= 1
    walk.list[walk.top] = <uint64_t>walk.node << 32 | walk.last
    enter_span(arena, walk, child)


cdef inline void resume(Arena *arena, Walk *walk) noexcept nogil:
    """Return to the span that was left last, at the node whose child was visited meanwhile."""
    walk.node, walk.last = <uint32_t>(walk.list[walk.top] >> 32), <uint32_t>walk.list[walk.top]
    walk.top += 1
    walk.block = block_of(arena, walk.node)


cdef inline uint32_t emit_children(Arena *arena, Walk *walk, uint32_t child) noexcept nogil:
    """Emit the children of the walk's node, from this one on, as far as they are ready: the first that is not, else 0."""
    cdef uint32_t place = walk.node & PLACE_MASK
    while child != 0:
        if walk.block.flags[place] & DOT == DOT:
            walk.n = emit_terms(walk.block, place, walk.list, walk.n)
        if arena.dot_terms == 0 or not emit_if_ready(arena, walk, child):
            return child
        child = next_unvisited_child(arena, walk.block, place, walk.skip_mask)
    return 0


cdef inline size_t walk_from(Arena *arena, uint32_t root) noexcept nogil:
    """Write the list of what lies at and below `root` into the scratch. Returns how many entries it has.

    Hot loop: 4 % of the instructions of a step on the typed rung, 18 % on the bulk one.
    """
    cdef Walk walk
    cdef uint32_t child
    walk.list, walk.n, walk.top = arena.scratch, 0, arena.scratch_capacity
    walk.skip_mask = 0 if arena.relinked else IN_LEAF_BLOCK
    enter_span(arena, &walk, root)
    while True:
        child = follow_span(arena, &walk)
        if child == 0:
            if walk.top == arena.scratch_capacity:
                return walk.n
            resume(arena, &walk)
            child = next_unvisited_child(arena, walk.block, walk.node & PLACE_MASK, walk.skip_mask)
        walk.passed = walk.node                             # visited, but to be emitted after its children
        child = emit_children(arena, &walk, child)
        if child == 0:
            walk.node += 1
        else:
            descend(arena, &walk, child)


# ---- the gradients ------------------------------------------------------------------------------------------------------

cdef inline void accumulate_slow(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """Propagate the gradient of a node of any kind, also where it may still be an int."""
    cdef double grad = block.numbers[GRAD + place]
    cdef bint int_grad = block.int_grads[place]
    cdef uint32_t flags = block.flags[place], k
    cdef LocalGrads *local_grads = &block.local_grads[place]
    cdef Block **blocks = arena.blocks
    cdef Operands *operands
    if flags & DOT == DOT:
        dot_backward(arena, block, place)
    elif flags & NARY:
        operands = local_grads.first.operands
        if operands.replay != NULL:
            operands.replay.backward(operands.replay, grad, int_grad)
        for k in range(min(operands.n_children, operands.n_grads)):
            propagate(blocks, operands.children[k], operands.local_grads[k], grad, int_grad and operands.is_int[k])
    elif flags & ONES:
        propagate(blocks, block.children[place].first, 1.0, grad, int_grad and not arena.kinds.float_ones)
        propagate(blocks, block.children[place].second, 1.0, grad, int_grad and not arena.kinds.float_ones)
    elif not flags & LEAF:
        propagate(blocks, block.children[place].first, local_grads.first.value, grad, int_grad and flags & GRAD0_INT)
        if block.children[place].second != 0:
            propagate(blocks, block.children[place].second, local_grads.second.value, grad, int_grad and flags & GRAD1_INT)


cdef inline void accumulate_span(Arena *arena, uint32_t first, uint32_t last) noexcept nogil:
    """child.grad += local_grad * node.grad for the nodes from last to first, all of one block, children left to right.

    Hot loop: 3 % of the instructions of a step on the typed rung, 9 % on the bulk one; bound by reading and writing the
    children's gradients.
    """
    cdef Block **blocks = arena.blocks
    cdef Block *block = blocks[first >> BLOCK_BITS]
    cdef uint32_t place = (last & PLACE_MASK) + 1
    cdef uint32_t flags
    cdef double grad
    cdef Children *children
    first &= PLACE_MASK
    while place > first:
        place -= 1
        flags = block.flags[place]
        children = &block.children[place]
        if flags & LEAF:
            continue
        block.flags[place] = flags & ~<uint32_t>VISITED
        if unlikely(flags & NARY or block.int_grads[place]):
            accumulate_slow(arena, block, place)
            continue
        grad = block.numbers[GRAD + place]
        if flags & ONES:
            grad_add(blocks, children.first, grad)
            grad_add(blocks, children.second, grad)
        else:
            grad_add(blocks, children.first, block.local_grads[place].first.value * grad)
            if children.second != 0:
                grad_add(blocks, children.second, block.local_grads[place].second.value * grad)


cdef inline void accumulate(Arena *arena, size_t n) noexcept nogil:
    """Propagate the gradients of the n entries of the list, from its end to its start."""
    cdef uint64_t *list = arena.scratch
    cdef uint32_t first, last
    while n > 0:
        n -= 1
        first, last = <uint32_t>(list[n] >> 32), <uint32_t>list[n]
        if last != 0:
            accumulate_span(arena, first, last)
        else:
            n -= 1
            entry_backward(arena, block_of(arena, first), first & PLACE_MASK,
                           <uint32_t>(list[n] >> 32), <uint32_t>list[n])


cdef inline bint take_span(Arena *arena, size_t *n, uint32_t *first, uint32_t *last) noexcept nogil:
    """The last span among n entries of the list, of which n are before it then. Terms are left out. False if there is none."""
    cdef uint64_t *list = arena.scratch
    while n[0] > 0:
        n[0] -= 1
        first[0], last[0] = <uint32_t>(list[n[0]] >> 32), <uint32_t>list[n[0]]
        if last[0] != 0:
            return True
        n[0] -= 1
    return False


cdef inline void unvisit(Arena *arena, size_t n) noexcept nogil:
    """Undo the marks of a walk that failed."""
    cdef uint32_t first, node, last
    cdef Block *block
    while take_span(arena, &n, &first, &last):
        for node in range(first, last + 1):
            block = block_of(arena, node)
            block.flags[node & PLACE_MASK] &= ~<uint8_t>VISITED
            if block.flags[node & PLACE_MASK] & DOT == DOT:
                terms_done(block, node & PLACE_MASK)[0] = terms_emitted(block, node & PLACE_MASK)[0] = 0


cdef inline bint is_stale(Arena *arena, size_t n) noexcept nogil:
    """Whether a result among the n entries of the list was there before data were written last."""
    cdef uint32_t first, last
    cdef Block *block
    while take_span(arena, &n, &first, &last):
        first = max(first, 1)                               # node 0 is nobody's, though the first span may have it
        block = block_of(arena, first)
        if first & IN_LEAF_BLOCK:
            continue
        if block.serial < arena.written_serial:
            return True
        if block.serial == arena.written_serial and (first & PLACE_MASK) < arena.written_place:
            return True
    return False


cdef inline int backward_from(Arena *arena, uint32_t root, double grad, bint int_grad) noexcept:
    """The script's Value.backward, from this gradient of the root on. -1 without memory, or where the walk says why not; then no
    gradient has changed."""
    cdef Block *block = block_of(arena, root)
    cdef uint32_t place = root & PLACE_MASK
    cdef size_t n = 0
    if not block.flags[place] & LEAF and block_prepare(arena, arena.open[RESULTS]) < 0:
        return -1
    if not block.flags[place] & LEAF:
        if scratch_reserve(arena) < 0:
            return -1
        spans_prepare(arena)
        arena.walk_number += 1
        arena.walk_failed, arena.walk_closed = False, NULL
        n = walk_from(arena, root)
        arena.walk_stale = arena.late_grads and is_stale(arena, n)
        if arena.walk_failed or arena.walk_closed != NULL or arena.walk_stale:
            unvisit(arena, n)
            return -1
    block.numbers[GRAD + place] = grad
    block.int_grads[place] = int_grad
    accumulate(arena, n)
    scratch_trim(arena)
    if n > 0:
        seal_results(arena)
    return 0
