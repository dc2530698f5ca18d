# cython: language_level=3
"""Backward over the arena: the order of the script, without its recursion. The hot loops of the package are here.

The order in which contributions reach a gradient is part of the result, since floating-point addition is not
associative. The script's order: depth-first from the root, children left to right, a node noted down after its
children; then that list from its end to its start. `walk` makes the list, `accumulate` runs along it.

Most of a graph was created in the very order in which the walk leaves it. So the walk takes whole stretches of nodes
(span_of): it passes along a stretch, and leaves it only for a child outside that nobody has visited. What it
notes down are runs of neighbours, first and last id, and both loops go through memory in order.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from microgpt.engine.arena cimport block_in_use, scratch_reserve, seal_results
from microgpt.engine.contribute cimport contribute, pass_on
from microgpt.engine.dots cimport dot_receive, hidden_reserve, is_ready, is_waiting, terms_event, terms_receive, waiting_factor
from microgpt.engine.references cimport block_prepare
from microgpt.engine.layout cimport (
    BLOCK_BITS, DOT, GRAD, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, ONES, PLACE_MASK, RESULTS, VISITED,
    Arena, Block, Children, LocalGrads, Operands, block_of, unlikely,
)


# ---- the order ----------------------------------------------------------------------------------------------------------

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
        return 1 + block.spans[place - 1]              # the first one's stretch; then comes the second, outside
    if place == 0:
        return 1
    span = block.spans[place - 1]
    if span < place and children.first == before - span:             # the first one's stretch stands before the second one's
        return 1 + span + block.spans[place - 1 - span]
    if children.first == children.second or children.first & IN_LEAF_BLOCK:
        return 1 + span
    return 1                                                # the first lies outside and must be visited before the second


cdef inline void spans_prepare(Arena *arena) noexcept:
    """Work out the spans of all results that have none yet. Only `backward` needs them."""
    cdef uint32_t number, place
    cdef Block *block
    for number in range(0, 2 * arena.n_numbers[RESULTS], 2):
        block = block_in_use(arena, number)
        if block != NULL:
            for place in range(block.spanned, block.used):
                block.spans[place] = <uint16_t>span_of(block, place, block.children[place])
            block.spanned = block.used


cdef inline uint32_t waiting_operand(Arena *arena, Operands *operands) noexcept nogil:
    """The next child of an n-ary node to go to, 0 when all are done."""
    cdef uint32_t child
    while operands.cursor < operands.n_children:
        child = operands.children[operands.cursor]
        operands.cursor += 1
        if is_waiting(arena, child):
            return child
    return 0


cdef inline uint32_t waiting_of_many(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    if block.flags[place] & ONES:
        return waiting_factor(arena, block, place)
    return waiting_operand(arena, block.local_grads[place].first.operands)


cdef inline void begin_many(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """The walk comes to a node with a record for the first time."""
    if block.flags[place] & ONES:
        hidden_reserve(arena, block, place)
    else:
        block.local_grads[place].first.operands.cursor = 0


cdef inline uint32_t waiting_child(Arena *arena, Block *block, uint32_t place, uint32_t passed_by) noexcept nogil:
    """The first child that the walk has to go to before this node, 0 for none. `passed_by`: a bit of ids known to be leaves."""
    cdef Children *children = &block.children[place]
    if unlikely(block.flags[place] & NARY):
        return waiting_of_many(arena, block, place)
    if not children.first & passed_by and is_waiting(arena, children.first):
        return children.first
    if not children.second & passed_by and is_waiting(arena, children.second):
        return children.second
    return 0


cdef inline uint32_t stretch_start(Arena *arena, uint32_t last) noexcept nogil:
    """The first node of the stretch that ends here; once children were assigned, no stretch is trusted."""
    if unlikely(arena.rewired):
        return last
    return last + 1 - block_of(arena, last).spans[last & PLACE_MASK]


cdef inline size_t note(Arena *arena, uint32_t node, size_t n) noexcept nogil:
    """Mark a node as visited and note it down as a run of its own. Returns the new n."""
    cdef Block *block = block_of(arena, node)
    if block.flags[node & PLACE_MASK] & NARY:
        begin_many(arena, block, node & PLACE_MASK)
    block.flags[node & PLACE_MASK] |= VISITED
    arena.scratch[n] = <uint64_t>node << 32 | node
    return n + 1


cdef inline size_t note_ready(Arena *arena, uint32_t node, size_t n) noexcept nogil:
    """Note down this waiting node if that takes no walk: if it is a dot product, or made from dot products, whose operands
    are all done. Returns the new n, the same if not. The vectors of a model are full of such nodes."""
    cdef Block *block = block_of(arena, node)
    cdef Children *children = &block.children[node & PLACE_MASK]
    cdef bint first, second
    if block.flags[node & PLACE_MASK] & NARY:
        return note(arena, node, n) if is_ready(arena, block, node & PLACE_MASK) else n
    first, second = is_waiting(arena, children.first), is_waiting(arena, children.second)
    if first and not is_ready(arena, block_of(arena, children.first), children.first & PLACE_MASK):
        return n
    if second and not is_ready(arena, block_of(arena, children.second), children.second & PLACE_MASK):
        return n
    if first:
        n = note(arena, children.first, n)
    if second and children.second != children.first:
        n = note(arena, children.second, n)
    return note(arena, node, n)


cdef inline size_t walk(Arena *arena, uint32_t root) noexcept nogil:
    """Note down in arena.scratch, as runs first << 32 | last, what lies at and below `root`. Returns how many entries.
    An entry whose second half is 0 is an event of the dot product in its first half, for the terms in the entry before it.

    From the back of the scratch grows the stack: stretches that were left for a child, as node to go on at << 32 | last.
    """
    cdef uint64_t *runs = arena.scratch
    cdef size_t bottom = arena.scratch_capacity, top = bottom, n = 0, noted
    cdef uint32_t last = root, node = stretch_start(arena, root), run = node, child
    cdef Block *block = block_of(arena, root)
    cdef uint32_t flags, passed_by = 0 if arena.rewired else IN_LEAF_BLOCK
    cdef bint has_dots = arena.dot_terms != 0
    while True:
        child = 0
        while node <= last:
            flags = block.flags[node & PLACE_MASK]
            if not flags & (LEAF | VISITED):
                if unlikely(flags & NARY):
                    begin_many(arena, block, node & PLACE_MASK)
                child = waiting_child(arena, block, node & PLACE_MASK, passed_by)
                block.flags[node & PLACE_MASK] |= VISITED
                if unlikely(child != 0):
                    break
            elif unlikely(flags & VISITED):                 # another way led here before
                if run < node:
                    runs[n] = <uint64_t>run << 32 | (node - 1)
                    n += 1
                run = node + 1
            node += 1
        if run < node:
            runs[n] = <uint64_t>run << 32 | (node - 1)
            n += 1
        if child == 0:                                      # the end of the stretch: back to where one was left
            if top == bottom:
                return n
            node, last = <uint32_t>(runs[top] >> 32), <uint32_t>runs[top]
            top += 1
            block = block_of(arena, node)
            child = waiting_child(arena, block, node & PLACE_MASK, passed_by)   # it may have another one
        run = node                                          # this node is on its way: marked, but not yet noted down
        while child != 0:
            if block.flags[node & PLACE_MASK] & DOT == DOT:
                n = terms_event(block, node & PLACE_MASK, runs, n)
            noted = note_ready(arena, child, n) if has_dots else n
            if noted == n:
                break
            n = noted
            child = waiting_child(arena, block, node & PLACE_MASK, passed_by)
        if child == 0:
            node += 1
        else:
            top -= 1
            runs[top] = <uint64_t>node << 32 | last
            last = child
            node = run = stretch_start(arena, child)
            block = block_of(arena, child)


# ---- the sums -----------------------------------------------------------------------------------------------------------

cdef inline void accumulate_carefully(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """The turn of a node of any kind, also where gradients may still be ints."""
    cdef double grad = block.numbers[GRAD + place]
    cdef bint int_grad = block.int_grads[place]
    cdef uint32_t flags = block.flags[place], k
    cdef LocalGrads *local_grads = &block.local_grads[place]
    cdef Block **blocks = arena.blocks
    cdef Operands *operands
    if flags & DOT == DOT:
        dot_receive(arena, block, place)
    elif flags & NARY:
        operands = local_grads.first.operands
        for k in range(min(operands.n_children, operands.n_grads)):
            pass_on(blocks, operands.children[k], operands.local_grads[k], grad, int_grad and operands.is_int[k])
    elif flags & ONES:
        pass_on(blocks, block.children[place].first, 1.0, grad, int_grad)
        pass_on(blocks, block.children[place].second, 1.0, grad, int_grad)
    elif not flags & LEAF:
        pass_on(blocks, block.children[place].first, local_grads.first.value, grad, int_grad and flags & GRAD0_INT)
        if block.children[place].second != 0:
            pass_on(blocks, block.children[place].second, local_grads.second, grad, int_grad and flags & GRAD1_INT)


cdef inline void accumulate_run(Arena *arena, uint32_t first, uint32_t last) noexcept nogil:
    """child.grad += local_grad * node.grad for the nodes from last to first, all of one block, children left to right.

    About half of backward's time; bound by the reading and writing of children's gradients.
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
            accumulate_carefully(arena, block, place)
            continue
        grad = block.numbers[GRAD + place]
        if flags & ONES:
            contribute(blocks, children.first, grad)
            contribute(blocks, children.second, grad)
        else:
            contribute(blocks, children.first, block.local_grads[place].first.value * grad)
            if children.second != 0:
                contribute(blocks, children.second, block.local_grads[place].second * grad)


