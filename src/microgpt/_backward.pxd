# cython: language_level=3
"""Backward over the arena: the order of the script, without its recursion. The hot loops of the package are here.

The order in which contributions reach a gradient is part of the result, since floating-point addition is not
associative. The script's order: depth-first from the root, children left to right, a node noted down after its
children; then that list from its end to its start. `walk` makes the list, `accumulate` runs along it.

Cost on the script's own graph, a node: see bench/test_backward.py. Both loops are bound by memory and by the chain of
look-ups id -> block -> links, not by arithmetic.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from microgpt._arena cimport (
    BLOCK_BITS, BLOCK_NODES, GRAD0_INT, GRAD1_INT, IN_LEAF_BLOCK, LEAF, NARY, PLACE_MASK, VISITED,
    Arena, Block, Links, Numbers, Operands, block_of, likely, links_of, numbers_of, unlikely,
)


cdef inline bint fits_int(double value) noexcept nogil:
    """Whether a whole number may read back as an int: up to 2**53 a double tells whole numbers apart."""
    return -9007199254740992.0 <= value <= 9007199254740992.0


cdef inline int order_reserve(Arena *arena) noexcept:
    """Scratch for a walk over everything alive; each node stands in it once, waiting or done. -1 without memory."""
    cdef size_t needed = <size_t>arena.blocks_alive * BLOCK_NODES
    if needed <= arena.order_capacity and needed >= arena.order_capacity >> 3:
        return 0
    PyMem_RawFree(arena.order)
    arena.order_capacity = 0
    arena.order = <uint32_t *>PyMem_RawMalloc(needed * sizeof(uint32_t))
    if arena.order == NULL:
        return -1
    arena.order_capacity = needed
    return 0


cdef inline bint enter(Arena *arena, uint32_t child, uint32_t passed_by) noexcept nogil:
    """Whether the walk must go down to this child now; if so it counts as visited from here on."""
    cdef Links *links
    if child & passed_by:
        return False
    links = links_of(arena, child)
    if links.flags & (VISITED | LEAF):
        return False
    links.flags |= VISITED
    return True


cdef inline size_t walk(Arena *arena, uint32_t root) noexcept nogil:
    """Fill arena.order with the nodes below `root`, children before parents, leaves left out. Returns how many.

    The stack holds node << 1 | stage: 0 when the node's next child is the second (or the next of many), 1 when the
    children are done. Node 0 stands for a missing child and counts as a leaf.
    """
    cdef uint32_t *order = arena.order
    cdef size_t bottom = arena.order_capacity
    cdef size_t top = bottom
    cdef size_t n = 0
    cdef uint32_t passed_by = 0 if arena.rewired else IN_LEAF_BLOCK
    cdef uint32_t node = root
    cdef uint32_t child
    cdef Links *links = links_of(arena, root)
    cdef Operands *operands
    cdef bint first = True
    links.flags |= VISITED
    while True:
        if unlikely(links.flags & NARY):
            operands = numbers_of(arena, node).first.operands
            if first:
                operands.cursor = 0
            child = 0
            while operands.cursor < operands.n_children:
                child = operands.children[operands.cursor]
                operands.cursor += 1
                if enter(arena, child, passed_by):
                    break
                child = 0
            if child != 0:
                top -= 1
                order[top] = node << 1
                node, links, first = child, links_of(arena, child), True
                continue
        else:
            if first:
                child = links.child0
                if enter(arena, child, passed_by):
                    top -= 1
                    order[top] = node << 1
                    node, links = child, links_of(arena, child)
                    continue
            child = links.child1
            if enter(arena, child, passed_by):
                top -= 1
                order[top] = node << 1 | 1
                node, links, first = child, links_of(arena, child), True
                continue
        order[n] = node
        n += 1
        while top < bottom and order[top] & 1:
            order[n] = order[top] >> 1
            n += 1
            top += 1
        if top == bottom:
            return n
        node = order[top] >> 1
        top += 1
        links, first = links_of(arena, node), False


cdef inline void contribute(Arena *arena, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, a float."""
    cdef Block *block = block_of(arena, child)
    cdef uint32_t place = child & PLACE_MASK
    block.numbers[place].grad += contribution
    block.int_grad[place] = False


cdef inline void contribute_int(Arena *arena, uint32_t child, double contribution) noexcept nogil:
    """child.grad += contribution, an int: it stays one if it was one and is not too large. An int has no minus zero."""
    cdef Block *block = block_of(arena, child)
    cdef uint32_t place = child & PLACE_MASK
    cdef double grad = block.numbers[place].grad + (contribution + 0.0)
    block.numbers[place].grad = grad
    if not fits_int(grad):
        block.int_grad[place] = False


cdef inline void accumulate_many(Arena *arena, Operands *operands, double grad, bint int_grad) noexcept nogil:
    """The turn of a node with an Operands record."""
    cdef uint32_t k
    for k in range(min(operands.n_children, operands.n_grads)):
        if int_grad and operands.is_int[k]:
            contribute_int(arena, operands.children[k], operands.local_grads[k] * grad)
        else:
            contribute(arena, operands.children[k], operands.local_grads[k] * grad)


cdef inline void accumulate_int(Arena *arena, Links *links, Numbers *numbers) noexcept nogil:
    """The turn of a node whose own gradient is an int: what it passes on may be one too."""
    if links.flags & GRAD0_INT:
        contribute_int(arena, links.child0, numbers.first.local_grad0 * numbers.grad)
    else:
        contribute(arena, links.child0, numbers.first.local_grad0 * numbers.grad)
    if links.child1 == 0:
        return
    if links.flags & GRAD1_INT:
        contribute_int(arena, links.child1, numbers.local_grad1 * numbers.grad)
    else:
        contribute(arena, links.child1, numbers.local_grad1 * numbers.grad)


cdef inline void accumulate(Arena *arena, size_t n) noexcept nogil:
    """Run along arena.order from its end: child.grad += local_grad * node.grad, children left to right."""
    cdef uint32_t *order = arena.order
    cdef uint32_t place
    cdef Block *block
    cdef Links *links
    cdef Numbers *numbers
    while n > 0:
        n -= 1
        block = block_of(arena, order[n])
        place = order[n] & PLACE_MASK
        links = &block.links[place]
        numbers = &block.numbers[place]
        links.flags &= ~<uint32_t>VISITED
        if unlikely(links.flags & NARY):
            accumulate_many(arena, numbers.first.operands, numbers.grad, block.int_grad[place])
        elif unlikely(block.int_grad[place]):
            accumulate_int(arena, links, numbers)
        else:
            contribute(arena, links.child0, numbers.first.local_grad0 * numbers.grad)
            if links.child1 != 0:
                contribute(arena, links.child1, numbers.local_grad1 * numbers.grad)


cdef inline int backward_from(Arena *arena, uint32_t root) noexcept:
    """The script's Value.backward. -1 without memory; then no gradient has changed."""
    cdef Block *block = block_of(arena, root)
    cdef uint32_t place = root & PLACE_MASK
    if not block.links[place].flags & LEAF and order_reserve(arena) < 0:
        return -1
    block.numbers[place].grad = 1.0
    block.int_grad[place] = True
    if not block.links[place].flags & LEAF:
        accumulate(arena, walk(arena, root))
    return 0
