# cython: language_level=3
"""Backward over the arena: the order of the script, without its recursion. The hot loops of the package are here.

The order in which contributions reach a gradient is part of the result, since floating-point addition is not
associative. The script's order: depth-first from the root, children left to right, a node noted down after its
children; then that list from its end to its start. `walk` makes the list, `accumulate` runs along it.

Most of a graph was created in the very order in which the walk leaves it. So the walk takes whole stretches of nodes
(span_of in _arena.pxd): it passes along a stretch, and leaves it only for a child outside that nobody has visited. What it
notes down are runs of neighbours, first and last id, and both loops go through memory in order.
"""
from libc.stdint cimport uint32_t, uint64_t
from microgpt._arena cimport (
    BLOCK_BITS, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, ONES, PLACE_MASK, VISITED,
    RESULTS, Arena, Block, Children, LocalGrads, Operands, block_of, block_prepare, scratch_reserve, seal_results, unlikely,
)


cdef inline bint fits_int(double value) noexcept nogil:
    """Whether a whole number may read back as an int: below 2**53 a double tells whole numbers apart."""
    return -9007199254740992.0 < value < 9007199254740992.0


# ---- the order ----------------------------------------------------------------------------------------------------------

cdef inline bint is_waiting(Arena *arena, uint32_t child) noexcept nogil:
    """Whether the walk has to go to this child before its parent. Node 0 stands for a missing child and is a leaf."""
    return not block_of(arena, child).marks[child & PLACE_MASK].flags & (VISITED | LEAF)


cdef inline uint32_t waiting_operand(Arena *arena, Operands *operands) noexcept nogil:
    """The next child of an n-ary node to go to, 0 when all are done."""
    cdef uint32_t child
    while operands.cursor < operands.n_children:
        child = operands.children[operands.cursor]
        operands.cursor += 1
        if is_waiting(arena, child):
            return child
    return 0


cdef inline uint32_t waiting_child(Arena *arena, Block *block, uint32_t place, uint32_t passed_by) noexcept nogil:
    """The first child that the walk has to go to before this node, 0 for none. `passed_by`: a bit of ids known to be leaves."""
    cdef Children *children = &block.children[place]
    if unlikely(block.marks[place].flags & NARY):
        return waiting_operand(arena, block.local_grads[place].first.operands)
    if not children.first & passed_by and is_waiting(arena, children.first):
        return children.first
    if not children.second & passed_by and is_waiting(arena, children.second):
        return children.second
    return 0


cdef inline uint32_t stretch_start(Arena *arena, uint32_t last) noexcept nogil:
    """The first node of the stretch that ends here; once children were assigned, no stretch is trusted."""
    if unlikely(arena.rewired):
        return last
    return last + 1 - block_of(arena, last).marks[last & PLACE_MASK].span


cdef inline size_t walk(Arena *arena, uint32_t root) noexcept nogil:
    """Note down in arena.scratch, as runs first << 32 | last, what lies at and below `root`. Returns how many runs.

    From the back of the scratch grows the stack: stretches that were left for a child, as node to go on at << 32 | last.
    """
    cdef uint64_t *runs = arena.scratch
    cdef size_t bottom = arena.scratch_capacity, top = bottom, n = 0
    cdef uint32_t last = root, node = stretch_start(arena, root), run = node, child
    cdef Block *block = block_of(arena, root)
    cdef uint32_t flags, passed_by = 0 if arena.rewired else IN_LEAF_BLOCK
    while True:
        child = 0
        while node <= last:
            flags = block.marks[node & PLACE_MASK].flags
            if not flags & (LEAF | VISITED):
                if unlikely(flags & NARY):
                    block.local_grads[node & PLACE_MASK].first.operands.cursor = 0
                child = waiting_child(arena, block, node & PLACE_MASK, passed_by)
                block.marks[node & PLACE_MASK].flags |= VISITED
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
        if child != 0:                                      # this node is on its way: marked, but not yet noted down
            top -= 1
            runs[top] = <uint64_t>node << 32 | last
            last = child
            node = run = stretch_start(arena, child)
            block = block_of(arena, child)
            continue
        if top == bottom:
            return n
        node, last = <uint32_t>(runs[top] >> 32), <uint32_t>runs[top]
        top += 1
        run = node
        block = block_of(arena, node)
        # Its other children may be waiting too; then it goes back onto the stack.
        child = waiting_child(arena, block, node & PLACE_MASK, passed_by)
        if child != 0:
            top -= 1
            last = child
            node = run = stretch_start(arena, child)
            block = block_of(arena, child)
        else:
            node += 1