cdef inline void accumulate(Arena *arena, size_t n) noexcept nogil:
    """Give everything that the walk noted down its turn, from the end of the list to its start."""
    cdef uint64_t *runs = arena.scratch
    cdef uint32_t first, last
    while n > 0:
        n -= 1
        first, last = <uint32_t>(runs[n] >> 32), <uint32_t>runs[n]
        if last != 0:
            accumulate_run(arena, first, last)
        else:
            n -= 1
            terms_receive(arena, block_of(arena, first), first & PLACE_MASK,
                          <uint32_t>(runs[n] >> 32), <uint32_t>runs[n])


cdef inline void unvisit(Arena *arena, size_t n) noexcept nogil:
    """Take back the marks of a walk that failed."""
    cdef uint32_t node
    cdef Block *block
    while n > 0:
        n -= 1
        if <uint32_t>arena.scratch[n] == 0:
            n -= 1
            continue
        for node in range(<uint32_t>(arena.scratch[n] >> 32), <uint32_t>arena.scratch[n] + 1):
            block = block_of(arena, node)
            block.flags[node & PLACE_MASK] &= ~<uint8_t>VISITED
            if block.flags[node & PLACE_MASK] & DOT == DOT:
                block.children[node & PLACE_MASK] = Children(0, 0)


cdef inline int backward_from(Arena *arena, uint32_t root) noexcept:
    """The script's Value.backward. -1 without memory; then no gradient has changed."""
    cdef Block *block = block_of(arena, root)
    cdef uint32_t place = root & PLACE_MASK
    cdef size_t n = 0
    if not block.flags[place] & LEAF:
        if block_prepare(arena, arena.open[RESULTS]) < 0 or scratch_reserve(arena) < 0:
            return -1
        spans_prepare(arena)
        arena.walks += 1
        arena.walk_failed = False
        n = walk(arena, root)
        if arena.walk_failed:
            unvisit(arena, n)
            return -1
    block.numbers[GRAD + place] = 1.0
    block.int_grads[place] = True
    accumulate(arena, n)
    if n > 0:
        seal_results(arena)
    return 0