# ---- the sums -----------------------------------------------------------------------------------------------------------

cdef inline void contribute(Arena *arena, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, a float."""
    cdef Block *block = block_of(arena, child)
    block.numbers[child & PLACE_MASK].grad += contribution
    block.marks[child & PLACE_MASK].int_grad = False


cdef inline void contribute_int(Arena *arena, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, an int: it stays one if it was one and is not too large. An int has no minus zero."""
    cdef Block *block = block_of(arena, child)
    cdef double grad = block.numbers[child & PLACE_MASK].grad + (contribution + 0.0)
    block.numbers[child & PLACE_MASK].grad = grad
    if not fits_int(grad):
        block.marks[child & PLACE_MASK].int_grad = False


cdef inline void pass_on(Arena *arena, uint32_t child, double local_grad, double grad, bint is_int) noexcept nogil:
    if is_int:
        contribute_int(arena, child, local_grad * grad)
    else:
        contribute(arena, child, local_grad * grad)


cdef inline void accumulate_carefully(Arena *arena, Block *block, uint32_t place) noexcept nogil:
    """The turn of a node of any kind, also where gradients may still be ints."""
    cdef double grad = block.numbers[place].grad
    cdef bint int_grad = block.marks[place].int_grad
    cdef uint32_t flags = block.marks[place].flags, k
    cdef LocalGrads *local_grads = &block.local_grads[place]
    cdef Operands *operands
    if flags & NARY:
        operands = local_grads.first.operands
        for k in range(min(operands.n_children, operands.n_grads)):
            pass_on(arena, operands.children[k], operands.local_grads[k], grad, int_grad and operands.is_int[k])
    elif flags & ONES:
        pass_on(arena, block.children[place].first, 1.0, grad, int_grad)
        pass_on(arena, block.children[place].second, 1.0, grad, int_grad)
    elif not flags & LEAF:
        pass_on(arena, block.children[place].first, local_grads.first.value, grad, int_grad and flags & GRAD0_INT)
        if block.children[place].second != 0:
            pass_on(arena, block.children[place].second, local_grads.second, grad, int_grad and flags & GRAD1_INT)


cdef inline void accumulate_run(Arena *arena, uint32_t first, uint32_t last) noexcept nogil:
    """child.grad += local_grad * node.grad for the nodes from last to first, all of one block, children left to right.

    About half of backward's time; bound by the reading and writing of children's gradients.
    """
    cdef Block *block = block_of(arena, first)
    cdef uint32_t place = (last & PLACE_MASK) + 1
    cdef uint32_t flags
    cdef double grad
    cdef Children *children
    first &= PLACE_MASK
    while place > first:
        place -= 1
        flags = block.marks[place].flags
        children = &block.children[place]
        if flags & LEAF:
            continue
        block.marks[place].flags = flags & ~<uint32_t>VISITED
        if unlikely(flags & NARY or block.marks[place].int_grad):
            accumulate_carefully(arena, block, place)
            continue
        grad = block.numbers[place].grad
        if flags & ONES:
            contribute(arena, children.first, grad)
            contribute(arena, children.second, grad)
        else:
            contribute(arena, children.first, block.local_grads[place].first.value * grad)
            if children.second != 0:
                contribute(arena, children.second, block.local_grads[place].second * grad)


cdef inline int backward_from(Arena *arena, uint32_t root) noexcept:
    """The script's Value.backward. -1 without memory; then no gradient has changed."""
    cdef Block *block = block_of(arena, root)
    cdef uint32_t place = root & PLACE_MASK
    cdef bint is_leaf = (block.marks[place].flags & LEAF) != 0
    cdef size_t n
    if not is_leaf and (block_prepare(arena, arena.open[RESULTS]) < 0 or scratch_reserve(arena) < 0):
        return -1
    block.numbers[place].grad = 1.0
    block.marks[place].int_grad = True
    if is_leaf:
        return 0
    n = walk(arena, root)
    while n > 0:
        n -= 1
        accumulate_run(arena, <uint32_t>(arena.scratch[n] >> 32), <uint32_t>arena.scratch[n])
    seal_results(arena)
    return 0
